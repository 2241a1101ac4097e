"""The door of time: the system clock, and APScheduler, which only posts ticks."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from ctypes import CDLL, c_long, create_string_buffer, sizeof
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sys import byteorder

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger


class SystemClock:
    """The machine's clocks; implements `ports.Clock`."""

    def now(self) -> datetime:
        """Aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that only rise."""
        return time.monotonic()


_KEEPERS = tuple(Path(each) for each in ("/run/systemd/timesync", "/run/chrony", "/run/chronyd.pid", "/run/ntpd.pid", "/run/ntpsec"))
_UNSYNCHRONISED = 0x40  # STA_UNSYNC of adjtimex(2)
_STATUS = 40 if sizeof(c_long) == 8 else 20  # where `status` is in its struct timex


def clock_synced(keepers: Sequence[Path] = _KEEPERS) -> bool:
    """False where something keeps the time of this machine and has not set it since it started; nobody else can say, so else True."""
    if not any(each.exists() for each in keepers):
        return True
    timex = create_string_buffer(256)  # all zero: nothing is to be changed
    try:
        answered = CDLL(None).adjtimex(timex) >= 0
    except (OSError, AttributeError):
        return True
    return not answered or not int.from_bytes(timex.raw[_STATUS : _STATUS + 4], byteorder) & _UNSYNCHRONISED


class Timers:
    """Recurring ticks. A tick that is late still comes, once; two of the same name never run at once."""

    def __init__(self) -> None:
        self._scheduler = AsyncIOScheduler(timezone=UTC)

    def every(self, period: timedelta, tick: Callable[[], None], *, name: str, spread: timedelta = timedelta()) -> None:
        """Call `tick`, which must only post, each `period`, the first time one period from now; up to `spread` earlier or later, by chance."""
        trigger = IntervalTrigger(seconds=period.total_seconds(), timezone=UTC, jitter=spread.total_seconds() or None)
        self._scheduler.add_job(tick, trigger, id=name, misfire_grace_time=None, coalesce=True, max_instances=1)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tick while the block runs."""
        self._scheduler.start()
        try:
            yield
        finally:
            self._scheduler.shutdown(wait=False)
