"""The tables of zigpy's database, made in one piece.

zigpy makes them one statement after another, and says with the first that all are there: a hub that dies in the middle leaves a file that zigpy never
opens again.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

_MADE = re.compile(r"CREATE\s+(?:UNIQUE\s+)?(?:TABLE|INDEX)\s+(?:IF NOT EXISTS\s+)?(\w+)", re.IGNORECASE)


def lay_out(database: Path) -> None:
    """Make every table where there is none yet, or where only some of them are and nothing was ever written into those; anything else stays as it is.

    Raises sqlite3.Error where the file cannot be read or written; the tables are then all there, or as before.
    """
    from zigpy import appdb, appdb_schemas

    version: int = appdb.DB_VERSION
    schema: str = appdb_schemas.SCHEMAS[version]
    with closing(sqlite3.connect(database, isolation_level=None)) as file:
        if _is_begun(file, version, set(_MADE.findall(schema))):
            file.executescript(f"BEGIN IMMEDIATE;\n{schema}\nCOMMIT;")


def _is_begun(file: sqlite3.Connection, version: int, wanted: set[str]) -> bool:
    """Whether no program has had this database whole: it is empty, or of this version with something missing and nothing in its tables."""
    found = {str(name): kind for name, kind in file.execute("SELECT name, type FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")}
    ((told,),) = file.execute("PRAGMA user_version")
    if not found:
        return told in (0, version)
    if told != version or not set(found) < wanted:
        return False
    tables = [name for name, kind in found.items() if kind == "table"]
    return not any(file.execute(f'SELECT EXISTS (SELECT 1 FROM "{name}")').fetchone()[0] for name in tables)  # noqa: S608 - zigpy's own names
