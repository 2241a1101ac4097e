"""The tap on the line of an EmberZNet coordinator: what it takes and sends, in every protocol version, beside bellows' own stack."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import bellows.types as t
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otagate.model.errors import DeviceUnreachable
from otagate.radios.ezsp_path import EzspPath
from otagate.radios.stacks import Busy, FastPathUnavailable, Fate
from tests.radios.ezsp import VERSIONS, Bench

BLOCK_REQUEST = bytes.fromhex("010703") + struct.pack("<BHHIIB", 0, 0x1189, 0x0083, 2, 0, 63)
REPLY = b"\x19\x07\x05" + bytes(14) + b"x" * 48
EITHER_LAYOUT = [13, 14]


@dataclass
class _Tap:
    bench: Bench
    path: EzspPath
    taken: list[tuple[int, int, int, int, bytes]]

    def hear(self, *payloads: bytes) -> None:
        self.bench.coordinator.says(*payloads)


def _tap(version: int = 13, *, taking: bool = True) -> _Tap:
    bench = Bench(version)
    taken: list[tuple[int, int, int, int, bytes]] = []

    def take(*frame: Any) -> bool:
        taken.append(frame)
        return taking

    return _Tap(bench, EzspPath(bench, take=take), taken)  # type: ignore[arg-type]


# --- in ---------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("version", VERSIONS)
async def test_a_request_is_taken_and_everything_else_is_the_librarys(version: int) -> None:
    tap = _tap(version)
    other = tap.bench.coordinator.frame("stackStatusHandler", (t.sl_Status if version >= 14 else t.EmberStatus)(0))
    tap.hear(tap.bench.incoming(BLOCK_REQUEST), other, tap.bench.incoming(BLOCK_REQUEST, source=0x4321))
    assert tap.taken == [(0x1234, 3, 1, 200, BLOCK_REQUEST), (0x4321, 3, 1, 200, BLOCK_REQUEST)]
    assert tap.bench.callbacks == ["stackStatusHandler"]


@pytest.mark.asyncio
async def test_a_frame_that_is_not_wanted_goes_on_to_the_library() -> None:
    tap = _tap(taking=False)
    tap.hear(tap.bench.incoming(BLOCK_REQUEST))
    assert tap.bench.callbacks == ["incomingMessageHandler"]


@pytest.mark.asyncio
@pytest.mark.parametrize("version", EITHER_LAYOUT)
@pytest.mark.parametrize(
    "say",
    [
        lambda bench: bench.incoming(BLOCK_REQUEST, cluster=0x0006),
        lambda bench: bench.incoming(BLOCK_REQUEST, kind=t.EmberIncomingMessageType.INCOMING_MULTICAST),
        lambda bench: bench.incoming(BLOCK_REQUEST, kind=t.EmberIncomingMessageType.INCOMING_BROADCAST),
        lambda bench: bench.sent(77),
    ],
    ids=["another cluster", "a multicast", "a broadcast", "the end of a frame of the library's"],
)
async def test_what_is_not_ours_is_never_taken(version: int, say: Callable[[Bench], bytes]) -> None:
    tap = _tap(version)
    tap.hear(say(tap.bench))
    assert tap.taken == []
    assert len(tap.bench.callbacks) == 1


@pytest.mark.asyncio
async def test_a_fragment_is_the_librarys_to_put_together() -> None:
    tap = _tap()
    tap.hear(tap.bench.incoming(BLOCK_REQUEST, options=int(t.EmberApsOption.APS_OPTION_FRAGMENT)))
    assert tap.taken == []
    for task in tap.bench._ezsp._protocol._fragment_ack_tasks:
        task.cancel()


@pytest.mark.asyncio
@pytest.mark.parametrize("version", EITHER_LAYOUT)
async def test_a_frame_that_ends_before_it_should_is_not_taken(version: int) -> None:
    tap = _tap(version)
    whole = tap.bench.incoming(BLOCK_REQUEST)
    for size in range(1, len(whole)):
        tap.hear(whole[:size])
    assert tap.taken == []


@given(st.binary(min_size=1, max_size=120), st.sampled_from([0x0034, 0x003F, 0x0045, 0x0058]), st.sampled_from(EITHER_LAYOUT))
def test_no_content_breaks_the_line(content: bytes, command: int, version: int) -> None:
    async def hear() -> None:
        tap = _tap(version)
        tap.hear(b"\x00\x90\x01" + command.to_bytes(2, "little") + content)
        tap.hear(tap.bench.incoming(BLOCK_REQUEST))
        assert tap.taken[-1] == (0x1234, 3, 1, 200, BLOCK_REQUEST)

    asyncio.run(hear())


@pytest.mark.asyncio
async def test_when_it_is_detached_everything_is_as_before() -> None:
    tap = _tap()
    tap.path.detach()
    tap.hear(tap.bench.incoming(BLOCK_REQUEST))
    assert tap.taken == []
    assert tap.bench.callbacks == ["incomingMessageHandler"]
    tap.path.detach()
    with pytest.raises(DeviceUnreachable):
        await tap.path.send(nwk=1, endpoint=1, frame=REPLY, ack=False, ended=lambda _: None)


# --- out --------------------------------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _sending(tap: _Tap, frame: bytes = REPLY, *, ack: bool = False) -> AsyncIterator[tuple[asyncio.Task[None], list[Fate]]]:
    """A send whose command has been written and is not answered yet."""
    ends: list[Fate] = []
    before = len(tap.bench.unicasts())
    async with asyncio.TaskGroup() as group:
        task = group.create_task(tap.path.send(nwk=0x1234, endpoint=3, frame=frame, ack=ack, ended=ends.append))
        async with asyncio.timeout(60):
            while len(tap.bench.unicasts()) == before:
                await asyncio.sleep(0)
        yield task, ends


@pytest.mark.asyncio
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("ack", [False, True])
async def test_a_frame_leaves_as_one_unicast_without_a_question_before_it(version: int, ack: bool) -> None:
    tap = _tap(version)
    async with _sending(tap, ack=ack) as (_, ends):
        tap.hear(tap.bench.accepted())
    assert len(tap.bench.coordinator.heard()) == 1
    ((nwk, aps, tag, frame),) = tap.bench.unicasts()
    assert (nwk, frame) == (0x1234, REPLY)
    assert (aps.profileId, aps.clusterId, aps.sourceEndpoint, aps.destinationEndpoint) == (0x0104, 0x0019, 1, 3)
    assert t.EmberApsOption.APS_OPTION_ENABLE_ROUTE_DISCOVERY in aps.options
    assert (t.EmberApsOption.APS_OPTION_RETRY in aps.options) is ack, "this is how EmberZNet is asked for an APS acknowledgement"
    tap.hear(tap.bench.sent(tag))
    assert ends == [Fate.DELIVERED]
    assert tap.bench.callbacks == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("version", "status", "fate"),
    [
        (13, 0x66, Fate.LOST),
        (13, 0x42, Fate.LOST),
        (13, 0xCF, Fate.NO_ROUTE),
        (13, 0x74, Fate.TOO_LONG),
        (14, 0x0C02, Fate.LOST),
        (14, 0x0C26, Fate.NO_ROUTE),
        (14, 0x0038, Fate.TOO_LONG),
    ],
)
async def test_the_coordinator_tells_how_a_frame_ended(version: int, status: int, fate: Fate) -> None:
    tap = _tap(version)
    async with _sending(tap) as (_, ends):
        tap.hear(tap.bench.accepted())
    tag = tap.bench.unicasts()[0][2]
    tap.hear(tap.bench.sent(tag, cluster=0x0006))
    tap.hear(tap.bench.sent(tag, nwk=0x5678), tap.bench.sent(tag, nwk=0xFFFD))
    assert ends == [], "a frame of the library's had the same tag"
    tap.hear(tap.bench.sent(tag, status), tap.bench.sent(tag, status))
    assert ends == [fate]
    assert tap.bench.callbacks == ["messageSentHandler"] * 4


@pytest.mark.asyncio
async def test_an_end_may_come_before_the_answer_is_looked_at() -> None:
    tap = _tap()
    async with _sending(tap) as (_, ends):
        tap.hear(tap.bench.accepted(), tap.bench.sent(tap.bench.unicasts()[0][2]))
    assert ends == [Fate.DELIVERED]


@pytest.mark.asyncio
@pytest.mark.parametrize(("version", "status"), [(13, 0x18), (13, 0x72), (13, 0xA1), (14, 0x0C03), (14, 0x1A), (14, 0x04)])
async def test_a_coordinator_without_a_buffer_is_busy(version: int, status: int) -> None:
    tap = _tap(version)
    with pytest.RaisesGroup(Busy):
        async with _sending(tap) as (_, ends):
            tap.hear(tap.bench.accepted(status))
    assert ends == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("version", "status", "fate"), [(13, 0x74, Fate.TOO_LONG), (13, 0x70, Fate.LOST), (14, 0x38, Fate.TOO_LONG), (14, 0x02, Fate.LOST)]
)
async def test_a_unicast_that_is_refused_ends_there(version: int, status: int, fate: Fate) -> None:
    tap = _tap(version)
    async with _sending(tap) as (_, ends):
        tap.hear(tap.bench.accepted(status))
    assert ends == [fate]


@pytest.mark.asyncio
@pytest.mark.parametrize(("version", "busy", "refused"), [(13, 0x18, 0x70), (14, 0x0C03, 0x02)])
async def test_a_frame_may_leave_without_a_task_and_what_came_of_it_is_told(version: int, busy: int, refused: int) -> None:
    tap = _tap(version)
    ends: list[Fate] = []
    told: list[Exception | None] = []
    for status in (0x00, busy, refused):
        assert tap.path.is_free()
        assert tap.path.send_now(nwk=0x1234, endpoint=3, frame=REPLY, ack=False, ended=ends.append, told=told.append)
        assert not tap.path.is_free()
        tap.hear(tap.bench.accepted(status))
    assert len(tap.bench.unicasts()) == 3
    assert [type(each) for each in told] == [type(None), Busy, type(None)]
    assert ends == [Fate.LOST], "the last one was refused for good"


@pytest.mark.asyncio
async def test_a_coordinator_that_does_not_know_the_command_ends_the_fast_path() -> None:
    tap = _tap()
    with pytest.RaisesGroup(FastPathUnavailable):
        async with _sending(tap):
            tap.hear(tap.bench.coordinator.answer("invalidCommand", t.EzspStatus.ERROR_INVALID_FRAME_ID))


@pytest.mark.asyncio
async def test_commands_of_both_are_numbered_in_one_row_and_each_gets_its_own_answer() -> None:
    tap = _tap()
    coordinator = tap.bench.coordinator
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            asked = group.create_task(tap.bench._ezsp.getNodeId())
            while not coordinator.heard() or coordinator.heard()[-1][3:5] != b"\x27\x00":
                await asyncio.sleep(0)
            coordinator.says(coordinator.answer("getNodeId", 0x0000))
            assert await asked == [0x0000]
            async with _sending(tap) as (_, ends):
                tap.hear(tap.bench.accepted())
            assert ends == []
    assert [payload[0] for payload in coordinator.heard()] == [0, 1, 2, 3]


@pytest.mark.asyncio
async def test_the_answer_to_a_command_that_was_given_up_is_taken_for_nothing_else() -> None:
    tap = _tap()
    with pytest.RaisesGroup(DeviceUnreachable):
        async with _sending(tap):
            late = tap.bench.accepted()
            tap.hear(tap.bench.sent(200))  # acknowledges the frame below
            tap.path._exchange.fail(DeviceUnreachable("given up"))
    async with _sending(tap) as (task, ends):
        tap.hear(late)
        await asyncio.sleep(0)
        assert not task.done()
        tap.hear(tap.bench.accepted(0x74))
    assert ends == [Fate.TOO_LONG]


@pytest.mark.asyncio
async def test_a_line_that_is_closed_ends_a_command_under_way() -> None:
    tap = _tap()
    with pytest.RaisesGroup(DeviceUnreachable):
        async with _sending(tap):
            tap.path.detach()


# --- where it cannot be used ------------------------------------------------------------------------------------------------------------------


async def _refused(bench: Bench) -> str:
    with pytest.raises(FastPathUnavailable) as refused:
        EzspPath(bench, take=lambda *_: True)  # type: ignore[arg-type]
    assert "data_received" not in vars(bench.line)
    return str(refused.value)


@pytest.mark.asyncio
@pytest.mark.parametrize("version", [4, 5, 6, 7])
async def test_firmware_with_short_frame_ids_is_told_and_left_to_the_library(version: int) -> None:
    assert f"EZSP {version}" in await _refused(Bench(version))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "missing",
    ["_ezsp", "_ezsp._gw._obj_loop", "_ezsp._gw._obj._transport", "_ezsp._protocol._send_semaphore", "_ezsp._protocol._seq", "line._rx_seq"],
)
async def test_a_library_without_a_private_name_is_left_untouched(missing: str) -> None:
    bench = Bench(13)
    owner: Any = bench
    *path, name = missing.split(".")
    for each in path:
        owner = getattr(owner, each)
    delattr(owner, name)
    assert "its inside has changed" in await _refused(bench)


@pytest.mark.asyncio
async def test_a_line_that_another_thread_owns_is_left_untouched() -> None:
    bench = Bench(13)
    loop = asyncio.new_event_loop()
    try:
        bench._ezsp._gw._obj_loop = loop
        assert "another thread" in await _refused(bench)
    finally:
        loop.close()
