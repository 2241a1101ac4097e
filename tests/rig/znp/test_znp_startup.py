"""An unmodified zigpy-znp starts, forms and finds its network on the emulated stick."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.rig.medium import IDENTITY, until
from zigpy.exceptions import NetworkNotFormed
from znp_fakes import COORDINATOR_IEEE, ScriptedMedium, running, start, stick

from otagate_rig.aps import NetworkIdentity
from otagate_rig.serial_port import SerialPort
from otagate_rig.znp import Nvram, ZnpNcp

BOTH = pytest.mark.parametrize("transport", ["tcp", "pty"])


def number(address: object) -> int:
    return int.from_bytes(address.serialize(), "little")  # type: ignore[attr-defined]


@BOTH
@pytest.mark.asyncio
async def test_an_empty_stick_is_reported_as_such_and_left_alone(transport: str) -> None:
    async with stick(transport=transport) as (ncp, port):
        before = ncp.nvram.to_json()
        with pytest.raises(NetworkNotFormed):
            await start(port.path)
        assert ncp.network is None
        assert ncp.counters.nvram_writes == 0
        assert ncp.nvram.to_json() == before


@BOTH
@pytest.mark.asyncio
async def test_a_network_is_formed_and_found_again_by_the_next_start(transport: str) -> None:
    medium = ScriptedMedium()
    async with stick(medium, transport=transport) as (ncp, port):
        async with running(port.path, auto_form=True) as app:
            first = app.state.network_info
            assert ncp.network_is_up
            assert medium.identity == ncp.network
        assert ncp.network == NetworkIdentity(
            pan_id=first.pan_id,
            extended_pan_id=number(first.extended_pan_id),
            channel=first.channel,
            network_key=first.network_key.key.serialize(),
        )
        writes = ncp.counters.network_settings_writes
        async with running(port.path) as app:
            assert app.state.network_info.network_key == first.network_key
            assert app.state.network_info.extended_pan_id == first.extended_pan_id
            assert app.state.network_info.pan_id == first.pan_id
            assert number(app.state.node_info.ieee) == COORDINATOR_IEEE == medium.ieee
        assert ncp.counters.network_settings_writes == writes


@pytest.mark.asyncio
async def test_a_pre_formed_stick_is_used_as_it_is() -> None:
    medium = ScriptedMedium()
    async with stick(medium, network=IDENTITY) as (ncp, port), running(port.path) as app:
        assert app.state.network_info.pan_id == IDENTITY.pan_id
        assert number(app.state.network_info.extended_pan_id) == IDENTITY.extended_pan_id
        assert app.state.network_info.network_key.key.serialize() == IDENTITY.network_key
        assert app.state.node_info.version == "Z-Stack 20230507"
        assert medium.ups == [IDENTITY]
        assert ncp.counters.network_settings_writes == 0
        assert ncp.counters.formations == 0


@pytest.mark.asyncio
async def test_the_host_may_use_sixteen_requests_at_once_as_on_a_real_one() -> None:
    async with stick(network=IDENTITY) as (_, port), running(port.path) as app:
        assert app._concurrent_requests_semaphore.max_concurrency == 16


@pytest.mark.asyncio
async def test_a_shut_down_host_leaves_a_dead_coordinator_behind() -> None:
    medium = ScriptedMedium()
    async with stick(medium, network=IDENTITY) as (ncp, port):
        async with running(port.path):
            assert medium.identity == IDENTITY
        await until(lambda: not ncp.network_is_up)
        assert medium.identity is None


@pytest.mark.asyncio
async def test_another_stick_behind_the_same_path_shows_its_own_network(tmp_path: Path) -> None:
    link = tmp_path / "stick"
    other = NetworkIdentity(pan_id=0x7777, extended_pan_id=0x1111, channel=20, network_key=b"k" * 16)
    async with (
        ZnpNcp(ScriptedMedium(), ieee=COORDINATOR_IEEE, network=IDENTITY) as mine,
        ZnpNcp(ScriptedMedium(), ieee=COORDINATOR_IEEE + 1, network=other) as stranger,
        SerialPort.pty(mine, link=link) as port,
    ):
        async with running(str(link)) as app:
            assert app.state.network_info.pan_id == IDENTITY.pan_id
        port.unplug()
        port.swap(stranger)
        await port.plug()
        async with running(str(link)) as app:
            assert app.state.network_info.pan_id == other.pan_id
            assert number(app.state.node_info.ieee) == COORDINATOR_IEEE + 1
        assert stranger.counters.network_settings_writes == 0
        assert stranger.network == other


@pytest.mark.asyncio
async def test_a_replacement_with_the_memory_of_the_old_stick_carries_on_its_network() -> None:
    async with stick(network=IDENTITY) as (old, _):
        memory = old.nvram.to_json()
    async with stick(ieee=COORDINATOR_IEEE + 1, nvram=Nvram.from_json(memory)) as (_, port), running(port.path) as app:
        assert number(app.state.node_info.ieee) == COORDINATOR_IEEE
        assert app.state.network_info.network_key.key.serialize() == IDENTITY.network_key


@pytest.mark.asyncio
async def test_the_network_moves_to_another_channel_when_told(tmp_path: Path) -> None:
    medium = ScriptedMedium()
    async with stick(medium, network=IDENTITY) as (ncp, port), running(port.path, database=tmp_path / "db") as app:
        async with asyncio.timeout(20):
            await app.move_network_to_channel(25, num_broadcasts=1)
        assert ncp.network is not None
        assert ncp.network.channel == 25
        assert medium.ups[-1].channel == 25


@pytest.mark.asyncio
async def test_a_backup_knows_the_devices_that_joined(tmp_path: Path) -> None:
    medium = ScriptedMedium()
    async with stick(medium, network=IDENTITY) as (_, port), running(port.path, database=tmp_path / "db") as app:
        medium.join()
        backup = await app.backups.create_backup(load_devices=True)
        assert [key.partner_ieee for key in backup.network_info.key_table] == list(backup.network_info.nwk_addresses)
        assert len(backup.network_info.key_table) == 1


@pytest.mark.asyncio
async def test_a_board_without_leds_still_starts() -> None:
    async with stick(network=IDENTITY, led=False) as (ncp, port), running(port.path):
        assert ncp.network_is_up
