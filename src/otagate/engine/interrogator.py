"""Which firmware do the devices run: asked when a device is new, when it is due, and when an operator wants to know."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from otagate.engine.consultant import Consultant
from otagate.engine.registry import Registry
from otagate.engine.supervise import outcome
from otagate.model.devices import Component, Device
from otagate.model.errors import DeviceUnreachable, OtagateError, RadioError, RadioUnavailable, UnknownDevice
from otagate.model.ids import DeviceId, RadioName
from otagate.model.images import Image
from otagate.ports import Clock, Radio

LOG = structlog.get_logger("otagate.interrogator")

_WORKERS = 2
_AT_ONCE = 4
"""Questions on one radio at the same time; the queue uses `_WORKERS` of them, so an operator never waits behind it."""

_SLEEPY_EVERY = timedelta(hours=24)
_PAUSES = (5.0, 30.0, 120.0, 600.0, 3_600.0)
"""Seconds until a device that did not answer is asked again, by the number of times that it did not; then, where that is longer, the period."""

_HEARD_PAUSE = 60.0
"""A device that did not answer but is heard again need not wait longer than this."""


@dataclass(slots=True)
class _Lane:
    """One radio: who waits to be asked, in order, and how many questions may be on the air."""

    waiting: dict[DeviceId, None] = field(default_factory=dict)
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))


@dataclass(slots=True)
class _Misses:
    """How often in a row a device did not answer, and when the last time was."""

    count: int
    at: float


class Interrogator:
    """A queue of devices per radio, a few asked at a time; a device that is asked already is not asked twice."""

    def __init__(
        self,
        *,
        registry: Registry,
        consultant: Consultant,
        radios: Mapping[RadioName, Radio],
        clock: Clock,
        every: timedelta,
        is_busy: Callable[[DeviceId], bool],
        told: Callable[[DeviceId, Component], None],
    ) -> None:
        self._registry = registry
        self._consultant = consultant
        self._radios = radios
        self._clock = clock
        self._every = every
        self._is_busy = is_busy
        self._told = told
        self._lanes = {name: _Lane() for name in radios}
        self._misses: dict[DeviceId, _Misses] = {}
        self._wanted: set[DeviceId] = set()  # asked when that is possible, due or not
        self._running: dict[DeviceId, asyncio.Task[Device | Exception]] = {}
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Work the queues, for ever."""
        async with asyncio.TaskGroup() as self._tasks:
            for name, lane in self._lanes.items():
                for _ in range(_WORKERS):
                    self._tasks.create_task(self._work(lane), name=f"interrogate:{name}")
            await asyncio.get_running_loop().create_future()  # without a radio, too, somebody owns what operators ask

    async def _work(self, lane: _Lane) -> None:
        while True:
            if not lane.waiting:
                lane.bell.clear()
                await lane.bell.wait()
                continue
            device = next(iter(lane.waiting))
            del lane.waiting[device]
            try:
                await self.ask(device)
            except OtagateError as error:
                LOG.info("interrogation failed", device=device, error=str(error))

    # --- who is to be asked -------------------------------------------------------------------------------------------------------------

    def post(self, device_id: DeviceId) -> None:
        """Ask a device soon, unless its radio is away or an update converses with it."""
        try:
            radio = RadioName(self._registry.device(device_id).radio or "")
        except UnknownDevice:
            return
        lane = self._lanes.get(radio)
        if lane is not None and self._registry.is_up(radio) and device_id not in self._running and not self._is_busy(device_id):
            lane.waiting[device_id] = None
            lane.bell.set()

    def post_due(self) -> None:
        """Ask every device whose answer is older than the period; a sleeping one only when it is heard, a silent one less and less often."""
        for device in self._registry.devices():
            due = device.id in self._wanted or self._due(device, self._every)
            if not device.sleepy and due and self._rested(device.id, heard=False):
                self.post(device.id)

    def heard(self, device_id: DeviceId) -> None:
        """A device is awake: one that never answered is asked now, a sleeping one at most daily."""
        try:
            device = self._registry.device(device_id)
        except UnknownDevice:
            return
        due = device.last_checked is None or (device.sleepy and self._due(device, max(self._every, _SLEEPY_EVERY)))
        misses = self._misses.get(device_id)  # that something else told its version meanwhile answers no question
        owed = misses is not None and ((device.sleepy and misses.count <= len(_PAUSES)) or self._due(device, self._every))
        if (due or owed or device_id in self._wanted) and self._rested(device_id, heard=True):
            self.post(device_id)

    def image_added(self, image: Image) -> None:
        """An image is here: see `releases_changed`."""
        if image.facts.hardware_min is not None or image.facts.hardware_max is not None:
            self.releases_changed()

    def releases_changed(self) -> None:
        """There are others now: devices that one may or may not fit are asked for their hardware, soon or when they are heard."""
        for device in self._registry.devices():
            if self._consultant.wants_hardware(device):
                self._wanted.add(device.id)
                if not device.sleepy:
                    self.post(device.id)

    def _due(self, device: Device, period: timedelta) -> bool:
        return device.last_checked is None or abs(self._clock.now() - device.last_checked) >= period

    def _rested(self, device_id: DeviceId, *, heard: bool) -> bool:
        """Whether a device that did not answer may be asked again."""
        misses = self._misses.get(device_id)
        return misses is None or self._clock.monotonic() - misses.at >= self._pause(misses.count, heard=heard)

    def _pause(self, count: int, *, heard: bool) -> float:
        pause = _PAUSES[count - 1] if count <= len(_PAUSES) else max(_PAUSES[-1], self._every.total_seconds())
        return min(pause, _HEARD_PAUSE) if heard else pause

    # --- asking -------------------------------------------------------------------------------------------------------------------------

    async def ask(self, device: DeviceId) -> Device:
        """Ask now and wait; several callers share one question, which goes on where they do not wait. Raises RadioError, UnknownDevice."""
        task = self._running.get(device)
        if task is None:
            if self._tasks is None:
                raise RadioUnavailable("the hub is not started")
            task = self._tasks.create_task(self._asking(device), name=f"interrogate:{device}")
            self._running[device] = task
        answer = await asyncio.shield(task)
        if isinstance(answer, OtagateError):
            raise answer
        if isinstance(answer, Exception):
            raise RadioError(f"asking {device} failed unexpectedly: {type(answer).__name__}") from answer
        return answer

    async def _asking(self, device: DeviceId) -> Device | Exception:
        """A failure as a value: a task that raises would end its siblings."""
        try:
            answer = await outcome(self._ask(device), what=f"interrogation of {device}")
        finally:
            self._running.pop(device, None)
        if isinstance(answer, Device):
            self._misses.pop(device, None)
        elif not isinstance(answer, (RadioUnavailable, UnknownDevice)):
            self._missed(device)
        return answer

    def _missed(self, device: DeviceId) -> None:
        """Ask again soon, for the first few times; after that when it is due or heard. One that sleeps is asked when it is heard."""
        misses = self._misses.setdefault(device, _Misses(0, 0.0))
        misses.count, misses.at = misses.count + 1, self._clock.monotonic()
        if misses.count <= len(_PAUSES) and not self._registry.device(device).sleepy:
            asyncio.get_running_loop().call_later(_PAUSES[misses.count - 1], self.post, device)

    async def _ask(self, device_id: DeviceId) -> Device:
        known = self._registry.device(device_id)
        name = RadioName(known.radio or "")
        radio = self._radios.get(name)
        if radio is None:
            raise RadioUnavailable(f"the radio {known.radio!r} of {device_id} is not configured")
        try:
            with self._registry.explained(name):
                async with self._lanes[name].slots:
                    answer = await radio.interrogate(device_id)
        except DeviceUnreachable:
            await self._registry.silent(device_id)
            raise
        checked = await self._registry.interrogated(answer)
        for component in answer.components:
            self._told(device_id, component)
        if self._consultant.wants_hardware(checked):
            checked = await self._ask_hardware(radio, checked)
        self._wanted.discard(device_id)
        self._consultant.post(device_id)
        return checked

    async def _ask_hardware(self, radio: Radio, device: Device) -> Device:
        """The hardware version is in Query Next Image alone (ZCL 8, 11.13.4); without it, what does not fit is declined only when it is offered."""
        try:
            component = await radio.notify(device.id)
        except RadioError as error:
            LOG.info("hardware version not told", device=device.id, error=str(error))
            return device
        return await self._registry.asked(device.id, component) or device
