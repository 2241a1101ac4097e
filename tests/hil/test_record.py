"""The recorder: it changes nothing of what it passes on, and what it heard on a real run is answered alike without hardware."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hil.emulated import IMAGE_TYPE, MAKER, B, FakePort, emulated_bench, fake_port
from hil.record import recorded
from hil.replay import replay

from hil.traces import read
from otagate_rig.rig import Stack
from tests.hil.test_round_trip_on_the_emulated_stick import run_pytest
from tests.hil.test_tap import ANSWER, KEY, REQUEST, incoming, request

BOUND = 60.0


class HubEnd(FakePort):
    """The hub's end of the recorder's line."""

    def __init__(self, link: Path) -> None:
        self.master = os.open(link, os.O_RDWR | os.O_NOCTTY)
        self._slave = os.dup(self.master)
        self.path, self.received = str(link), b""
        tty.setraw(self.master)
        os.set_blocking(self.master, False)


@contextmanager
def opened(link: Path) -> Iterator[FakePort]:
    hub = HubEnd(link)
    try:
        yield hub
    finally:
        hub.vanish()


async def has_received(port: FakePort, wanted: bytes) -> None:
    done = asyncio.Event()

    def told(received: bytes) -> None:
        if len(received) >= len(wanted):
            done.set()

    port.hear(told)
    async with asyncio.timeout(BOUND):
        await done.wait()
    assert port.received == wanted


@pytest.mark.asyncio
async def test_every_byte_passes_both_ways_and_only_the_firmware_cluster_is_written_down(tmp_path: Path) -> None:
    link, trace = tmp_path / "stick", tmp_path / "trace.jsonl"
    down = b"\x00\xff" + request(ANSWER) + KEY + bytes(range(256)) * 8
    up = incoming(REQUEST) + KEY + bytes(reversed(range(256))) * 8
    with fake_port() as stick:
        async with recorded("znp", stick.path, link=link, trace=trace):
            with opened(link) as hub:
                hub.says(down)
                await has_received(stick, down)
                stick.says(up)
                await has_received(hub, up)
    assert [(frame.way, frame.nwk, frame.endpoint, frame.frame) for frame in read(trace)] == [
        ("out", 0xD82D, 11, ANSWER),
        ("in", 0xD82D, 11, REQUEST),
    ]
    assert KEY.hex() not in trace.read_text()
    assert not link.exists()


@pytest.mark.asyncio
async def test_a_trace_for_others_has_no_firmware(tmp_path: Path) -> None:
    link, trace = tmp_path / "stick", tmp_path / "trace.jsonl"
    with fake_port() as stick:
        async with recorded("znp", stick.path, link=link, trace=trace, firmware=False):
            with opened(link) as hub:
                hub.says(request(ANSWER))
                await has_received(stick, request(ANSWER))
    (frame,) = read(trace)
    assert frame.frame == ANSWER[:17] + b"\0\0"


@pytest.mark.asyncio
async def test_a_stick_that_is_pulled_out_is_told(tmp_path: Path) -> None:
    with fake_port() as stick:
        async with recorded("znp", stick.path, link=tmp_path / "stick", trace=tmp_path / "trace.jsonl") as gone:
            stick.vanish()
            async with asyncio.timeout(BOUND):
                await gone.wait()


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", pytest.param("ezsp", marks=pytest.mark.night)])
async def test_a_run_on_a_stick_becomes_a_test_without_one(tmp_path: Path, stack: Stack) -> None:
    traces = tmp_path / "traces"
    async with emulated_bench(tmp_path, stack=stack, formed=True) as bench:
        status, said = await run_pytest(bench, "hil/tests/test_power.py", "-k", "loses_its_power", "--record", str(traces))
        assert status == 0, said
    (trace,) = traces.iterdir()
    outcome = replay(read(trace))
    assert [str(each) for each in outcome.differences] == []
    assert (MAKER, IMAGE_TYPE, B) in outcome.releases
    assert outcome.blocks > 300
    assert outcome.ends == (0,)
