"""The port through which the API asks the hub: what an operator may read and order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Protocol

from prometheus_client import CollectorRegistry

from otagate.engine.foresight import ComponentPlan, DevicePlan, HubPlan
from otagate.engine.patches import DevicePatch
from otagate.engine.views import (
    ActivationRequest,
    ActivationResult,
    AuditEntry,
    AuditFilter,
    ChainView,
    DeviceView,
    HaltView,
    Health,
    JournalFilter,
    NotifierView,
    Offer,
    OrderKey,
    OrderRequest,
    OrderResult,
    Page,
    RadioView,
    RolloutRequest,
    RolloutResult,
    RolloutView,
    SourceView,
    UpdateView,
    WindowView,
)
from otagate.model.facts import Fact
from otagate.model.ids import DeviceId, Sha256, UpdateId
from otagate.model.images import Image
from otagate.model.lifecycle import State
from otagate.model.portraits import Portrait
from otagate.model.rollouts import RolloutId
from otagate.model.updates import Priority, Update
from otagate.ports import RadioBackup
from otagate.reports.forms import Form
from otagate.reports.report import Month
from otagate.sources.records import RecordPage, RecordQuery


class Readings(Protocol):
    """What may be read."""

    async def devices(
        self,
        *,
        radio: str | None = None,
        protocol: str | None = None,
        update_status: str | None = None,
        q: str | None = None,
        limit: int = 100,
        after: str = "",
    ) -> Page[DeviceView]:
        """One page of devices by id, of those after an id."""

    async def device(self, device_id: DeviceId) -> DeviceView:
        """One device; raises UnknownDevice."""

    async def offers(self, device_id: DeviceId) -> Sequence[Offer]:
        """Every release that a source offers for the device, newest first; raises UnknownDevice."""

    async def plan(self, device_id: DeviceId) -> DevicePlan:
        """What would happen to a device, when, and why or why not; raises UnknownDevice."""

    async def plans(self, *, limit: int = 100, after: str = "", openings: int = 7) -> HubPlan:
        """The same for every device, a page at a time, and what the openings of windows to come will have to do."""

    def forecast(self, drafts: Sequence[Update]) -> Sequence[ComponentPlan]:
        """What would become of updates that are not made yet."""

    async def updates(
        self,
        *,
        states: frozenset[State] | None = None,
        device: DeviceId | None = None,
        rollout: RolloutId | None = None,
        limit: int = 100,
        before: UpdateId | None = None,
    ) -> Page[UpdateView]:
        """One page of updates, newest first, of those made before one."""

    async def update(self, update_id: UpdateId) -> UpdateView:
        """One update; raises UnknownUpdate."""

    async def log(self, update_id: UpdateId, *, limit: int = 500, after: int = 0) -> Page[Fact]:
        """One page of the facts of one update, oldest first; raises UnknownUpdate."""

    async def portrait(self, update_id: UpdateId) -> Portrait:
        """How the device was set before the update, forgotten when it has ended; raises UnknownUpdate."""

    async def journal(self, wanted: JournalFilter, *, limit: int = 100, before: int | None = None) -> Page[Fact]:
        """One page of the journal, newest first. It may hold less than `limit` though more follows."""

    async def verify_chain(self) -> ChainView:
        """Whether the journal is as it was written."""

    def audit(self, wanted: AuditFilter) -> AsyncIterator[AuditEntry]:
        """The updates that ended, newest first, read as they are taken."""

    async def report(self, month: Month, form: Form) -> bytes:
        """The report of a month, sealed; raises BadFilter for one that has not begun."""

    async def report_key(self) -> str:
        """The public key that reports are sealed with."""

    async def images(self) -> Sequence[Image]:
        """Every stored image, newest first."""

    async def image(self, sha256: Sha256) -> Image:
        """One image; raises UnknownImage."""

    async def inspect_image(self, data: bytes, *, file_name: str) -> Image:
        """What `add_image` would store, and nothing is; raises as it does."""

    async def image_path(self, sha256: Sha256) -> Path:
        """Where its bytes lie; raises UnknownImage."""

    def radios(self) -> Sequence[RadioView]:
        """Every configured radio."""

    async def sources(self) -> Sequence[SourceView]:
        """Every configured source."""

    def notifiers(self) -> Sequence[NotifierView]:
        """Every configured receiver of notifications."""

    async def records(self, source: str, query: RecordQuery) -> RecordPage:
        """What a service itself recorded; raises UnknownSource, NotOfThisSource, BadFilter, SourceError."""

    def rollouts(self) -> Sequence[RolloutView]:
        """Every rollout, newest first."""

    def rollout(self, rollout_id: RolloutId) -> RolloutView:
        """One rollout; raises UnknownRollout."""

    async def health(self) -> Health:
        """Whether the hub can work."""

    @property
    def metrics(self) -> CollectorRegistry:
        """What Prometheus reads."""

    def windows(self) -> Sequence[WindowView]:
        """Every window with its openings to come."""

    def halted(self) -> HaltView | None:
        """Who halted everything, when and why; None where nothing is halted."""

    def events(self, *, after: int | None = None) -> AsyncIterator[Fact]:
        """Facts with a greater number, then live ones, without gap or duplicate; ends when the hub stops or the reader is too slow."""

    def live(self) -> AsyncIterator[UpdateView]:
        """Progress that is not journalled, a few times a second per update."""


class Orders(Protocol):
    """What may be ordered. `actor` is who asked, as the journal keeps it."""

    async def check(self, device_id: DeviceId, *, actor: str) -> DeviceView:
        """Interrogate now; cancelling the call does not cancel the check. Raises UnknownDevice and RadioError."""

    async def amend(self, device_id: DeviceId, patch: DevicePatch, *, actor: str) -> DeviceView:
        """Change what an operator says of a device; raises UnknownDevice."""

    async def order(self, request: OrderRequest, *, actor: str, key: OrderKey | None = None) -> OrderResult:
        """Make updates, or only plan them; what is wrong with single devices is in `refused`. Raises KeyReused."""

    async def cancel(self, update_id: UpdateId, *, actor: str) -> UpdateView:
        """Raises NotCancellable, NotInState, UnknownUpdate."""

    async def pause(self, update_id: UpdateId, *, actor: str) -> UpdateView:
        """Raises NotInState, UnknownUpdate."""

    async def resume(self, update_id: UpdateId, *, actor: str) -> UpdateView:
        """Raises NotInState, UnknownUpdate."""

    async def retry(self, update_id: UpdateId, *, actor: str) -> UpdateView:
        """A new update from one that ended; raises AlreadyUpdating, NotInState, UnknownUpdate."""

    async def prioritize(self, update_id: UpdateId, priority: Priority, *, actor: str) -> UpdateView:
        """Let it go before others, or behind them."""

    async def approve(self, update_id: UpdateId, *, actor: str) -> UpdateView:
        """Raises NotInState, UnknownUpdate."""

    async def activate_all(self, request: ActivationRequest, *, actor: str) -> ActivationResult:
        """Raises Refused where nothing holds an image back, StoreUnavailable."""

    async def activate(self, update_id: UpdateId, *, actor: str) -> UpdateView:
        """Raises NotInState, UnknownUpdate."""

    async def order_rollout(self, request: RolloutRequest, *, actor: str) -> RolloutResult:
        """Make a rollout, or only plan it; raises Refused where there is nothing to do or the name is taken."""

    async def pause_rollout(self, rollout_id: RolloutId, *, actor: str) -> RolloutView:
        """Nothing of it begins any more. Raises NotInState, UnknownRollout."""

    async def resume_rollout(self, rollout_id: RolloutId, *, actor: str) -> RolloutView:
        """Let it go on; failures so far stop it no more. Raises NotInState, UnknownRollout."""

    async def halt_rollout(self, rollout_id: RolloutId, *, actor: str) -> RolloutView:
        """Nothing of it moves any more. Raises NotInState, UnknownRollout."""

    async def approve_rollout(self, rollout_id: RolloutId, *, actor: str) -> RolloutView:
        """Open the wave that waits for an operator. Raises NotInState, UnknownRollout."""

    async def cancel_rollout(self, rollout_id: RolloutId, *, actor: str) -> RolloutView:
        """End it. Raises NotInState, UnknownRollout."""

    async def halt(self, *, actor: str, because: str | None = None) -> HaltView:
        """Nothing moves on any radio until this is lifted; idempotent. Raises StoreUnavailable where a restart would forget it."""

    async def lift_halt(self, *, actor: str) -> None:
        """Everything goes on; idempotent. Raises StoreUnavailable, and everything stays halted."""

    async def add_image(self, data: bytes, *, file_name: str, actor: str) -> Image:
        """Store an image; idempotent. Raises Malformed, TooLarge, IntegrityMismatch."""

    async def remove_image(self, sha256: Sha256, *, actor: str) -> None:
        """Forget an image; raises UnknownImage, and NotInState where an unfinished update needs it."""

    async def permit_join(self, radio: str, seconds: int, *, actor: str) -> None:
        """Open the network for new devices; raises UnknownRadio, RadioUnavailable."""

    async def back_up(self, radio: str, *, actor: str) -> RadioBackup:
        """Copy a radio's network to a file of the hub's; raises UnknownRadio, RadioUnavailable."""

    async def pause_radio(self, radio: str, *, actor: str, because: str | None = None) -> RadioView:
        """Let a radio stand still, over restarts too."""

    async def resume_radio(self, radio: str, *, actor: str) -> RadioView:
        """Let it go on."""

    async def reattach(self, radio: str, *, actor: str) -> None:
        """Try a radio again now that its trouble is settled; raises UnknownRadio."""

    async def refresh(self, source: str, *, actor: str, room_id: str | None = None) -> SourceView:
        """Ask a source again now, of one room where that is named; raises UnknownSource, NotOfThisSource, SourceError."""

    async def test_notifier(self, name: str, *, actor: str) -> NotifierView:
        """Send a test to a receiver of notifications; raises UnknownNotifier, SourceError."""


class Desk(Readings, Orders, Protocol):
    """The whole counter."""
