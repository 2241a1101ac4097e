"""Signs of life of what must never stand still: a daemon in which one of them has stopped is better started again."""

from __future__ import annotations

import asyncio

from otagate.model.errors import StoreError
from otagate.ports import Clock, Store


class Pulse:
    """When each part gave its last sign of life. `every`: seconds between two of them."""

    def __init__(self, clock: Clock, *, every: float) -> None:
        self.every = every
        self._clock = clock
        self._beats: dict[str, float] = {}

    def beat(self, part: str) -> None:
        """A part is alive now; from its first sign on, more are expected."""
        self._beats[part] = self._clock.monotonic()

    def silent(self, *, longest: float) -> list[str]:
        """The parts that gave no sign for longer than so many seconds."""
        now = self._clock.monotonic()
        return [part for part, at in self._beats.items() if now - at > longest]


async def watch_store(store: Store, pulse: Pulse) -> None:
    """Ask the store now and then, for ever: one that answers is alive, even where it answers that the disk is full; one that hangs is not."""
    while True:
        try:
            await store.facts.last_number()
        except StoreError:
            pulse.beat("store")
        else:
            pulse.beat("store")
        await asyncio.sleep(pulse.every)
