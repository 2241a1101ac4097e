"""Progress of running transfers: counters in memory, and the rate that they give."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

_WINDOW = 10.0
_SAMPLES = 64


@dataclass(slots=True)
class Progress:
    """The device's high-water mark of one transfer, with its recent past.

    Offsets in bytes, `fragments` sent and in all, times in seconds on any rising clock.
    """

    total: int
    offset: int = 0
    fragments: tuple[int, int] | None = None
    saved: int = 0
    samples: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=_SAMPLES))

    @property
    def mark(self) -> tuple[int, tuple[int, int] | None]:
        """What is another one after every sign of movement."""
        return (self.offset, self.fragments)

    def moved(self, offset: int, now: float) -> None:
        """Take a new high-water mark; a smaller one is none."""
        if offset <= self.offset and self.samples:
            return
        self.offset = max(offset, self.offset)
        self.samples.append((now, self.offset))
        while len(self.samples) > 2 and self.samples[0][0] < now - _WINDOW:
            self.samples.popleft()

    def rate(self, now: float) -> float | None:
        """Bytes per second over the last seconds, or None while nothing moves."""
        if len(self.samples) < 2 or self.samples[-1][0] < now - _WINDOW:
            return None
        (begin, low), (end, high) = self.samples[0], self.samples[-1]
        return (high - low) / (end - begin) if end > begin else None

    def eta(self, now: float) -> float | None:
        """Seconds to the end at this rate, or None."""
        rate = self.rate(now)
        return (self.total - self.offset) / rate if rate else None

    def due_on_disk(self) -> bool:
        """Whether a sample belongs on disk: every 5 %, however long that takes; cards wear, and after a restart the device knows its offset."""
        return self.offset > self.saved and self.offset - self.saved >= self.total * 0.05

    def saved_now(self) -> None:
        """The present mark is on disk."""
        self.saved = self.offset
