"""Interviews that failed are held again: a device that joined and was not understood would stay unknown until it speaks by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import structlog

from otagate.model.ids import DeviceId
from otagate.radios.peers import device_id_of

LOG = structlog.get_logger("otagate.radio")

FIRST_PAUSE = 10.0
_GROWTH = 3
_LONGEST = 360  # times the first pause: an hour
_TRIES = 30
"""A day and a bit; after that a device is asked when it speaks, or when the radio is started again."""

_APART = 0.2  # of the first pause, between two devices that are left from before


class Interviews:
    """Plans the next interview of each device that zigpy could not finish. `pause`: seconds until the second interview, then three times longer."""

    def __init__(self, *, pause: float = FIRST_PAUSE) -> None:
        self._pause = pause
        self._tries: dict[DeviceId, int] = {}
        self._planned: dict[DeviceId, asyncio.TimerHandle] = {}

    def begin(self, devices: Iterable[Any]) -> None:
        """The radio is up: devices that its database knows by address alone are asked, one after the other."""
        unknown = [each for each in devices if not each.is_initialized]
        for number, device in enumerate(unknown):
            self._plan(device, self._pause * (1 + number * _APART))

    def failed(self, device: Any) -> None:
        """An interview failed."""
        device_id = device_id_of(device)
        tries = self._tries[device_id] = self._tries.get(device_id, 0) + 1
        if tries > _TRIES:
            LOG.warning("a device is not understood, and asked again when it speaks", device=device_id, interviews=tries)
            return
        self._plan(device, self._pause * min(_GROWTH ** (tries - 1), _LONGEST))

    def settled(self, device: Any) -> None:
        """The device is known, or gone."""
        device_id = device_id_of(device)
        self._tries.pop(device_id, None)
        self._cancel(device_id)

    def part(self) -> None:
        """The radio is gone."""
        for device_id in list(self._planned):
            self._cancel(device_id)
        self._tries.clear()

    def _plan(self, device: Any, seconds: float) -> None:
        device_id = device_id_of(device)
        self._cancel(device_id)
        self._planned[device_id] = asyncio.get_running_loop().call_later(seconds, self._ask, device_id, device)

    def _cancel(self, device_id: DeviceId) -> None:
        timer = self._planned.pop(device_id, None)
        if timer is not None:
            timer.cancel()

    def _ask(self, device_id: DeviceId, device: Any) -> None:
        self._planned.pop(device_id, None)
        if not device.initializing:  # else it spoke, and zigpy was faster
            device.schedule_initialize()
