"""What the course of an update asks its device."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from otagate.engine.registry import Registry
from otagate.model.devices import Device
from otagate.model.errors import DeviceUnreachable, OtagateError
from otagate.model.ids import DeviceId
from otagate.model.updates import Update
from otagate.model.versions import Version
from otagate.ports import Radio

LOG = structlog.get_logger("otagate.conductor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Asks over one radio; `questions` bounds those that all courses of the radio ask at once."""

    radio: Radio
    registry: Registry
    questions: asyncio.Semaphore

    async def version(self, update: Update) -> Version | None:
        """The version of the component, read now; None where the device cannot be asked or does not say."""
        try:
            answer = await self._interrogate(update.device)
            await self.registry.interrogated(answer)
            component = answer.component(update.component) or await self.radio.notify(update.device)
        except OtagateError as error:
            LOG.debug("version not read", update=update.id, error=str(error))
            return None
        return component.version if component.id == update.component else None

    async def probe(self, device: DeviceId) -> None:
        """After an attempt that ended in silence: a device that is not there waits as offline, and one that runs the release already is done."""
        try:
            answer = await self._interrogate(device)
        except DeviceUnreachable:
            await self.registry.silent(device)
            return
        except OtagateError:
            return
        await self.registry.interrogated(answer)

    async def _interrogate(self, device: DeviceId) -> Device:
        async with self.questions:
            return await self.radio.interrogate(device)
