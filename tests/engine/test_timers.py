"""The door of time."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, timedelta
from pathlib import Path

import pytest

from otagate.engine.timers import SystemClock, Timers, clock_synced


def test_the_system_clock_is_aware_and_rises() -> None:
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    first = clock.monotonic()
    assert clock.monotonic() >= first


@pytest.mark.asyncio
async def test_a_tick_comes_again_and_again_and_ends_with_the_block() -> None:
    timers, ticks, thrice = Timers(), [], asyncio.Event()

    def tick() -> None:
        ticks.append(1)
        if len(ticks) >= 3:
            thrice.set()

    timers.every(timedelta(milliseconds=20), tick, name="test")
    async with asyncio.timeout(20), timers.running():
        await thrice.wait()
    count = len(ticks)
    await asyncio.sleep(0.1)
    assert len(ticks) == count


@pytest.mark.asyncio
async def test_a_tick_that_fails_is_one_tick() -> None:
    timers, ticks, twice = Timers(), [], asyncio.Event()

    def tick() -> None:
        ticks.append(1)
        if len(ticks) >= 2:
            twice.set()
        raise ValueError("a bug")

    timers.every(timedelta(milliseconds=20), tick, name="test")
    async with asyncio.timeout(20), timers.running():
        await twice.wait()


def test_a_machine_whose_time_nobody_keeps_is_believed(tmp_path: Path) -> None:
    assert clock_synced([tmp_path / "nobody"])


@pytest.mark.skipif(sys.platform != "linux", reason="adjtimex is Linux's")
def test_where_somebody_keeps_the_time_the_kernel_says_whether_it_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Kernel:
        status = 0

        def __init__(self, _: object) -> None:
            pass

        def adjtimex(self, timex: object) -> int:
            offset = 40 if sys.maxsize > 2**32 else 20
            timex[offset : offset + 4] = self.status.to_bytes(4, sys.byteorder)  # type: ignore[index]
            return 5 if self.status else 0

    monkeypatch.setattr("otagate.engine.timers.CDLL", Kernel)
    assert clock_synced([tmp_path])
    Kernel.status = 0x40
    assert not clock_synced([tmp_path])
