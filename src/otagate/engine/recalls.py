"""Updates that are ended because something is known against their image now, wherever that can be done without harm.

What waits is taken from the queue. A transfer is ended like one that an operator cancels: the device is told ABORT at its next block, drops what it
has and goes on with what it runs. A device that has the word to use the image is left alone: nothing is more dangerous than to interrupt that.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

import structlog

from otagate.engine.cases import Cases
from otagate.engine.controls import Controls
from otagate.engine.journal import Journal
from otagate.engine.ledger import Ledger
from otagate.engine.registry import Registry
from otagate.engine.supervise import outcome
from otagate.model.devices import Component
from otagate.model.errors import OtagateError, RadioUnavailable, StoreError, UpdateError
from otagate.model.ids import Sha256
from otagate.model.lifecycle import Cause, cancellable
from otagate.model.releases import Release
from otagate.model.updates import Update
from otagate.model.verdicts import Verdict
from otagate.ports import Store

LOG = structlog.get_logger("otagate.recalls")

ACTOR = "policy"
_AGAIN = 1.0
"""Seconds until the next look after one that the store, or somebody who was faster, cut short."""

_LATER = 60.0
"""Seconds until the next look after one that could not end everything."""


class Recalls:
    """Looks at every update that has not ended when the casebook has changed."""

    def __init__(self, *, cases: Cases, store: Store, ledger: Ledger, registry: Registry, controls: Controls, journal: Journal) -> None:
        self._cases = cases
        self._store = store
        self._ledger = ledger
        self._registry = registry
        self._controls = controls
        self._journal = journal
        self._told: frozenset[Sha256] | None = None
        self._bell = asyncio.Event()
        self._bell.set()
        cases.watch(self._bell.set)

    async def run(self) -> None:
        """Look once, whenever the casebook changes, and again where something is left to be ended, for ever."""
        again: float | None = None
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(again):
                    await self._bell.wait()
            self._bell.clear()
            done = await outcome(self.look(), what="recall")
            if isinstance(done, Exception):
                LOG.debug("not recalled yet", error=str(done))
            again = None if done is True else _AGAIN if isinstance(done, (StoreError, UpdateError)) else _LATER

    async def look(self) -> bool:
        """Tell what is quarantined, and end what must not go on; False where that must be tried again. Raises StoreUnavailable."""
        await self._tell()
        done = True
        for update in await self._store.updates.unfinished():
            release = self._cases.release_of(update)
            if release is None or update.foreign or not cancellable(update.state):
                continue
            verdict = self._verdict(update, release)
            if verdict is not None:
                done = await self._end(update, verdict) and done
        return done

    async def _tell(self) -> None:
        """Images that are quarantined, or are so no more; what was so when the hub began was told in its life before."""
        now = self._cases.quarantined()
        before = frozenset(now) if self._told is None else self._told
        if before != frozenset(now):
            async with self._journal.commit() as entry:
                for sha256 in sorted(now.keys() - before):
                    entry.tell("image", sha256, "quarantined", actor=ACTOR, data={"sentence": now[sha256]})
                for sha256 in sorted(before - now.keys()):
                    entry.tell("image", sha256, "cleared", actor=ACTOR)
        self._told = frozenset(now)

    def _verdict(self, update: Update, release: Release) -> Verdict | None:
        device = self._registry.known(update.device)
        if device is None:
            return None
        component = device.component(update.component) or Component(id=update.component)
        exact = release if update.image is None else replace(release, sha256=update.image)
        return self._cases.book.speaks(device, component, exact, override=update.override)

    async def _end(self, update: Update, verdict: Verdict) -> bool:
        """False where its radio is away, and may be able to stop it when it is back."""
        try:
            if update.gives_way:
                await self._ledger.advance(update.id, [Cause.SUPERSEDED], detail=verdict.sentence, actor=ACTOR)
            else:
                await self._controls.cancel(update.id, ACTOR, detail=verdict.sentence)
        except StoreError:
            raise
        except OtagateError as error:  # it was faster, or its radio cannot stop it
            LOG.warning("an update goes on that should not", update=update.id, state=update.state, error=str(error), why=verdict.sentence)
            return not isinstance(error, RadioUnavailable)
        return True
