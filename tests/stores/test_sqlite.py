"""The store on disk: what only a file can do, and what only a disk can do to it."""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from otagate.model.errors import LocalProtocolError, SchemaTooNew, StoreCorrupt, StoreError, StoreUnavailable, UnknownDevice
from otagate.model.facts import Fact
from otagate.model.ids import DeviceId
from otagate.stores import open_store
from otagate.stores.sqlite import SqliteStore, open_sqlite_file
from otagate.stores.sqlite_file import load_migrations

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAME = "otagate.db"
ROOMY = 1 << 30


def a_fact(padding: int = 0) -> Fact:
    return Fact(at=NOW, subject="radio", subject_id="zigbee0", kind="state", data={"padding": "x" * padding})


async def append(store: SqliteStore, count: int = 1, padding: int = 0) -> None:
    async with store.transaction():
        for _ in range(count):
            await store.facts.append(a_fact(padding))


async def a_store_with_facts(path: Path, count: int = 3) -> None:
    store = await open_sqlite_file(path)
    await append(store, count)
    await store.close()


async def limit_pages(store: SqliteStore, pages: int) -> int:
    """A disk of this many pages; returns how many are used."""
    await store.read(f"PRAGMA max_page_count = {pages}")
    return int((await store.read("PRAGMA page_count"))[0][0])


# --- durable ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_what_was_committed_is_there_after_opening_again(tmp_path: Path) -> None:
    async with open_store("sqlite:///otagate.db", tmp_path) as store, store.transaction():
        await store.facts.append(a_fact())
        await store.settings.put("halt", "yes")
    async with open_store("sqlite:///otagate.db", tmp_path) as store:
        assert (await store.facts.last_number(), await store.settings.get("halt")) == (1, "yes")
        async with store.transaction():
            assert (await store.facts.append(a_fact())).number == 2


@pytest.mark.asyncio
async def test_the_connection_runs_as_durably_as_promised(tmp_path: Path) -> None:
    store = await open_sqlite_file(tmp_path / NAME)
    promised = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "application_id": 0x4F544147, "busy_timeout": 2000}
    assert {name: (await store.read(f"PRAGMA {name}"))[0][0] for name in promised} == promised
    tables = await store.read("SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%'")
    assert dict(tables) == {
        "updates": 1,
        "devices": 1,
        "images": 1,
        "facts": 1,
        "receipts": 1,
        "rollouts": 1,
        "portraits": 1,
        "settings": 1,
        "chain_start": 1,
    }
    await store.close()


@pytest.mark.parametrize("rounds", [30, pytest.param(1000, marks=pytest.mark.night)])
def test_no_kill_at_any_instant_loses_an_acknowledged_commit_or_tears_one(tmp_path: Path, rounds: int) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    program = Path(__file__).with_name("crashing_writer.py")
    done = subprocess.run(
        [sys.executable, program, tmp_path, str(rounds), str(seed)], capture_output=True, text=True, timeout=100 + rounds, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["sins"] == [], f"seed {seed}"
    assert told["committed"] > rounds  # the writers did write


# --- modes and places ------------------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_every_file_of_the_store_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = await open_sqlite_file(tmp_path / "new" / NAME)
        await append(store)
    finally:
        os.umask(before)
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in (tmp_path / "new").iterdir()}
    assert set(modes) >= {NAME, f"{NAME}-wal", f"{NAME}.lock"}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    await store.close()


@pytest.mark.asyncio
async def test_a_file_that_others_could_read_is_closed_to_them_when_it_is_opened(tmp_path: Path) -> None:
    await a_store_with_facts(tmp_path / NAME)
    (tmp_path / NAME).chmod(0o644)
    store = await open_sqlite_file(tmp_path / NAME)
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
    await store.close()


@pytest.mark.asyncio
async def test_an_absolute_url_names_a_file_outside_the_state_directory(tmp_path: Path) -> None:
    async with open_store(f"sqlite:///{tmp_path}/elsewhere.db", tmp_path / "state"):
        assert (tmp_path / "elsewhere.db").exists()
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("url", ["sqlite:", "sqlite://", "sqlite:///", "sqlite:otagate.db", "sqlite://host/otagate.db", "sqlite:///folder/"])
@pytest.mark.asyncio
async def test_an_url_that_names_no_file_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(StoreError, match=r"names no file: write sqlite:///otagate.db"):
        await open_store(url, tmp_path)
    assert list(tmp_path.iterdir()) == []


# --- two at once -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_second_store_on_the_file_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    first = await open_sqlite_file(tmp_path / NAME)
    with pytest.raises(StoreUnavailable, match=f"two daemons on one store: .*{NAME} is open in process {os.getpid()}: stop that one"):
        await open_sqlite_file(tmp_path / NAME)
    await append(first)
    await first.close()
    second = await open_sqlite_file(tmp_path / NAME)
    assert await second.facts.last_number() == 1
    await second.close()


HOLDER = """
import asyncio, sys
from pathlib import Path
from otagate.stores import open_store
async def hold():
    async with open_store("sqlite:///otagate.db", Path(sys.argv[1])):
        print("open", flush=True)
        sys.stdin.read()
asyncio.run(hold())
"""


@pytest.mark.asyncio
async def test_a_second_process_on_the_file_is_refused_until_the_first_is_gone_even_by_a_kill(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(StoreUnavailable, match=f"is open in process {holder.pid}: stop that one, or give this one a state_dir of its own"):
            await open_sqlite_file(tmp_path / NAME)
        holder.send_signal(signal.SIGKILL)
    await append(store := await open_sqlite_file(tmp_path / NAME))
    await store.close()


@pytest.mark.asyncio
async def test_another_program_cannot_even_read_the_file_while_it_is_open(tmp_path: Path) -> None:
    store = await open_sqlite_file(tmp_path / NAME)
    await append(store)
    stranger = sqlite3.connect(tmp_path / NAME, timeout=0)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        stranger.execute("SELECT * FROM facts").fetchall()
    stranger.close()
    await append(store)
    await store.close()


@pytest.mark.asyncio
async def test_a_file_that_another_program_reads_is_refused_with_what_to_do(tmp_path: Path) -> None:
    await a_store_with_facts(tmp_path / NAME)
    stranger = sqlite3.connect(tmp_path / NAME, isolation_level=None)
    stranger.execute("BEGIN")
    stranger.execute("SELECT * FROM facts").fetchall()
    with pytest.raises(StoreUnavailable, match="another program has it open: close that one"):
        await open_sqlite_file(tmp_path / NAME)
    stranger.close()
    await append(store := await open_sqlite_file(tmp_path / NAME))
    await store.close()


@pytest.mark.asyncio
async def test_a_lock_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.lock").symlink_to(tmp_path / "victim")
    (tmp_path / "victim").write_text("precious")
    with pytest.raises(StoreUnavailable, match=rf"{NAME}\.lock"):
        await open_sqlite_file(tmp_path / NAME)
    assert (tmp_path / "victim").read_text() == "precious"


@pytest.mark.asyncio
async def test_a_sqlite_too_old_for_the_tables_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 36, 0))
    with pytest.raises(StoreUnavailable, match=r"the store needs 3\.38\.0 or newer"):
        await open_sqlite_file(tmp_path / NAME)
    assert not (tmp_path / NAME).exists()


# --- a file that is not what it should be ----------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_newer_schema_is_refused_with_both_versions_and_the_file_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / NAME
    await a_store_with_facts(path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(
        SchemaTooNew, match=rf"{path} was written by a newer otagate: its schema is 99, this one knows up to {len(load_migrations())}"
    ):
        await open_sqlite_file(path)
    assert path.read_bytes() == before


@pytest.mark.asyncio
async def test_a_file_that_is_no_database_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(b"not a database at all\n" * 500)
    with pytest.raises(StoreCorrupt, match=r"is damaged .*put the newest copy"):
        await open_sqlite_file(path)
    assert path.read_bytes() == b"not a database at all\n" * 500


@pytest.mark.asyncio
async def test_the_database_of_another_program_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / NAME
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE neighbours (name TEXT)")
    connection.close()
    path.chmod(0o644)
    before = path.read_bytes()
    with pytest.raises(StoreCorrupt, match=r"database of another program, and is left untouched: give store.url another file"):
        await open_sqlite_file(path)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (before, 0o644)


@pytest.mark.asyncio
async def test_damage_in_the_middle_of_the_file_is_found_when_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / NAME
    await a_store_with_facts(path, count=500)
    damaged = bytearray(path.read_bytes())
    for page in range(8, len(damaged) // 4096):
        damaged[page * 4096 : page * 4096 + 64] = b"\xa5" * 64
    path.write_bytes(damaged)
    with pytest.raises(StoreCorrupt, match="is damaged"):
        await open_sqlite_file(path)


@pytest.mark.asyncio
async def test_a_row_that_makes_no_value_is_named_as_damage(tmp_path: Path) -> None:
    store = await open_sqlite_file(tmp_path / NAME)
    async with store.transaction():
        await store.write("INSERT INTO devices (id, document) VALUES ('zigbee-1', ?)", '{"id": "zigbee-1", "radio": null, "battery_percent": "full"}')
    with pytest.raises(StoreCorrupt, match="a stored device cannot be read: battery_percent"):
        await store.devices.all()
    with pytest.raises(UnknownDevice):
        await store.devices.get(DeviceId("zigbee-2"))
    await store.close()


@pytest.mark.asyncio
async def test_a_store_that_could_not_be_opened_can_be_opened_once_the_reason_is_gone(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(b"nonsense" * 1000)
    with pytest.raises(StoreCorrupt):
        await open_sqlite_file(path)
    path.unlink()
    await append(store := await open_sqlite_file(path))
    await store.close()


@pytest.mark.parametrize("place", ["a file where a folder should be", "a folder where the file should be", "a folder that takes no files"])
@pytest.mark.asyncio
async def test_a_place_that_cannot_hold_the_file_is_refused_with_its_name(tmp_path: Path, place: str) -> None:
    path = tmp_path / "state" / NAME
    match place:
        case "a file where a folder should be":
            path.parent.write_text("")
        case "a folder where the file should be":
            path.mkdir(parents=True)
        case _:
            path = Path("/proc") / NAME  # not even root makes one here
    with pytest.raises(StoreUnavailable, match=str(path)):
        await open_sqlite_file(path)


# --- a disk that refuses ---------------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_full_disk_rolls_the_transaction_back_and_the_store_works_again_once_there_is_room(tmp_path: Path) -> None:
    store = await open_sqlite_file(tmp_path / NAME)
    await append(store, 2)
    await limit_pages(store, await limit_pages(store, ROOMY) + 2)
    with pytest.raises(StoreUnavailable, match="the disk is full: make room") as refused:
        await append(store, 50, padding=1000)
    assert refused.value.retry == "later"
    assert await store.facts.last_number() == 2
    await limit_pages(store, ROOMY)
    await append(store, 50, padding=1000)
    assert [each.number for each in await store.facts.after(0)] == list(range(1, 53))
    await store.close()


@pytest.mark.asyncio
async def test_a_full_disk_that_the_block_overlooks_still_undoes_all_of_it(tmp_path: Path) -> None:
    # SQLite may roll back by itself: statements that followed would be committed one by one.
    store = await open_sqlite_file(tmp_path / NAME)
    await append(store)
    with pytest.raises(StoreUnavailable, match="the disk is full"):
        await _overlook(store)
    await limit_pages(store, ROOMY)
    assert (await store.settings.get("before"), await store.settings.get("after"), await store.facts.last_number()) == (None, None, 1)
    await append(store)
    await store.close()


async def _overlook(store: SqliteStore) -> None:
    async with store.transaction():
        await store.settings.put("before", "1")
        await limit_pages(store, await limit_pages(store, ROOMY) + 2)
        with suppress(StoreUnavailable):
            for _ in range(50):
                await store.facts.append(a_fact(1000))
        await limit_pages(store, ROOMY)
        with suppress(StoreUnavailable):
            await store.settings.put("after", "1")


@pytest.mark.asyncio
async def test_a_statement_given_up_inside_a_transaction_undoes_all_of_it(tmp_path: Path) -> None:
    store = await open_sqlite_file(tmp_path / NAME)
    with pytest.raises(StoreError, match="abandoned"):
        await _give_up(store)
    assert (await store.settings.get("before"), await store.facts.last_number()) == (None, 0)
    await append(store)
    await store.close()


async def _give_up(store: SqliteStore) -> None:
    async with store.transaction():
        await store.settings.put("before", "1")
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                await store.facts.append(a_fact())


@contextmanager
def _files_end_at(size: int) -> Iterator[None]:
    """No file of this process grows beyond `size` bytes: writes there fail as on a full disk, at whatever step of SQLite they come."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.asyncio
async def test_a_disk_that_refuses_at_any_write_of_a_commit_leaves_all_of_it_or_nothing(tmp_path: Path) -> None:
    store = await open_sqlite_file(tmp_path / NAME)
    await append(store)
    refusals = 0
    for step in range(60):
        expected = await store.facts.last_number()
        room = (tmp_path / f"{NAME}-wal").stat().st_size + step * 512
        try:
            with _files_end_at(room):
                await append(store, 3, padding=3000)
            expected += 3
        except StoreUnavailable:
            refusals += 1
        assert await store.facts.last_number() == expected
    assert 0 < refusals < 60
    await store.close()
    store = await open_sqlite_file(tmp_path / NAME)
    assert [each.number for each in await store.facts.after(0)] == list(range(1, expected + 1))
    await store.close()


# --- copies ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_copy_holds_every_commit_and_no_more_and_is_its_owners_alone(tmp_path: Path) -> None:
    store = await open_sqlite_file(tmp_path / NAME)
    await append(store, 3)
    (tmp_path / "copy.db").write_text("the one before")
    async with asyncio.TaskGroup() as group:
        async with store.transaction():
            await store.facts.append(a_fact())
            copying = group.create_task(store.copy_to(tmp_path / "copy.db"))
            await asyncio.sleep(0)
            await store.facts.append(a_fact())
        await copying
    await append(store)
    await store.close()
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
    copy = await open_sqlite_file(tmp_path / "copy.db")
    assert await copy.facts.last_number() == 5
    await copy.close()


@pytest.mark.asyncio
async def test_a_copy_that_the_disk_refuses_leaves_nothing_and_the_store_goes_on(tmp_path: Path) -> None:
    store = await open_sqlite_file(tmp_path / NAME)
    await append(store, 3)
    with pytest.raises(StoreUnavailable):
        await store.copy_to(tmp_path / "no-folder" / "copy.db")
    with _files_end_at(8_192), pytest.raises(StoreError):
        await store.copy_to(tmp_path / "copy.db")
    await append(store)
    await store.close()
    assert {each.name for each in tmp_path.iterdir()} == {NAME, f"{NAME}.lock"}


@pytest.mark.asyncio
async def test_a_copy_that_nobody_waits_for_any_more_disturbs_nothing(tmp_path: Path) -> None:
    store = await open_sqlite_file(tmp_path / NAME)
    await append(store, 500, padding=500)
    for turns in range(4):
        async with asyncio.TaskGroup() as group:
            copying = group.create_task(store.copy_to(tmp_path / "copy.db"))
            for _ in range(turns):
                await asyncio.sleep(0)
            copying.cancel()
        await append(store)
    assert await store.facts.last_number() == 504
    await store.close()
    assert not list(tmp_path.glob(".new-*"))


@pytest.mark.asyncio
async def test_a_copy_inside_a_transaction_would_wait_for_itself_and_is_refused(tmp_path: Path) -> None:
    store = await open_sqlite_file(tmp_path / NAME)
    with pytest.raises(LocalProtocolError):
        async with store.transaction():
            await store.copy_to(tmp_path / "copy.db")
    await store.close()
