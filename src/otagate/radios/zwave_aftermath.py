"""Nodes that took an image: how long they are left alone, and until when what the driver knows of them is of before."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from otagate.model.ids import DeviceId
from otagate.ports import Clock

BEFORE_INTERVIEW = 2.0
"""Seconds before the driver asks such a node everything anew in which it can still learn that the node sleeps."""


class Aftermaths:
    """After an update the driver waits until the node has restarted, forgets what it knew of it, and interviews it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._resting: dict[DeviceId, float] = {}
        self._outdated: dict[DeviceId, asyncio.Event] = {}

    def clear(self) -> None:
        """A driver that was started again interviews nobody for an update of before."""
        self._resting.clear()
        self._outdated.clear()

    def begin(self, device: DeviceId, seconds: float) -> None:
        """It took an image, and restarts for so long."""
        self._resting[device] = self._clock.monotonic() + seconds
        self._outdated.setdefault(device, asyncio.Event())

    def rests(self, device: DeviceId) -> float:
        """Seconds for which it is left alone; 0 where it can be asked."""
        return max(0.0, self._resting.get(device, 0.0) - self._clock.monotonic())

    def answered(self, device: DeviceId) -> bool:
        """The driver has heard of the node itself in an interview: whether that is its first word since the update."""
        self._resting.pop(device, None)
        return device in self._outdated

    def interviewed(self, device: DeviceId) -> None:
        """The driver has read everything anew."""
        self._resting.pop(device, None)
        self.give_up(device)
        self._outdated.pop(device, None)

    def give_up(self, device: DeviceId) -> None:
        """The driver interviews it no more: nobody need wait any longer, and nothing is known."""
        if device in self._outdated:
            self._outdated[device].set()

    async def known_anew(self, device: DeviceId, *, within: float) -> bool:
        """Wait until the driver knows it as it is now; False where that is not to be expected, or took too long."""
        outdated = self._outdated.get(device)
        if outdated is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(within):
                    await outdated.wait()
        return device not in self._outdated
