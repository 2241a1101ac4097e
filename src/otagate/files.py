"""Files that must survive a power cut, whole or not at all, and are their owner's alone."""

from __future__ import annotations

import glob
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ASIDE = ".new-"
"""How the name of a file begins that is still being written."""


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """An empty file of mode 0600 to be filled inside the block; then it is synced and takes the name `path`. Where that fails, nothing of it is left.

    Raises OSError.
    """
    descriptor, name = tempfile.mkstemp(prefix=f"{_ASIDE}{path.name}-", dir=path.parent)
    aside = Path(name)
    try:
        yield aside
        os.fsync(descriptor)
        aside.replace(path)
    finally:
        os.close(descriptor)
        aside.unlink(missing_ok=True)
    sync(path.parent)


def write_durably(path: Path, data: bytes | memoryview) -> None:
    """Write a whole file. Raises OSError."""
    with written_aside(path) as aside:
        aside.write_bytes(data)


def clear_unfinished(folder: Path, name: str = "", *, below: str = "") -> None:
    """Delete what interrupted writes left of files whose name begins with `name`, in the folders that the pattern `below` names. Raises OSError."""
    for leftover in folder.glob(f"{below}{_ASIDE}{glob.escape(name)}*"):
        leftover.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Make a folder of mode 0700 whose entry in its parent survives a power cut. Raises OSError."""
    if not path.is_dir():
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync(path.parent)


def sync(path: Path) -> None:
    """Bring to disk what a file holds, or which files a folder holds. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
