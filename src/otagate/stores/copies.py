"""Copies of the store in a folder beside it: the newest few, for their owner alone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from otagate.files import clear_unfinished, make_folder
from otagate.model.errors import StoreUnavailable
from otagate.ports import Clock, Store, StoreCopy

_STAMP = "store-%Y%m%dT%H%M%SZ.db"
_STAMPED = f"store-{'[0-9]' * 8}T{'[0-9]' * 6}Z.db"


class CopyFolder:
    """Implements `ports.StoreCopies`: files `store-<UTC time>.db` of mode 0600 in one folder of mode 0700."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    async def latest(self) -> StoreCopy | None:
        """See `ports.StoreCopies.latest`."""
        found = await asyncio.to_thread(self._all)
        return _describe(found[-1]) if found else None

    async def keep(self, store: Store, *, most: int) -> StoreCopy:
        """See `ports.StoreCopies.keep`."""
        path = self._folder / self._clock.now().astimezone(UTC).strftime(_STAMP)
        await asyncio.to_thread(self._prepare)
        await store.copy_to(path)
        await asyncio.to_thread(self._forget_oldest, path, most)
        return _describe(path)

    def _prepare(self) -> None:
        try:
            make_folder(self._folder)
            clear_unfinished(self._folder, "store-")
        except OSError as error:
            raise StoreUnavailable(f"no copy can be kept in {self._folder}: {error.strerror or error}") from error

    def _all(self) -> list[Path]:
        return sorted(self._folder.glob(_STAMPED))

    def _forget_oldest(self, made: Path, most: int) -> None:
        """What was just made stays, whatever the clock says."""
        others = [each for each in self._all() if each != made]
        for old in others[: max(0, len(others) + 1 - most)]:
            old.unlink(missing_ok=True)


def _describe(path: Path) -> StoreCopy:
    made = datetime.strptime(path.name, _STAMP).replace(tzinfo=UTC)
    return StoreCopy(path=path, made=made, size=path.stat().st_size)
