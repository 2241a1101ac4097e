"""Copies of the store: whole, private, the newest few, and good enough to go on from."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from otagate.model.errors import StoreCorrupt, StoreUnavailable
from otagate.model.facts import Fact
from otagate.stores import open_store
from otagate.stores.copies import CopyFolder

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)

pytestmark = pytest.mark.asyncio


class SetClock:
    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return 0.0


async def test_of_the_copies_the_newest_few_stay_for_their_owner_alone(tmp_path: Path) -> None:
    clock = SetClock()
    folder = CopyFolder(tmp_path / "backups", clock)
    assert await folder.latest() is None
    async with open_store("sqlite:///otagate.db", tmp_path) as store:
        await folder.keep(store, most=2)
        for name in ("store-by-hand.db", "store-aardvarkTbeforeZ.db", "store-zero-dayTbeforeZ.db"):
            (tmp_path / "backups" / name).write_text("an operator's own")
        (tmp_path / "backups" / ".new-store-20260101T000000Z.db-x").write_bytes(b"half")
        for day in range(1, 5):
            clock.at = NOON + timedelta(days=day)
            kept = await folder.keep(store, most=2)
    names = ["store-20260504T120000Z.db", "store-20260505T120000Z.db"]
    names += ["store-aardvarkTbeforeZ.db", "store-by-hand.db", "store-zero-dayTbeforeZ.db"]
    assert sorted(each.name for each in (tmp_path / "backups").iterdir()) == names
    assert await folder.latest() == kept
    assert (kept.made, kept.size) == (clock.at, kept.path.stat().st_size)
    assert [stat.S_IMODE(each.stat().st_mode) for each in (kept.path, kept.path.parent)] == [0o600, 0o700]


async def test_the_copy_just_made_stays_even_where_the_clock_went_back(tmp_path: Path) -> None:
    clock = SetClock()
    folder = CopyFolder(tmp_path / "backups", clock)
    async with open_store("sqlite:///otagate.db", tmp_path) as store:
        await folder.keep(store, most=1)
        clock.at = NOON - timedelta(days=365)
        kept = await folder.keep(store, most=1)
    assert list((tmp_path / "backups").iterdir()) == [kept.path]


async def test_a_folder_that_cannot_be_written_is_a_refusal_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "backups").write_text("a file where the folder should be")
    async with open_store("sqlite:///otagate.db", tmp_path) as store:
        with pytest.raises(StoreUnavailable, match="no copy can be kept in"):
            await CopyFolder(tmp_path / "backups", SetClock()).keep(store, most=1)


async def test_a_store_in_memory_has_nothing_to_keep(tmp_path: Path) -> None:
    async with open_store("memory:", tmp_path) as store:
        with pytest.raises(StoreUnavailable, match="in memory"):
            await CopyFolder(tmp_path / "backups", SetClock()).keep(store, most=1)
    assert list((tmp_path / "backups").iterdir()) == []


async def test_a_damaged_store_is_put_back_from_its_newest_backup_by_doing_what_the_error_says(tmp_path: Path) -> None:
    clock = SetClock()
    folder = CopyFolder(tmp_path / "backups", clock)
    async with open_store("sqlite:///otagate.db", tmp_path) as store:
        for day in range(3):
            clock.at = NOON + timedelta(days=day)
            async with store.transaction():
                for _ in range(200):
                    await store.facts.append(Fact(at=NOON, subject="radio", subject_id="zigbee0", kind="state"))
            await folder.keep(store, most=2)
    path = tmp_path / "otagate.db"
    damaged = bytearray(path.read_bytes())
    damaged[-4096:-4000] = b"\xa5" * 96
    path.write_bytes(damaged)
    with pytest.raises(StoreCorrupt, match=r"move it and otagate\.db-wal away.*backups"):
        await open_store("sqlite:///otagate.db", tmp_path)
    path.rename(tmp_path / "damaged.db")
    newest = await folder.latest()
    assert newest is not None
    assert stat.S_IMODE(newest.path.stat().st_mode) == 0o600
    newest.path.rename(path)
    async with open_store("sqlite:///otagate.db", tmp_path) as store:
        assert await store.facts.last_number() == 600
