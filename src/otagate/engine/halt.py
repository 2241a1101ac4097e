"""The halt: nothing moves on any radio until it is lifted, over restarts too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime

from otagate.engine.journal import Journal
from otagate.engine.views import HaltView
from otagate.model.errors import StoreCorrupt, StoreError, StoreUnavailable
from otagate.ports import Clock, Store

_KEY = "halt"
_NOBODY = ""

Watcher = Callable[[bool], None]
"""Is told when everything halts (True) and when it goes on; it must not wait for anything."""


class Halt:
    """Whether everything stands still. It takes effect before it is on disk: a full disk must not keep an operator from stopping the hub."""

    def __init__(self, store: Store, journal: Journal, clock: Clock) -> None:
        self._store = store
        self._journal = journal
        self._clock = clock
        self._watchers: list[Watcher] = []
        self._view: HaltView | None = None
        self._written = False
        self._lock = asyncio.Lock()

    def watch(self, watcher: Watcher) -> None:
        """Tell this one, too."""
        self._watchers.append(watcher)

    async def load(self) -> None:
        """Read whether the last life of the hub was halted; raises StoreCorrupt where nobody can say."""
        stored = await self._store.settings.get(_KEY)
        if not stored:
            return
        try:
            told = json.loads(stored)
            self._view = HaltView(since=datetime.fromisoformat(told["since"]), actor=str(told["actor"]), because=told["because"])
            self._written = True
        except (ValueError, KeyError, TypeError) as error:
            raise StoreCorrupt(f"the stored halt cannot be read: {error!r}") from error

    @property
    def on(self) -> bool:
        """Whether everything stands still."""
        return self._view is not None

    @property
    def view(self) -> HaltView | None:
        """Who halted everything, when and why; None where nothing is halted."""
        return self._view

    async def begin(self, *, actor: str, because: str | None = None) -> HaltView:
        """Halt everything; what is halted already stays so.

        Raises StoreUnavailable where that could not be written down: it holds until the hub is restarted, and halting again writes it down.
        """
        view = self._view
        if view is None:
            view = HaltView(since=self._clock.now(), actor=actor, because=because)
            self._turn(view)
        async with self._lock:
            if self._view is view and not self._written:
                await self._write_down(view)
        return view

    async def _write_down(self, view: HaltView) -> None:
        told = json.dumps({"since": view.since.isoformat(), "actor": view.actor, "because": view.because})
        try:
            await self._write(told, "halted", view.actor, view.because)
        except StoreError as error:
            raise StoreUnavailable(f"everything is halted, but that could not be written down, so a restart would lift it: {error}") from error
        self._written = True

    async def lift(self, *, actor: str) -> None:
        """Let everything go on; idempotent. Raises StoreUnavailable, and everything stays halted."""
        async with self._lock:
            if self._view is None:
                return
            await self._write(_NOBODY, "lifted", actor, None)
            self._written = False
            self._turn(None)

    async def _write(self, value: str, kind: str, actor: str, because: str | None) -> None:
        async with self._journal.commit() as entry:
            await self._store.settings.put(_KEY, value)
            entry.tell("hub", "hub", kind, actor=actor, data={"because": because})

    def _turn(self, view: HaltView | None) -> None:
        self._view = view
        for watcher in self._watchers:
            watcher(view is not None)
