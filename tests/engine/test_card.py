"""What an update costs the card that the hub lives on: bytes written to a real SQLite file, counted by the kernel."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from otagate.model.ids import zigbee_device_id
from otagate.model.lifecycle import State
from otagate.stores.sqlite import SqliteStore
from otagate.stores.sqlite_file import FileLock, load_migrations, open_file
from tests.engine import radio
from tests.engine.bench import Bench
from tests.engine.radio import NEW, Lamp
from tests.virtual_time import instantly

BUDGET = 512 * 1024
UPDATES = 5


@dataclass(slots=True)
class InlineConnection:
    """Stands for aiosqlite's connection: the same statements on the same file, without the thread that virtual time would not wait for."""

    file: sqlite3.Connection

    async def execute_fetchall(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        return self.file.execute(sql, parameters).fetchall()

    async def rollback(self) -> None:
        self.file.rollback()

    async def close(self) -> None:
        self.file.close()


def written() -> tuple[int, int]:
    """Bytes that this process handed to files so far, and bytes that it caused to be sent to a disk (0 where the files are in memory)."""
    counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counts["wchar"]), int(counts["write_bytes"])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="only Linux counts what a process writes")
@instantly
async def test_an_update_writes_half_a_mebibyte_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(radio, "_STEPS", 100)  # sampled as often as a real transfer
    path = tmp_path / "otagate.db"
    lock = FileLock(path)
    lock.acquire()
    file = open_file(path, load_migrations())
    bench = Bench(lamps={each: Lamp(id=each, seconds=7_200.0) for each in map(zigbee_device_id, range(1, 1 + UPDATES))})
    bench.disk = disk = SqliteStore(InlineConnection(file), path, lock)  # type: ignore[assignment,arg-type]
    samples: list[int] = []
    async with bench.hub() as hub:
        await hub.ready()
        await hub.add_image(NEW)
        hub.ledger.watch(lambda row: samples.append(row.bytes_sent) if row.state is State.TRANSFERRING else None)
        before = written()
        for each in bench.lamps:
            assert (await hub.until_ended((await hub.order(each)).update.id)).state is State.SUCCEEDED
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()  # what is written later for these is counted now
        handed, sent = (now - then for now, then in zip(written(), before, strict=True))
    await disk.close()
    with capfd.disabled():
        sys.stdout.write(f"\n{handed / UPDATES / 1024:.0f} KiB handed to files and {sent / UPDATES / 1024:.0f} KiB sent to disk per update ")
    assert len(samples) >= 15 * UPDATES  # the transfers were worth counting
    assert 0 < handed / UPDATES <= BUDGET
    assert sent / UPDATES <= BUDGET
