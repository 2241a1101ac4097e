"""Files of another program: read once, whole, within bounds; its databases are copied before anything opens them."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

from otagate.model.errors import AdoptionError
from otagate.radios.library import one_line

MAX_TEXT_FILE = 64 << 20
MAX_SETTINGS_FILE = 2 << 20
MAX_DATABASE = 512 << 20

_TRIES = 5


def read_file(path: Path, bound: int) -> bytes:
    """The bytes of a regular file; raises AdoptionError, FileNotFoundError where there is none."""
    try:
        # not to be kept waiting by a pipe
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise AdoptionError(f"{path} is no file")
            data = file.read(bound + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise AdoptionError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > bound:
        raise AdoptionError(f"{path} is larger than {bound >> 20} MiB: it is no such file")
    return data


def read_if_there(path: Path, bound: int) -> bytes | None:
    """The bytes of a file, or None where there is none. Raises AdoptionError."""
    try:
        return read_file(path, bound)
    except FileNotFoundError:
        return None


def copy_database(source: Path, folder: Path) -> Path:
    """A copy of a SQLite database with what stands in its write-ahead log, as of one instant. Raises AdoptionError.

    The log's index (`-shm`) is made anew from the log; the copies are all that is ever opened.
    """
    target = folder / "copy.db"
    log, log_copy = _log_of(source), _log_of(target)
    try:
        for _ in range(_TRIES):
            before = (_state(source), _state(log))
            shutil.copyfile(source, target)
            log_copy.unlink(missing_ok=True)
            if before[1] is not None:
                shutil.copyfile(log, log_copy)
            if before == (_state(source), _state(log)):
                return target
    except FileNotFoundError as error:
        raise AdoptionError(f"{error.filename} does not exist") from None
    except (OSError, shutil.SpecialFileError) as error:
        raise AdoptionError(f"{source} cannot be copied: {getattr(error, 'strerror', None) or error}") from None
    raise AdoptionError(f"{source} changes while it is copied: stop the program that writes it, then try again")


def _log_of(database: Path) -> Path:
    return database.with_name(database.name + "-wal")


def _state(path: Path) -> tuple[int, int, int] | None:
    """What tells one state of a file from the next; None where there is no file. Raises AdoptionError for what is no file, or too large for one."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise AdoptionError(f"{path} is no file")
    if found.st_size > MAX_DATABASE:
        raise AdoptionError(f"{path} is larger than {MAX_DATABASE >> 20} MiB: it is no database of a Zigbee network")
    return found.st_ino, found.st_size, found.st_mtime_ns


def copy_own(database: Path, target: Path) -> None:
    """Our own database into `target`; nothing where there is none yet. Raises AdoptionError."""
    if not database.exists() or not database.stat().st_size:
        return
    write_back(database)
    try:
        with closing(sqlite3.connect(database)) as ours, closing(sqlite3.connect(target)) as copy:
            ours.backup(copy)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise AdoptionError(f"{database} cannot be copied: {one_line(error)}") from None


def write_back(database: Path) -> None:
    """Everything in a write-ahead log of ours into its database, so that the one file is all of it. Raises AdoptionError."""
    try:
        with closing(sqlite3.connect(database)) as ours:
            ours.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise AdoptionError(f"{database} cannot be read ({one_line(error)}): move it away to adopt into a new one") from None
    log = _log_of(database)
    if log.exists() and log.stat().st_size:
        raise AdoptionError(f"{database} is open in another program: close that one, then try again")
