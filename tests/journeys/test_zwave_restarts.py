"""The driver dies, the connection is cut, the hub is killed: each in mid-transfer, and each time what is told in the end is true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from otagate.model.lifecycle import State
from otagate_rig.zwave import ZwaveRig
from tests.journeys.hub import last_number, radio_is, state_is
from tests.journeys.process import Daemon, assert_gapless, assert_legal
from tests.journeys.zwave import NEW, device_id, firmware, hub_at, journey, require_node

pytestmark = [pytest.mark.night, pytest.mark.timeout(900)]  # a driver of their own each, and whole lives of the hub

IMAGE = firmware(size=12_000)
SLOW = {"id": 2, "faults": {"pauseAt": 4_000, "pauseMs": 3_000}}


@pytest.fixture(scope="module", autouse=True)
def _node_is_there() -> None:
    require_node()


class Cut:
    """A line to the server that can be cut."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Cut]:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield self
        finally:
            self._server.close()
            self.cut()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers |= {writer, far_writer}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, far_writer))
                group.create_task(_pump(far_reader, writer))
        finally:
            self._writers -= {writer, far_writer}


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest.mark.asyncio
async def test_a_driver_that_is_killed_and_started_again_sends_the_image_again(tmp_path: Path) -> None:
    async with journey(tmp_path, SLOW) as run:
        update = await run.order(2, IMAGE)
        await run.rig.reached(2, 4_000)
        await state_is(run.desk, update, "transferring")
        now = await last_number(run.hub)
        await run.rig.kill_driver()
        await radio_is(run.desk, "retrying", after=now)
        assert (await run.desk.update(update)).update.state is State.TRANSFERRING  # nobody knows yet
        await run.rig.start_driver()
        again = await state_is(run.desk, update, "queued", after=now)
        assert "started again" in str(again.data["detail"])
        done = await run.ended(update, within=90.0)
        assert done.state == "succeeded", done
        await run.assert_updated(2, IMAGE)


@pytest.mark.asyncio
async def test_a_transfer_goes_on_without_the_hub_when_the_connection_is_cut_and_is_not_begun_twice(tmp_path: Path) -> None:
    async with ZwaveRig([SLOW]) as rig, Cut(rig.port).open() as line, hub_at(rig, tmp_path / "state", url=line.url) as run:
        update = await run.order(2, IMAGE)
        await rig.reached(2, 4_000)
        await state_is(run.desk, update, "transferring")
        now = await last_number(run.hub)
        line.cut()
        await radio_is(run.desk, "retrying", after=now)
        await radio_is(run.desk, "up", after=now)
        assert (await run.ended(update)).state == "succeeded"
        await run.assert_updated(2, IMAGE)
        assert (await rig.node(2))["counters"]["requests"] == 1
        assert [each.kind for each in (await run.desk.log(update)).items].count("accepted") == 1


@pytest.mark.asyncio
async def test_a_hub_that_is_killed_in_mid_transfer_adopts_it_and_the_node_is_asked_nothing_twice(tmp_path: Path) -> None:
    async with ZwaveRig([SLOW]) as rig, Daemon(tmp_path, rig.url, stack="zwave-js") as daemon:
        update = await _ordered(daemon, rig)
        await rig.reached(2, 4_000)
        await daemon.told("update", id=update, state="transferring")
        await daemon.kill()
        await daemon.start()
        done = await daemon.told("update", id=update, state="succeeded")
        assert done["progress"]["bytes_sent"] == len(IMAGE)
        node = await rig.node(2)
        assert (node["firmware"], node["counters"]["requests"], node["violations"]) == ([NEW], 1, [])
        assert await daemon.stop() == 0
        facts = await daemon.journal()
        assert_gapless(facts)
        assert_legal(facts, update)


@pytest.mark.asyncio
async def test_a_hub_that_is_killed_and_finds_the_node_updated_says_so(tmp_path: Path) -> None:
    async with ZwaveRig([SLOW]) as rig, Daemon(tmp_path, rig.url, stack="zwave-js") as daemon:
        update = await _ordered(daemon, rig)
        await rig.reached(2, 4_000)
        await daemon.told("update", id=update, state="transferring")
        await daemon.kill()
        async with asyncio.timeout(60):
            while (await rig.node(2))["firmware"] != [NEW]:
                await asyncio.sleep(0.1)
        await daemon.start()
        await daemon.told("update", id=update, state="succeeded")
        assert (await rig.node(2))["counters"]["requests"] == 1
        assert await daemon.stop() == 0
        assert_legal(await daemon.journal(), update)


async def _ordered(daemon: Daemon, rig: ZwaveRig) -> str:
    """An update of node 2, ordered as soon as it has told what it runs."""
    device = device_id(2, rig)
    await daemon.told("device", kind="interrogated", id=device)
    image = await daemon.upload(IMAGE, file_name="firmware.bin")
    result = await daemon.post("/updates", devices=[device], image=image["sha256"], version=NEW)
    assert result["refused"] == []
    return str(result["updates"][0]["id"])
