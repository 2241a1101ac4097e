"""zigpy's databases: those of other programs, whatever their age, and ours that takes over what they know."""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from zigpy.appdb import DB_VERSION
from zigpy.backups import NetworkBackup
from zigpy.state import Key, NetworkInfo, NodeInfo
from zigpy.types import EUI64, NWK, ExtendedPanId, KeyData, PanId
from zigpy.zdo.types import LogicalType

from otagate.model.devices import Device
from otagate.model.errors import AdoptionError
from otagate.model.ids import RadioName, zigbee_device_id
from otagate.model.networks import KnownDevice, KnownEndpoint, KnownGroup, KnownNetwork, LeftOut, NetworkIdentity, make_descriptor
from otagate.radios.zigpy_database import TakenOver, read_network, take_over
from tests.adoption.foreign import BUTTON, COORDINATOR, HEARD, KEY, LAMP, PLUG, coloned, write_zigpy

MOMENT = datetime.fromtimestamp(HEARD / 1000, UTC)
ZIGBEE0 = RadioName("zigbee0")
STACKS = ["znp", "ezsp"]

KNOWN_LAMP = KnownDevice(
    ieee=LAMP,
    nwk=0x10E7,
    descriptor=make_descriptor(router=True, mains=True, manufacturer_code=0x1189),
    endpoints=(
        KnownEndpoint(number=1, profile=260, device_type=257, inputs=(0, 6), outputs=(25,)),
        KnownEndpoint(number=242, profile=0xA1E0, device_type=0x61, outputs=(33,)),
        KnownEndpoint(number=11, profile=0xC05E, device_type=0x0210, inputs=(0x1000, 0xFC11)),
    ),
    manufacturer="Rig Works",
    model="Lamp",
    last_seen=MOMENT,
)
KNOWN_BUTTON = KnownDevice(
    ieee=BUTTON,
    nwk=0x10E9,
    descriptor=make_descriptor(router=False, mains=False, manufacturer_code=0x117C),
    endpoints=(KnownEndpoint(number=1, profile=260, device_type=0xFFF0, inputs=(0, 1), outputs=(25,)),),
    model="Button",
    battery=150,
    last_seen=MOMENT,
)
NETWORK = KnownNetwork(
    program="zigbee2mqtt",
    identity=None,
    devices=(KNOWN_LAMP, KNOWN_BUTTON),
    groups=(KnownGroup(number=7, name="hall", members=((LAMP, 1), (LAMP, 9), (PLUG, 1))),),
)


async def read(database: Path, stack: str = "znp") -> KnownNetwork:
    return await read_network(stack, database, shown=Path("zigbee.db"))


async def take(database: Path, network: KnownNetwork = NETWORK, stack: str = "znp") -> TakenOver:
    return await take_over(stack, ZIGBEE0, database, network, shown=Path("ours.db"))


def change(database: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(database)) as db:
        db.execute(sql, values)
        db.commit()


# --- other programs' -------------------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("version", range(1, DB_VERSION + 1))
async def test_a_database_of_every_schema_is_read(tmp_path: Path, version: int) -> None:
    network = await read(write_zigpy(tmp_path / "zigbee.db", version, devices=(LAMP, PLUG)))
    lamp, plug = network.devices
    assert (lamp.ieee, lamp.nwk, lamp.manufacturer, lamp.model) == (LAMP, 0x10E7, "Rig Works", "Lamp")
    assert (plug.ieee, plug.nwk) == (PLUG, 0x10E8)
    assert lamp.endpoints == (KnownEndpoint(number=1, profile=260, device_type=257, inputs=(0, 6), outputs=(25,)),)
    assert (lamp.descriptor[0] & 7, lamp.descriptor[2], lamp.manufacturer_code) == (LogicalType.Router, 0x8E, 0x1189)
    assert lamp.last_seen == (MOMENT if version >= 8 else None)
    assert network.groups == (KnownGroup(number=7, name="hall", members=((LAMP, 1),)),)
    assert network.identity is None


@pytest.mark.asyncio
async def test_a_database_without_node_descriptors_knows_devices_that_must_be_interviewed(tmp_path: Path) -> None:
    network = await read(write_zigpy(tmp_path / "zigbee.db", 0))
    assert network.devices == ()
    assert network.left_out == (LeftOut(what=coloned(LAMP), why="its interview never finished; it is interviewed when it is heard"),)


def _backup(extended_pan_id: int, moment: datetime) -> str:
    backup = NetworkBackup(
        network_info=NetworkInfo(
            extended_pan_id=ExtendedPanId(extended_pan_id.to_bytes(8, "little")), pan_id=PanId(0x1A62), channel=15, network_key=Key(key=KeyData(KEY))
        ),
        node_info=NodeInfo(nwk=NWK(0), ieee=EUI64(COORDINATOR.to_bytes(8, "little")), logical_type=LogicalType.Coordinator),
        backup_time=moment,
    )
    return json.dumps(backup.as_dict())


@pytest.mark.asyncio
async def test_the_network_is_that_of_the_newest_backup(tmp_path: Path) -> None:
    database = write_zigpy(tmp_path / "zigbee.db", DB_VERSION)
    for number, (extended, moment) in enumerate([(1, MOMENT), (COORDINATOR, MOMENT + timedelta(days=1)), (2, MOMENT - timedelta(days=1))]):
        change(database, f"INSERT INTO network_backups_v{DB_VERSION} VALUES (?, ?)", number, _backup(extended, moment))
    identity = (await read(database)).identity
    assert identity == NetworkIdentity(extended_pan_id=COORDINATOR, coordinator=COORDINATOR, key=KEY, pan_id=0x1A62, channel=15)


@pytest.mark.asyncio
async def test_the_coordinator_and_green_power_devices_are_no_devices_to_take_over(tmp_path: Path) -> None:
    database = write_zigpy(tmp_path / "zigbee.db", DB_VERSION)
    change(database, f"INSERT INTO devices_v{DB_VERSION} VALUES (?, 0, 2, 0)", coloned(COORDINATOR))
    columns = "ieee, application_id, src_id, commands, server_cluster_ids, client_cluster_ids, mac_seq_num_capability, rx_on_capability, "
    change(
        database,
        f"INSERT INTO gp_devices_v{DB_VERSION} ({columns} fixed_location, last_seen) VALUES (?, 0, 305419896, '[]', '[]', '[]', 0, 0, 0, 0)",
        "00:00:00:00:12:34:56:78",
    )
    network = await read(database)
    assert [each.ieee for each in network.devices] == [LAMP]
    assert [each.why for each in network.left_out] == ["a Green Power device has no firmware to update"]


@pytest.mark.asyncio
async def test_the_battery_is_that_of_the_power_cluster(tmp_path: Path) -> None:
    database = write_zigpy(tmp_path / "zigbee.db", DB_VERSION)
    change(database, f"INSERT INTO clusters_v{DB_VERSION} VALUES (?, 1, 0, 1)", coloned(LAMP))
    columns = "ieee, endpoint_id, cluster_type, cluster_id, attr_id, status, value, last_updated"
    change(database, f"INSERT INTO attributes_cache_v{DB_VERSION} ({columns}) VALUES (?, 1, 0, 1, 33, 0, 150, 0)", coloned(LAMP))
    assert (await read(database)).devices[0].battery == 150


def _threads() -> set[str]:
    """Without the loop's own helpers: a connection to a database has a thread that keeps the process alive."""
    return {each.name for each in threading.enumerate() if not each.name.startswith("asyncio_")}


def _foreign(path: Path) -> None:
    change(path, "CREATE TABLE users (name)")


def _newer(path: Path) -> None:
    write_zigpy(path, DB_VERSION)
    change(path, f"PRAGMA user_version = {DB_VERSION + 1}")


def _cut_off(path: Path) -> None:
    write_zigpy(path, DB_VERSION)
    path.write_bytes(path.read_bytes()[:20_000])


def _overwritten(path: Path) -> None:
    write_zigpy(path, DB_VERSION)
    data = path.read_bytes()
    path.write_bytes(data[:8_192] + b"\xff" * 40_000 + data[48_192:])


def _mixed(path: Path) -> None:
    write_zigpy(path, DB_VERSION)
    change(path, "PRAGMA user_version = 3")


def _odd_row(path: Path) -> None:
    write_zigpy(path, DB_VERSION)
    change(path, f"UPDATE devices_v{DB_VERSION} SET status = 99")


def _odd_address(path: Path) -> None:
    write_zigpy(path, DB_VERSION)
    change(path, f"INSERT INTO devices_v{DB_VERSION} VALUES ('lamp', 5, 2, 0)")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.write_bytes(b"this is no database" * 100), "is no database that can be read"),
        (lambda path: path.touch(), "is the database of another program"),
        (_foreign, "is the database of another program"),
        (_newer, f"its schema is {DB_VERSION + 1}"),
        (_cut_off, "zigbee.db is"),
        (_overwritten, "zigbee.db is"),
        (_mixed, "cannot be read by zigpy"),
        (_odd_row, "cannot be read by zigpy"),
        (_odd_address, "cannot be read by zigpy"),
    ],
    ids=["no database", "empty", "foreign", "newer", "cut off", "overwritten", "mixed", "odd row", "odd address"],
)
async def test_what_is_no_database_of_zigpy_is_refused_in_one_sentence_and_nothing_stays_open(tmp_path: Path, make: Any, words: str) -> None:
    database, before = tmp_path / "copy.db", _threads()
    make(database)
    with pytest.raises(AdoptionError) as refused:
        await read(database)
    assert str(refused.value).startswith("zigbee.db ")
    assert words in str(refused.value)
    assert _threads() == before


# --- ours ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", STACKS)
async def test_a_network_is_written_and_read_again_as_it_was_told(tmp_path: Path, stack: str) -> None:
    database = tmp_path / "ours.db"
    taken = await take(database, stack=stack)
    assert taken.left_out == ()
    lamp, button = taken.devices
    assert lamp == Device(
        id=zigbee_device_id(LAMP),
        radio=ZIGBEE0,
        name="Lamp",
        manufacturer="Rig Works",
        model="Lamp",
        manufacturer_code=0x1189,
        last_seen=MOMENT,
    )
    assert (button.power, button.sleepy, button.battery_percent, button.manufacturer) == ("battery", True, 75, None)
    read_back = await read(database, stack)
    assert read_back.devices == (replace(KNOWN_LAMP, endpoints=tuple(sorted(KNOWN_LAMP.endpoints, key=lambda each: each.number))), KNOWN_BUTTON)
    assert read_back.groups == (KnownGroup(number=7, name="hall", members=((LAMP, 1),)),)


@pytest.mark.asyncio
async def test_what_is_known_here_keeps_its_descriptors_and_the_address_that_was_heard_later(tmp_path: Path) -> None:
    database = tmp_path / "ours.db"
    await take(database)
    elsewhere = replace(
        KNOWN_LAMP, nwk=0x2222, descriptor=make_descriptor(router=True, mains=True, manufacturer_code=1), endpoints=KNOWN_LAMP.endpoints[:1]
    )
    for moment, expected in ((MOMENT - timedelta(hours=1), 0x10E7), (MOMENT + timedelta(hours=1), 0x2222)):
        await take(database, replace(NETWORK, devices=(replace(elsewhere, last_seen=moment),)))
        lamp = next(each for each in (await read(database)).devices if each.ieee == LAMP)
        assert (lamp.nwk, lamp.manufacturer_code, len(lamp.endpoints)) == (expected, 0x1189, 3)


@pytest.mark.asyncio
async def test_a_device_whose_interview_never_finished_here_is_known_from_now_on(tmp_path: Path) -> None:
    database = write_zigpy(tmp_path / "ours.db", DB_VERSION)
    change(database, f"DELETE FROM node_descriptors_v{DB_VERSION}")
    change(database, f"INSERT INTO endpoints_v{DB_VERSION} VALUES (?, 9, 260, 257, 1)", coloned(LAMP))
    taken = await take(database)
    assert taken.devices[0].manufacturer_code == 0x1189
    lamp = next(each for each in (await read(database)).devices if each.ieee == LAMP)
    assert [each.number for each in lamp.endpoints] == [1, 11, 242], "nothing is left of what was half known"


@pytest.mark.asyncio
async def test_a_device_of_ours_without_its_address_is_forgotten_where_the_other_was_heard_later(tmp_path: Path) -> None:
    database = tmp_path / "ours.db"
    await take(database)
    rival = replace(KNOWN_LAMP, ieee=PLUG, nwk=KNOWN_BUTTON.nwk)
    earlier = await take(database, replace(NETWORK, devices=(replace(rival, last_seen=MOMENT - timedelta(hours=1)),)))
    assert earlier.devices == ()
    assert [each.what for each in earlier.left_out] == [coloned(PLUG)]
    later = await take(database, replace(NETWORK, devices=(replace(rival, last_seen=MOMENT + timedelta(hours=1)),)))
    assert [each.id for each in later.devices] == [zigbee_device_id(PLUG)]
    assert [each.what for each in later.left_out] == [coloned(BUTTON)]
    assert {each.ieee for each in (await read(database)).devices} == {LAMP, PLUG}


@pytest.mark.asyncio
@pytest.mark.parametrize(("heard", "lamp", "button"), [(-30, 0x10E7, None), (30, 0x2222, 0x10E7)])
async def test_two_devices_of_a_network_never_have_one_address_though_one_moved_while_we_had_it(
    tmp_path: Path, heard: int, lamp: int, button: int | None
) -> None:
    """The lamp was heard here at 0x10e7, after its own program saw it elsewhere; that one has a button there, heard before or after that."""
    database = tmp_path / "ours.db"
    await take(database, replace(NETWORK, devices=(KNOWN_LAMP,)))
    before = replace(KNOWN_LAMP, nwk=0x2222, last_seen=MOMENT - timedelta(hours=1))
    rival = replace(KNOWN_BUTTON, nwk=0x10E7, last_seen=MOMENT + timedelta(minutes=heard))
    taken = await take(database, replace(NETWORK, devices=(before, rival)))
    assert [each.what for each in taken.left_out] == ([coloned(BUTTON)] if button is None else [])
    addresses = {each.ieee: each.nwk for each in (await read(database)).devices}
    assert (addresses[LAMP], addresses.get(BUTTON)) == (lamp, button)


@pytest.mark.asyncio
async def test_taking_over_twice_changes_nothing(tmp_path: Path) -> None:
    database = tmp_path / "ours.db"
    first = await take(database)
    before = await read(database)
    assert await take(database) == first
    assert await read(database) == before


@pytest.mark.asyncio
async def test_a_device_that_zigpy_did_not_keep_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from zigpy.appdb import PersistingListener

    async def loses(self: PersistingListener, device: Any) -> None:
        raise sqlite3.OperationalError("the disk is full")

    monkeypatch.setattr(PersistingListener, "_raw_device_initialized", loses)
    with pytest.raises(AdoptionError, match="did not keep"):
        await take(tmp_path / "ours.db")
