"""A second program on our network coordinator: it is told, nobody is fought, and the other one goes on undisturbed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from zigpy.application import ControllerApplication

from otagate_rig.air import AirSettings
from otagate_rig.rig import Rig, Stack
from otagate_rig.spec import DeviceSpec
from tests.journeys.bridge import Bridge, Manners, bridged
from tests.journeys.hub import IEEE, PACE, RADIO, WITHIN, hub_at, radio_is
from tests.journeys.test_adopted import zigpy_on

FAST = AirSettings(speedup=None)
QUIET = 1.5
"""Seconds in which a hub that does not leave the line alone would be back: ten times as long as it listens first at the pace of these journeys."""


@asynccontextmanager
async def _rig(stack: Stack, manners: Manners) -> AsyncIterator[tuple[Rig, Bridge]]:
    async with (
        Rig(stack=stack, port="tcp", devices=[DeviceSpec(ieee=IEEE)], air=FAST, announce_after=0.1) as rig,
        bridged(rig.path, manners) as bridge,
    ):
        yield rig, bridge


async def _reads_its_counters(app: ControllerApplication) -> None:
    """The other program has the coordinator, and is answered."""
    async with asyncio.timeout(WITHIN):
        await app.load_network_info(load_devices=False)


@asynccontextmanager
async def _talking(app: ControllerApplication) -> AsyncIterator[None]:
    """The other program has something to say all the time; one that says nothing cannot be told from none."""
    heard = asyncio.Event()

    async def talk() -> None:
        while not heard.is_set():
            await _reads_its_counters(app)

    async with asyncio.TaskGroup() as group:
        group.create_task(talk())
        yield
        heard.set()


# bellows is silent for two seconds before it resets a coordinator, so there the hub listens for as long as it does in life
@pytest.mark.asyncio
@pytest.mark.parametrize(("stack", "pace"), [("znp", PACE), pytest.param("ezsp", 1.0, marks=pytest.mark.night)])
async def test_a_second_program_on_a_shared_line_has_it_for_itself_and_the_radio_is_in_use(tmp_path: Path, stack: Stack, pace: float) -> None:
    async with _rig(stack, "shared") as (rig, bridge), hub_at(bridge.path, tmp_path / "state", pace=pace, type=stack) as hub:
        await radio_is(hub.desk, "up")
        before = rig.ncp.network
        async with zigpy_on(stack, bridge.path, tmp_path / "other.db", auto_form=False) as other:
            async with _talking(other):
                off = await radio_is(hub.desk, "in_use")
            assert "another program drives" in str(off.data["sentence"])
            await bridge.until_hosts(1)
            visits = bridge.visits
            await _reads_its_counters(other)
            await asyncio.sleep(QUIET)  # nothing happens: there is no event to wait for
            assert bridge.visits == visits, "the hub came back by itself"
            await _reads_its_counters(other)
        assert rig.ncp.network == before
        await hub.desk.reattach(RADIO, actor="test")
        await radio_is(hub.desk, "up", after=off.number)


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_a_line_that_two_programs_take_from_each_other_is_left_to_the_other_one(tmp_path: Path, stack: Stack) -> None:
    async with _rig(stack, "newest") as (_, bridge), hub_at(bridge.path, tmp_path / "state", type=stack) as hub:
        await radio_is(hub.desk, "up")
        async with asyncio.TaskGroup() as group:
            other = group.create_task(_insists(bridge))
            off = await radio_is(hub.desk, "in_use")
            while "was closed three times within 60 s and not by us: another program drives it" not in str(off.data["sentence"]):
                off = await radio_is(hub.desk, "in_use", after=off.number)
            visits = bridge.visits
            await asyncio.sleep(QUIET)  # likewise
            assert bridge.visits == visits, "the fight went on"
            other.cancel()
        await hub.desk.reattach(RADIO, actor="test")
        await radio_is(hub.desk, "up", after=off.number)


async def _insists(bridge: Bridge) -> None:
    """Stands for a program that connects again whenever it is cut off; it says nothing."""
    address = urlsplit(bridge.path)
    while True:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            while await reader.read(4_096):
                pass
        except ConnectionError:
            pass
        finally:
            writer.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_a_coordinator_that_another_program_is_connected_to_is_opened_when_that_has_gone(tmp_path: Path, stack: Stack) -> None:
    async with Rig(stack=stack, port="tcp", air=FAST) as rig:
        address = urlsplit(rig.path)
        _, writer = await asyncio.open_connection(address.hostname, address.port)
        async with hub_at(rig.path, tmp_path / "state", type=stack) as hub:
            off = await radio_is(hub.desk, "in_use")
            assert "turns us away: another program is connected to it; stop that" in str(off.data["sentence"])
            assert rig.ncp.counters.bytes_in == 0
            writer.close()
            await radio_is(hub.desk, "up", after=off.number)
