"""The desk: everything that an operator may ask of the hub, by API, command line or page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from prometheus_client import CollectorRegistry

from otagate.engine.conductor import Conductor
from otagate.engine.consultant import Consultant
from otagate.engine.interrogator import Interrogator
from otagate.engine.journal import Journal
from otagate.engine.ledger import Ledger
from otagate.engine.library import Library
from otagate.engine.readings import Readings
from otagate.engine.refresher import Refresher
from otagate.engine.registry import Registry
from otagate.engine.views import DeviceView, Health, Offer, OrderRequest, OrderResult, Page, RadioView, Refusal, SourceView, UpdateView
from otagate.model.devices import Component, Device
from otagate.model.errors import (
    AlreadyUpdating,
    NoRelease,
    NotInState,
    OtagateError,
    PolicyRefused,
    RadioUnavailable,
    Refused,
    UnknownRadio,
)
from otagate.model.facts import Fact
from otagate.model.ids import DeviceId, RadioName, Sha256, UpdateId
from otagate.model.images import Image
from otagate.model.lifecycle import Cause, State
from otagate.model.updates import Update
from otagate.model.verdicts import Verdict
from otagate.model.versions import parse_file_version
from otagate.ports import Radio, Store

_LIVE_EVERY = 0.5


class Desk:
    """Readings are delegated; orders are checked here and carried out by ledger and conductor."""

    def __init__(
        self,
        *,
        store: Store,
        journal: Journal,
        ledger: Ledger,
        registry: Registry,
        library: Library,
        consultant: Consultant,
        conductor: Conductor,
        interrogator: Interrogator,
        refresher: Refresher,
        readings: Readings,
        radios: Mapping[RadioName, Radio],
        reattach: Mapping[RadioName, asyncio.Event],
        metrics: CollectorRegistry,
    ) -> None:
        self._store = store
        self._journal = journal
        self._ledger = ledger
        self._registry = registry
        self._library = library
        self._consultant = consultant
        self._conductor = conductor
        self._interrogator = interrogator
        self._refresher = refresher
        self._readings = readings
        self._radios = radios
        self._reattach = reattach
        self._metrics = metrics
        self._order_lock = asyncio.Lock()

    # --- readings ---------------------------------------------------------------------------------------------------------------------

    async def devices(
        self,
        *,
        radio: str | None = None,
        protocol: str | None = None,
        update_status: str | None = None,
        q: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[DeviceView]:
        """One page of devices by id; ValueError where the cursor is none of ours."""
        return await self._readings.devices(radio=radio, protocol=protocol, update_status=update_status, q=q, limit=limit, cursor=cursor)

    async def device(self, device_id: DeviceId) -> DeviceView:
        """One device; raises UnknownDevice."""
        return await self._readings.device(device_id)

    async def offers(self, device_id: DeviceId) -> Sequence[Offer]:
        """Every release that a source offers for the device, newest first; raises UnknownDevice."""
        return await self._readings.offers(device_id)

    async def updates(
        self, *, states: frozenset[State] | None = None, device: DeviceId | None = None, limit: int = 100, cursor: str | None = None
    ) -> Page[UpdateView]:
        """One page of updates, newest first; ValueError where the cursor is none of ours."""
        return await self._readings.updates(states=states, device=device, limit=limit, cursor=cursor)

    async def update(self, update_id: UpdateId) -> UpdateView:
        """One update; raises UnknownUpdate."""
        return await self._readings.update(update_id)

    async def log(self, update_id: UpdateId) -> Sequence[Fact]:
        """The facts of one update, oldest first; raises UnknownUpdate."""
        return await self._readings.log(update_id)

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
        told: dict[UpdateId, int] = {}
        while not self._journal.closed:
            for view in self._readings.moving():
                if told.get(view.update.id) != view.bytes_sent:
                    told[view.update.id] = view.bytes_sent
                    yield view
            await asyncio.sleep(_LIVE_EVERY)

    # --- updates ----------------------------------------------------------------------------------------------------------------------

    async def check(self, device_id: DeviceId, *, actor: str) -> DeviceView:
        """Interrogate now; cancelling the call does not cancel the check. Raises UnknownDevice and RadioError."""
        device = await self._interrogator.ask(device_id)
        return await self._readings.device_view(device)

    async def order(self, request: OrderRequest, *, actor: str) -> OrderResult:
        """Make updates, or only plan them; what is wrong with single devices is in `refused`."""
        drafts: list[Update] = []
        refused: list[Refusal] = []
        async with self._order_lock:  # two orders at once must not both find the component free
            for device_id in dict.fromkeys(request.devices):
                try:
                    drafts += await self._draft(device_id, request, actor)
                except OtagateError as error:
                    refused.append(Refusal(device=device_id, error=error, reason=getattr(error, "reason", None)))
            if request.dry_run or not drafts:
                return OrderResult(updates=tuple(map(self._readings.update_view, drafts)), refused=tuple(refused))
            created = await self._ledger.create(drafts)
        self._conductor.wake()
        return OrderResult(updates=tuple(map(self._readings.update_view, created)), refused=tuple(refused))

    async def _draft(self, device_id: DeviceId, request: OrderRequest, actor: str) -> list[Update]:
        device = self._registry.device(device_id)
        if device.radio is None or RadioName(device.radio) not in self._radios:
            raise RadioUnavailable(f"the radio {device.radio!r} of {device_id} is not configured")
        components = [each for each in device.components if request.component in (None, each.id)]
        if not components:
            raise NoRelease(f"{device_id} has told of no component {request.component or 'that can be updated'} yet; check it first")
        drafts: list[Update] = []
        errors: list[OtagateError] = []
        for component in components:
            try:
                drafts.append(await self._draft_one(device, component, request, actor))
            except OtagateError as error:
                errors.append(error)
        if not drafts:
            raise errors[0]
        return drafts

    async def _draft_one(self, device: Device, component: Component, request: OrderRequest, actor: str) -> Update:
        latest = await self._store.updates.latest(device.id, component.id)
        if latest is not None and not latest.ended:
            raise AlreadyUpdating(f"component {component.id} of {device.id} has update {latest.id}, which is {latest.state}")
        try:
            version = parse_file_version(request.version) if request.version is not None else None
        except ValueError as error:
            raise PolicyRefused(str(error)) from None
        choice = self._consultant.consult(
            device,
            component,
            operator=True,
            image=request.image,
            version=version,
            allow_downgrade=request.allow_downgrade,
            force=request.force,
        )
        if choice.chosen is None:
            raise refusal(choice.verdict)
        not_before = request.when if isinstance(request.when, datetime) else None
        return self._consultant.draft(
            device,
            component,
            choice.chosen,
            actor=actor,
            allow_downgrade=request.allow_downgrade,
            force=request.force,
            not_before=not_before,
        )

    async def cancel(self, update_id: UpdateId, *, actor: str) -> UpdateView:
        """Raises NotCancellable, NotInState, UnknownUpdate."""
        update = await self._store.updates.get(update_id)
        if update.ended:
            raise NotInState(f"update {update_id} has ended: it is {update.state}")
        await self._conductor.cancel(update, actor)
        return await self.update(update_id)

    async def pause(self, update_id: UpdateId, *, actor: str) -> UpdateView:
        """Raises NotInState, UnknownUpdate."""
        await self._conductor.pause(await self._store.updates.get(update_id), actor)
        return await self.update(update_id)

    async def resume(self, update_id: UpdateId, *, actor: str) -> UpdateView:
        """Raises NotInState, UnknownUpdate."""
        await self._conductor.resume(await self._store.updates.get(update_id), actor)
        return await self.update(update_id)

    async def retry(self, update_id: UpdateId, *, actor: str) -> UpdateView:
        """A new update like one that ended without success. Raises AlreadyUpdating, NotInState, UnknownUpdate, and what an order refuses."""
        update = await self._store.updates.get(update_id)
        if not update.ended or update.state is State.SUCCEEDED:
            raise NotInState(f"update {update_id} is {update.state}; only one that failed or was cancelled can be tried again")
        request = OrderRequest(
            devices=(update.device,),
            component=update.component,
            image=update.image,
            version=update.to_version,
            allow_downgrade=update.allow_downgrade,
            force=update.force,
        )
        result = await self.order(request, actor=actor)
        if result.refused:
            raise result.refused[0].error
        return result.updates[0]

    async def approve(self, update_id: UpdateId, *, actor: str) -> UpdateView:
        """Raises NotInState, UnknownUpdate."""
        update = await self._store.updates.get(update_id)
        if update.state is not State.PLANNED:
            raise NotInState(f"update {update_id} is {update.state}; only a planned one waits for approval")
        approved = await self._ledger.advance(update_id, [Cause.APPROVED], detail="an operator approved it", actor=actor)
        self._conductor.wake()
        return self._readings.update_view(approved)

    async def activate(self, update_id: UpdateId, *, actor: str) -> UpdateView:
        """Raises NotInState, UnknownUpdate."""
        await self._conductor.ask(await self._store.updates.get(update_id), "activate", actor)
        return await self.update(update_id)

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

    async def add_image(self, data: bytes, *, file_name: str, actor: str) -> Image:
        """Store an image; idempotent. Raises Malformed, TooLarge, IntegrityMismatch."""
        image = await self._library.add(data, file_name=file_name, source="upload", actor=actor)
        await self._consultant.decide_all()
        return image

    async def remove_image(self, sha256: Sha256, *, actor: str) -> None:
        """Forget an image; raises UnknownImage, and NotInState where an unfinished update needs it."""
        await self._library.remove(sha256, actor=actor)

    async def permit_join(self, radio: str, seconds: int, *, actor: str) -> None:
        """Open the network for new devices; raises UnknownRadio, RadioUnavailable."""
        found = self._radios.get(RadioName(radio))
        if found is None:
            raise UnknownRadio(f"there is no radio {radio!r}")
        await found.permit_joining(seconds)
        async with self._journal.commit() as entry:
            entry.tell("radio", radio, "permit_join", actor=actor, data={"seconds": seconds})

    async def reattach(self, radio: str, *, actor: str) -> None:
        """Try a radio again now that its trouble is settled; raises UnknownRadio."""
        event = self._reattach.get(RadioName(radio))
        if event is None:
            raise UnknownRadio(f"there is no radio {radio!r}")
        async with self._journal.commit() as entry:
            entry.tell("radio", radio, "reattach", actor=actor)
        event.set()

    async def sources(self) -> Sequence[SourceView]:
        """Every configured source."""
        return self._refresher.views()

    async def refresh(self, source: str, *, actor: str) -> SourceView:
        """Ask a source again now; raises NotFound."""
        return await self._refresher.refresh(source)


def refusal(verdict: Verdict) -> Refused:
    """A verdict as the error that the API makes a problem of."""
    return Refused(verdict.sentence, code=verdict.code, reason=verdict.reason)
