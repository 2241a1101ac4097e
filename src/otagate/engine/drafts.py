"""Updates that are not in the store yet, and what the updates of before say of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from otagate.model.devices import Component, Device
from otagate.model.ids import ComponentId, RadioName, UpdateId, zwave_component_id
from otagate.model.lifecycle import State
from otagate.model.releases import Release
from otagate.model.updates import Priority, Update
from otagate.model.verdicts import Guard
from otagate.model.versions import Version, same_version, version_key
from otagate.policy.activation import Staging
from otagate.policy.retry import judge_loop

POLICY = "policy"
"""The actor of updates that nobody ordered."""

FOREIGN = "foreign"
"""Actor and source of updates that another program began."""


_UNWILLING = frozenset({"declined-by-device", "image-rejected-by-device", "version-unchanged"})
"""Ends of an update by which a device shows that it does not want the version."""


@dataclass(frozen=True, slots=True)
class Past:
    """The updates of one device, newest first."""

    updates: Sequence[Update]

    def completed_transfers(self, component: ComponentId, version: Version | None) -> int:
        """Whole transfers of this version that left the component as it was; counted through its updates, each of which carries its predecessors'."""
        latest = self._latest(component, version)
        return 0 if latest is None or latest.state is State.SUCCEEDED else latest.completed_transfers

    def loops(self, component: ComponentId, release: Release) -> bool:
        """Whether the component took the image of this version in vain so often that only `force` brings it again."""
        return not judge_loop(self.completed_transfers(component, release.file_version)).allowed

    def speaks_against(self, component: ComponentId, release: Release) -> bool:
        """Whether policy alone should leave this release: it loops, failed or was cancelled here before, or an operator went back from it."""
        if self.loops(component, release):
            return True
        same = self._latest(component, release.file_version)
        if same is not None and same.state in (State.FAILED, State.CANCELLED) and (not _not_begun(same) or self._stopped_by_another(same)):
            return True
        done = next((each for each in self._of(component) if each.state is State.SUCCEEDED), None)
        return (
            done is not None
            and done.actor != POLICY
            and done.from_version is not None
            and version_key(done.to_version) < version_key(release.file_version) <= version_key(done.from_version)
        )

    def _stopped_by_another(self, update: Update) -> bool:
        """Whether another component of its job failed that has not taken an image since: nobody knows whether the two go together."""
        others = {each.component for each in self.updates if update.job is not None and each.job == update.job} - {update.component}
        newest = [next(iter(self._of(each))) for each in others]
        return any(each.state is State.FAILED and not _not_begun(each) for each in newest)

    def good_before(self, component: ComponentId, running: Version | None) -> Sequence[Update]:
        """The updates that brought an older version than the running one, proved by the device that told it afterwards; the last first."""
        done = (each for each in self._of(component) if each.state is State.SUCCEEDED and each.image is not None and each.to_version is not None)
        return [each for each in done if version_key(each.to_version) < version_key(running)]

    def would_not_go_back(self, component: ComponentId) -> Update | None:
        """The last update to an older version, where the device did not take it."""
        back = (each for each in self._of(component) if each.ended and each.to_version is not None and each.from_version is not None)
        last = next((each for each in back if version_key(each.to_version) < version_key(each.from_version) and _says_something(each)), None)
        return None if last is None or last.state is State.SUCCEEDED else last

    def _latest(self, component: ComponentId, version: Version | None) -> Update | None:
        return next((each for each in self._of(component) if same_version(each.to_version, version)), None)

    def _of(self, component: ComponentId) -> Iterable[Update]:
        return (each for each in self.updates if each.component == component)


def _says_something(update: Update) -> bool:
    """Whether it shows how the device takes such an update."""
    return update.state is State.SUCCEEDED or (update.error is not None and update.error.code in _UNWILLING)


def _not_begun(update: Update) -> bool:
    """Whether it ended only because a step before it did, or because its device slept for too long."""
    return update.reason == "asleep" or (update.error is not None and update.error.code == "predecessor-failed")


def foreign_draft(device: Device, *, now: datetime, component_id: ComponentId | None = None, to_version: Version | None = None) -> Update:
    """An update that another program began: nobody here knows its image, and seldom which version that brings."""
    wanted = component_id or (device.components[0].id if device.components else zwave_component_id(0))
    component = device.component(wanted) or Component(id=wanted)
    return Update(
        id=UpdateId(""),
        device=device.id,
        component=component.id,
        radio=RadioName(device.radio or ""),
        from_version=component.version,
        to_version=to_version,
        source=FOREIGN,
        image=None,
        state=State.TRANSFERRING,
        bytes_total=0,
        created=now,
        started=now,
        actor=FOREIGN,
        foreign=True,
    )


def draft(
    device: Device,
    component: Component,
    release: Release,
    *,
    now: datetime,
    actor: str,
    past: Past,
    allow_downgrade: bool = False,
    force: bool = False,
    override: Sequence[Guard] = (),
    because: str | None = None,
    not_before: datetime | None = None,
    staging: Staging | None = None,
    in_window: bool = False,
    asks_for: timedelta | None = None,
    priority: Priority = "normal",
) -> Update:
    """An update for the ledger, which gives it its id. An order with `force` begins the count of the loop breaker anew.

    `asks_for`: it is only planned, and waits so long to be approved.
    """
    staging = staging or Staging()
    not_before = max((each for each in (not_before, staging.not_before) if each is not None), default=None)
    return Update(
        id=UpdateId(""),
        device=device.id,
        component=component.id,
        radio=RadioName(device.radio or ""),
        manufacturer_code=component.manufacturer_code if component.manufacturer_code is not None else release.manufacturer_code,
        image_type=release.image_type,
        from_version=component.version,
        to_version=release.file_version,
        source=release.source,
        image=release.sha256,
        release=None if release.location is None else release,
        state=State.QUEUED if asks_for is None else State.PLANNED,
        bytes_total=release.size,
        created=now,
        reason="scheduled" if not_before else None if asks_for is None else "awaiting_approval",
        completed_transfers=0 if force else past.completed_transfers(component.id, release.file_version),
        allow_downgrade=allow_downgrade,
        force=force,
        override=tuple(override),
        because=because,
        not_before=not_before,
        hold_activation=staging.hold_activation,
        activate_in_window=staging.activate_in_window,
        activate_from=staging.activate_from,
        in_window=in_window or staging.in_window,
        expires=None if asks_for is None else now + asks_for,
        actor=actor,
        priority=priority,
    )
