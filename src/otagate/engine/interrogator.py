"""Which firmware do the devices run: asked when a device is new, when it is due, and when an operator wants to know."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta

import structlog

from otagate.engine.consultant import Consultant
from otagate.engine.registry import Registry
from otagate.model.devices import Device
from otagate.model.errors import OtagateError, RadioUnavailable, UnknownDevice
from otagate.model.ids import DeviceId, RadioName
from otagate.ports import Clock, Radio

LOG = structlog.get_logger("otagate.interrogator")

_AT_ONCE = 2
_QUEUE = 2_000
_SLEEPY_EVERY = timedelta(hours=24)
_RETRY_AFTER = (5.0, 30.0, 120.0)


class Interrogator:
    """A bounded queue of devices to ask, a few at a time; a device that is asked already is not asked twice."""

    def __init__(
        self,
        *,
        registry: Registry,
        consultant: Consultant,
        radios: Mapping[RadioName, Radio],
        clock: Clock,
        every: timedelta,
        is_busy: Callable[[DeviceId], bool],
    ) -> None:
        self._registry = registry
        self._consultant = consultant
        self._radios = radios
        self._clock = clock
        self._every = every
        self._is_busy = is_busy
        self._queue: asyncio.Queue[tuple[DeviceId, int]] = asyncio.Queue(_QUEUE)
        self._queued: set[DeviceId] = set()
        self._running: dict[DeviceId, asyncio.Task[Device | OtagateError]] = {}
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Work the queue, for ever."""
        async with asyncio.TaskGroup() as self._tasks:
            for _ in range(_AT_ONCE):
                self._tasks.create_task(self._work(), name="interrogate")

    async def _work(self) -> None:
        while True:
            device, attempt = await self._queue.get()
            self._queued.discard(device)
            try:
                await self.ask(device)
            except OtagateError as error:
                LOG.info("interrogation failed", device=device, error=str(error))
                self._later(device, attempt)

    def _later(self, device: DeviceId, attempt: int) -> None:
        """A new device that did not answer is asked again soon; after that, when it is due."""
        if attempt < len(_RETRY_AFTER):
            asyncio.get_running_loop().call_later(_RETRY_AFTER[attempt], self.post, device, attempt + 1)

    def post(self, device: DeviceId, attempt: int = 0) -> None:
        """Ask a device soon."""
        if device in self._queued or self._is_busy(device) or self._queue.full():
            return
        self._queued.add(device)
        self._queue.put_nowait((device, attempt))

    def post_due(self) -> None:
        """Ask every device whose answer is older than the period; a sleeping one only when it is heard."""
        for device in self._registry.devices():
            if not device.sleepy and self._due(device, self._every):
                self.post(device.id)

    def heard(self, device_id: DeviceId) -> None:
        """A device is awake: a sleeping one is asked now, at most daily."""
        try:
            device = self._registry.device(device_id)
        except UnknownDevice:
            return
        if device.last_checked is None or (device.sleepy and self._due(device, max(self._every, _SLEEPY_EVERY))):
            self.post(device_id)

    def _due(self, device: Device, period: timedelta) -> bool:
        return device.last_checked is None or self._clock.now() - device.last_checked >= period

    async def ask(self, device: DeviceId) -> Device:
        """Ask now and wait; several callers share one question. Raises RadioError, UnknownDevice."""
        task = self._running.get(device)
        if task is None:
            if self._tasks is None:
                raise RadioUnavailable("the hub is not started")
            task = self._tasks.create_task(self._outcome(device), name=f"interrogate:{device}")
            self._running[device] = task
        outcome = await asyncio.shield(task)
        if isinstance(outcome, OtagateError):
            raise outcome
        return outcome

    async def _outcome(self, device: DeviceId) -> Device | OtagateError:
        """A failure as a value: a task that raises would end its siblings."""
        try:
            return await self._ask(device)
        except OtagateError as error:
            return error
        finally:
            self._running.pop(device, None)

    async def _ask(self, device: DeviceId) -> Device:
        known = self._registry.device(device)
        radio = self._radios.get(RadioName(known.radio or ""))
        if radio is None:
            raise RadioUnavailable(f"the radio {known.radio!r} of {device} is not configured")
        try:
            answer = await radio.interrogate(device)
        except RadioUnavailable:
            raise
        except OtagateError:
            await self._registry.unreachable(device)
            raise
        checked = await self._registry.interrogated(answer)
        await self._consultant.decide(checked)
        return checked
