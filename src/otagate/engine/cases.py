"""What is known against releases, kept up to date: advisories, and what became of updates here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from otagate.engine.ledger import Ledger
from otagate.engine.library import Library
from otagate.model.advisories import Advisory
from otagate.model.errors import UnknownImage
from otagate.model.ids import Sha256
from otagate.model.lifecycle import State
from otagate.model.releases import Release
from otagate.model.updates import Update
from otagate.model.versions import version_key
from otagate.policy.casebook import Casebook, tells
from otagate.ports import Store

_PAGE = 500
_MOST = 5_000
"""Updates that ended badly, or against a quarantine, that count: the newest."""


class Cases:
    """The one casebook of a hub. The past is read from the updates in the store, so no restart forgets it and nothing can disagree with it."""

    def __init__(self, *, store: Store, ledger: Ledger, library: Library, advisories: Sequence[Advisory] = (), most: int = 2) -> None:
        self._store = store
        self._library = library
        self._packaged = tuple(advisories)
        self._past: dict[tuple[int, ...], list[Update]] = {}
        self.book = Casebook(advisories=self._packaged, past=self._past, most=most)
        self._watchers: list[Callable[[], None]] = []
        ledger.watch(self._ended)

    def watch(self, changed: Callable[[], None]) -> None:
        """Call this whenever more or other things are known against releases."""
        self._watchers.append(changed)

    async def load(self) -> None:
        """Read what became of the updates of before. Raises StoreUnavailable."""
        found: list[Update] = []
        states, last = frozenset({State.FAILED, State.SUCCEEDED}), None
        while len(found) < _MOST:
            page = await self._store.updates.page(states=states, limit=_PAGE, before=last)
            found += [each for each in page if tells(each)]
            if len(page) < _PAGE:
                break
            last = page[-1].id
        for update in sorted(found, key=_end):
            self._note(update)

    def advise(self, own: Sequence[Advisory]) -> None:
        """An operator's own advisories, beside the packaged ones."""
        self.book = Casebook(advisories=(*self._packaged, *own), past=self._past, most=self.book.most)
        self._tell()

    def release_of(self, update: Update) -> Release | None:
        """What an update is to bring; None where nobody here knows."""
        if update.release is not None:
            return update.release
        try:
            return None if update.image is None else self._library.release(update.image)
        except UnknownImage:
            return None

    def quarantined(self) -> dict[Sha256, str]:
        """The images that are quarantined now, each with the sentence why."""
        images = {(each.image, each.to_version, each.source) for row in self._past.values() for each in row}
        found: dict[Sha256, str] = {}
        for sha256, version, source in images:
            if sha256 is not None:
                verdict = self.book.quarantines(Release(source=source, file_version=version, size=0, sha256=sha256))
                found |= {} if verdict is None else {sha256: verdict.sentence}
        return found

    def _ended(self, update: Update) -> None:
        if update.ended and tells(update):
            self._note(update)
            self._tell()

    def _note(self, update: Update) -> None:
        self._past.setdefault(version_key(update.to_version), []).append(update)

    def _tell(self) -> None:
        for watcher in self._watchers:
            watcher()


def _end(update: Update) -> tuple[datetime, str]:
    return (update.finished or update.created, update.id)
