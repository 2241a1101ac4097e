"""How late an event loop is: a task that wants to be woken every few milliseconds, and writes down by how much it was not.

On a machine that others use too, a loop is late although nothing runs on it. What the process itself can have to do with it is bounded by the CPU
time, of all its threads, that it used since the look before: the smaller of both is `own`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

EVERY = 0.005
"""Seconds between two looks."""


@dataclass(slots=True)
class Lag:
    """Lateness of every look, in seconds, and how much of it the process can have caused."""

    late: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)

    def milliseconds(self) -> dict[str, float]:
        """`p50`, `p99` and `most` of the lateness, the same of its own part, and how many `looks` they come from."""
        told = _shares(self.late, "") | _shares(self.own, "own_")
        return {name: round(value * 1000, 2) for name, value in told.items()} | {"looks": len(self.late)}


def _shares(seconds: list[float], prefix: str) -> dict[str, float]:
    ordered = sorted(seconds) or [0.0]
    return {f"{prefix}p50": ordered[len(ordered) // 2], f"{prefix}p99": ordered[len(ordered) * 99 // 100], f"{prefix}most": ordered[-1]}


@asynccontextmanager
async def watched() -> AsyncIterator[Lag]:
    """Look while the block lasts."""
    lag = Lag()
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(_look(lag), name="lag")
        yield lag
        looking.cancel()


async def _look(lag: Lag) -> None:
    while True:
        due, used = time.monotonic() + EVERY, time.process_time()
        await asyncio.sleep(EVERY)
        late = max(0.0, time.monotonic() - due)
        lag.late.append(late)
        lag.own.append(min(late, time.process_time() - used))
