"""From the files of another program into our database, store and pin: all of it, or nothing; and again without harm."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from otagate.adoption import adopt as adoption
from otagate.adoption.adopt import adopt, preview
from otagate.adoption.programs import read_zha, read_zigbee2mqtt
from otagate.adoption.report import Report
from otagate.engine.journal import Journal
from otagate.engine.patches import DevicePatch
from otagate.engine.registry import Registry
from otagate.engine.timers import SystemClock
from otagate.model.devices import Device
from otagate.model.errors import AdoptionError, StoreUnavailable, WrongNetwork
from otagate.model.facts import Fact
from otagate.model.ids import RadioName, zigbee_device_id
from otagate.model.networks import KnownNetwork
from otagate.radios.attach import Pin, StateFiles
from otagate.radios.zigpy_database import read_network
from otagate.stores import open_store
from otagate.stores.sqlite import SqliteStore
from tests.adoption.foreign import (
    BUTTON,
    COORDINATOR,
    HEARD,
    KEY,
    LAMP,
    PLUG,
    backup,
    coloned,
    coordinator,
    entry,
    group,
    hexed,
    lines,
    write_zigbee2mqtt,
    write_zigpy,
)

RADIO = "zigbee0"
STORE = "sqlite:///otagate.db"
PIN = Pin(extended_pan_id=coloned(COORDINATOR), coordinator=coloned(COORDINATOR), key_fingerprint="d99438f21106932307d8b99aaa0f268b")


class Place:
    """A state directory beside a data folder of zigbee2mqtt."""

    def __init__(self, folder: Path) -> None:
        self.data = write_zigbee2mqtt(folder / "zigbee2mqtt")
        self.state = folder / "state"
        self.files = StateFiles.of(self.state, RADIO)

    async def network(self, **changes: Any) -> KnownNetwork:
        write_zigbee2mqtt(self.data, **changes)
        return await read_zigbee2mqtt(self.data, "znp")

    async def adopt(self, network: KnownNetwork | None = None) -> Report:
        told = network or await self.network()
        return await adopt(told, radio=RADIO, radio_type="znp", state_dir=self.state, store_url=STORE, clock=SystemClock())

    async def devices(self) -> dict[str, Device]:
        async with open_store(STORE, self.state) as store:
            return {each.id: each for each in await store.devices.all()}

    async def facts(self) -> list[Fact]:
        async with open_store(STORE, self.state) as store:
            return list(await store.facts.after(0))

    async def known(self) -> set[int]:
        copy = self.state / "copy.db"
        copy.write_bytes(self.files.database.read_bytes())
        try:
            return {each.ieee for each in (await read_network("znp", copy, shown=copy)).devices}
        finally:
            copy.unlink()

    def everything(self) -> dict[str, bytes]:
        """What stands in the state directory; the lock tells only who had it."""
        return {str(each.relative_to(self.state)): each.read_bytes() for each in self.state.rglob("*") if each.is_file() and each.suffix != ".lock"}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# --- zigbee2mqtt -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_devices_come_with_names_groups_and_addresses_and_their_network_is_pinned(place: Place) -> None:
    report = await place.adopt()
    devices = await place.devices()
    assert {each.id: each.name for each in devices.values()} == {
        zigbee_device_id(LAMP): "kitchen/lamp",
        zigbee_device_id(PLUG): "on",
        zigbee_device_id(BUTTON): "Button",
    }
    lamp = devices[zigbee_device_id(LAMP)]
    assert (lamp.radio, lamp.groups, lamp.manufacturer, lamp.manufacturer_code) == (RADIO, ("hall",), "Rig Works", 0x1189)
    assert devices[zigbee_device_id(BUTTON)].battery_percent == 75
    assert await place.known() == {LAMP, PLUG, BUTTON}
    assert place.files.read_pin() == PIN
    assert place.files.left_running
    assert {each.stat().st_mode & 0o777 for each in place.state.iterdir()} == {0o600}
    assert set(report.outcome.values()) == {"new"}
    assert [each.kind for each in await place.facts()] == ["adopted"] * 3
    assert {each.actor for each in await place.facts()} == {"zigbee2mqtt"}


@pytest.mark.asyncio
async def test_the_other_programs_files_are_only_read(place: Place) -> None:
    for each in place.data.iterdir():
        each.chmod(0o400)
    before = {each.name: (each.read_bytes(), each.stat().st_mtime_ns) for each in place.data.iterdir()}
    await place.adopt(await read_zigbee2mqtt(place.data, "znp"))
    assert {each.name: (each.read_bytes(), each.stat().st_mtime_ns) for each in place.data.iterdir()} == before


@pytest.mark.asyncio
async def test_adopting_again_changes_nothing_and_tells_nothing(place: Place) -> None:
    await place.adopt()
    devices, facts = await place.devices(), await place.facts()
    report = await place.adopt()
    assert set(report.outcome.values()) == {"unchanged"}
    assert await place.devices() == devices
    assert await place.facts() == facts
    assert await place.known() == {LAMP, PLUG, BUTTON}


@pytest.mark.asyncio
async def test_what_changed_over_there_is_followed_and_what_was_said_here_stays(place: Place) -> None:
    await place.adopt()
    async with open_store(STORE, place.state) as store:
        registry = Registry(store, Journal(store, SystemClock()), SystemClock())
        await registry.load()
        await registry.amend(zigbee_device_id(PLUG), DevicePatch(name="mine", room="attic", pin=7), actor="operator")
    renamed = f"devices: {{ {hexed(LAMP)}: {{friendly_name: sink}}, {hexed(PLUG)}: {{friendly_name: theirs}} }}"
    report = await place.adopt(await place.network(configuration=renamed, database=lines(coordinator(), entry(), entry(PLUG), group(8, PLUG))))
    devices = await place.devices()
    lamp, plug = devices[zigbee_device_id(LAMP)], devices[zigbee_device_id(PLUG)]
    assert (lamp.name, lamp.groups) == ("sink", ())
    assert (plug.name, plug.room, plug.pin, plug.groups) == ("mine", "attic", 7, ("group 8",))
    assert set(report.outcome.values()) == {"changed"}
    assert zigbee_device_id(BUTTON) in devices  # gone over there, and never taken away here


@pytest.mark.asyncio
async def test_what_was_asked_and_heard_here_is_not_taken_away(place: Place) -> None:
    await place.adopt()
    heard = datetime(2027, 1, 1, tzinfo=UTC)
    async with open_store(STORE, place.state) as store, store.transaction():
        known = await store.devices.get(zigbee_device_id(LAMP))
        await store.devices.put(replace(known, last_seen=heard, last_checked=heard, online=False, manufacturer="Told"))
    await place.adopt(await place.network(database=lines(coordinator(), entry(manufName=None))))
    lamp = (await place.devices())[zigbee_device_id(LAMP)]
    assert (lamp.last_seen, lamp.last_checked, lamp.online) == (heard, heard, False)


@pytest.mark.asyncio
async def test_without_configuration_and_backup_devices_come_without_names_and_the_network_unpinned(place: Place) -> None:
    for name in ("configuration.yaml", "coordinator_backup.json"):
        (place.data / name).unlink()
    network = await read_zigbee2mqtt(place.data, "znp")
    await place.adopt(network)
    assert {each.name for each in (await place.devices()).values()} == {"Lamp", "Button"}
    assert [each.rpartition("/")[2].split(":")[0] for each in network.remarks] == [
        "configuration.yaml does not exist",
        "coordinator_backup.json does not exist",
    ]
    assert place.files.read_pin() is None


@pytest.mark.asyncio
async def test_names_in_files_of_their_own_are_found_and_what_lies_outside_is_not_read(place: Place) -> None:
    (place.data.parent / "secret.yaml").write_text(f"{hexed(PLUG)}: {{friendly_name: stolen}}")
    configuration = "devices: [devices.yaml, ../secret.yaml]\ngroups: groups.yaml"
    network = await place.network(configuration=configuration, devices_yaml=f"{hexed(LAMP)}: {{friendly_name: lamp}}")
    assert {each.ieee: each.name for each in network.devices} == {LAMP: "lamp", PLUG: "", BUTTON: ""}
    outside, missing = network.remarks
    assert "secret.yaml" in outside
    assert "outside of the folder" in outside
    assert "groups.yaml" in missing
    assert "does not exist" in missing


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "stored",
    [
        backup(coordinator_ieee="00124b0000000001"),
        backup(pan_id="1a63"),
        backup(network_key={"key": "00" * 16}),
    ],
)
async def test_a_backup_of_another_network_pins_nothing(place: Place, stored: dict[str, Any]) -> None:
    network = await place.network(stored=stored)
    assert network.identity is None
    assert "another network" in network.remarks[0]


@pytest.mark.asyncio
async def test_a_folder_without_a_database_is_refused_with_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(AdoptionError, match="name the data folder of zigbee2mqtt"):
        await read_zigbee2mqtt(tmp_path, "znp")


@pytest.mark.asyncio
async def test_a_network_without_devices_is_not_adopted(place: Place) -> None:
    with pytest.raises(AdoptionError, match="knows no device"):
        await place.adopt(await place.network(database=lines(coordinator(), entry(type="GreenPower"))))
    assert not place.state.exists()


# --- ZHA -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("named", ["file", "folder"])
async def test_zha_comes_with_the_names_and_rooms_of_home_assistant(place: Place, tmp_path: Path, named: str) -> None:
    home = tmp_path / "home"
    (home / ".storage").mkdir(parents=True)
    device = {"connections": [["zigbee", coloned(LAMP)]], "name_by_user": "Sink", "area_id": "kitchen"}
    for name, data in (("device", {"devices": [device]}), ("area", {"areas": [{"id": "kitchen", "name": "Kitchen"}]})):
        (home / ".storage" / f"core.{name}_registry").write_text(json.dumps({"key": f"core.{name}_registry", "data": data}))
    file = write_zigpy(home / "zigbee.db", 16, devices=(LAMP, PLUG), log=True)
    before = {each.name: each.read_bytes() for each in home.iterdir() if each.is_file()}
    network = await read_zha(file if named == "file" else home, "znp")
    await place.adopt(network)
    lamp, plug = (await place.devices()).values()
    assert (lamp.name, lamp.room, lamp.groups) == ("Sink", "Kitchen", ("hall",))
    assert (plug.name, plug.room) == ("Lamp", None)
    assert await place.known() == {LAMP, PLUG}
    assert {each.name: each.read_bytes() for each in home.iterdir() if each.is_file()} == before
    assert network.remarks == (f"{file} holds no backup of its coordinator: {network.remarks[0].partition(': ')[2]}",)


@pytest.mark.asyncio
async def test_damaged_registries_cost_the_names_only(tmp_path: Path) -> None:
    write_zigpy(tmp_path / "zigbee.db", 16)
    (tmp_path / ".storage").mkdir()
    (tmp_path / ".storage" / "core.device_registry").write_text("{")
    network = await read_zha(tmp_path / "zigbee.db", "znp")
    assert [each.ieee for each in network.devices] == [LAMP]
    assert network.remarks[0].startswith("names and rooms were not read: ")


# --- refused, and nothing half done ----------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_radio_that_belongs_to_another_network_is_refused_and_nothing_is_changed(place: Place) -> None:
    await place.adopt()
    before = place.everything()
    other = await place.network(stored=backup(extended_pan_id="1122334455667788"))
    for attempt in (lambda: place.adopt(other), lambda: _previewed(other, place)):
        with pytest.raises(WrongNetwork) as refused:
            await attempt()
        assert "the extended PAN id is 11:22:33:44:55:66:77:88 and was 00:12:4b:00:29:a1:c3:d5" in str(refused.value)
        assert str(place.files.pin) in str(refused.value)
    assert place.everything() == before


async def _previewed(network: KnownNetwork, place: Place) -> Report:
    return preview(network, radio=RADIO, state_dir=place.state)


@pytest.mark.asyncio
async def test_of_another_key_only_that_is_told(place: Place) -> None:
    await place.adopt()
    other = await place.network(stored=backup(network_key={"key": "a5" * 16}), configuration="{}")
    with pytest.raises(WrongNetwork, match="the network key changed") as refused:
        await place.adopt(other)
    for secret in ("a5" * 16, KEY.hex(), PIN.key_fingerprint):
        assert secret not in str(refused.value)


@pytest.mark.asyncio
async def test_a_preview_changes_nothing(place: Place) -> None:
    report = preview(await place.network(), radio=RADIO, state_dir=place.state)
    assert report.pinned
    assert not place.state.exists()


@pytest.mark.asyncio
async def test_a_hub_that_runs_is_not_disturbed(place: Place) -> None:
    await place.adopt()
    before = place.everything()
    async with open_store(STORE, place.state):
        with pytest.raises(AdoptionError, match="the hub runs"):
            await place.adopt(await place.network(database=lines(coordinator(), entry())))
        assert place.everything().keys() >= before.keys()
    assert place.everything() == before


@pytest.mark.asyncio
async def test_our_own_damaged_database_stays_as_it_is(place: Place) -> None:
    await place.adopt()
    place.files.database.write_bytes(b"this is no database" * 100)
    before = place.everything()
    with pytest.raises(AdoptionError, match="move it away"):
        await place.adopt(await place.network(database=lines(coordinator(), entry(nwkAddr=99))))
    assert place.everything() == before


def _disk_is_full(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


async def _store_refuses(self: SqliteStore, sql: str, *parameters: object) -> list[Any]:
    if sql == "COMMIT":
        raise StoreUnavailable("the disk is full")
    return await _EXECUTE(self, sql, *parameters)  # type: ignore[arg-type]


_EXECUTE = SqliteStore._execute


def _no_commit(monkeypatch: pytest.MonkeyPatch) -> type[Exception]:
    monkeypatch.setattr(SqliteStore, "_execute", _store_refuses)
    return StoreUnavailable


def _no_take_over(monkeypatch: pytest.MonkeyPatch) -> type[Exception]:
    async def fails(*_: object, **__: object) -> None:
        raise AdoptionError("zigpy did not keep a device")

    monkeypatch.setattr(adoption, "take_over", fails)
    return AdoptionError


def _no_move(monkeypatch: pytest.MonkeyPatch) -> type[Exception]:
    replaces = Path.replace

    def fails(self: Path, target: Path) -> Path:
        return _disk_is_full() if self.name == "zigbee.db" else replaces(self, target)  # type: ignore[return-value]

    monkeypatch.setattr(Path, "replace", fails)
    return AdoptionError


def _no_pin(monkeypatch: pytest.MonkeyPatch) -> type[Exception]:
    monkeypatch.setattr(StateFiles, "write_pin", _disk_is_full)
    return AdoptionError


def _no_mark(monkeypatch: pytest.MonkeyPatch) -> type[Exception]:
    monkeypatch.setattr(StateFiles, "mark_running", _disk_is_full)
    return AdoptionError


def _no_sync(monkeypatch: pytest.MonkeyPatch) -> type[Exception]:
    monkeypatch.setattr(adoption.os, "fsync", _disk_is_full)
    return AdoptionError


@pytest.mark.asyncio
@pytest.mark.parametrize("before", ["nothing", "an adopted network"])
@pytest.mark.parametrize("fail", [_no_commit, _no_take_over, _no_move, _no_pin, _no_mark, _no_sync])
async def test_whatever_fails_leaves_everything_as_it_was(
    place: Place, monkeypatch: pytest.MonkeyPatch, before: str, fail: Callable[[pytest.MonkeyPatch], type[Exception]]
) -> None:
    if before == "nothing":
        place.state.mkdir()
        async with open_store(STORE, place.state):
            pass
    else:
        await place.adopt()
        place.files.pin.unlink()
        place.files.mark_stopped()
    found = place.everything()
    changed = await place.network(database=lines(coordinator(), entry(nwkAddr=0x77, lastSeen=HEARD + 9), entry(PLUG), entry(0xAA00)))
    with monkeypatch.context() as broken:
        error = fail(broken)
        with pytest.raises(error):
            await place.adopt(changed)
    assert place.everything() == found
    await place.adopt(changed)
    assert {LAMP, PLUG, 0xAA00} <= await place.known()


@pytest.mark.asyncio
async def test_what_zigpy_left_in_a_log_is_not_lost_with_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    taken_over = adoption.take_over

    async def leaves_a_log(radio_type: str, radio: RadioName, database: Path, *arguments: Any, **named: Any) -> Any:
        taken = await taken_over(radio_type, radio, database, *arguments, **named)
        with closing(sqlite3.connect(database)) as db:
            db.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
            db.execute("UPDATE groups_v16 SET name = 'in the log'")
            db.commit()
            files = {each: each.read_bytes() for each in (database, database.with_name(f"{database.name}-wal"))}
        for each, data in files.items():
            each.write_bytes(data)
        return taken

    monkeypatch.setattr(adoption, "take_over", leaves_a_log)
    await place.adopt()
    with closing(sqlite3.connect(place.files.database)) as db:
        assert db.execute("SELECT name FROM groups_v16").fetchall() == [("in the log",)]


@pytest.mark.asyncio
async def test_what_a_killed_adoption_left_is_cleared_away(place: Place) -> None:
    left, others = (place.state / f".adopt-{radio}.x" for radio in (RADIO, f"{RADIO}-b"))
    for each in (left, others):
        each.mkdir(parents=True)
        (each / "zigbee.db").touch()
    await place.adopt()
    assert list(place.state.glob(".adopt-*")) == [others], "what another radio adopts now is its own"


@pytest.mark.asyncio
async def test_a_hub_that_keeps_nothing_adopts_nothing(place: Place) -> None:
    network = await place.network()
    with pytest.raises(AdoptionError, match="a store on disk"):
        await adopt(network, radio=RADIO, radio_type="znp", state_dir=place.state, store_url="memory:", clock=SystemClock())
    assert not place.state.exists()


@pytest.mark.asyncio
async def test_a_device_of_another_radio_moves_to_the_one_that_adopts_it(place: Place) -> None:
    await place.adopt()
    async with open_store(STORE, place.state) as store, store.transaction():
        known = await store.devices.get(zigbee_device_id(LAMP))
        await store.devices.put(replace(known, radio=RadioName("zigbee1")))
    report = await place.adopt()
    assert (await place.devices())[zigbee_device_id(LAMP)].radio == RADIO
    assert report.outcome[zigbee_device_id(LAMP)] == "changed"
