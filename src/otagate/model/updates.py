"""Updates: one attempt to bring one component of one device to one release."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from otagate.model.ids import ComponentId, DeviceId, RadioName, Sha256, UpdateId
from otagate.model.lifecycle import State
from otagate.model.portraits import Behaviour
from otagate.model.releases import Release
from otagate.model.rollouts import RolloutId
from otagate.model.verdicts import Guard
from otagate.model.versions import Version, same_version

Priority = Literal["low", "normal", "high"]
"""Who goes first of those that could begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why an update ended badly: `code` is the slug of the API's problem, `detail` a sentence."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """The job that `lifecycle.TABLE` moves.

    `bytes_sent` is the high-water mark of the device's file offset (a durable sample: the live figure is the session's). `attempts` counts
    attempts without progress; `completed_transfers` counts whole transfers after which the version was unchanged. `not_before` holds a queued
    update back (backoff or a scheduled time). `activation_owed`: the device finished in a pause or a halt, was told to wait with the image, and
    gets the word to use it when that ends. `hold_activation`: it is brought to the device at any time and waits there for the word: an operator's, or
    (`activate_in_window`) the opening of its window, or the time `activate_from`. `released_by` is who gave that word.
    `to_version` is None where nobody could say which version the file holds: any other than
    `from_version` is then the right one. `foreign`: another program began it through the same controller; it is watched, and neither stopped nor
    begun again by us.
    `release` is the offer that is to be fetched, as it was when the update was made; None for an image that was stored then. `override` are the
    guards that its order overruled one by one, and `because` is what the operator said of it. `rollout` is what it belongs to, and `wave` the index
    of its wave there. `in_window`: it was ordered for a window, also where its device has none of its own. `expires`: a planned one that nobody has
    approved by then is given up; `approved_by` is who did. `behaviour`: what became of the settings of its device, once that is known.
    `job`, `step` and `steps`: what one decision brings to a device, in its order. `link`: a further step of a chain of versions, which goes on from
    the one that the step before it brings. `wants_more`: the device holds the image and wants another one before it uses either (REQUIRE_MORE_IMAGE,
    ZCL 8, 11.13.9).
    """

    id: UpdateId
    device: DeviceId
    component: ComponentId
    radio: RadioName
    from_version: Version | None
    to_version: Version | None
    source: str
    image: Sha256 | None
    state: State
    bytes_total: int
    created: datetime
    manufacturer_code: int | None = None
    image_type: int | None = None
    bytes_sent: int = 0
    release: Release | None = None
    started: datetime | None = None
    finished: datetime | None = None
    reason: str | None = None
    error: Failure | None = None
    attempts: int = 0
    completed_transfers: int = 0
    allow_downgrade: bool = False
    force: bool = False
    override: tuple[Guard, ...] = ()
    because: str | None = None
    not_before: datetime | None = None
    hold_activation: bool = False
    activate_in_window: bool = False
    activate_from: datetime | None = None
    released_by: str | None = None
    activation_owed: bool = False
    paused: bool = False
    actor: str = "policy"
    job: str | None = None
    step: int = 1
    steps: int = 1
    link: bool = False
    wants_more: bool = False
    foreign: bool = False
    rollout: RolloutId | None = None
    wave: int = 0
    in_window: bool = False
    expires: datetime | None = None
    approved_by: str | None = None
    priority: Priority = "normal"
    behaviour: Behaviour | None = None

    @property
    def unasked(self) -> bool:
        """Whether nobody but policy wants it."""
        return self.actor == "policy" and self.approved_by is None

    @property
    def gives_way(self) -> bool:
        """Whether an order for the same component may take its place: nobody asked for it, and it has not begun."""
        return self.unasked and self.state in (State.PLANNED, State.QUEUED)

    def overrules(self, guard: Guard) -> bool:
        """Whether it was ordered against this guard."""
        return self.force or guard in self.override

    @property
    def holds(self) -> bool:
        """Whether the device waits with a whole image for the word to use it."""
        return self.hold_activation or self.activation_owed

    @property
    def moved_to_window(self) -> bool:
        """Whether it was to be used in a window by a device that uses an image as soon as it has it, so that all of it waits for the window."""
        return self.activate_in_window and not self.hold_activation

    @property
    def delegated(self) -> bool:
        """Whether the device's own cloud carries it out at our order: nothing is fetched, and what was ordered cannot be called back."""
        return self.release is not None and self.release.protocol == "cloud"

    @property
    def ended(self) -> bool:
        """Whether the update is in a final state."""
        return self.state.final

    @property
    def not_begun(self) -> bool:
        """Whether it is a further step of a job, and ended before it had begun: what became of the one before it says more."""
        return self.job is not None and self.step > 1 and self.started is None and self.ended and self.state is not State.SUCCEEDED

    def is_done_by(self, version: Version | None) -> bool:
        """Whether a device that tells this version runs what the update brings.

        Of the further files of a release nobody says which version they hold, nor that it is another one: that the device took the file and tells a
        version is all there is to know.
        """
        if version is None or self.to_version is not None:
            return same_version(version, self.to_version)
        part = self.release is not None and self.release.bundle is not None
        return part or not same_version(version, self.from_version)
