"""The door of time."""

from __future__ import annotations

import asyncio
from datetime import UTC, timedelta

import pytest

from otagate.engine.timers import SystemClock, Timers


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
