"""What an operator has stopped until an operator lifts it, over restarts too: everything (the halt), or what one radio sends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from otagate.engine.journal import Journal
from otagate.engine.views import HaltView
from otagate.model.errors import StoreCorrupt, StoreError, StoreUnavailable, UnknownRadio
from otagate.model.facts import Subject
from otagate.model.ids import RadioName
from otagate.ports import Clock, Store

_NOBODY = ""

Watcher = Callable[[bool], None]
"""Is told when it stands still (True) and when it goes on; it must not wait for anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scope:
    """What stands still: the key that it is stored under, whom the journal tells it of and in which words, and how a sentence calls it."""

    key: str
    subject: Subject
    subject_id: str
    begins: str
    ends: str
    noun: str


_EVERYTHING = _Scope(key="halt", subject="hub", subject_id="hub", begins="halted", ends="lifted", noun="everything is halted")


class Halt:
    """Whether everything stands still. It takes effect before it is on disk: a full disk must not keep an operator from stopping the hub."""

    def __init__(self, store: Store, journal: Journal, clock: Clock, *, scope: _Scope = _EVERYTHING) -> None:
        self._scope = scope
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
        stored = await self._store.settings.get(self._scope.key)
        if not stored:
            return
        try:
            told = json.loads(stored)
            self._view = HaltView(since=datetime.fromisoformat(told["since"]), actor=str(told["actor"]), because=told["because"])
            self._written = True
        except (ValueError, KeyError, TypeError) as error:
            raise StoreCorrupt(f"the stored word that {self._scope.noun} cannot be read: {error!r}") from error

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
            await self._write(told, self._scope.begins, view.actor, view.because)
        except StoreError as error:
            raise StoreUnavailable(f"{self._scope.noun}, but that could not be written down, so a restart would lift it: {error}") from error
        self._written = True

    async def lift(self, *, actor: str) -> None:
        """Let everything go on; idempotent. Raises StoreUnavailable, and everything stays halted."""
        async with self._lock:
            if self._view is None:
                return
            await self._write(_NOBODY, self._scope.ends, actor, None)
            self._written = False
            self._turn(None)

    async def _write(self, value: str, kind: str, actor: str, because: str | None) -> None:
        async with self._journal.commit() as entry:
            await self._store.settings.put(self._scope.key, value)
            entry.tell(self._scope.subject, self._scope.subject_id, kind, actor=actor, data={"because": because})

    def _turn(self, view: HaltView | None) -> None:
        self._view = view
        for watcher in self._watchers:
            watcher(view is not None)


RadioWatcher = Callable[[RadioName, bool], None]
"""Is told which radio stands still (True) or goes on; it must not wait for anything."""


class RadioPauses:
    """Which radios stand still: what they send waits, and nothing new begins on them."""

    def __init__(self, store: Store, journal: Journal, clock: Clock, radios: Iterable[RadioName]) -> None:
        self._halts = {name: Halt(store, journal, clock, scope=_radio(name)) for name in radios}

    async def load(self) -> None:
        """Read which radios the last life of the hub had paused; raises StoreCorrupt."""
        for halt in self._halts.values():
            await halt.load()

    def watch(self, watcher: RadioWatcher) -> None:
        """Tell this one, too."""
        for name, halt in self._halts.items():
            halt.watch(partial(watcher, name))

    def on(self, radio: RadioName) -> bool:
        """Whether a radio stands still."""
        return radio in self._halts and self._halts[radio].on

    def view(self, radio: RadioName) -> HaltView | None:
        """Who paused a radio, when and why; None where it is not."""
        return self._halts[radio].view if radio in self._halts else None

    def sentence(self, radio: RadioName) -> str | None:
        """The same for people."""
        view = self.view(radio)
        if view is None:
            return None
        why = f": {view.because}" if view.because else ""
        return f"Radio {radio} is paused by {view.actor} since {view.since:%Y-%m-%d %H:%M} UTC{why}."

    async def begin(self, radio: RadioName, *, actor: str, because: str | None = None) -> None:
        """Let a radio stand still; one that does already stays so. Raises UnknownRadio, StoreUnavailable (see `Halt.begin`)."""
        await self._of(radio).begin(actor=actor, because=because)

    async def lift(self, radio: RadioName, *, actor: str) -> None:
        """Let it go on; idempotent. Raises UnknownRadio, StoreUnavailable."""
        await self._of(radio).lift(actor=actor)

    def _of(self, radio: RadioName) -> Halt:
        if radio not in self._halts:
            raise UnknownRadio(f"there is no radio {radio!r}")
        return self._halts[radio]


def _radio(name: RadioName) -> _Scope:
    return _Scope(key=f"paused:{name}", subject="radio", subject_id=name, begins="paused", ends="resumed", noun=f"radio {name} is paused")
