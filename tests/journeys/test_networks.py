"""Never harm a network: what the hub does with a coordinator that is not the one that it knows."""

from __future__ import annotations

import asyncio
import functools
import operator
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from otagate_rig.air import AirSettings
from otagate_rig.aps import NetworkIdentity
from otagate_rig.ezsp import EzspNcp
from otagate_rig.network import Network
from otagate_rig.rig import COORDINATOR_IEEE, Rig, Stack
from otagate_rig.spec import DeviceSpec
from otagate_rig.znp import ZnpNcp
from tests.journeys.hub import IEEE, RADIO, assert_updated, ended, fact, hub_at, hub_on, image_of, journey, last_number, ordered, radio_is, told

FOREIGN = NetworkIdentity(pan_id=0x2222, extended_pan_id=0x1122334455667788, channel=20, network_key=bytes(range(16)))
FAST = AirSettings(speedup=None)


@asynccontextmanager
async def _stick(stack: Stack, network: NetworkIdentity | None, *, ieee: int = COORDINATOR_IEEE) -> AsyncIterator[ZnpNcp | EzspNcp]:
    """Another coordinator, far from the devices of the rig."""
    made = ZnpNcp if stack == "znp" else EzspNcp
    async with Network([], air=FAST, identity=network) as air, made(air, ieee=ieee, network=network) as ncp:
        yield ncp


def _untouched(ncp: ZnpNcp | EzspNcp) -> bool:
    if isinstance(ncp, EzspNcp):  # a host of it begins with a reset
        return ncp.counters.token_writes == ncp.counters.network_settings_writes == ncp.counters.formations == 0
    counters = ncp.counters
    return counters.nvram_writes == counters.network_settings_writes == counters.formations == 0 and counters.resets == 1  # its own, at power-up


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
@pytest.mark.parametrize("other", ["another network", "another stick", "an empty stick"])
async def test_another_network_behind_the_same_path_is_refused_and_nothing_is_written(tmp_path: Path, stack: Stack, other: str) -> None:
    link = tmp_path / "stick"
    async with journey(tmp_path, images=[], link=link, stack=stack) as run:
        now = await last_number(run.hub)
        identity = {"another network": FOREIGN, "another stick": run.rig.ncp.network, "an empty stick": None}[other]
        async with _stick(stack, identity, ieee=COORDINATOR_IEEE + (other == "another stick")) as wrong:
            run.rig.port.unplug()
            run.rig.port.swap(wrong)
            await run.rig.port.plug()
            refused = await radio_is(run.desk, "wrong_network", after=now)
            words = {"another network": "extended PAN id", "another stick": "coordinator address", "an empty stick": "empty"}[other]
            assert words in str(refused.data["sentence"])
            assert _untouched(wrong)
            run.rig.port.unplug()
        run.rig.port.swap(run.rig.ncp)
        await run.rig.port.plug()
        await run.desk.reattach(RADIO, actor="test")
        await radio_is(run.desk, "up", after=refused.number)


@pytest.mark.asyncio
async def test_the_same_network_on_another_channel_is_ours_and_that_it_moved_is_told(tmp_path: Path) -> None:
    link = tmp_path / "stick"
    async with journey(tmp_path, images=[], link=link, stack="znp") as run:
        now = await last_number(run.hub)
        assert run.rig.ncp.network is not None
        async with _stick("znp", replace(run.rig.ncp.network, channel=25)) as moved:
            run.rig.port.unplug()
            run.rig.port.swap(moved)
            await run.rig.port.plug()
            told_so = await fact(run.desk, lambda each: each.kind == "network_changed", after=now)
            assert "its channel is 25 and was 15" in str(told_so.data["sentence"])
            await radio_is(run.desk, "up", after=now)
            run.rig.port.unplug()
        run.rig.port.swap(run.rig.ncp)


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_an_empty_stick_is_left_empty_unless_forming_is_asked_for(tmp_path: Path, stack: Stack) -> None:
    async with Rig(stack=stack, formed=False, air=FAST) as rig:
        async with hub_on(rig, tmp_path / "state") as hub:
            told_so = await radio_is(hub.desk, "retrying")
            assert "`network: form`" in str(told_so.data["sentence"])
        assert _untouched(rig.ncp)


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_an_empty_stick_is_formed_where_that_is_asked_for_and_belongs_to_the_hub_from_then_on(tmp_path: Path, stack: Stack) -> None:
    state, image = tmp_path / "state", image_of(2_000)
    async with Rig(stack=stack, formed=False, air=FAST, devices=[DeviceSpec(ieee=IEEE)], images=[image]) as rig:
        async with hub_on(rig, state, network="form", channel=20) as hub:
            up = await radio_is(hub.desk, "up")
            assert "channel 20" in str(up.data["sentence"])
            await hub.desk.permit_join(RADIO, 60, actor="test")
            rig.start_joining()
            await told(hub.desk)
            await hub.desk.add_image(image, file_name="x.ota", actor="test")
            assert (await ended(hub.desk, await ordered(hub.desk))).state == "succeeded"
            assert_updated(rig.device(IEEE), image)
            before = await last_number(hub)
        formations = rig.ncp.counters.formations
        formed = rig.ncp.network
        async with hub_on(rig, state, network="form", channel=25) as hub:
            await radio_is(hub.desk, "up", after=before)
        assert rig.ncp.network == formed
        assert rig.ncp.counters.formations == formations


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_no_network_is_formed_where_the_database_knows_one(tmp_path: Path, stack: Stack) -> None:
    link, state = tmp_path / "stick", tmp_path / "state"
    async with journey(tmp_path, link=link, stack=stack) as run:
        await told(run.desk)
    (state / f"zigbee-{RADIO}.pin.json").unlink()  # so that only the database remembers
    async with Rig(stack=stack, formed=False, air=FAST, link=link) as empty, hub_on(empty, state, network="form") as hub:
        refused = await radio_is(hub.desk, "wrong_network")
        assert "knows a network with 1 device: " in str(refused.data["sentence"])
        assert _untouched(empty.ncp)


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_what_is_kept_of_a_network_is_readable_by_its_owner_only(tmp_path: Path, stack: Stack) -> None:
    async with journey(tmp_path, stack=stack) as run:
        await told(run.desk)
        files = list((tmp_path / "state").glob("zigbee-*"))
        assert {each.name for each in files} >= {f"zigbee-{RADIO}.db", f"zigbee-{RADIO}.pin.json"}
        assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_a_damaged_pin_is_not_overwritten(tmp_path: Path, stack: Stack) -> None:
    link, state = tmp_path / "stick", tmp_path / "state"
    async with journey(tmp_path, link=link, stack=stack):
        pass
    pin = state / f"zigbee-{RADIO}.pin.json"
    pin.write_text('{"extended_pan_id": 5')
    async with Rig(stack=stack, air=FAST, link=link) as rig, hub_on(rig, state) as hub:
        refused = await radio_is(hub.desk, "wrong_network")
        assert "is damaged" in str(refused.data["sentence"])
        assert _untouched(rig.ncp)
    assert pin.read_text() == '{"extended_pan_id": 5'


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_a_damaged_database_is_told_and_kept_as_it_is(tmp_path: Path, stack: Stack) -> None:
    state = tmp_path / "state"
    state.mkdir()
    damaged = state / f"zigbee-{RADIO}.db"
    damaged.write_bytes(b"this is no database" * 100)
    async with Rig(stack=stack, air=FAST) as rig, hub_on(rig, state) as hub:
        refused = await radio_is(hub.desk, "retrying")
        assert str(refused.data["sentence"]).startswith(f"{damaged} cannot be used: ")
        assert rig.ncp.counters.bytes_in == 0
    assert damaged.read_bytes() == b"this is no database" * 100


# --- ports ------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_a_missing_port_is_told_and_waited_for(tmp_path: Path, stack: Stack) -> None:
    link = tmp_path / "stick"
    async with Rig(stack=stack, air=FAST, link=link) as rig:
        rig.port.unplug()
        async with hub_on(rig, tmp_path / "state") as hub:
            missing = await radio_is(hub.desk, "retrying")
            assert str(missing.data["sentence"]).startswith(f"{link} does not exist")
            await rig.port.plug()
            await radio_is(hub.desk, "up", after=missing.number)


_HOLDER = """
import fcntl, sys
port = open(sys.argv[1], "r+b", buffering=0)
fcntl.flock(port, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_a_port_that_another_process_holds_is_told_and_left_alone(tmp_path: Path, stack: Stack) -> None:
    async with Rig(stack=stack, air=FAST) as rig:
        holder = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _HOLDER, rig.path, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert await holder.stdout.readline() == b"held\n"
        async with hub_on(rig, tmp_path / "state") as hub:
            held = await radio_is(hub.desk, "in_use")
            assert "is held by python" in str(held.data["sentence"])
            assert f"(process {holder.pid}): stop that, and it is opened" in str(held.data["sentence"])
            assert rig.ncp.counters.bytes_in == 0
            holder.stdin.close()
            await holder.wait()
            await radio_is(hub.desk, "up", after=held.number)


# --- the network coordinator, which has no lock -----------------------------------------------------------------------------------------------


def _mt(command: str, payload: bytes) -> bytes:
    """A frame of the Monitor and Test API."""
    body = bytes((len(payload),)) + bytes.fromhex(command) + payload
    return b"\xfe" + body + bytes((functools.reduce(operator.xor, body),))


_ASH_DATA, _ASH_ACK, _ASH_RSTACK = (bytes.fromhex(each) for each in ("254221a8587e", "8160597e", "1ac1020b0a527e"))

ANSWER = {"znp": _mt("6101", b"\x79\x01"), "ezsp": _ASH_DATA + _ASH_ACK}  # to a SYS_PING that was not ours; to a frame that was not ours
INDICATION = {"znp": _mt("45c4", b"\x34\x12\x00"), "ezsp": _ASH_DATA}  # of a network that runs
BOOT = {"znp": _mt("4180", b"\x00\x02\x01\x02\x07\x01"), "ezsp": _ASH_RSTACK}
RUBBISH = dict.fromkeys(("znp", "ezsp"), b"\x00\x17rubbish")
NOTHING = dict.fromkeys(("znp", "ezsp"), b"")
FIRST_WORD = {"znp": bytes.fromhex("fe002101"), "ezsp": b""}  # SYS_PING; what bellows says depends on whether it heard of a reset


class _SharedLine:
    """A bridge that says something to whoever connects, and keeps what it hears: one entry a visit."""

    def __init__(self, says: bytes) -> None:
        self.says = says
        self.heard: list[bytes] = []
        self.lasted: list[float] = []
        self.spoken_to = asyncio.Event()

    async def visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, began = len(self.heard), asyncio.get_running_loop().time()
        self.heard.append(b"")
        self.lasted.append(0.0)
        writer.write(self.says)
        while data := await reader.read(1000):
            self.heard[number] += data
            self.spoken_to.set()
        self.lasted[number] = asyncio.get_running_loop().time() - began
        writer.close()


@asynccontextmanager
async def shared(says: bytes) -> AsyncIterator[tuple[_SharedLine, str]]:
    line = _SharedLine(says)
    server = await asyncio.start_server(line.visit, "127.0.0.1", 0)
    async with server:
        yield line, f"socket://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
@pytest.mark.parametrize("says", [ANSWER, INDICATION, RUBBISH], ids=["an answer", "an indication", "rubbish"])
async def test_a_coordinator_that_another_program_drives_gets_no_byte_from_us(tmp_path: Path, stack: str, says: dict[str, bytes]) -> None:
    async with shared(says[stack]) as (line, path):
        async with hub_at(path, tmp_path / "state", type=stack) as hub:
            off = await radio_is(hub.desk, "in_use")
            assert "another program drives" in str(off.data["sentence"])
            await hub.desk.reattach(RADIO, actor="test")
            await radio_is(hub.desk, "in_use", after=off.number)
        assert line.heard == [b"", b""]


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
@pytest.mark.parametrize("says", [NOTHING, BOOT], ids=["nothing", "that it has started"])
async def test_a_silent_coordinator_is_listened_to_before_it_hears_a_byte(tmp_path: Path, stack: str, says: dict[str, bytes]) -> None:
    async with shared(says[stack]) as (line, path), hub_at(path, tmp_path / "state", pace=10, type=stack):
        async with asyncio.timeout(60):
            await line.spoken_to.wait()
        assert line.heard[0] == b""
        assert line.lasted[0] >= 0.3  # 3 s, ten times faster
        assert line.heard[1].startswith(FIRST_WORD[stack])


def _left_running(folder: Path) -> Path:
    """The state directory of a hub that did not live to stop its coordinator."""
    folder.mkdir()
    (folder / f"zigbee-{RADIO}.running").touch()
    return folder


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_the_network_that_a_killed_hub_left_running_may_be_heard(tmp_path: Path, stack: str) -> None:
    async with shared(INDICATION[stack]) as (line, path), hub_at(path, _left_running(tmp_path / "state"), type=stack):
        async with asyncio.timeout(60):
            await line.spoken_to.wait()
        assert line.heard[0] == b""


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_another_host_is_noticed_even_where_a_killed_hub_left_its_network_running(tmp_path: Path, stack: str) -> None:
    async with shared(INDICATION[stack] + ANSWER[stack]) as (line, path), hub_at(path, _left_running(tmp_path / "state"), type=stack) as hub:
        await radio_is(hub.desk, "in_use")
        assert line.heard == [b""]
