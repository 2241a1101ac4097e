"""Frames for a sleeping child: when it polls, and the queue that its parent keeps for it (IEEE 802.15.4 indirect transmission)."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from otagate_rig.air import Air

PERSISTENCE_SECONDS = 7.68
MOST_PENDING = 16
# Data request command: 18 bytes with its MAC header, acknowledged.
POLL_SECONDS = (1_120 + 128 + 192 + (18 + 6) * 32 + 192 + 352) / 1_000_000


class PollSchedule:
    """When a child polls. Polls that find nothing are counted but take no event and no air. Times are the loop's."""

    def __init__(self, now: float, interval: float) -> None:
        self._last = now
        self._interval = interval
        self._count = 0

    def polls(self, now: float) -> int:
        """How many polls there were until `now`."""
        self._advance(now)
        return self._count

    def next(self, now: float) -> float:
        """The first poll after `now`."""
        self._advance(now)
        return self._last + self._interval

    def change(self, now: float, interval: float) -> None:
        """Poll every `interval` seconds from now on; the phase starts anew only where the rate changes."""
        self._advance(now)
        if interval != self._interval:
            self._interval = interval
            self._last = now

    def skip(self, now: float) -> None:
        """Make no polls for the time until `now`: the child was off."""
        self._last = now

    def _advance(self, now: float) -> None:
        due = math.floor((now - self._last) / self._interval) if now > self._last else 0
        self._count += due
        self._last += due * self._interval


@dataclass(frozen=True, slots=True)
class Pending:
    """A frame that waits for a poll; `expires` is the loop time at which the parent drops it."""

    hop_seconds: float
    arrived: Callable[[float], None]
    expired: Callable[[], None]
    expires: float


class ParentQueue:
    """What a parent holds for one child; `next_poll` tells the loop time of the child's next poll."""

    def __init__(self, air: Air, *, next_poll: Callable[[float], float]) -> None:
        self._air = air
        self._loop = asyncio.get_running_loop()
        self._next_poll = next_poll
        self._pending: deque[Pending] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._poll_at = math.inf

    def put(self, hop_seconds: float, arrived: Callable[[float], None], expired: Callable[[], None]) -> None:
        """Hold a frame until the child polls; a parent whose buffers are full drops it at once."""
        if len(self._pending) >= MOST_PENDING:
            self._loop.call_soon(expired)
            return
        expires = self._loop.time() + PERSISTENCE_SECONDS / self._air.settings.clock
        self._pending.append(Pending(hop_seconds, arrived, expired, expires))
        self.rearm()

    def rearm(self) -> None:
        """Look again when the child will poll: its rate may have changed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pending:
            self._poll_at = self._next_poll(self._loop.time())
            self._timer = self._loop.call_at(min(self._poll_at, self._pending[0].expires), self._due)

    def close(self) -> None:
        """Drop everything that waits."""
        while self._pending:
            self._pending.popleft().expired()
        self.rearm()

    def _due(self) -> None:
        self._timer = None
        now = self._loop.time()
        if now >= self._poll_at or self._poll_at - now < 1e-4:
            # The frame pending bit makes the child poll again at once, so one poll empties the queue.
            while self._pending:
                pending = self._pending.popleft()
                self._air.send(pending.hop_seconds + POLL_SECONDS, 1, pending.arrived)
        while self._pending and self._pending[0].expires <= now + 1e-4:
            self._pending.popleft().expired()
        self.rearm()
