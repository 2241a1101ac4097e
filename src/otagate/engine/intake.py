"""What radios tell, brought to whom it concerns: in order, through one bounded queue."""

from __future__ import annotations

import asyncio

import structlog

from otagate.engine.conductor import Conductor
from otagate.engine.consultant import Consultant
from otagate.engine.interrogator import Interrogator
from otagate.engine.registry import Registry
from otagate.engine.supervise import outcome
from otagate.model.ids import DeviceId
from otagate.ports import (
    DeviceAsked,
    DeviceFound,
    DeviceGone,
    DeviceReturned,
    DeviceSeen,
    DeviceSilent,
    DeviceSlept,
    ForeignTransfer,
    Knocked,
    RadioChanged,
    RadioEvent,
    RadioLoaded,
    RadioNoticed,
    TransferAdvanced,
    TransferProgressed,
)

LOG = structlog.get_logger("otagate.intake")

_BOUND = 10_000


class Intake:
    """`emit` is called by radios, from their own callbacks; everything that waits for the store happens in `run`."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[RadioEvent] = asyncio.Queue()
        self._conductor: Conductor | None = None
        self.dropped = 0

    def emit(self, event: RadioEvent) -> None:
        """Take an event; transfers go to their course at once, the rest waits its turn. What does not fit is dropped and counted.

        Never dropped is how a radio fares: it tells that once, and seldom, and what would run on it waits for that word.
        """
        if self._conductor is not None:
            match event:
                case TransferProgressed():
                    self._conductor.progressed(event)
                    return
                case TransferAdvanced():
                    self._conductor.advanced(event)
                    return
        if self._queue.qsize() < _BOUND or isinstance(event, RadioChanged):
            self._queue.put_nowait(event)
        else:
            self.dropped += 1

    def connect(self, conductor: Conductor) -> None:
        """Where transfers go; before any radio runs."""
        self._conductor = conductor

    async def run(self, *, registry: Registry, conductor: Conductor, interrogator: Interrogator, consultant: Consultant) -> None:
        """Bring events to whom they concern, for ever; an event that fails is one event."""
        readers = _Readers(registry, conductor, interrogator, consultant)
        while True:
            event = await self._queue.get()
            error = await outcome(readers.read(event), what=f"event {type(event).__name__}")
            if isinstance(error, Exception):
                LOG.warning("event not heeded", kind=type(event).__name__, error=str(error))


class _Readers:
    def __init__(self, registry: Registry, conductor: Conductor, interrogator: Interrogator, consultant: Consultant) -> None:
        self._registry = registry
        self._conductor = conductor
        self._interrogator = interrogator
        self._consultant = consultant

    async def read(self, event: RadioEvent) -> None:
        match event:
            case RadioChanged():
                await self._radio_changed(event)
            case DeviceFound(device=device):
                await self._registry.found(device)
                self._interrogator.heard(device.id)
            case DeviceSeen(device=device_id, link=link):
                self._registry.linked(device_id, link)
                await self._heard(device_id)
            case DeviceReturned(device=device_id):
                await self._heard(device_id)
                self._conductor.returned(device_id)
            case DeviceGone(device=device_id):
                await self._registry.gone(device_id)
            case DeviceAsked():
                await self._asked(event)
            case Knocked():
                await self._knocked(event)
            case _:
                await self._of_the_rest(event)

    async def _of_the_rest(self, event: RadioEvent) -> None:
        """What is told seldom, some of it only by a radio whose driver keeps the devices: who sleeps, who is silent, what other programs do."""
        match event:
            case RadioLoaded(radio=radio, load=load):
                self._registry.loaded(radio, load)
            case RadioNoticed():
                await self._registry.radio_noticed(event)
            case DeviceSlept(device=device_id):
                self._registry.slept(device_id)
            case DeviceSilent(device=device_id):
                await self._registry.silent(device_id)
            case ForeignTransfer():
                await self._conductor.foreign(event)
            case _:
                LOG.debug("event before the hub was ready", kind=type(event).__name__)

    async def _radio_changed(self, event: RadioChanged) -> None:
        await self._registry.radio_changed(event)
        self._conductor.wake()
        if event.state == "up":
            self._interrogator.post_due()

    async def _heard(self, device_id: DeviceId) -> None:
        if device_id in self._registry.asleep:
            self._conductor.woke(device_id)
        await self._registry.seen(device_id)
        self._interrogator.heard(device_id)
        self._conductor.heard(device_id)

    async def _knocked(self, event: Knocked) -> None:
        device_id = self._conductor.device_of(event.update)
        if device_id is not None:
            await self._registry.seen(device_id)
        self._conductor.knocked(event)

    async def _asked(self, event: DeviceAsked) -> None:
        device = await self._registry.asked(event.device, event.component)
        self._conductor.told(event.device, event.component)
        if device is not None:
            self._consultant.post(device.id)
