"""What happened a moment ago: what is to be told only once in a while, and what may still be told of something that has ended."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

from otagate.ports import Clock

K = TypeVar("K")


class Recent(Generic[K]):
    """Everything that happened within the last so many seconds; what is older is forgotten, so that nobody can fill it."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._at: OrderedDict[K, float] = OrderedDict()  # the newest last

    def __contains__(self, what: K) -> bool:
        """Whether it happened so lately."""
        self._forget_old()
        return what in self._at

    def add(self, what: K) -> None:
        """It happens now."""
        self._forget_old()
        self._at[what] = self._clock.monotonic()
        self._at.move_to_end(what)

    def first(self, what: K) -> bool:
        """It happens now: whether that is the first time, or long ago enough to be told again. If not, it does not count."""
        if what in self:
            return False
        self.add(what)
        return True

    def discard(self, what: K) -> None:
        """As if it had not happened."""
        self._at.pop(what, None)

    def _forget_old(self) -> None:
        now = self._clock.monotonic()
        while self._at and now - next(iter(self._at.values())) >= self._seconds:
            self._at.popitem(last=False)
