"""The ONE writer and publisher of facts: durable before visible."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from otagate.model.facts import Fact, Scalar, Subject
from otagate.ports import Clock, Store

_READER_BOUND = 1_000
_PAGE = 500


@dataclass(slots=True)
class Entry:
    """What one transaction will tell; facts are appended when its block ends, and published when they are on disk."""

    clock: Clock
    facts: list[Fact] = field(default_factory=list)

    def tell(self, subject: Subject, subject_id: str, kind: str, *, actor: str = "otagate", data: Mapping[str, Scalar] | None = None) -> None:
        """Add a fact to the transaction."""
        self.facts.append(Fact(at=self.clock.now(), subject=subject, subject_id=subject_id, kind=kind, actor=actor, data=data or {}))


class Journal:
    """Facts in, through transactions; facts out, to any number of readers, each without gap or duplicate."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._readers: set[asyncio.Queue[Fact | None]] = set()
        self._closed = False

    @asynccontextmanager
    async def commit(self) -> AsyncIterator[Entry]:
        """One transaction: rows written inside the block and the facts told to the entry become durable together, then visible.

        Raises StoreUnavailable, with nothing written and nothing told.
        """
        entry = Entry(self._clock)
        stored: list[Fact] = []
        async with self._store.transaction():
            yield entry
            stored = [await self._store.facts.append(fact) for fact in entry.facts]
        for fact in stored:
            self._publish(fact)

    def _publish(self, fact: Fact) -> None:
        for reader in list(self._readers):
            try:
                reader.put_nowait(fact)
            except asyncio.QueueFull:
                self._readers.discard(reader)  # too slow: it ends, and comes back with the number that it has
                reader.get_nowait()
                reader.put_nowait(None)

    async def events(self, *, after: int | None = None) -> AsyncIterator[Fact]:
        """Facts with a greater number than `after`, stored ones first, then live ones; ends when the hub stops or the reader is too slow."""
        queue: asyncio.Queue[Fact | None] = asyncio.Queue(_READER_BOUND)
        if self._closed:
            return
        self._readers.add(queue)
        try:
            number = await self._store.facts.last_number() if after is None else after
            while page := await self._store.facts.after(number, limit=_PAGE):
                for fact in page:
                    number = fact.number
                    yield fact
            while (live := await queue.get()) is not None:
                if live.number > number:
                    number = live.number
                    yield live
        finally:
            self._readers.discard(queue)

    @property
    def closed(self) -> bool:
        """Whether the hub stops."""
        return self._closed

    def close(self) -> None:
        """End every reader."""
        self._closed = True
        for reader in self._readers:
            if reader.full():
                reader.get_nowait()
            reader.put_nowait(None)
