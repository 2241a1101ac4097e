"""How the tables of an older file are brought up to date, and what is kept for the case that it was a mistake."""

from __future__ import annotations

import json
import re
import sqlite3
import stat
from dataclasses import replace
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import pytest
import structlog.testing

from otagate.model.devices import PolicyOverride
from otagate.model.errors import SchemaTooNew, StoreCorrupt, StoreError
from otagate.model.facts import Fact
from otagate.model.lifecycle import State
from otagate.stores.documents import DEVICES, UPDATES
from otagate.stores.sqlite import open_sqlite_file
from otagate.stores.sqlite_file import Migration, load_migrations
from tests.contracts.test_store import a_full_device, an_update

NAME = "otagate.db"
TODAY = len(load_migrations())
SECOND = Migration(
    number=TODAY + 1, name="9998_notes.sql", sql="CREATE TABLE notes (text TEXT NOT NULL) STRICT; INSERT INTO notes SELECT key FROM settings;"
)
THIRD = Migration(number=TODAY + 2, name="9999_rename.sql", sql="ALTER TABLE notes RENAME TO remarks;")
HALF = Migration(number=TODAY + 2, name="9999_half.sql", sql="DELETE FROM facts; DROP TABLE notes; CREATE TABLE facts (number INTEGER);")

pytestmark = pytest.mark.asyncio


async def a_store(path: Path, facts: int = 3) -> None:
    store = await open_sqlite_file(path)
    async with store.transaction():
        await store.settings.put("halt", "yes")
        for _ in range(facts):
            await store.facts.append(Fact(at=datetime(2026, 1, 1, tzinfo=UTC), subject="radio", subject_id="zigbee0", kind="state"))
    await store.close()


def look(path: Path, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


async def test_an_older_file_is_migrated_step_by_step_and_keeps_its_rows(tmp_path: Path) -> None:
    await a_store(tmp_path / NAME)
    store = await open_sqlite_file(tmp_path / NAME, (*load_migrations(), SECOND, THIRD))
    assert (await store.facts.last_number(), await store.settings.get("halt")) == (3, "yes")
    assert await store.read("SELECT text FROM remarks") == [("halt",)]
    await store.close()
    assert look(tmp_path / NAME, "PRAGMA user_version") == [(TODAY + 2,)]


async def test_a_file_of_every_schema_that_there_was_opens_today(tmp_path: Path) -> None:
    for number in range(1, TODAY + 1):
        path = tmp_path / f"{number}.db"
        await (await open_sqlite_file(path, load_migrations()[:number])).close()
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("INSERT INTO settings VALUES ('halt', 'yes')")
        connection.close()
        await a_store(path)
        assert look(path, "PRAGMA user_version") == [(TODAY,)]
        assert look(path, "SELECT value FROM settings") == [("yes",)]


async def test_updates_and_devices_of_the_second_schema_are_as_they_were_and_cannot_disagree_with_their_columns(tmp_path: Path) -> None:
    await (await open_sqlite_file(tmp_path / NAME, load_migrations()[:2])).close()
    rows = [an_update(f"u{number}", state=state) for number, state in ((3, State.QUEUED), (1, State.SUCCEEDED), (2, State.TRANSFERRING))]
    connection = sqlite3.connect(tmp_path / NAME)
    with connection:
        connection.executemany("INSERT INTO updates (document) VALUES (?)", [(UPDATES.encode(each),) for each in rows])
        connection.execute("INSERT INTO devices (document) VALUES (?)", (DEVICES.encode(a_full_device()),))
    connection.close()
    store = await open_sqlite_file(tmp_path / NAME)
    assert list(await store.updates.page()) == rows[::-1]
    assert list(await store.updates.unfinished()) == [rows[0], rows[2]]
    assert list(await store.devices.all()) == [a_full_device()]
    for lie in ("state = 'failed'", "device = 'another'", "component = '0x0'", "id = 'u9'"):
        with pytest.raises(StoreError, match="CHECK"):
            async with store.transaction():
                await store.write(f"UPDATE updates SET {lie} WHERE id = 'u1'")
    await store.close()


async def test_a_policy_that_was_stored_before_it_had_all_of_its_keys_is_read_and_leaves_the_others_to_the_rules(tmp_path: Path) -> None:
    await (await open_sqlite_file(tmp_path / NAME, load_migrations()[:2])).close()
    older = json.loads(DEVICES.encode(a_full_device())) | {"policy": {"default": "never", "retries": 2}}
    connection = sqlite3.connect(tmp_path / NAME)
    with connection:
        connection.execute("INSERT INTO devices (document) VALUES (?)", (json.dumps(older),))
    connection.close()
    store = await open_sqlite_file(tmp_path / NAME)
    assert await store.devices.get(a_full_device().id) == replace(a_full_device(), policy=PolicyOverride(default="never", retries=2))
    await store.close()


async def test_a_whole_copy_of_the_older_file_stays_beside_it_closed_to_others(tmp_path: Path) -> None:
    await a_store(tmp_path / NAME)
    await (await open_sqlite_file(tmp_path / NAME, (*load_migrations(), SECOND))).close()
    copy = tmp_path / f"{NAME}.schema{TODAY}"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert look(copy, "PRAGMA user_version") == [(TODAY,)]
    assert look(copy, "PRAGMA integrity_check") == [("ok",)]
    copy.rename(tmp_path / "back.db")
    store = await open_sqlite_file(tmp_path / "back.db")
    assert (await store.facts.last_number(), await store.settings.get("halt")) == (3, "yes")
    await store.close()


async def test_an_older_otagate_names_the_copy_that_it_can_read(tmp_path: Path) -> None:
    await a_store(tmp_path / NAME)
    with structlog.testing.capture_logs() as told:
        await (await open_sqlite_file(tmp_path / NAME, (*load_migrations(), SECOND))).close()
    copy = tmp_path / f"{NAME}.schema{TODAY}"
    assert [(each["schema"], each["copy"]) for each in told if each["event"] == "the store was brought up to date"] == [(TODAY + 1, str(copy))]
    with pytest.raises(SchemaTooNew, match=rf"or put a copy from before the change in its place: {copy}$"):
        await open_sqlite_file(tmp_path / NAME)
    copy.unlink()
    with pytest.raises(SchemaTooNew, match=r"in its place: the newest in the folder backups from that time$"):
        await open_sqlite_file(tmp_path / NAME)


async def test_a_file_that_is_up_to_date_or_new_is_not_copied(tmp_path: Path) -> None:
    await a_store(tmp_path / NAME)
    await (await open_sqlite_file(tmp_path / NAME)).close()
    assert {each.name for each in tmp_path.iterdir()} == {NAME, f"{NAME}.lock"}


async def test_a_migration_that_fails_halfway_changes_nothing_and_can_be_tried_again(tmp_path: Path) -> None:
    await a_store(tmp_path / NAME)
    with pytest.raises(StoreError, match="facts"):
        await open_sqlite_file(tmp_path / NAME, (*load_migrations(), SECOND, HALF))
    assert look(tmp_path / NAME, "PRAGMA user_version") == [(TODAY + 1,)]  # the step before it stands by itself
    assert look(tmp_path / NAME, "SELECT count(*) FROM facts") == [(3,)]
    assert look(tmp_path / NAME, "SELECT text FROM notes") == [("halt",)]
    store = await open_sqlite_file(tmp_path / NAME, (*load_migrations(), SECOND, THIRD))
    assert await store.facts.last_number() == 3
    await store.close()


async def test_a_damaged_older_file_is_refused_before_it_is_migrated(tmp_path: Path) -> None:
    path = tmp_path / NAME
    await a_store(path, facts=500)
    damaged = bytearray(path.read_bytes())
    damaged[-4096:-4032] = b"\xa5" * 64
    path.write_bytes(damaged)
    with pytest.raises(StoreCorrupt, match="is damaged"):
        await open_sqlite_file(path, (*load_migrations(), SECOND))
    assert look(path, "PRAGMA user_version") == [(TODAY,)]


async def test_a_copy_left_unfinished_by_a_crash_is_replaced(tmp_path: Path) -> None:
    await a_store(tmp_path / NAME)
    (tmp_path / f".new-{NAME}.schema{TODAY}-x1").write_bytes(b"half a copy")
    (tmp_path / f".new-{NAME[:-1]}").write_bytes(b"not ours")
    await (await open_sqlite_file(tmp_path / NAME, (*load_migrations(), SECOND))).close()
    assert {each.name for each in tmp_path.glob(".*")} == {f".new-{NAME[:-1]}"}
    assert look(tmp_path / f"{NAME}.schema{TODAY}", "SELECT count(*) FROM facts") == [(3,)]


async def test_the_last_three_copies_from_before_a_migration_stay(tmp_path: Path) -> None:
    await a_store(tmp_path / NAME)
    (tmp_path / f"{NAME}.schema-by-hand").write_bytes(b"an operator's own")
    migrations = list(load_migrations())
    for _ in range(12):
        migrations.append(Migration(number=len(migrations) + 1, name="more.sql", sql="DELETE FROM receipts;"))
        await (await open_sqlite_file(tmp_path / NAME, migrations)).close()
    kept = {each.name.removeprefix(f"{NAME}.schema") for each in tmp_path.glob(f"{NAME}.schema*")}
    assert kept == {"-by-hand", *(str(TODAY + each) for each in (9, 10, 11))}


async def test_the_packaged_migrations_leave_transactions_to_the_store() -> None:
    migrations = load_migrations()
    assert [each.number for each in migrations] == list(range(1, len(migrations) + 1))
    for migration in migrations:
        statements = re.sub(r"--.*", "", migration.sql)
        assert re.search(r"\b(BEGIN|COMMIT|ROLLBACK|user_version)\b", statements, re.IGNORECASE) is None, migration.name


async def test_a_migration_missing_from_the_package_is_found_before_anything_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    (package / "migrations").mkdir(parents=True)
    for name in ("0001_begin.sql", "0003_later.sql", "README"):
        (package / "migrations" / name).write_text("")
    monkeypatch.setattr(resources, "files", lambda _: package)
    with pytest.raises(StoreError, match=r"not numbered from 1 without gaps: \['0001_begin.sql', '0003_later.sql'\]"):
        await open_sqlite_file(tmp_path / NAME)
    assert not (tmp_path / NAME).exists()
