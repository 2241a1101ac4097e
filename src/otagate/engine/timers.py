"""The door of time: the system clock, and APScheduler, which only posts ticks."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler


class SystemClock:
    """The machine's clocks; implements `ports.Clock`."""

    def now(self) -> datetime:
        """Aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that only rise."""
        return time.monotonic()


class Timers:
    """Recurring ticks. A tick that is late still comes, once; two of the same name never run at once."""

    def __init__(self) -> None:
        self._scheduler = AsyncIOScheduler(timezone=UTC)

    def every(self, period: timedelta, tick: Callable[[], None], *, name: str) -> None:
        """Call `tick`, which must only post, each `period`, the first time one period from now."""
        self._scheduler.add_job(tick, "interval", seconds=period.total_seconds(), id=name, misfire_grace_time=None, coalesce=True, max_instances=1)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tick while the block runs."""
        self._scheduler.start()
        try:
            yield
        finally:
            self._scheduler.shutdown(wait=False)
