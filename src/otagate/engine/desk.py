"""The desk: everything that an operator may ask of the hub, by API, command line or page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from otagate.engine.audit import Audit
from otagate.engine.consultant import Consultant
from otagate.engine.controls import Controls
from otagate.engine.errands import Errands
from otagate.engine.foresight import ComponentPlan, DevicePlan, Foresight, HubPlan
from otagate.engine.halt import Halt, RadioPauses
from otagate.engine.interrogator import Interrogator
from otagate.engine.journal import Journal
from otagate.engine.library import Library
from otagate.engine.notifier import Notifier
from otagate.engine.ordering import Ordering
from otagate.engine.patches import DevicePatch
from otagate.engine.readings import Readings
from otagate.engine.refresher import Refresher
from otagate.engine.registry import Registry
from otagate.engine.reporter import Reporter
from otagate.engine.rollouts import Rollouts
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
from otagate.model.devices import Device
from otagate.model.errors import NotInState, StoreError, UnknownNotifier, UnknownRadio
from otagate.model.facts import Fact, Scalar, Subject
from otagate.model.ids import DeviceId, RadioName, Sha256, UpdateId
from otagate.model.images import Image
from otagate.model.lifecycle import State
from otagate.model.portraits import Portrait
from otagate.model.rollouts import RolloutId
from otagate.model.updates import Priority, Update
from otagate.ports import Radio, RadioBackup, Store
from otagate.reports.forms import Form
from otagate.reports.report import Month
from otagate.sources.records import RecordPage, RecordQuery

_LIVE_EVERY = 0.5


class Desk:
    """Readings are delegated; orders are checked here and carried out by ledger and conductor."""

    def __init__(
        self,
        *,
        store: Store,
        journal: Journal,
        registry: Registry,
        library: Library,
        consultant: Consultant,
        halt: Halt,
        radio_pauses: RadioPauses,
        controls: Controls,
        rollouts: Rollouts,
        ordering: Ordering,
        interrogator: Interrogator,
        refresher: Refresher,
        readings: Readings,
        reporter: Reporter,
        foresight: Foresight,
        errands: Errands,
        notifiers: Mapping[str, Notifier],
        radios: Mapping[RadioName, Radio],
        reattach: Mapping[RadioName, asyncio.Event],
        metrics: CollectorRegistry,
    ) -> None:
        self._store = store
        self._audit = Audit(store)
        self._journal = journal
        self._registry = registry
        self._library = library
        self._consultant = consultant
        self._halt = halt
        self._radio_pauses = radio_pauses
        self._controls = controls
        self._rollouts = rollouts
        self._ordering = ordering
        self._interrogator = interrogator
        self._refresher = refresher
        self._readings = readings
        self._reporter = reporter
        self._foresight = foresight
        self._errands = errands
        self._notifiers = notifiers
        self._radios = radios
        self._reattach = reattach
        self._metrics = metrics

    # --- readings ---------------------------------------------------------------------------------------------------------------------

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
        return await self._readings.devices(radio=radio, protocol=protocol, update_status=update_status, q=q, limit=limit, after=after)

    async def device(self, device_id: DeviceId) -> DeviceView:
        """One device; raises UnknownDevice."""
        return await self._readings.device(device_id)

    async def offers(self, device_id: DeviceId) -> Sequence[Offer]:
        """Every release that a source offers for the device, newest first; raises UnknownDevice."""
        return await self._readings.offers(device_id)

    async def plan(self, device_id: DeviceId) -> DevicePlan:
        """What would happen to a device, when, and why or why not; raises UnknownDevice."""
        return await self._foresight.device(device_id)

    async def plans(self, *, limit: int = 100, after: str = "", openings: int = 7) -> HubPlan:
        """The same for every device, a page at a time, and what the openings of windows to come will have to do."""
        return await self._foresight.hub(limit=limit, after=after, openings=openings)

    def forecast(self, drafts: Sequence[Update]) -> Sequence[ComponentPlan]:
        """What would become of updates that are not made yet."""
        return self._foresight.forecast(drafts)

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
        return await self._readings.updates(states=states, device=device, rollout=rollout, limit=limit, before=before)

    async def update(self, update_id: UpdateId) -> UpdateView:
        """One update; raises UnknownUpdate."""
        return await self._readings.update(update_id)

    async def log(self, update_id: UpdateId, *, limit: int = 500, after: int = 0) -> Page[Fact]:
        """One page of the facts of one update, oldest first; raises UnknownUpdate."""
        return await self._readings.log(update_id, limit=limit, after=after)

    async def portrait(self, update_id: UpdateId) -> Portrait:
        """How the device was set before the update, as far as that is known: forgotten when it has ended. Raises UnknownUpdate."""
        return await self._readings.portrait(update_id)

    async def journal(self, wanted: JournalFilter, *, limit: int = 100, before: int | None = None) -> Page[Fact]:
        """One page of the journal, newest first. It may hold less than `limit` though more follows."""
        return await self._readings.journal(wanted, limit=limit, before=before)

    async def verify_chain(self) -> ChainView:
        """Whether the journal is as it was written. Raises StoreUnavailable."""
        return await self._audit.verify()

    def audit(self, wanted: AuditFilter) -> AsyncIterator[AuditEntry]:
        """The updates that ended, newest first, read as they are taken. Raises StoreUnavailable."""
        return self._audit.entries(wanted)

    async def report(self, month: Month, form: Form) -> bytes:
        """The report of a month, sealed. Raises BadFilter for one that has not begun, StoreUnavailable."""
        return await self._reporter.sealed(month, form)

    async def report_key(self) -> str:
        """The public key that reports are sealed with. Raises StoreUnavailable."""
        return await self._reporter.public_key()

    def radios(self) -> Sequence[RadioView]:
        """Every configured radio."""
        return self._readings.radios()

    async def health(self) -> Health:
        """Whether the hub can work."""
        return await self._readings.health()

    @property
    def metrics(self) -> CollectorRegistry:
        """What Prometheus reads."""
        return self._metrics

    def events(self, *, after: int | None = None) -> AsyncIterator[Fact]:
        """Facts with a greater number, then live ones, without gap or duplicate; ends when the hub stops or the reader is too slow."""
        return self._journal.events(after=after)

    async def live(self) -> AsyncIterator[UpdateView]:
        """Progress that is not journalled, a few times a second per update that moves."""
        told: dict[UpdateId, tuple[int, tuple[int, int] | None]] = {}
        while not self._journal.closed:
            for view in self._readings.moving():
                mark = (view.bytes_sent, view.fragments)
                if told.get(view.update.id) != mark:
                    told[view.update.id] = mark
                    yield view
            await asyncio.sleep(_LIVE_EVERY)

    # --- devices ----------------------------------------------------------------------------------------------------------------------

    async def amend(self, device_id: DeviceId, patch: DevicePatch, *, actor: str) -> DeviceView:
        """Change what an operator says of a device; policy decides anew. Raises UnknownDevice, StoreUnavailable."""
        return await self._readings.whole_view(await self._errands.do(self._amend(device_id, patch, actor), what="amend"))

    async def _amend(self, device_id: DeviceId, patch: DevicePatch, actor: str) -> Device:
        device = await self._registry.amend(device_id, patch, actor=actor)
        try:
            await self._consultant.withdraw(device)
        finally:
            self._consultant.post(device_id)
        return device

    # --- updates ----------------------------------------------------------------------------------------------------------------------

    async def check(self, device_id: DeviceId, *, actor: str) -> DeviceView:
        """Interrogate now; cancelling the call does not cancel the check. Raises UnknownDevice and RadioError."""
        device = await self._interrogator.ask(device_id)
        await self._note("device", device_id, "checked", actor)
        return await self._readings.whole_view(device)

    async def order(self, request: OrderRequest, *, actor: str, key: OrderKey | None = None) -> OrderResult:
        """Make updates, or only plan them; what is wrong with single devices is in `refused`. Raises KeyReused, StoreUnavailable."""
        return await self._errands.do(self._ordering.order(request, actor=actor, key=key), what="order")

    async def cancel(self, update_id: UpdateId, *, actor: str) -> UpdateView:
        """Raises NotCancellable, NotInState, UnknownUpdate, StoreUnavailable."""
        return await self._do(self._controls.cancel(update_id, actor), "cancel")

    async def pause(self, update_id: UpdateId, *, actor: str) -> UpdateView:
        """Raises NotInState, UnknownUpdate, StoreUnavailable."""
        return await self._do(self._controls.pause(update_id, actor), "pause")

    async def resume(self, update_id: UpdateId, *, actor: str) -> UpdateView:
        """Raises NotInState, UnknownUpdate, StoreUnavailable."""
        return await self._do(self._controls.resume(update_id, actor), "resume")

    async def prioritize(self, update_id: UpdateId, priority: Priority, *, actor: str) -> UpdateView:
        """Raises NotInState, UnknownUpdate, StoreUnavailable."""
        return await self._do(self._controls.prioritize(update_id, priority, actor), "prioritize")

    async def approve(self, update_id: UpdateId, *, actor: str) -> UpdateView:
        """Raises NotInState, UnknownUpdate, StoreUnavailable."""
        return await self._do(self._controls.approve(update_id, actor), "approve")

    async def activate(self, update_id: UpdateId, *, actor: str) -> UpdateView:
        """Raises NotInState, UnknownUpdate, StoreUnavailable."""
        return await self._do(self._controls.activate(update_id, actor), "activate")

    async def activate_all(self, request: ActivationRequest, *, actor: str) -> ActivationResult:
        """Raises Refused where nothing holds an image back, StoreUnavailable."""
        return await self._errands.do(self._controls.activate_all(request, actor), what="activate all")

    async def retry(self, update_id: UpdateId, *, actor: str) -> UpdateView:
        """A new update like one that ended without success, with the rest of its job: what else of that did not succeed.

        Raises AlreadyUpdating, NotInState, UnknownUpdate, and what an order refuses.
        """
        update = await self._store.updates.get(update_id)
        if update.foreign:
            raise NotInState(f"update {update_id} was another program's: its image is not known here")
        if not update.ended or update.state is State.SUCCEEDED:
            raise NotInState(f"update {update_id} is {update.state}; only one that ended without success can be tried again")
        again = self._ordering.again(update, rollout=self._rollouts.going(update), actor=actor)
        return await self._errands.do(again, what="retry")

    # --- rollouts ---------------------------------------------------------------------------------------------------------------------

    def rollouts(self) -> Sequence[RolloutView]:
        """Every rollout, newest first."""
        return self._rollouts.views()

    def rollout(self, rollout_id: RolloutId) -> RolloutView:
        """One rollout; raises UnknownRollout."""
        return self._rollouts.view(rollout_id)

    async def order_rollout(self, request: RolloutRequest, *, actor: str) -> RolloutResult:
        """Make a rollout, or only plan it. Raises Refused where there is nothing to do or the name is taken, StoreUnavailable."""
        return await self._errands.do(self._rollouts.order(request, actor=actor), what="rollout")

    async def pause_rollout(self, rollout_id: RolloutId, *, actor: str) -> RolloutView:
        """Nothing of it begins any more. Raises NotInState, UnknownRollout, StoreUnavailable."""
        return await self._errands.do(self._rollouts.pause(rollout_id, actor=actor), what="pause rollout")

    async def resume_rollout(self, rollout_id: RolloutId, *, actor: str) -> RolloutView:
        """Let it go on; failures so far stop it no more. Raises NotInState, UnknownRollout, StoreUnavailable."""
        return await self._errands.do(self._rollouts.resume(rollout_id, actor=actor), what="resume rollout")

    async def halt_rollout(self, rollout_id: RolloutId, *, actor: str) -> RolloutView:
        """Nothing of it moves any more. Raises NotInState, UnknownRollout, StoreUnavailable."""
        return await self._errands.do(self._rollouts.halt(rollout_id, actor=actor), what="halt rollout")

    async def approve_rollout(self, rollout_id: RolloutId, *, actor: str) -> RolloutView:
        """Open the wave that waits for an operator. Raises NotInState, UnknownRollout, StoreUnavailable."""
        return await self._errands.do(self._rollouts.approve(rollout_id, actor=actor), what="approve rollout")

    async def cancel_rollout(self, rollout_id: RolloutId, *, actor: str) -> RolloutView:
        """End it. Raises NotInState, UnknownRollout, StoreUnavailable."""
        return await self._errands.do(self._rollouts.cancel(rollout_id, actor=actor), what="cancel rollout")

    # --- everything at once -----------------------------------------------------------------------------------------------------------

    def windows(self) -> Sequence[WindowView]:
        """Every window with its openings to come."""
        return self._readings.windows()

    def halted(self) -> HaltView | None:
        """Who halted everything, when and why; None where nothing is halted."""
        return self._halt.view

    async def halt(self, *, actor: str, because: str | None = None) -> HaltView:
        """Nothing moves on any radio until this is lifted; idempotent. Raises StoreUnavailable where a restart would forget it."""
        return await self._errands.do(self._halt.begin(actor=actor, because=because), what="halt")

    async def lift_halt(self, *, actor: str) -> None:
        """Everything goes on; idempotent. Raises StoreUnavailable, and everything stays halted."""
        await self._errands.do(self._halt.lift(actor=actor), what="lift halt")

    async def _do(self, work: Coroutine[Any, Any, Update], what: str) -> UpdateView:
        return self._readings.update_view(await self._errands.do(work, what=what))

    async def _note(self, subject: Subject, subject_id: str, kind: str, actor: str, data: Mapping[str, Scalar] | None = None) -> None:
        """Write down what an operator did; it is done, so a store that refuses does not make it undone."""
        with suppress(StoreError):
            async with self._journal.commit() as entry:
                entry.tell(subject, subject_id, kind, actor=actor, data=data)

    # --- images, radios, sources ------------------------------------------------------------------------------------------------------

    async def images(self) -> Sequence[Image]:
        """Every stored image, newest first."""
        return self._library.images()

    async def image(self, sha256: Sha256) -> Image:
        """One image; raises UnknownImage."""
        return self._library.image(sha256)

    async def image_path(self, sha256: Sha256) -> Path:
        """Where its bytes lie; raises UnknownImage."""
        return self._library.path(sha256)

    async def inspect_image(self, data: bytes, *, file_name: str) -> Image:
        """What `add_image` would store, and nothing is. Raises Malformed, TooLarge."""
        return await self._library.inspect(data, file_name=file_name)

    async def add_image(self, data: bytes, *, file_name: str, actor: str) -> Image:
        """Store an image; idempotent. Raises Malformed, TooLarge, IntegrityMismatch, StoreUnavailable."""
        image = await self._errands.do(self._library.add(data, file_name=file_name, source="upload", actor=actor), what="add image")
        self._consultant.post_all()
        return image

    async def remove_image(self, sha256: Sha256, *, actor: str) -> None:
        """Forget an image; raises UnknownImage, StoreUnavailable, and NotInState where an unfinished update needs it."""
        await self._errands.do(self._library.remove(sha256, actor=actor), what="remove image")

    async def permit_join(self, radio: str, seconds: int, *, actor: str) -> None:
        """Open the network for new devices; raises UnknownRadio, RadioUnavailable, RadioInUse, WrongNetwork."""
        found = self._radios.get(RadioName(radio))
        if found is None:
            raise UnknownRadio(f"there is no radio {radio!r}")
        with self._registry.explained(radio):
            await self._errands.do(found.permit_joining(seconds), what="permit join")
        await self._note("radio", radio, "permit_join", actor, {"seconds": seconds})

    async def back_up(self, radio: str, *, actor: str) -> RadioBackup:
        """Copy a radio's network to a file of the hub's; raises UnknownRadio, RadioUnavailable, RadioInUse, WrongNetwork."""
        found = self._radios.get(RadioName(radio))
        if found is None:
            raise UnknownRadio(f"there is no radio {radio!r}")
        with self._registry.explained(radio):
            backup = await self._errands.do(found.back_up(), what="backup")
        await self._note("radio", radio, "backed_up", actor, {"file": backup.path.name, "sha256": backup.sha256, "devices": backup.devices})
        return backup

    async def pause_radio(self, radio: str, *, actor: str, because: str | None = None) -> RadioView:
        """What a radio sends waits, and nothing new begins on it, over restarts too; idempotent. Raises UnknownRadio, StoreUnavailable."""
        await self._errands.do(self._radio_pauses.begin(RadioName(radio), actor=actor, because=because), what="pause radio")
        return self._radio(radio)

    async def resume_radio(self, radio: str, *, actor: str) -> RadioView:
        """What a radio sends goes on; idempotent. Raises UnknownRadio, StoreUnavailable."""
        await self._errands.do(self._radio_pauses.lift(RadioName(radio), actor=actor), what="resume radio")
        return self._radio(radio)

    def _radio(self, name: str) -> RadioView:
        found = next((each for each in self.radios() if each.name == name), None)
        if found is None:
            raise UnknownRadio(f"there is no radio {name!r}")
        return found

    async def reattach(self, radio: str, *, actor: str) -> None:
        """Try a radio again now that its trouble is settled, or borrow its stick now; raises UnknownRadio."""
        event = self._reattach.get(RadioName(radio))
        if event is None:
            raise UnknownRadio(f"there is no radio {radio!r}")
        event.set()
        await self._note("radio", radio, "reattach", actor)

    async def sources(self) -> Sequence[SourceView]:
        """Every configured source."""
        return self._refresher.views()

    async def refresh(self, source: str, *, actor: str, room_id: str | None = None) -> SourceView:
        """Ask a source again now, of one room where that is named; raises UnknownSource, NotOfThisSource, SourceError, StoreUnavailable."""
        view = await self._errands.do(self._refresher.refresh(source, room_id=room_id), what="refresh")
        await self._note("source", source, "refreshed", actor, None if room_id is None else {"room_id": room_id})
        return view

    def notifiers(self) -> Sequence[NotifierView]:
        """Every configured receiver of notifications."""
        return [each.view() for each in self._notifiers.values()]

    async def test_notifier(self, name: str, *, actor: str) -> NotifierView:
        """Send a test to a receiver of notifications; raises UnknownNotifier, SourceError, StoreUnavailable."""
        if name not in self._notifiers:
            raise UnknownNotifier(f"there is no receiver {name!r}")
        await self._errands.do(self._notifiers[name].test(), what="test of a receiver")
        await self._note("hub", "hub", "notifier_tested", actor, {"notifier": name})
        return self._notifiers[name].view()

    async def records(self, source: str, query: RecordQuery) -> RecordPage:
        """What a service itself recorded; raises UnknownSource, NotOfThisSource, BadFilter, SourceError."""
        return await self._refresher.records(source, query)
