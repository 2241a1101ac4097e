"""The ONE writer and publisher of facts: durable before visible."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice

import structlog

from otagate.model.errors import StoreError
from otagate.model.facts import Fact, Scalar, Subject
from otagate.ports import Clock, Store

LOG = structlog.get_logger("otagate.journal")

_RECENT = 1_000
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
    """Facts in, through transactions; facts out, to any number of readers, each without gap or duplicate.

    Nothing is kept for a reader: each has its own number and takes what follows it, from memory where that is recent, from the store where not.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._recent: deque[Fact] = deque(maxlen=_RECENT)
        self._first: int | None = None  # the number of the first fact that this process published
        self._bell = asyncio.Event()
        self._closed = False
        self.refusals = 0
        self.trouble: str | None = None

    # --- facts in -----------------------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def commit(self) -> AsyncIterator[Entry]:
        """One transaction: rows written inside the block and the facts told to the entry become durable together, then visible.

        Raises StoreUnavailable, with nothing written and nothing told.
        """
        entry = Entry(self._clock)
        stored: list[Fact] = []
        try:
            async with self._store.transaction():
                yield entry
                stored = [await self._store.facts.append(fact) for fact in entry.facts]
        except StoreError as error:
            self._note(error)
            raise
        self._note(None)
        self._publish(stored)

    def _note(self, error: StoreError | None) -> None:
        """Say it once when the store begins to refuse, and once when it works again; `trouble` is what it said last."""
        if error is not None:
            self.refusals += 1
            if self.trouble is None:
                LOG.warning("the store refuses: the hub goes on in memory and tries again", error=str(error))
        elif self.trouble is not None:
            LOG.info("the store works again")
        self.trouble = None if error is None else str(error)

    def _publish(self, facts: Sequence[Fact]) -> None:
        if not facts:
            return
        if self._first is None:
            self._first = facts[0].number
        if self._recent and facts[0].number != self._recent[-1].number + 1:
            self._recent.clear()  # who committed one between was cancelled before it could tell: readers find it in the store
        self._recent.extend(facts)
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()

    async def forget(self, *, keep: int, most: int) -> bool:
        """Forget `most` of the oldest facts where that many are more than `keep`; True where there may be more. Raises StoreUnavailable."""
        oldest = await self._store.facts.after(0, limit=1)
        if not oldest or await self._store.facts.last_number() - (oldest[0].number - 1) < keep + most:
            return False
        async with self._store.transaction():
            await self._store.facts.forget(oldest[0].number + most - 1)
        return True

    # --- facts out ----------------------------------------------------------------------------------------------------------------------

    async def events(self, *, after: int | None = None) -> AsyncIterator[Fact]:
        """Facts with a greater number than `after` (None: those from now on), stored ones first, then live ones.

        Where some of them are forgotten, a fact `forgotten` of the hub stands in their place, with the number of the last of them. Ends when the hub
        stops or the store cannot be read; the reader comes back with the number that it has. A number that was never given (the store was begun anew)
        counts as the last one.
        """
        try:
            number = await self._start(after)
            while not self._closed:
                bell = self._bell
                page = await self._after(number)
                for fact in page:
                    number = fact.number
                    yield fact
                if not page:
                    await bell.wait()
        except StoreError as error:
            LOG.warning("a reader of the journal is sent away", error=str(error))

    async def _start(self, after: int | None) -> int:
        if self._recent:
            last = self._recent[-1].number
        else:
            last = await self._store.facts.last_number()
            if self._first is not None:  # told while we asked: that is after the question
                last = min(last, self._first - 1)
        return last if after is None else min(after, last)

    async def _after(self, number: int) -> Sequence[Fact]:
        if self._recent and self._recent[0].number <= number + 1:
            return list(islice(self._recent, number + 1 - self._recent[0].number, None))
        page = await self._store.facts.after(number, limit=_PAGE)
        if page and page[0].number > number + 1:
            return [_gap(number, page[0]), *page]
        return page

    @property
    def closed(self) -> bool:
        """Whether the hub stops."""
        return self._closed

    def close(self) -> None:
        """End every reader."""
        self._closed = True
        self._bell.set()


def _gap(number: int, first: Fact) -> Fact:
    """What a reader is told who has been away for so long that facts after `number` are forgotten: it must read anew what it shows."""
    return Fact(
        number=first.number - 1, at=first.at, subject="hub", subject_id="hub", kind="forgotten", data={"after": number, "first": first.number}
    )
