"""The audit: whether the journal is what was written, and a view of the updates that ended for whoever must account for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from otagate.engine.views import AuditEntry, AuditFilter, ChainView
from otagate.model.errors import StoreCorrupt
from otagate.model.facts import Fact, Link, follow
from otagate.model.ids import UpdateId
from otagate.model.lifecycle import FINAL, Cause
from otagate.model.updates import Update
from otagate.ports import Store

_FACTS = 500
_UPDATES = 100
_ATTEMPTS = frozenset({Cause.ADMITTED, Cause.DELEGATED})


class Audit:
    """Reads, and changes nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def verify(self) -> ChainView:
        """Whether every fact that is kept is the one that was written, page by page. Raises StoreUnavailable."""
        start = reached = await self._store.facts.chain_start()
        while True:
            facts = await self._page(reached.number)
            forgotten = await self._store.facts.chain_start()
            if forgotten.number > reached.number:  # the journal was trimmed meanwhile
                start = reached = forgotten
                continue
            broken: int | None = reached.number + 1
            if facts is not None:
                reached, broken = follow(reached, facts)
            if broken is not None or not facts:
                return _chain_view(start, reached, broken)
            await asyncio.sleep(0)

    async def _page(self, number: int) -> Sequence[Fact] | None:
        """Facts behind this number; None where not even the next one can be read."""
        for limit in (_FACTS, 1):
            with suppress(StoreCorrupt):
                return await self._store.facts.after(number, limit=limit)
        return None

    async def entries(self, wanted: AuditFilter) -> AsyncIterator[AuditEntry]:
        """The updates that ended and fit, newest first, a page of the store at a time. Raises StoreUnavailable."""
        before: UpdateId | None = None
        while rows := await self._store.updates.page(states=FINAL, device=wanted.device, limit=_UPDATES, before=before):
            for update in rows:
                if wanted.fits(update):
                    facts = await self._store.facts.after(0, limit=_FACTS, subject="update", subject_id=update.id)
                    yield _entry(update, facts)
            before = rows[-1].id
            await asyncio.sleep(0)


def _chain_view(start: Link, reached: Link, broken: int | None) -> ChainView:
    first = start.number + 1
    if broken is not None:
        told = f"The chain breaks at fact {broken}: it, or what stood there, is not what was written."
    elif reached.number == start.number:
        told = "The chain holds: there are no facts in it yet."
    else:
        told = f"The chain holds: facts {first} to {reached.number} are as they were written."
    return ChainView(holds=broken is None, sentence=told, first=first, last=reached.number, chain=reached.chain, broken=broken)


def _entry(update: Update, facts: Sequence[Fact]) -> AuditEntry:
    """One line: the update, and what only its facts tell, as far as they are kept."""
    end = next((fact for fact in reversed(facts) if fact.data.get("state") == update.state), None)
    attempts = sum(fact.kind in _ATTEMPTS for fact in facts)
    return AuditEntry(
        update=update,
        ended_by=None if end is None else end.actor,
        retries=max(attempts - 1, update.attempts),
        number=None if end is None else end.number,
        chain=None if end is None else end.chain or None,
    )
