"""The clock, as a port."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Time, given and never taken."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC: for people and for windows."""

    def monotonic(self) -> float:
        """Seconds that only rise: for durations."""
