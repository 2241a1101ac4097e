"""The speed of a serial line: one direction, modelled by when the last bit of each piece arrives."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

BITS_PER_BYTE: Final = 10
"""One start bit, eight data bits, one stop bit."""


class Pacing:
    """Delivers bytes when the last of them would have come over a line of that speed; at once when no speed is given."""

    def __init__(self, deliver: Callable[[bytes], None], *, baud: int | None, limit: int | None) -> None:
        self._deliver = deliver
        self._limit = limit
        self._seconds_per_byte = BITS_PER_BYTE / baud if baud else 0.0
        self._loop = asyncio.get_running_loop()
        self._queue: deque[tuple[float, bytes]] = deque()
        self._free_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.size = 0
        self.overruns = 0

    def push(self, data: bytes) -> None:
        """Send `data` down this direction of the line."""
        if not self._seconds_per_byte:
            self._deliver(data)
            return
        if self._limit is not None and self.size + len(data) > self._limit:
            self.overruns += len(data)
            return
        self._free_at = max(self._free_at, self._loop.time()) + len(data) * self._seconds_per_byte
        self._queue.append((self._free_at, data))
        self.size += len(data)
        if self._timer is None:
            self._timer = self._loop.call_at(self._free_at, self._deliver_due)

    def clear(self) -> None:
        """Lose everything that is still on the line."""
        self._queue.clear()
        self.size = 0
        self._free_at = 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _deliver_due(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._queue and self._queue[0][0] <= now:
            _, data = self._queue.popleft()
            self.size -= len(data)
            self._deliver(data)
        if self._queue and self._timer is None:
            self._timer = self._loop.call_at(self._queue[0][0], self._deliver_due)
