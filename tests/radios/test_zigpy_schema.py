"""zigpy's tables are all there or none, whenever the hub dies."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from zigpy import appdb, appdb_schemas

from otagate.radios.zigpy_schema import lay_out

SCHEMA = appdb_schemas.SCHEMAS[appdb.DB_VERSION]


def statements() -> list[str]:
    found, rest = [], ""
    for line in SCHEMA.splitlines(keepends=True):
        rest += line
        if sqlite3.complete_statement(rest):
            found.append(rest)
            rest = ""
    return found


def shape(database: Path) -> tuple[int, set[str]]:
    with closing(sqlite3.connect(database)) as file:
        names = {str(name) for (name,) in file.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")}
        return file.execute("PRAGMA user_version").fetchone()[0], names


@pytest.fixture
def whole(tmp_path: Path) -> tuple[int, set[str]]:
    with closing(sqlite3.connect(tmp_path / "whole.db")) as file:
        file.executescript(SCHEMA)
    return shape(tmp_path / "whole.db")


def test_a_database_that_was_left_after_any_statement_of_its_making_is_made_whole(tmp_path: Path, whole: tuple[int, set[str]]) -> None:
    for count in range(len(statements()) + 1):
        database = tmp_path / f"{count}.db"
        with closing(sqlite3.connect(database, isolation_level=None)) as file:
            for each in statements()[:count]:
                file.execute(each)
        lay_out(database)
        assert shape(database) == whole, f"after {count} statements"


def test_a_database_that_is_not_there_is_made(tmp_path: Path, whole: tuple[int, set[str]]) -> None:
    lay_out(tmp_path / "new.db")
    assert shape(tmp_path / "new.db") == whole


def test_what_was_ever_written_into_stays_as_it_is(tmp_path: Path) -> None:
    database = tmp_path / "lived.db"
    with closing(sqlite3.connect(database, isolation_level=None)) as file:
        file.executescript(SCHEMA)
        file.execute(f"INSERT INTO devices_v{appdb.DB_VERSION} VALUES ('00:0d:6f:00:0a:90:69:e7', 1, 0, 0)")
        file.execute(f"DROP TABLE groups_v{appdb.DB_VERSION}")
    before = shape(database)
    lay_out(database)
    assert shape(database) == before


def test_the_database_of_another_version_is_left_to_zigpy(tmp_path: Path) -> None:
    database = tmp_path / "old.db"
    with closing(sqlite3.connect(database, isolation_level=None)) as file:
        file.executescript(appdb_schemas.SCHEMAS[appdb.DB_VERSION - 1])
    before = shape(database)
    lay_out(database)
    assert shape(database) == before


def test_a_disk_that_fills_up_meanwhile_leaves_nothing_half_made(
    tmp_path: Path, whole: tuple[int, set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "full.db"
    monkeypatch.setitem(appdb_schemas.SCHEMAS, appdb.DB_VERSION, SCHEMA + "INSERT INTO no_room VALUES (1);")
    with pytest.raises(sqlite3.Error):
        lay_out(database)
    assert shape(database) == (0, set())
    monkeypatch.undo()
    lay_out(database)
    assert shape(database) == whole
