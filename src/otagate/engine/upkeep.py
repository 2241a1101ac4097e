"""What a hub does for itself to live for years: it forgets the oldest facts, copies its store, checks old images anew, sweeps its cache
of what nobody needs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import datetime, timedelta

import structlog

from otagate.engine.journal import Journal
from otagate.engine.keeping import Keeping
from otagate.engine.library import Library
from otagate.engine.supervise import outcome
from otagate.ports import Clock, Store, StoreCopies

LOG = structlog.get_logger("otagate.upkeep")

_BATCH = 500
_SWEEP_EVERY = timedelta(days=1)
_BREATH = 0.1
"""Seconds between two batches, in which everybody else may write."""


class Upkeep:
    """The newest `keep_facts` stay; a copy is made every `copy_every` in which something happened, and the newest `keep_copies` stay (0: none)."""

    def __init__(
        self,
        *,
        store: Store,
        journal: Journal,
        library: Library,
        keeping: Keeping,
        copies: StoreCopies,
        clock: Clock,
        keep_facts: int,
        copy_every: timedelta,
        keep_copies: int,
    ) -> None:
        self._store = store
        self._journal = journal
        self._library = library
        self._keeping = keeping
        self._copies = copies
        self._clock = clock
        self._keep_facts = keep_facts
        self._copy_every = copy_every
        self._keep_copies = keep_copies
        self._copied_up_to: int | None = None
        self._swept: datetime | None = None
        self._bell = asyncio.Event()

    def post(self) -> None:
        """Look soon whether something is due."""
        self._bell.set()

    async def run(self) -> None:
        """Do what is due, for ever; what failed is due again at the next look."""
        while True:
            await self._look(self._library.check_again(), "checking images again")
            await self._look(self._sweep(), "sweeping the image cache")
            await self._bell.wait()
            self._bell.clear()
            await self._look(self._trim(), "trimming the journal")
            await self._look(self._copy(), "copying the store")
            await self._look(self._sweep(), "sweeping the image cache")

    @staticmethod
    async def _look(work: Awaitable[None], what: str) -> None:
        error = await outcome(work, what=what)
        if isinstance(error, Exception):
            LOG.warning("upkeep failed", what=what, error=str(error))

    async def _trim(self) -> None:
        """In batches, so that nobody waits long for the store, and only whole ones, because each costs the card something."""
        more = True
        while more:
            more = await self._journal.forget(keep=self._keep_facts, most=_BATCH)
            await asyncio.sleep(_BREATH)

    async def _sweep(self) -> None:
        """At the start and then daily, bounded; where there was more than that, at the next look."""
        now = self._clock.now()
        if self._swept is not None and abs(now - self._swept) < _SWEEP_EVERY:
            return
        pruned = 0 if self._swept is None else await self._keeping.prune()  # not at the start: what sources offer is not known yet
        if pruned:
            LOG.info("images removed that nobody offers", images=pruned)
        deleted = await self._library.sweep()
        self._swept = None if deleted else now
        if deleted:
            LOG.info("bytes without an image deleted", files=deleted)

    async def _copy(self) -> None:
        if self._keep_copies == 0:
            return
        number, latest = await self._store.facts.last_number(), await self._copies.latest()
        if number == self._copied_up_to or (latest is not None and abs(self._clock.now() - latest.made) < self._copy_every):
            return
        made = await self._copies.keep(self._store, most=self._keep_copies)
        self._copied_up_to = number
        LOG.info("store copied", path=str(made.path), bytes=made.size)
