"""Other programs' files: bounded, never written, and databases as of one instant."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from otagate.adoption import files
from otagate.adoption.files import copy_database, copy_own, read_file, read_if_there, write_back
from otagate.model.errors import AdoptionError
from tests.adoption.foreign import LAMP, PLUG, write_zigpy


def devices(database: Path) -> int:
    with closing(sqlite3.connect(database)) as db:
        return int(db.execute("SELECT count(*) FROM devices_v16").fetchone()[0])


def test_a_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 100)
    assert read_file(file, 100) == b"x" * 100
    with pytest.raises(AdoptionError, match="larger than"):
        read_file(file, 99)
    assert read_if_there(tmp_path / "none", 100) is None


def test_what_is_no_file_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for each in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(AdoptionError):
            read_file(each, 100)
        with pytest.raises(AdoptionError):
            copy_database(each, tmp_path)


def test_a_copy_holds_what_stands_in_the_log_only_and_the_original_stays_as_it_is(tmp_path: Path) -> None:
    source = write_zigpy(tmp_path / "zigbee.db", 16, devices=(LAMP, PLUG), log=True)
    before = {each.name: (each.read_bytes(), each.stat().st_mtime_ns) for each in tmp_path.iterdir()}
    assert set(before) == {"zigbee.db", "zigbee.db-wal"}
    folder = tmp_path / "copies"
    folder.mkdir()
    assert devices(copy_database(source, folder)) == 2
    shutil.rmtree(folder)
    assert {each.name: (each.read_bytes(), each.stat().st_mtime_ns) for each in tmp_path.iterdir()} == before


def test_a_database_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AdoptionError, match=r"zigbee\.db does not exist"):
        copy_database(tmp_path / "zigbee.db", tmp_path)


def test_a_database_that_changes_meanwhile_is_copied_again_and_given_up_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_zigpy(tmp_path / "zigbee.db", 16)
    copies = 0
    copy = shutil.copyfile

    def written_meanwhile(source: Path, target: Path) -> None:
        nonlocal copies
        copies += 1
        copy(source, target)
        if copies < limit:
            os.utime(source, ns=(copies, copies))

    monkeypatch.setattr(files.shutil, "copyfile", written_meanwhile)
    limit = 3
    copy_database(source, tmp_path)
    assert copies == 3
    copies, limit = 0, 1000
    with pytest.raises(AdoptionError, match="stop the program that writes it"):
        copy_database(source, tmp_path)


def test_a_database_without_bounds_is_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_DATABASE", 1 << 20)
    with (tmp_path / "zigbee.db").open("wb") as file:
        file.truncate((1 << 20) + 1)
    with pytest.raises(AdoptionError, match="larger than 1 MiB"):
        copy_database(tmp_path / "zigbee.db", tmp_path)


def test_our_own_database_is_copied_with_its_log_and_left_without_one(tmp_path: Path) -> None:
    ours = write_zigpy(tmp_path / "zigbee-zigbee0.db", 16, devices=(LAMP, PLUG), log=True)
    copy_own(ours, tmp_path / "aside.db")
    assert devices(tmp_path / "aside.db") == 2
    assert [each.name for each in tmp_path.glob("zigbee-*")] == ["zigbee-zigbee0.db"]


def test_where_we_have_none_yet_nothing_is_copied(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    for each in ("none.db", "empty.db"):
        copy_own(tmp_path / each, tmp_path / "aside.db")
        assert not (tmp_path / "aside.db").exists()


def test_our_own_database_that_is_damaged_is_told(tmp_path: Path) -> None:
    (tmp_path / "ours.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(AdoptionError, match="move it away"):
        copy_own(tmp_path / "ours.db", tmp_path / "aside.db")


def test_a_database_that_somebody_reads_meanwhile_is_not_taken_for_all_of_it(tmp_path: Path) -> None:
    ours = write_zigpy(tmp_path / "ours.db", 16, log=True)
    with closing(sqlite3.connect(ours)) as reader:
        reader.execute("BEGIN").fetchall()
        reader.execute("SELECT count(*) FROM devices_v16").fetchall()
        with pytest.raises(AdoptionError, match="open in another program"):
            write_back(ours)
    write_back(ours)
