"""The source of type `directory`: a folder looked at in a thread, remembering what it has seen."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from otagate.folders.directory import Seen, scan
from otagate.ports import Clock, FolderScan


class WatchedFolder:
    """Implements `ports.Folder`."""

    type = "directory"

    def __init__(self, *, name: str, path: Path, clock: Clock, limit: int) -> None:
        self.name = name
        self._path = path
        self._clock = clock
        self._limit = limit
        self._known: Mapping[str, Seen] | None = None
        self._scanned: Mapping[str, Seen] | None = None

    async def scan(self) -> FolderScan:
        """See `ports.Folder.scan`."""
        result = await asyncio.to_thread(scan, self._path, self._known, now=self._clock.monotonic(), limit=self._limit)
        self._scanned = result.known
        return FolderScan(
            files=[(each.file_name, each.data) for each in result.new],
            gone=result.gone,
            skipped=[(each.name, each.sentence) for each in result.skipped],
            more=result.more,
        )

    def keep(self) -> None:
        """See `ports.Folder.keep`."""
        self._known = self._scanned
