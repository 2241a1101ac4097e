"""The image cache: bytes addressed by their sha256, on disk once, in memory once for all readers.

The cache is disposable: everything in it can be fetched again, so a damaged file is an answer ("not these bytes"), never a repair.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import mmap
import os
import re
import weakref
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path

from otagate.files import clear_unfinished, make_folder, sync, write_durably
from otagate.model.errors import IntegrityMismatch, StoreUnavailable, UnknownImage
from otagate.model.ids import Sha256

_SHA256 = re.compile(r"[0-9a-f]{64}")


class DiskImageCache:
    """A `ports.ImageCache` in one directory: `sha256/aa/bb/<64 hex digits>`, files of mode 0600 in directories of mode 0700.

    Constructing it makes the directory and deletes what an interrupted write left; raises StoreUnavailable where the disk refuses. One process
    at a time may use a directory.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        # Keyed to the map, not to a view of it: a reader's slice of a slice keeps the map alive, and the last reader's end unmaps it.
        self._mapped: weakref.WeakValueDictionary[Sha256, mmap.mmap] = weakref.WeakValueDictionary()
        try:
            make_folder(root)
            make_folder(root / "sha256")
            clear_unfinished(root / "sha256", below="??/??/")
        except OSError as error:
            raise StoreUnavailable(f"the image cache {root} cannot be used: {_reason(error)}") from error

    async def add(self, data: bytes | memoryview) -> Sha256:
        """Store bytes durably: written aside, synced, renamed; returns their address, at once where they are stored already and intact.

        Raises StoreUnavailable with a sentence where the disk refuses; then nothing of the bytes is left behind.
        """
        sha256, wrote = await asyncio.to_thread(self._add, data)
        if wrote:
            # A map of a file that was replaced shows the old file's bytes.
            self._mapped.pop(sha256, None)
        return sha256

    def open(self, sha256: Sha256) -> memoryview:
        """The bytes, mapped once and shared by every reader; verified against their name whenever they are mapped anew.

        Raises UnknownImage where absent, IntegrityMismatch where the disk changed them, StoreUnavailable where the disk cannot be read.
        """
        mapped = self._mapped.get(sha256)
        if mapped is not None:
            return memoryview(mapped)
        try:
            return self._map(sha256)
        except FileNotFoundError:
            raise UnknownImage(f"there is no image {sha256!r:.80}") from None
        except OSError as error:
            raise StoreUnavailable(f"the image {sha256} cannot be read: {_reason(error)}") from error

    def path(self, sha256: Sha256) -> Path:
        """Where the bytes lie; raises UnknownImage."""
        path = self._place(sha256)
        if not path.is_file():
            raise UnknownImage(f"there is no image {sha256}")
        return path

    async def remove(self, sha256: Sha256) -> None:
        """Delete the bytes; a reader that has them mapped keeps them. No error where absent; raises StoreUnavailable where the disk refuses."""
        if _SHA256.fullmatch(sha256) is None:
            return
        self._mapped.pop(sha256, None)
        await asyncio.to_thread(self._remove, sha256)

    async def strays(self, known: Collection[Sha256], *, before: datetime, most: int) -> Sequence[Sha256]:
        """At most so many that are stored since before this moment, by the clock of the disk, and are not known. Raises StoreUnavailable."""
        try:
            return await asyncio.to_thread(lambda: list(islice(self._strays(frozenset(known), before.timestamp()), most)))
        except OSError as error:
            raise StoreUnavailable(f"the image cache {self._root} cannot be read: {_reason(error)}") from error

    # --- in a thread ---------------------------------------------------------------------------------------------------------------------

    def _add(self, data: bytes | memoryview) -> tuple[Sha256, bool]:
        sha256 = Sha256(hashlib.sha256(data).hexdigest())
        path = self._place(sha256)
        try:
            if _digest_of(path) == sha256:
                return sha256, False
            make_folder(path.parent.parent)
            make_folder(path.parent)
            write_durably(path, data)
        except OSError as error:
            raise StoreUnavailable(f"an image of {len(data)} bytes cannot be stored in {self._root}: {_reason(error)}") from error
        return sha256, True

    def _remove(self, sha256: Sha256) -> None:
        path = self._place(sha256)
        try:
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                sync(path.parent)
        except OSError as error:
            raise StoreUnavailable(f"the image {sha256} cannot be deleted: {_reason(error)}") from error

    def _strays(self, known: Collection[Sha256], before: float) -> Iterator[Sha256]:
        for path in (self._root / "sha256").glob("??/??/*"):
            sha256 = Sha256(path.name)
            if sha256 not in known and _SHA256.fullmatch(sha256) and path.stat().st_mtime < before:
                yield sha256

    # --- files ---------------------------------------------------------------------------------------------------------------------------

    def _place(self, sha256: Sha256) -> Path:
        """The path of an address; only 64 hex digits ever become a path."""
        if _SHA256.fullmatch(sha256) is None:
            raise UnknownImage(f"{sha256!r:.80} is not the sha256 of an image")
        return self._root / "sha256" / sha256[:2] / sha256[2:4] / sha256

    def _map(self, sha256: Sha256) -> memoryview:
        descriptor = os.open(self._place(sha256), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            # Read before mapping: a bad sector is an OSError here, and a signal that kills the process when met in a map.
            found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != sha256:
                raise IntegrityMismatch(f"the stored bytes of image {sha256} have changed: their sha256 is now {found}")
            if os.fstat(descriptor).st_size == 0:
                return memoryview(b"")
            mapped = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
        self._mapped[sha256] = mapped
        return memoryview(mapped)


def _digest_of(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def _reason(error: OSError) -> str:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return "the disk is full"
    if error.errno == errno.EROFS:
        return "the disk is read-only"
    return error.strerror or type(error).__name__
