"""The store on disk: SQLite through aiosqlite, one connection, one writer, durable when a transaction's block ends."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import aiosqlite

from otagate import ports
from otagate.files import sync, written_aside
from otagate.model.devices import Device
from otagate.model.errors import LocalProtocolError, StoreError, StoreUnavailable, UnknownDevice, UnknownImage, UnknownUpdate
from otagate.model.facts import Fact, Link, Subject, link
from otagate.model.ids import ComponentId, DeviceId, Sha256, UpdateId
from otagate.model.images import Image
from otagate.model.lifecycle import FINAL, State
from otagate.model.portraits import Portrait
from otagate.model.receipts import Receipt
from otagate.model.rollouts import Rollout, RolloutId
from otagate.model.updates import Update
from otagate.stores.documents import DEVICES, FACTS, IMAGES, PORTRAITS, RECEIPTS, ROLLOUTS, UPDATES, storable, stored_time
from otagate.stores.gate import Gate
from otagate.stores.sqlite_file import FileLock, Migration, load_migrations, open_file, translate, translated

Parameter = str | int | None
Row = tuple[str | int, ...]

_LAST = 2**63 - 1
MAX_ROWS = 10_000
"""No read with a limit returns more rows than this: SQLite takes a negative limit for none at all."""


class SqliteStore:
    """`ports.Store` in one SQLite file. Made by `open_sqlite_file`."""

    def __init__(self, connection: aiosqlite.Connection, path: Path, lock: FileLock) -> None:
        self._connection = connection
        self._path = path
        self._lock = lock
        self._gate = Gate()
        self._broken: StoreError | None = None
        self._closed = False
        self.updates: ports.Updates = _Updates(self)
        self.devices: ports.Devices = _Devices(self)
        self.catalogue: ports.Catalogue = _Catalogue(self)
        self.facts: ports.Facts = _Facts(self)
        self.receipts: ports.Receipts = _Receipts(self)
        self.rollouts: ports.Rollouts = _Rollouts(self)
        self.portraits: ports.Portraits = _Portraits(self)
        self.settings: ports.Settings = _Settings(self)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """All or nothing, durable when the block ends; one at a time, others wait.

        A block that fails or is cancelled is rolled back. A cancellation that comes while the commit is on its way to the disk is raised too,
        and the transaction then stands or not as a whole. After an error of the store inside the block nothing more is written and the block
        ends with that error, even where it was caught. Raises StoreUnavailable when the disk refuses.
        """
        async with self._gate.exclusive():
            self._require_open()
            self._broken = None
            committed = False
            try:
                await self._execute("BEGIN IMMEDIATE")
                yield
                await self._execute("COMMIT")  # refused where a statement of the block was
                committed = True
            finally:
                if not committed:
                    await self._roll_back()

    async def copy_to(self, path: Path) -> None:
        """VACUUM INTO: a whole file without free pages. Readers and writers wait meanwhile. Raises LocalProtocolError inside a transaction."""
        if self._gate.owned:
            raise LocalProtocolError("the store cannot be copied inside a transaction")
        async with self._gate.reading():
            self._require_open()
            with translated(path), written_aside(path) as aside:
                try:
                    await self._execute("VACUUM INTO ?", str(aside))
                except asyncio.CancelledError:  # the connection's thread goes on: it must let go of the file before that is deleted
                    await self._connection.interrupt()
                    await self._execute("SELECT 1")
                    raise
                await asyncio.to_thread(sync, aside)

    async def close(self) -> None:
        """Close the file and let go of it; idempotent. Waits for the transaction of another task; raises LocalProtocolError inside its own."""
        if self._gate.owned:
            raise LocalProtocolError("the store cannot be closed inside a transaction")
        async with self._gate.reading():
            if self._closed:
                return
            self._closed = True
            try:
                with translated(self._path):
                    await self._connection.close()
            finally:
                self._lock.release()

    async def read(self, sql: str, *parameters: Parameter) -> list[Row]:
        """Every row, as of the last commit, or as the transaction of this task has it."""
        async with self._gate.reading():
            self._require_open()
            return await self._execute(sql, *parameters)

    async def write(self, sql: str, *parameters: Parameter) -> list[Row]:
        """Change rows inside the transaction of this task; raises LocalProtocolError where there is none."""
        self._require_open()
        self._gate.require_owned()
        return await self._execute(sql, *parameters)

    async def _execute(self, sql: str, *parameters: Parameter) -> list[Row]:
        # Statements reach the connection's thread in the order of these calls, cancelled or not: a BEGIN never overtakes a ROLLBACK.
        owned = self._gate.owned
        if owned and self._broken is not None:
            raise self._broken
        failure: StoreError | None = StoreError(f"{self._path}: a statement of this transaction was abandoned")
        try:
            rows = await self._connection.execute_fetchall(sql, parameters)
            failure = None
        except sqlite3.Error as error:
            failure = translate(error, self._path)
            raise failure from error
        except UnicodeEncodeError:
            failure = None
            return []  # text that is no Unicode was never stored, so nothing is found by it
        finally:
            if owned:
                self._broken = failure
        return [tuple(each) for each in rows]

    async def _roll_back(self) -> None:
        with translated(self._path):
            await self._connection.rollback()  # no error where SQLite has rolled back by itself

    def _require_open(self) -> None:
        if self._closed:
            raise StoreUnavailable(f"{self._path} is closed")


async def open_sqlite(rest: str, state_dir: Path) -> SqliteStore:
    """The store of `sqlite:` + `rest`: `///name` lies in `state_dir`, `////path` is absolute. Raises as `open_sqlite_file` does."""
    if not rest.startswith("///") or len(rest) == len("///") or rest.endswith("/"):
        raise StoreError(f"store.url 'sqlite:{rest}' names no file: write sqlite:///otagate.db, or sqlite:////an/absolute/path.db")
    return await open_sqlite_file(state_dir / rest.removeprefix("///"))


async def open_sqlite_file(path: Path, migrations: Sequence[Migration] | None = None) -> SqliteStore:
    """Open, or create with mode 0600, the store in this file; `migrations` are the packaged ones.

    Raises StoreUnavailable (not writable, or open in another process), StoreCorrupt (damaged, or of another program), SchemaTooNew.
    """
    with translated(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FileLock(path)
    lock.acquire()
    with ExitStack() as undo:
        undo.callback(lock.release)
        # Not in a thread: nothing else runs before the store is open, and a check or a migration is not to be cancelled halfway.
        file = open_file(path, load_migrations() if migrations is None else migrations)
        undo.callback(file.close)
        connection = await aiosqlite.Connection(lambda: file, iter_chunk_size=64)
        undo.pop_all()
    return SqliteStore(connection, path, lock)


def _bounded(limit: int) -> int:
    return max(0, min(limit, MAX_ROWS))


def _marks(count: int) -> str:
    return ", ".join("?" * count)


class _Updates:
    _UNFINISHED = tuple(state.value for state in State if state not in FINAL)

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    async def put(self, update: Update) -> None:
        document = UPDATES.encode(update)
        kept = "UPDATE updates SET document = ? WHERE id = ? AND state = ? RETURNING id"  # the most frequent write: it touches no index
        if not await self._store.write(kept, document, update.id, update.state.value):
            await self._store.write(
                "INSERT INTO updates (id, device, component, state, rollout, document) VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET state = excluded.state, document = excluded.document",
                update.id,
                update.device,
                update.component,
                update.state.value,
                update.rollout,
                document,
            )

    async def get(self, update_id: UpdateId) -> Update:
        found = await self._select("id = ?", update_id)
        if not found:
            raise UnknownUpdate(f"no update has the id {update_id!r}")
        return found[0]

    async def unfinished(self, device: DeviceId | None = None) -> Sequence[Update]:
        condition, parameters = f"state IN ({_marks(len(self._UNFINISHED))})", self._UNFINISHED
        if device is not None:
            condition, parameters = f"{condition} AND device = ?", (*parameters, device)
        return await self._select(f"{condition} ORDER BY sequence", *parameters)

    async def page(
        self,
        *,
        states: frozenset[State] | None = None,
        device: DeviceId | None = None,
        rollout: RolloutId | None = None,
        limit: int = 100,
        before: UpdateId | None = None,
    ) -> Sequence[Update]:
        conditions: list[str] = ["true"]
        parameters: list[Parameter] = []
        if states is not None:
            conditions.append(f"state IN ({_marks(len(states))})")
            parameters.extend(state.value for state in states)
        if device is not None:
            conditions.append("device = ?")
            parameters.append(device)
        if rollout is not None:
            conditions.append("rollout = ?")
            parameters.append(rollout)
        if before is not None:
            # ids sort by creation, so a row that is gone meanwhile still has its place
            own, gone = "SELECT sequence FROM updates WHERE id = ?", "SELECT max(sequence) + 1 FROM updates WHERE id < ?"
            conditions.append(f"sequence < coalesce(({own}), ({gone}))")
            parameters.extend((before, before))
        return await self._select(f"{' AND '.join(conditions)} ORDER BY sequence DESC LIMIT ?", *parameters, _bounded(limit))

    async def latest(self, device: DeviceId, component: ComponentId) -> Update | None:
        found = await self._select("device = ? AND component = ? ORDER BY sequence DESC LIMIT 1", device, component)
        return found[0] if found else None

    async def _select(self, tail: str, *parameters: Parameter) -> list[Update]:
        rows = await self._store.read(f"SELECT document FROM updates WHERE {tail}", *parameters)  # noqa: S608 - `tail` is written in this class
        return [UPDATES.decode(str(row[0])) for row in rows]


class _Devices:
    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    async def put(self, device: Device) -> None:
        document = DEVICES.encode(device)
        sql = "INSERT INTO devices (id, document) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET document = excluded.document"
        await self._store.write(sql, device.id, document)

    async def get(self, device_id: DeviceId) -> Device:
        rows = await self._store.read("SELECT document FROM devices WHERE id = ?", device_id)
        if not rows:
            raise UnknownDevice(f"no device has the id {device_id!r}")
        return DEVICES.decode(str(rows[0][0]))

    async def all(self) -> Sequence[Device]:
        return [DEVICES.decode(str(row[0])) for row in await self._store.read("SELECT document FROM devices ORDER BY id")]

    async def delete(self, device_id: DeviceId) -> None:
        await self._store.write("DELETE FROM devices WHERE id = ?", device_id)


class _Catalogue:
    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    async def put(self, image: Image) -> None:
        document = IMAGES.encode(image)
        await self._store.write("INSERT INTO images (document) VALUES (?) ON CONFLICT (sha256) DO UPDATE SET document = excluded.document", document)

    async def get(self, sha256: Sha256) -> Image:
        rows = await self._store.read("SELECT document FROM images WHERE sha256 = ?", sha256)
        if not rows:
            raise UnknownImage(f"no image has the sha256 {sha256!r}")
        return IMAGES.decode(str(rows[0][0]))

    async def all(self) -> Sequence[Image]:
        return [IMAGES.decode(str(row[0])) for row in await self._store.read("SELECT document FROM images ORDER BY added DESC, sequence DESC")]

    async def delete(self, sha256: Sha256) -> None:
        await self._store.write("DELETE FROM images WHERE sha256 = ?", sha256)


class _Facts:
    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    async def append(self, fact: Fact) -> Fact:
        document = FACTS.encode(replace(fact, number=0, chain=""))
        rows = await self._store.write("SELECT number, chain FROM facts ORDER BY number DESC LIMIT 1")
        given = link(Link(number=int(rows[0][0]), chain=str(rows[0][1])) if rows else Link(), fact)
        await self._store.write("INSERT INTO facts (number, chain, document) VALUES (?, ?, ?)", given.number, given.chain, document)
        return replace(fact, number=given.number, chain=given.chain)

    async def after(self, number: int, *, limit: int = 500, subject: Subject | None = None, subject_id: str | None = None) -> Sequence[Fact]:
        return await self._select("number > ?", "number", number, limit, subject, subject_id)

    async def before(
        self, number: int | None = None, *, limit: int = 500, subject: Subject | None = None, subject_id: str | None = None
    ) -> Sequence[Fact]:
        return await self._select("number < ?", "number DESC", _LAST if number is None else number, limit, subject, subject_id)

    async def _select(self, condition: str, order: str, number: int, limit: int, subject: Subject | None, subject_id: str | None) -> Sequence[Fact]:
        conditions, parameters = [condition], list[Parameter]((min(max(number, 0), _LAST),))
        if subject is not None:
            conditions.append("subject = ?")
            parameters.append(subject)
        if subject_id is not None:
            conditions.append("subject_id = ?")
            parameters.append(subject_id)
        sql = f"SELECT number, chain, document FROM facts WHERE {' AND '.join(conditions)} ORDER BY {order} LIMIT ?"  # noqa: S608 - conditions of ours
        rows = await self._store.read(sql, *parameters, _bounded(limit))
        return [replace(FACTS.decode(str(row[2])), number=int(row[0]), chain=str(row[1])) for row in rows]

    async def last_number(self) -> int:
        rows = await self._store.read("SELECT coalesce(max(number), 0) FROM facts")
        return int(rows[0][0])

    async def forget(self, until: int) -> None:
        older = "FROM facts WHERE number <= ? AND number < (SELECT max(number) FROM facts)"
        rows = await self._store.write(f"SELECT number, chain {older} ORDER BY number DESC LIMIT 1", min(until, _LAST))
        if rows:
            number, chain = rows[0]
            await self._store.write("UPDATE chain_start SET number = ?, chain = ? WHERE number < ?", number, chain, number)
            await self._store.write("DELETE FROM facts WHERE number <= ?", number)

    async def chain_start(self) -> Link:
        rows = await self._store.read("SELECT number, chain FROM chain_start")
        return Link(number=int(rows[0][0]), chain=str(rows[0][1])) if rows else Link()


class _Receipts:
    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    async def get(self, actor: str, key: str) -> Receipt | None:
        rows = await self._store.read("SELECT document FROM receipts WHERE actor = ? AND key = ?", actor, key)
        return RECEIPTS.decode(str(rows[0][0])) if rows else None

    async def put(self, receipt: Receipt, *, since: datetime, most: int) -> None:
        sql = "INSERT INTO receipts (document) VALUES (?) ON CONFLICT (actor, key) DO UPDATE SET document = excluded.document"
        await self._store.write(sql, RECEIPTS.encode(receipt))
        await self._store.write("DELETE FROM receipts WHERE at < ?", stored_time(since))
        sql = "DELETE FROM receipts WHERE sequence NOT IN (SELECT sequence FROM receipts ORDER BY at DESC, sequence DESC LIMIT ?)"
        await self._store.write(sql, _bounded(most))


class _Rollouts:
    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    async def put(self, rollout: Rollout) -> None:
        sql = "INSERT INTO rollouts (id, document) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET document = excluded.document"
        await self._store.write(sql, rollout.id, ROLLOUTS.encode(rollout))

    async def all(self) -> Sequence[Rollout]:
        return [ROLLOUTS.decode(str(row[0])) for row in await self._store.read("SELECT document FROM rollouts ORDER BY sequence")]


class _Portraits:
    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    async def put(self, update_id: UpdateId, portrait: Portrait) -> None:
        sql = "INSERT INTO portraits (update_id, document) VALUES (?, ?) ON CONFLICT (update_id) DO UPDATE SET document = excluded.document"
        await self._store.write(sql, storable(update_id, "portrait"), PORTRAITS.encode(portrait))

    async def get(self, update_id: UpdateId) -> Portrait | None:
        rows = await self._store.read("SELECT document FROM portraits WHERE update_id = ?", update_id)
        return PORTRAITS.decode(str(rows[0][0])) if rows else None

    async def forget(self, update_id: UpdateId) -> None:
        await self._store.write("DELETE FROM portraits WHERE update_id = ?", update_id)


class _Settings:
    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    async def get(self, key: str) -> str | None:
        rows = await self._store.read("SELECT value FROM settings WHERE key = ?", key)
        return str(rows[0][0]) if rows else None

    async def put(self, key: str, value: str) -> None:
        await self._store.write(
            "INSERT INTO settings VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            storable(key, "setting"),
            storable(value, "setting"),
        )
