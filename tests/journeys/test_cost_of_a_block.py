"""What a block costs, in counts that are the same on every machine: commands and writes on the line, frames in the air, calls, memory."""

from __future__ import annotations

import itertools
import os
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import serialx

import otagate
from otagate.model.ids import UpdateId, zigbee_component_id, zigbee_device_id
from otagate.model.orders import Serve
from otagate.sessions.effects import Reply
from otagate.sessions.ota_transfer import Patience
from otagate.sessions.zigbee import OtaServer
from otagate_rig.spec import DeviceSpec
from tests.journeys.hub import IEEE, IMAGE_TYPE, MANUFACTURER, NEW, WITHIN, Journey, assert_updated, ended, image_of, journey
from tests.sessions import wire

BLOCK = 64
OTA = 0x0019
EXTENDED_TIMEOUT = (0x7E, 0x7F)
"""What bellows sets and asks before each unicast of its own."""


def _counts(it: Journey) -> tuple[int, int, int, int]:
    """Blocks at the device; frames of the OTA cluster that the host has sent, and commands about the time-outs of unicasts; frames in the air."""
    host: Any = it.rig.ncp.counters
    sends = host.af_requests if it.rig.stack == "znp" else host.sends
    timeouts = 0 if it.rig.stack == "znp" else sum(command in EXTENDED_TIMEOUT for command, *_ in host.host_commands)
    return it.device().counters.blocks, sends[OTA, False] + sends[OTA, True], timeouts, it.rig.network.air.counters.frames


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_a_block_is_one_command_to_the_coordinator_and_two_frames_in_the_air(tmp_path: Path, stack: str) -> None:
    image = image_of(40_000)
    lamp = DeviceSpec(ieee=IEEE, max_data_size=BLOCK)
    async with journey(tmp_path, lamp, images=[image], stack=stack) as it:
        update = await it.order()
        device = it.device()
        counts = []
        for few in (20, 520):
            await device.wait_until(lambda lamp, few=few: lamp.counters.blocks >= few, WITHIN)  # type: ignore[misc]
            counts.append(_counts(it))
        assert (await ended(it.desk, update)).state == "succeeded"
    assert_updated(device, image)
    blocks, sends, timeouts, frames = (now - then for then, now in zip(*counts, strict=True))
    assert blocks >= 500
    assert abs(sends - blocks) <= 1
    assert timeouts <= 0.1 * blocks  # of a library that asks its devices something meanwhile
    assert frames <= 2 * blocks + 50


OURS = str(Path(otagate.__file__).parent)
LIBRARY_OF_PORTS = str(Path(serialx.__file__).parent)


@dataclass
class Work:
    """How often a function of the hub was called, and how often its radio's library wrote to the line."""

    calls: int = 0
    writes: int = 0

    def note(self, frame: FrameType, event: str, called: object) -> None:
        """As `sys.setprofile` wants it."""
        if event == "call":
            self.calls += frame.f_code.co_filename.startswith(OURS + os.sep)
        elif event == "c_call" and called is os.write:
            self.writes += frame.f_code.co_filename.startswith(LIBRARY_OF_PORTS)


@contextmanager
def counted() -> Iterator[Work]:
    """What this thread does meanwhile."""
    work = Work()
    sys.setprofile(work.note)
    try:
        yield work
    finally:
        sys.setprofile(None)


@pytest.mark.asyncio
@pytest.mark.parametrize(("stack", "calls", "writes"), [("znp", 120, 1.6), ("ezsp", 160, 4.0)])
async def test_a_block_is_a_bounded_number_of_calls_and_of_writes_to_the_line(tmp_path: Path, stack: str, calls: int, writes: float) -> None:
    image = image_of(40_000)
    async with journey(tmp_path, DeviceSpec(ieee=IEEE, max_data_size=BLOCK), images=[image], stack=stack) as it:
        update = await it.order()
        device = it.device()
        await device.wait_until(lambda lamp: lamp.counters.blocks >= 20, WITHIN)
        with counted() as work:
            await device.wait_until(lambda lamp: lamp.counters.blocks >= 520, WITHIN)
        assert (await ended(it.desk, update)).state == "succeeded"
    assert_updated(device, image)
    assert 0 < work.calls <= 500 * calls
    assert 0 < work.writes <= 500 * writes


def _server(image: memoryview) -> OtaServer:
    server = OtaServer(tokens=itertools.count(1), patience=Patience())
    order = Serve(
        update=UpdateId("u1"),
        device=zigbee_device_id(IEEE),
        component=zigbee_component_id(IMAGE_TYPE),
        manufacturer_code=MANUFACTURER,
        image_type=IMAGE_TYPE,
        file_version=NEW,
        image=image,
        from_version=None,
        adopted="transferring",
    )
    server.command(order, 0.0)
    return server


def _ask(server: OtaServer, offset: int, now: float) -> bytes:
    frame = wire.ask(offset, size=BLOCK, version=NEW, manufacturer=MANUFACTURER, image_type=IMAGE_TYPE, tsn=offset // BLOCK & 0xFF)
    (reply,) = server.receive(frame, now)
    assert isinstance(reply, Reply)
    return bytes(reply.frame)


def test_blocks_leave_nothing_behind_in_memory() -> None:
    server = _server(memoryview(bytes(1 << 20)))
    for number in range(1_000):
        _ask(server, number * BLOCK, number * 0.01)
    before = sys.getallocatedblocks()
    for number in range(1_000, 11_000):
        _ask(server, number * BLOCK, number * 0.01)
    assert sys.getallocatedblocks() - before < 100


def test_a_hundred_sessions_share_one_image() -> None:
    image = memoryview(bytes(1 << 20))
    tracemalloc.start()
    try:
        servers = [_server(image) for _ in range(100)]
        for server in servers:
            for number in range(100):
                _ask(server, number * BLOCK, number * 0.01)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100 * 16 * 1024
