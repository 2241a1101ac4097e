"""Whatever stands in the files of another program: a network, or one sentence of ours; no key in either."""

from __future__ import annotations

import json
import random
import sqlite3
import string
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otagate.adoption.coordinator_backup import read_backup
from otagate.adoption.home_assistant import read_registries
from otagate.adoption.zigbee2mqtt import read_database
from otagate.adoption.zigbee2mqtt_settings import read_settings, read_yaml
from otagate.model.errors import AdoptionError
from otagate.model.networks import ENDPOINTS, UNICAST, reconcile
from otagate.radios.zigpy_database import read_network
from tests.adoption.foreign import CONFIGURATION, KEY, LAMP, PLUG, backup, button, coordinator, entry, group, lines, write_zigpy

REGISTRY = json.dumps(
    {"key": "core.device_registry", "data": {"devices": [{"connections": [["zigbee", "00:0d:6f:00:0a:90:69:e7"]], "area_id": "x"}]}}
)


def database(data: bytes) -> object:
    found = read_database(data, "file")
    assert all(each.nwk in UNICAST and len(each.descriptor) == 13 for each in found.devices)
    assert all(endpoint.number in ENDPOINTS for each in found.devices for endpoint in each.endpoints)
    assert len({each.nwk for each in found.devices}) == len(found.devices)
    assert reconcile(found.devices) == (found.devices, ())
    assert all(text.isprintable() and len(text) <= 64 for each in found.devices for text in (each.manufacturer or "", each.model or ""))
    return found


def configuration(data: bytes) -> object:
    settings = read_settings(read_yaml(data, "file"), [], [])
    assert all(name.isprintable() and 0 < len(name) <= 64 for name in (*settings.devices.values(), *settings.groups.values()))
    return settings


READERS: list[tuple[Callable[[bytes], object], bytes]] = [
    (database, lines(coordinator(), entry(), entry(PLUG), button(), group(7, LAMP))),
    (configuration, CONFIGURATION.encode()),
    (lambda data: read_backup(data, "file"), json.dumps(backup()).encode()),
    (lambda data: read_registries(data, data, shown="file"), REGISTRY.encode()),
]


def survives(read: Callable[[bytes], object], data: bytes) -> None:
    try:
        told = repr(read(data))
    except AdoptionError as error:
        told = str(error)
        assert told.startswith("file")
        assert "\n" not in told
        assert len(told) < 300
    assert KEY.hex() not in told
    assert str(list(KEY))[1:-1] not in told


@pytest.mark.parametrize(("read", "_"), READERS)
@given(data=st.binary(max_size=300) | st.text(string.printable, max_size=300).map(str.encode))
def test_any_bytes(read: Callable[[bytes], object], _: bytes, data: bytes) -> None:
    survives(read, data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(data=st.data())
def test_any_values_in_the_fields_of_a_device(data: st.DataObject) -> None:
    fields = data.draw(st.lists(st.sampled_from(sorted(entry())), unique=True, max_size=4))
    odd = entry(**{name: data.draw(JSON, label=name) for name in fields})
    survives(database, lines(coordinator(), odd, {"type": "Group", "groupID": data.draw(JSON), "members": data.draw(JSON)}))


@given(data=st.data())
def test_any_values_in_a_backup(data: st.DataObject) -> None:
    fields = data.draw(st.lists(st.sampled_from(sorted(backup())), unique=True, max_size=4))
    document = backup(**{name: data.draw(JSON, label=name) for name in fields})
    survives(lambda raw: read_backup(raw, "file"), json.dumps(document).encode())


@pytest.mark.parametrize(("read", "file"), READERS)
@given(data=st.data())
def test_a_file_with_bytes_cut_out_or_changed(read: Callable[[bytes], object], file: bytes, data: st.DataObject) -> None:
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(file)), st.integers(0, len(file)))))
    survives(read, file[:start] + data.draw(st.binary(max_size=20)) + file[end:])


def _wound_bytes(database: Path, dice: random.Random) -> None:
    wounded = bytearray(database.read_bytes())
    for _ in range(dice.randint(1, 8)):
        at, size = dice.randrange(len(wounded) - 16), dice.randint(1, 16)
        wounded[at : at + size] = dice.randbytes(size)
    database.write_bytes(wounded if dice.random() < 0.9 else wounded[: dice.randrange(len(wounded))])


ODD = (None, -1, 0, 255, 1 << 16, 1 << 62, 1.5, "", "x", "00:00:00:00:00:00:00:00", b"", b"\xff" * 300, KEY.hex())


def _wound_rows(database: Path, dice: random.Random) -> None:
    """Values that no zigpy would write, in a file that SQLite finds whole."""
    with closing(sqlite3.connect(database)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE '%_v16'")]
        for _ in range(dice.randint(1, 3)):
            table = dice.choice(tables)
            column = dice.choice([name for _, name, *_ in db.execute(f"PRAGMA table_info({table})")])
            with suppress(sqlite3.IntegrityError, sqlite3.OperationalError):
                db.execute(f"UPDATE {table} SET {column} = ?", (dice.choice(ODD),))
        db.commit()


async def _read_wounded(folder: Path, wound: Callable[[Path, random.Random], None], rounds: int) -> int:
    """How many of them were read nevertheless."""
    whole = write_zigpy(folder / "whole.db", 16, devices=(LAMP, PLUG)).read_bytes()
    dice = random.Random(20_260_501)
    accepted = 0
    for number in range(rounds):
        copy = folder / f"{number}.db"
        copy.write_bytes(whole)
        wound(copy, dice)
        told = "file "
        try:
            network = await read_network("znp", copy, shown=Path("file"))
            assert reconcile(network.devices) == (network.devices, ())
            accepted += 1
        except AdoptionError as error:
            told = str(error)
        assert told.startswith("file ")
        assert "\n" not in told
        assert KEY.hex() not in told
        assert len(told) < 500
        copy.unlink()
    return accepted


@pytest.mark.asyncio
@pytest.mark.parametrize("wound", [_wound_bytes, _wound_rows])
async def test_a_wounded_database_of_zigpy(tmp_path: Path, wound: Callable[[Path, random.Random], None]) -> None:
    assert 0 < await _read_wounded(tmp_path, wound, 40) < 40


@pytest.mark.night
@pytest.mark.asyncio
@pytest.mark.parametrize("wound", [_wound_bytes, _wound_rows])
async def test_many_wounded_databases_of_zigpy(tmp_path: Path, wound: Callable[[Path, random.Random], None]) -> None:
    assert 0 < await _read_wounded(tmp_path, wound, 2_000) < 2_000
