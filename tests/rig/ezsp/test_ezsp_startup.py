"""An unmodified bellows starts, forms and finds its network on the emulated stick."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from ezsp_fakes import COORDINATOR_IEEE, running, start, stick
from tests.rig.medium import DEVICE_IEEE, IDENTITY, FakeMedium, until
from zigpy.exceptions import NetworkNotFormed
from zigpy.types import Channels

from otagate_rig.aps import DeviceKind, NetworkIdentity
from otagate_rig.ezsp import EzspNcp, Tokens, frames
from otagate_rig.ezsp.tokens import TRUST_CENTER
from otagate_rig.serial_port import SerialPort

BOTH = pytest.mark.parametrize("transport", ["tcp", "pty"])


def number(address: object) -> int:
    return int.from_bytes(address.serialize(), "little")  # type: ignore[attr-defined]


@BOTH
@pytest.mark.asyncio
async def test_an_empty_stick_is_reported_as_such_and_left_alone(transport: str) -> None:
    async with stick(transport=transport) as (ncp, port):
        with pytest.raises(NetworkNotFormed):
            await start(port.path)
        assert ncp.network is None
        assert ncp.counters.token_writes == 0
        assert ncp.counters.formations == 0


@BOTH
@pytest.mark.asyncio
async def test_a_network_is_formed_and_found_again_by_the_next_start(transport: str) -> None:
    medium = FakeMedium()
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
            again = app.state.network_info
            assert again.network_key.key == first.network_key.key
            assert again.extended_pan_id == first.extended_pan_id
            assert again.pan_id == first.pan_id
            assert again.stack_specific == first.stack_specific
            assert again.network_key.tx_counter > first.network_key.tx_counter
            assert number(app.state.node_info.ieee) == COORDINATOR_IEEE == medium.ieee
        assert ncp.counters.network_settings_writes == writes


@pytest.mark.asyncio
async def test_a_bridge_that_does_not_reset_its_stick_is_waited_for_and_then_reset() -> None:
    async with stick(transport="tcp", resets_on_open=False, network=IDENTITY) as (ncp, port):
        resets = ncp.counters.resets
        async with running(port.path) as app:
            assert app.state.network_info.pan_id == IDENTITY.pan_id
        assert ncp.counters.resets == resets + 1


@pytest.mark.asyncio
async def test_a_pre_formed_stick_is_used_as_it_is() -> None:
    medium = FakeMedium()
    async with stick(medium, network=IDENTITY) as (ncp, port), running(port.path) as app:
        assert app.state.network_info.pan_id == IDENTITY.pan_id
        assert number(app.state.network_info.extended_pan_id) == IDENTITY.extended_pan_id
        assert app.state.network_info.network_key.key.serialize() == IDENTITY.network_key
        assert app.state.node_info.version == "7.4.5.0 build 0"
        assert medium.ups == [IDENTITY]
        assert ncp.counters.network_settings_writes == 0
        assert ncp.counters.formations == 0
        assert ncp.counters.unknown_commands == 0
        assert ncp.counters.malformed_commands == 0


@pytest.mark.asyncio
async def test_firmware_without_extensions_allows_eight_requests_at_once() -> None:
    async with stick(network=IDENTITY) as (ncp, port), running(port.path) as app:
        assert app._concurrent_requests_semaphore.max_concurrency == 8
        assert frames.CUSTOM_FRAME in [command for command, _ in ncp.counters.host_commands]


@pytest.mark.asyncio
async def test_a_coordinator_goes_on_without_its_host_and_is_reset_by_the_next_one() -> None:
    medium = FakeMedium()
    async with stick(medium, network=IDENTITY) as (ncp, port):
        async with running(port.path):
            assert medium.identity == IDENTITY
        await until(lambda: not port.is_open)
        assert medium.identity == IDENTITY
        assert ncp.network_is_up
        async with running(port.path):
            assert medium.ups == [IDENTITY, IDENTITY]


@pytest.mark.asyncio
async def test_another_stick_behind_the_same_path_shows_its_own_network(tmp_path: Path) -> None:
    link = tmp_path / "stick"
    other = NetworkIdentity(pan_id=0x7777, extended_pan_id=0x1111, channel=20, network_key=b"k" * 16)
    async with (
        EzspNcp(FakeMedium(), ieee=COORDINATOR_IEEE, network=IDENTITY) as mine,
        EzspNcp(FakeMedium(), ieee=COORDINATOR_IEEE + 1, network=other) as stranger,
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
        memory = old.tokens.to_json()
    async with stick(tokens=Tokens.from_json(memory)) as (_, port), running(port.path) as app:
        assert app.state.network_info.pan_id == IDENTITY.pan_id
        assert app.state.network_info.network_key.key.serialize() == IDENTITY.network_key


@pytest.mark.asyncio
async def test_a_trust_centre_address_of_another_stick_is_repaired_by_the_host() -> None:
    async with stick(network=IDENTITY) as (old, _):
        memory = old.tokens.to_json()
    async with stick(ieee=COORDINATOR_IEEE + 1, tokens=Tokens.from_json(memory)) as (ncp, port), running(port.path):
        assert ncp.tokens.trust_center()[1] == COORDINATOR_IEEE + 1
        assert ncp.network == IDENTITY
        assert ncp.counters.network_settings_writes == 1
        assert ncp.tokens.read(TRUST_CENTER, 0) is not None


@pytest.mark.asyncio
async def test_a_backup_is_restored_with_the_address_of_the_old_stick(tmp_path: Path) -> None:
    async with stick(network=IDENTITY) as (_, port), running(port.path, database=tmp_path / "db") as app:
        backup = await app.backups.create_backup(load_devices=True)
    async with stick(ieee=COORDINATOR_IEEE + 1) as (ncp, port), running(port.path, auto_form=True) as app:
        await app.backups.restore_backup(backup)
        assert ncp.network == IDENTITY
        assert ncp.ieee == COORDINATOR_IEEE
        assert ncp.network_is_up


@pytest.mark.asyncio
async def test_the_network_moves_to_another_channel_when_told(tmp_path: Path) -> None:
    medium = FakeMedium()
    async with stick(medium, network=IDENTITY) as (ncp, port), running(port.path, database=tmp_path / "db") as app:
        async with asyncio.timeout(20):
            await app.move_network_to_channel(25, num_broadcasts=1)
        assert ncp.network is not None
        assert ncp.network.channel == 25
        assert medium.ups[-1].channel == 25


@pytest.mark.asyncio
async def test_a_backup_knows_the_children_of_the_coordinator(tmp_path: Path) -> None:
    medium = FakeMedium()
    async with stick(medium, network=IDENTITY) as (ncp, port):
        async with running(port.path, database=tmp_path / "db", backup_enabled=False) as app:
            medium.join(kind=DeviceKind.SLEEPY)
            backup = await app.backups.create_backup(load_devices=True)
            assert [number(child) for child in backup.network_info.children] == [DEVICE_IEEE]
        ncp.reset_unexpectedly()
        async with running(port.path, database=tmp_path / "db", backup_enabled=False) as app:
            backup = await app.backups.create_backup(load_devices=True)
            assert [number(child) for child in backup.network_info.children] == [DEVICE_IEEE]


@pytest.mark.asyncio
async def test_an_energy_scan_tells_of_every_channel() -> None:
    async with stick(network=IDENTITY) as (_, port), running(port.path) as app:
        energies = await app.energy_scan(channels=Channels.ALL_CHANNELS, duration_exp=4, count=1)
        assert set(energies) == set(range(11, 27))
        assert len(set(energies.values())) > 1
