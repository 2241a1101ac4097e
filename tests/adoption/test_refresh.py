"""A hub that runs follows what another program learns of their network, and loses nothing where that cannot be read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from otagate.adoption import programs
from otagate.adoption import refresh as refreshing
from otagate.adoption.refresh import Refresh
from otagate.engine.journal import Journal
from otagate.engine.patches import DevicePatch
from otagate.engine.registry import Registry
from otagate.engine.timers import SystemClock
from otagate.model.errors import AdoptionError, WrongNetwork
from otagate.model.ids import RadioName, zigbee_device_id
from otagate.radios.attach import Pin, StateFiles
from otagate.stores import open_store
from tests.adoption.foreign import LAMP, PLUG, coordinator, entry, hexed, lines, write_zigbee2mqtt

RADIO = RadioName("zigbee0")


class Hub:
    """The parts of a hub that runs, beside a data folder of zigbee2mqtt."""

    def __init__(self, folder: Path, registry: Registry, refresh: Refresh, commits: Journal) -> None:
        self.data = folder / "zigbee2mqtt"
        self.files = StateFiles.of(folder / "state", RADIO)
        self.registry = registry
        self.refresh = refresh
        self.commits = commits

    @property
    def names(self) -> dict[str, str]:
        return {each.id: each.name for each in self.registry.devices()}


@asynccontextmanager
async def _hub(folder: Path) -> AsyncIterator[Hub]:
    state = folder / "state"
    state.mkdir()
    async with open_store("sqlite:///otagate.db", state) as store:
        journal = Journal(store, SystemClock())
        registry = Registry(store, journal, SystemClock())
        await registry.load()
        data = write_zigbee2mqtt(folder / "zigbee2mqtt", database=lines(coordinator(), entry()))
        refresh = Refresh(program="z2m", path=data, radio=RADIO, radio_type="znp", state_dir=state, store=store, registry=registry)
        yield Hub(folder, registry, refresh, journal)


@pytest.mark.asyncio
async def test_a_device_that_joined_there_is_known_with_its_name_and_what_was_said_here_stays(tmp_path: Path) -> None:
    async with _hub(tmp_path) as hub:
        await hub.refresh.run()
        assert hub.names == {zigbee_device_id(LAMP): "kitchen/lamp"}
        await hub.registry.amend(zigbee_device_id(LAMP), DevicePatch(room="attic"), actor="operator")
        names = f"devices: {{ {hexed(LAMP)}: {{friendly_name: sink}}, {hexed(PLUG)}: {{friendly_name: plug}} }}"
        write_zigbee2mqtt(hub.data, database=lines(coordinator(), entry(), entry(PLUG)), configuration=names)
        await hub.refresh.run()
        assert hub.names == {zigbee_device_id(LAMP): "sink", zigbee_device_id(PLUG): "plug"}
        assert hub.registry.device(zigbee_device_id(LAMP)).room == "attic"


@pytest.mark.asyncio
async def test_what_is_no_news_is_not_taken_over_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with _hub(tmp_path) as hub:
        await hub.refresh.run()
        monkeypatch.setattr(refreshing, "adopt_into", None)
        write_zigbee2mqtt(hub.data, database=lines(coordinator(), entry(lastSeen=1_700_000_009_000)))
        await hub.refresh.run()


@pytest.mark.asyncio
@pytest.mark.parametrize("wrong", ["no database", "a damaged database", "no device"])
async def test_what_cannot_be_read_takes_nothing_away(tmp_path: Path, wrong: str) -> None:
    async with _hub(tmp_path) as hub:
        await hub.refresh.run()
        database = hub.data / "database.db"
        match wrong:
            case "no database":
                database.unlink()
            case "a damaged database":
                database.write_bytes(database.read_bytes()[:-20])
            case "no device":
                database.write_bytes(lines(coordinator()))
        before = hub.files.database.read_bytes()
        with pytest.raises(AdoptionError):
            await hub.refresh.run()
        assert hub.names == {zigbee_device_id(LAMP): "kitchen/lamp"}
        assert hub.files.database.read_bytes() == before


@pytest.mark.asyncio
async def test_what_is_of_another_network_is_refused(tmp_path: Path) -> None:
    async with _hub(tmp_path) as hub:
        hub.files.write_pin(Pin(extended_pan_id="00:00", coordinator="00:01", key_fingerprint="ff"))
        with pytest.raises(WrongNetwork, match="belongs to another network"):
            await hub.refresh.run()
        assert hub.names == {}


@pytest.mark.asyncio
async def test_a_disk_that_does_not_answer_does_not_keep_the_stick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with _hub(tmp_path) as hub:
        monkeypatch.setattr(refreshing, "WITHIN", 0.0)
        with pytest.raises(AdoptionError, match="was not read within"):
            await hub.refresh.run()


@pytest.mark.asyncio
async def test_every_program_that_can_be_adopted_from_can_be_configured() -> None:
    from otagate.config.hand_over import AdoptSettings

    assert {AdoptSettings.model_validate({"from": each, "path": "/data"}).from_ for each in programs.READERS} == {"z2m", "zha"}
