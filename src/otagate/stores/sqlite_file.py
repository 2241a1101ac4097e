"""The file of the SQLite store: who may open it, what is checked before anything is trusted, and how its tables are brought up to date.

Everything here is plain `sqlite3`. The order: lock, create, is it ours, is it too new, is it whole, copy, migrate.
"""

from __future__ import annotations

import fcntl
import glob
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import structlog

from otagate.files import clear_unfinished, sync, written_aside
from otagate.model.errors import SchemaTooNew, StoreCorrupt, StoreError, StoreInUse, StoreUnavailable

LOG = structlog.get_logger("otagate.store")

APPLICATION_ID = 0x4F544147  # "OTAG"; written by migration 1
OLDEST_SQLITE = (3, 38, 0)  # STRICT tables came with 3.37, JSON functions are always built in since 3.38
LOCK_SUFFIX = ".lock"
_OLD = ".schema"
_OLD_KEPT = 3
"""So many copies from before a migration stay."""
PRIVATE = 0o600

# One connection holds the file alone: a second one, even a reader's, is what the WAL-reset bug of SQLite before 3.51.3 needs to do harm.
ALONE = (
    "PRAGMA busy_timeout = 2000",
    "PRAGMA locking_mode = EXCLUSIVE",
)
DURABLE = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA wal_autocheckpoint = 1000",
    "PRAGMA journal_size_limit = 4194304",
)

_UNAVAILABLE = {
    sqlite3.SQLITE_FULL: "the disk is full: make room",
    sqlite3.SQLITE_IOERR: "the disk does not answer as it should: check it, and the free space",
    sqlite3.SQLITE_READONLY: "it cannot be written: check the owner and mode of the file and its folder, and that the file system is not read-only",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: check the owner and mode of the file and its folder",
    sqlite3.SQLITE_PERM: "it cannot be opened: check the owner and mode of the file and its folder",
    sqlite3.SQLITE_BUSY: "another program has it open: close that one (the command line of otagate asks the daemon and needs no file)",
    sqlite3.SQLITE_LOCKED: "another program has it open: close that one (the command line of otagate asks the daemon and needs no file)",
    sqlite3.SQLITE_NOMEM: "memory ran out",
}
_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_MIGRATION_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step of the schema: `number` is the `user_version` that it leads to. The SQL carries no BEGIN and no COMMIT of its own."""

    number: int
    name: str
    sql: str


def load_migrations() -> tuple[Migration, ...]:
    """The packaged migrations in order. Raises StoreError where numbers are missing or double."""
    found = []
    for each in (resources.files("otagate.stores") / "migrations").iterdir():
        match = _MIGRATION_NAME.fullmatch(each.name)
        if match is not None:
            found.append(Migration(number=int(match[1]), name=each.name, sql=each.read_text("utf-8")))
    found.sort(key=lambda each: each.number)
    if [each.number for each in found] != list(range(1, len(found) + 1)):
        raise StoreError(f"the migrations of the store are not numbered from 1 without gaps: {[each.name for each in found]}")
    return tuple(found)


def translate(error: sqlite3.Error, path: Path) -> StoreError:
    """What an error of SQLite means for an operator. Result codes: https://www.sqlite.org/rescode.html; the low byte is the family."""
    code = getattr(error, "sqlite_errorcode", None)
    family = None if code is None else code & 0xFF
    if family in _CORRUPT:
        return damaged(path, error)
    if family in _UNAVAILABLE:
        return StoreUnavailable(f"{path}: {_UNAVAILABLE[family]} ({error})")
    return StoreError(f"{path}: {error}")


def damaged(path: Path, said: object) -> StoreCorrupt:
    """What to do about a damaged file: what is left in its log belongs to it and must not be applied to another."""
    return StoreCorrupt(
        f"{path} is damaged ({said}): stop otagate, move it and {path.name}-wal away, and put the newest copy from the folder backups beside it "
        "in its place, or begin with an empty one"
    )


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Only the family of StoreError leaves this block."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, path) from error
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror or error}: check the folder, its owner and the free space") from error


class FileLock:
    """An advisory lock (flock) on a file beside the store; it ends with the process, however that ends."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._path = store.with_name(store.name + LOCK_SUFFIX)
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock without waiting; raises StoreInUse where another store object, here or in another process, has it."""
        with translated(self._path):
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        except BlockingIOError as error:
            owner = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise StoreInUse(
                f"two daemons on one store: {self._store} is open in process {owner}: stop that one, or give this one a state_dir of its own"
            ) from error
        except OSError as error:
            os.close(descriptor)
            raise StoreUnavailable(f"{self._path} cannot be locked: {error.strerror or error}") from error
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go; idempotent. The file stays: deleting it would let two processes lock two files of one name."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def open_file(path: Path, migrations: Sequence[Migration]) -> sqlite3.Connection:
    """A connection to the store's file, checked and migrated; the caller holds the lock.

    Raises StoreUnavailable, StoreCorrupt, SchemaTooNew; then the file is as it was, but for migrations already committed.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        needed = ".".join(str(each) for each in OLDEST_SQLITE)
        raise StoreUnavailable(f"this Python brings SQLite {sqlite3.sqlite_version}, and the store needs {needed} or newer")
    with translated(path):
        _create_private(path)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)
        ready = False
        try:
            _set(connection, ALONE)
            _require_ours(connection, path)
            path.chmod(PRIVATE)
            _set(connection, DURABLE)
            _bring_up_to_date(connection, path, migrations)
            ready = True
        finally:
            if not ready:
                connection.close()
    return connection


def _create_private(path: Path) -> None:
    """A new file is its owner's alone from the beginning; SQLite gives the files beside it the same mode."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
    except FileExistsError:
        return
    os.close(descriptor)
    sync(path.parent)


def _set(connection: sqlite3.Connection, pragmas: Sequence[str]) -> None:
    for pragma in pragmas:
        connection.execute(pragma).fetchall()


def _require_ours(connection: sqlite3.Connection, path: Path) -> None:
    """Nothing has been changed when this raises: the file may be anybody's."""
    empty = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0
    if not empty and _pragma(connection, "application_id") != APPLICATION_ID:
        raise StoreCorrupt(f"{path} is the database of another program, and is left untouched: give store.url another file")


def _bring_up_to_date(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    version = _pragma(connection, "user_version")
    if version > len(migrations):
        raise SchemaTooNew(
            f"{path} was written by a newer otagate: its schema is {version}, this one knows up to {len(migrations)}: "
            f"install the newer otagate again, or {_way_back(path, len(migrations))}"
        )
    pending = migrations[version:]
    _check(connection, path, "integrity_check" if pending else "quick_check")
    if pending and version > 0:
        _copy_before_migration(connection, path, version)
    for migration in pending:
        _migrate(connection, migration)
    if pending and version > 0:
        LOG.info("the store was brought up to date", schema=len(migrations), copy=str(_copy_of(path, version)))


def _way_back(path: Path, known: int) -> str:
    """What an operator does who wants to stay with this version: the newest copy from before a migration that it can read, or its backups."""
    copy = next((each for each in (_copy_of(path, version) for version in range(known, 0, -1)) if each.exists()), None)
    return f"put a copy from before the change in its place: {copy or 'the newest in the folder backups from that time'}"


def _copy_of(path: Path, version: int) -> Path:
    return path.with_name(f"{path.name}{_OLD}{version}")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])


def _check(connection: sqlite3.Connection, path: Path, check: str) -> None:
    said = connection.execute(f"PRAGMA {check}(1)").fetchone()[0]
    if said != "ok":
        raise damaged(path, said)


def copy(connection: sqlite3.Connection, target: Path) -> None:
    """The whole store as the last commit left it, without its free pages; on disk when this returns. Raises sqlite3.Error, OSError."""
    with written_aside(target) as aside:
        connection.execute("VACUUM INTO ?", (str(aside),))  # accepts an empty file, and keeps its mode


def _copy_before_migration(connection: sqlite3.Connection, path: Path, version: int) -> None:
    """The store as it was, beside it, on disk before anything changes; of these copies only the newest are kept."""
    clear_unfinished(path.parent, f"{path.name}{_OLD}")
    copy(connection, _copy_of(path, version))
    versions = (each.name.rpartition(_OLD)[2] for each in path.parent.glob(f"{glob.escape(path.name)}{_OLD}*"))
    for old in sorted(int(each) for each in versions if each.isdecimal())[:-_OLD_KEPT]:
        path.with_name(f"{path.name}{_OLD}{old}").unlink(missing_ok=True)


def _migrate(connection: sqlite3.Connection, migration: Migration) -> None:
    # A step that fails is undone when `open_file` closes the connection.
    connection.executescript(f"BEGIN IMMEDIATE;\n{migration.sql}\nPRAGMA user_version = {migration.number};\nCOMMIT;")
