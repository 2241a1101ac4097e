"""The hub dies in mid-transfer and is started again: the device notices nothing, and the journal has no gap."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from otagate_rig.air import AirSettings
from otagate_rig.device import Device
from otagate_rig.rig import Port, Rig, Stack
from otagate_rig.spec import DeviceKind, DeviceSpec
from tests.journeys.hub import IEEE, assert_updated, device_id, image_of, reached
from tests.journeys.process import Daemon, assert_gapless, assert_legal

BLOCK = 63
IMAGE = image_of(60_000)
PATIENT = DeviceSpec(ieee=IEEE, request_retries=200, reboot_seconds=2.0)
AIR = AirSettings(speedup=None, timers=5)
BLOCKS = -(-len(IMAGE) // BLOCK)


async def _ordered(daemon: Daemon, rig: Rig) -> str:
    """An update of the device, ordered as soon as it has told what it runs."""
    await daemon.told("radio", state="up")
    rig.announce()
    await daemon.told("device", kind="interrogated", id=device_id(IEEE))
    await daemon.upload(IMAGE)
    result = await daemon.post("/updates", devices=[device_id(IEEE)])
    assert result["refused"] == []
    return str(result["updates"][0]["id"])


async def _assert_unnoticed(daemon: Daemon, update: str, device: Device, *, lives: int = 2) -> None:
    done = await daemon.told("update", id=update, state="succeeded")
    assert done["progress"]["bytes_sent"] == len(IMAGE)
    assert await daemon.stop() == 0
    assert_updated(device, IMAGE)
    counters = device.counters
    assert counters.aborts == 0
    assert counters.queries == 1
    assert counters.downloads_completed == 1
    assert counters.blocks <= BLOCKS + lives - 1, "more than one block was sent again for each restart"
    facts = await daemon.journal()
    assert_gapless(facts)
    assert_legal(facts, update)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("stack", "port"),
    [("znp", "pty"), ("znp", "tcp"), pytest.param("ezsp", "pty", marks=pytest.mark.night), pytest.param("ezsp", "tcp", marks=pytest.mark.night)],
)
async def test_a_killed_hub_adopts_the_transfer_when_it_is_started_again(tmp_path: Path, stack: Stack, port: Port) -> None:
    made = Rig(stack=stack, port=port, devices=[PATIENT], images=[IMAGE], air=AIR, announce_after=None)
    async with made as rig, Daemon(tmp_path, rig.path, stack=stack) as daemon:
        update = await _ordered(daemon, rig)
        await reached(rig.device(IEEE), 0.3)
        await daemon.kill()
        offset = rig.device(IEEE).ota.download.offset  # type: ignore[union-attr]
        assert 0 < offset < len(IMAGE), "the hub was killed too late"
        await daemon.start()
        await _assert_unnoticed(daemon, update, rig.device(IEEE))


@pytest.mark.asyncio
async def test_a_killed_hub_knows_that_what_a_sleeping_device_holds_came_from_here(tmp_path: Path) -> None:
    sleeper = replace(PATIENT, kind=DeviceKind.SLEEPY, poll_interval=0.05, fast_poll_interval=0.01)
    made = Rig(devices=[sleeper], images=[IMAGE], air=AIR, announce_after=None)
    async with made as rig, Daemon(tmp_path, rig.path) as daemon:
        update = await _ordered(daemon, rig)
        await reached(rig.device(IEEE), 0.3)
        await daemon.kill()
        offset = rig.device(IEEE).ota.download.offset  # type: ignore[union-attr]
        assert 0 < offset < len(IMAGE), "the hub was killed too late"
        await daemon.start()
        await _assert_unnoticed(daemon, update, rig.device(IEEE))


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_a_stopped_hub_goes_on_where_it_was_when_it_is_started_again(tmp_path: Path, stack: Stack) -> None:
    made = Rig(stack=stack, devices=[PATIENT], images=[IMAGE], air=AIR, announce_after=None)
    async with made as rig, Daemon(tmp_path, rig.path, stack=stack) as daemon:
        update = await _ordered(daemon, rig)
        await reached(rig.device(IEEE), 0.3)
        assert await daemon.stop() == 0
        left_running = stack == "ezsp"  # bellows lets the coordinator go on when it closes the line
        assert (daemon.state / "zigbee-zigbee0.running").exists() is left_running
        await daemon.start()
        await _assert_unnoticed(daemon, update, rig.device(IEEE))


@pytest.mark.night
@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_twenty_kills_at_any_moment_cost_a_device_nothing(tmp_path: Path, stack: Stack) -> None:
    dice = random.Random(5)
    shares = sorted(dice.random() for _ in range(20))
    made = Rig(stack=stack, devices=[PATIENT], images=[IMAGE], air=AIR, announce_after=None)
    async with made as rig, Daemon(tmp_path, rig.path, stack=stack) as daemon:
        update = await _ordered(daemon, rig)
        for share in shares:
            await reached(rig.device(IEEE), share)
            await daemon.kill()
            await daemon.start()
        await _assert_unnoticed(daemon, update, rig.device(IEEE), lives=len(shares) + 1)
