"""Readings for operators: what the API, the CLI and the page show, before any of them gives it a form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Literal, TypeVar

from otagate.engine.feeds import Condition
from otagate.model.devices import Component, Device
from otagate.model.errors import OtagateError
from otagate.model.facts import Fact, Subject
from otagate.model.ids import ComponentId, DeviceId, Sha256, UpdateId
from otagate.model.links import Link, Load
from otagate.model.releases import Release
from otagate.model.rollouts import DEFAULT_WAVES, Rollout, RolloutId, Selection, Tally, Wave, WavePlan, WaveState
from otagate.model.updates import Priority, Update
from otagate.model.verdicts import Guard, Verdict
from otagate.model.versions import Version
from otagate.policy.activation import Wish
from otagate.policy.notices import Severity
from otagate.policy.window import Opening
from otagate.ports import RadioState
from otagate.sources.effects import Left
from otagate.sources.source import Skipped

UpdateStatus = Literal["none", "available", "updating", "updated", "failed", "waiting"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """One page of a list; `last` is the key after which the next page goes on, None at the end."""

    items: Sequence[T]
    last: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalFilter:
    """Which facts; what is None does not matter. `since` and `until` are inclusive."""

    subject: Subject | None = None
    subject_id: str | None = None
    kind: str | None = None
    actor: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def fits(self, fact: Fact) -> bool:
        """Whether the fact is meant, as far as the store has not chosen already."""
        return (
            self.kind in (None, fact.kind)
            and self.actor in (None, fact.actor)
            and (self.since is None or fact.at >= self.since)
            and (self.until is None or fact.at <= self.until)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainView:
    """How far the chain of the journal holds: from fact `first` to `last`, whose link is `chain`; `broken` is the first that does not fit."""

    holds: bool
    sentence: str
    first: int
    last: int
    chain: str
    broken: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which updates that ended; what is None does not matter. `since` and `until` are inclusive, and about the end."""

    device: DeviceId | None = None
    actor: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def fits(self, update: Update) -> bool:
        """Whether the update is meant, as far as the store has not chosen already; `actor` is who ordered or approved it."""
        ended = update.finished
        return (
            (self.actor is None or self.actor in (update.actor, update.approved_by))
            and (self.since is None or (ended is not None and ended >= self.since))
            and (self.until is None or (ended is not None and ended <= self.until))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """An update that ended, with the fact of the journal that tells its end: by whom, its number and its link; None where that is forgotten."""

    update: Update
    ended_by: str | None
    retries: int
    number: int | None
    chain: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WayBack:
    """The last good image before the one that runs, or the sentence why there is none to go back to."""

    sentence: str
    version: Version | None = None
    image: Sha256 | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentView:
    """A component with the newest release that policy would not refuse, and the update that has not ended; `back` where a single device is shown."""

    component: Component
    available: Release | None
    update: UpdateId | None
    back: WayBack | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceView:
    """A device as shown; `link` is how well it was heard last."""

    device: Device
    update_status: UpdateStatus
    components: tuple[ComponentView, ...]
    link: Link | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A release that some source offers for a component, and what policy says of it."""

    component: ComponentId
    release: Release
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateView:
    """An update with its live progress; `fragments` sent and in all, where they are counted. Rate and time left are None while nothing moves.

    `sentence` says for what it waits, or would wait if it were ordered now.
    """

    update: Update
    bytes_sent: int
    bytes_per_second: float | None
    eta_seconds: float | None
    fragments: tuple[int, int] | None = None
    sentence: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """What an operator asks for, of `devices`, or of those that `select` means when it is carried out.

    `version` as text or integer (see `parse_version`); `image` is the sha256 of one stored image.

    `when`: "now", "window" or an RFC 3339 time. `override`: guards to overrule one by one, with the reason in `because`. `activate`: when the
    image is used that was brought to the device, see `policy.activation`.

    `release` is what an update was made for that is tried again, `rollout` and `wave` where it belongs.
    """

    devices: tuple[DeviceId, ...] = ()
    select: Selection | None = None
    version: str | int | None = None
    component: ComponentId | None = None
    image: Sha256 | None = None
    release: Release | None = None
    rollout: RolloutId | None = None
    wave: int = 0
    when: Literal["now", "window"] | datetime = "now"
    allow_downgrade: bool = False
    force: bool = False
    override: tuple[Guard, ...] = ()
    because: str | None = None
    activate: Wish = "now"
    rollback: bool = False
    priority: Priority = "normal"
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationView:
    """What the word to use an image came to: the device is told now, or (`waiting`, with the reason where there is one) when it can be."""

    update: UpdateId
    device: DeviceId
    outcome: Literal["activating", "waiting"]
    sentence: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationRequest:
    """Whom the word is for: these updates, or everything of a job, a rollout or a group of devices that holds an image back.

    `override`: guards that it overrules, with the reason in `because`.
    """

    updates: tuple[UpdateId, ...] = ()
    job: str | None = None
    rollout: RolloutId | None = None
    group: str | None = None
    override: tuple[Guard, ...] = ()
    because: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationResult:
    """What the word came to, and for which updates it was refused and why."""

    given: tuple[ActivationView, ...]
    refused: tuple[tuple[UpdateId, OtagateError], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderKey:
    """The idempotency key of an order, and the SHA-256 of what is ordered, in hex."""

    key: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A device that gets no update, and why: `error.code` is the problem's slug."""

    device: DeviceId
    error: OtagateError
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderResult:
    """What an order made (or, for a dry run, would make). `replayed`: it was made before under the same key; its updates are told as they are now."""

    updates: tuple[UpdateView, ...]
    refused: tuple[Refusal, ...]
    replayed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutRequest:
    """A rollout as it is ordered; `version` and `when` as of an order."""

    name: str
    select: Selection
    version: str | int | None = None
    waves: tuple[WavePlan, ...] = DEFAULT_WAVES
    when: Literal["now", "window"] | datetime = "now"
    activate: Wish = "now"
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveView:
    """A wave, where it stands, and how its devices did."""

    wave: Wave
    state: WaveState
    tally: Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutView:
    """A rollout as shown."""

    rollout: Rollout
    waves: tuple[WaveView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutResult:
    """What an order of a rollout made (or, for a dry run, would make), and which devices are left out and why."""

    rollout: RolloutView
    refused: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioView:
    """A radio as shown; `error`: why it is not up, `paused`: who has paused what it sends, `borrowed_from`: who cannot control its lamps now."""

    name: str
    type: str
    state: RadioState
    sentence: str
    devices: int
    transfers: int
    parallel: int
    error: OtagateError | None = None
    paused: HaltView | None = None
    load: Load | None = None
    borrowed_from: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifierView:
    """Who is told what happens, as shown: `trouble` is why the last try failed, `waiting` how many notices are not told yet."""

    name: str
    type: str
    severity: Severity
    trouble: str | None
    waiting: int
    last_delivered: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceView:
    """A source as shown; `error` is why it could not be read last, and `failures` how often in a row.

    `skipped` is what of its answers is of no use, the first hundred of `left_out`; `quotas` what may still be asked of its service.
    """

    name: str
    type: str
    state: Condition
    sentence: str
    last_success: datetime | None
    releases: int
    next_refresh: datetime | None = None
    error: OtagateError | None = None
    quotas: tuple[Left, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    left_out: int = 0
    failures: int = 0

    @property
    def calls_left(self) -> int | None:
        """How many calls may be made now, by the narrowest of its limits, one of bytes that is used up among them; None where nothing limits them."""
        return min((each.amount for each in self.quotas if each.limit.of == "calls" or not each.amount), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowView:
    """A window with its openings to come, the one that is open first."""

    name: str
    open: bool
    openings: tuple[Opening, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether the hub can work. `ready` = store open and every radio up or being retried.

    `broker` is how the line to the MQTT broker is, "ok" or why it is down, where there is one: the hub works without it.
    """

    ready: bool
    store: str
    radios: tuple[RadioView, ...]
    broker: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltView:
    """Who halted everything, or paused a radio, when, and why if that was said."""

    since: datetime
    actor: str
    because: str | None
