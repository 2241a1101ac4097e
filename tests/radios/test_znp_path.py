"""The tap on the serial line of a Z-Stack coordinator: what it takes, what it hands on, however the bytes are cut."""

from __future__ import annotations

import asyncio
import itertools
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zigpy.datastructures import PriorityLock

from otagate.model.errors import DeviceUnreachable
from otagate.radios.stacks import Busy, FastPathUnavailable, Fate
from otagate.radios.znp_path import ZnpPath
from tests.radios.mt import PING_ANSWER, RESET, ROUTE, accepted, confirm, incoming, mt

BLOCK_REQUEST = bytes.fromhex("010703") + struct.pack("<BHHIIB", 0, 0x1189, 0x0083, 2, 0, 63)
READ = bytes.fromhex("1801010000002000")
REPLY = b"\x19\x07\x05" + bytes(14) + b"x" * 48


@dataclass
class _Line:
    """What zigpy-znp's serial protocol is to the tap."""

    written: list[bytes] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)

    def data_received(self, data: bytes) -> None:
        self.received.append(bytes(data))

    def write(self, data: bytes) -> None:
        self.written.append(data)


@dataclass
class _Packet:
    tsn: int
    dst_ep: int = 1

    def replace(self, **fields: Any) -> _Packet:
        return replace(self, **fields)


class _Api:
    def __init__(self, line: _Line) -> None:
        self._uart = line
        self._sync_request_lock = PriorityLock()

    def callback_for_response(self, response: object, callback: object) -> None: ...

    def disconnect(self) -> None: ...


class _App:
    def __init__(self) -> None:
        self.line = _Line()
        self._znp = _Api(self.line)
        self.sent: list[_Packet] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.numbers = itertools.cycle(range(256))

    def get_sequence(self) -> int:
        return next(self.numbers)

    async def send_packet(self, packet: Any) -> None:
        self.sent.append(packet)
        await self.gate.wait()


@dataclass
class _Tap:
    app: _App
    path: ZnpPath
    taken: list[tuple[int, int, int, int, bytes]]

    def hear(self, *chunks: bytes) -> None:
        for chunk in chunks:
            self.app.line.data_received(chunk)

    @property
    def handed_on(self) -> bytes:
        return b"".join(self.app.line.received)


def _tap(*, taking: bool = True) -> _Tap:
    app = _App()
    taken: list[tuple[int, int, int, int, bytes]] = []

    def take(*frame: Any) -> bool:
        taken.append(frame)
        return taking

    return _Tap(app, ZnpPath(app, take=take), taken)  # type: ignore[arg-type]


# --- in ---------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_request_is_taken_and_everything_else_goes_on_in_order() -> None:
    tap = _tap()
    tap.hear(PING_ANSWER + incoming(BLOCK_REQUEST) + ROUTE)
    assert tap.taken == [(0x1234, 1, 1, 200, BLOCK_REQUEST)]
    assert tap.handed_on == PING_ANSWER + ROUTE


@pytest.mark.asyncio
async def test_a_frame_that_is_not_wanted_goes_on_to_the_library() -> None:
    tap = _tap(taking=False)
    tap.hear(incoming(BLOCK_REQUEST))
    assert tap.handed_on == incoming(BLOCK_REQUEST)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "other",
    [incoming(READ, cluster=0x0000), incoming(BLOCK_REQUEST, group=5), incoming(BLOCK_REQUEST, broadcast=1), confirm(77), accepted(), RESET, ROUTE],
    ids=["another cluster", "a groupcast", "a broadcast", "a confirmation", "an answer", "a reset", "an indication"],
)
async def test_what_is_not_ours_is_never_taken(other: bytes) -> None:
    tap = _tap()
    tap.hear(other)
    assert tap.taken == []
    assert tap.handed_on == other


@pytest.mark.asyncio
async def test_a_frame_with_a_wrong_check_sequence_is_the_librarys_to_drop() -> None:
    tap = _tap()
    broken = bytearray(incoming(BLOCK_REQUEST))
    broken[-1] ^= 0x55
    tap.hear(bytes(broken))
    assert tap.taken == []
    assert tap.handed_on == bytes(broken)


@pytest.mark.asyncio
async def test_a_length_that_lies_about_the_frame_inside_is_not_believed() -> None:
    tap = _tap()
    lying = struct.pack("<HHHBBBBBIBB", 0, 0x0019, 0x1234, 1, 1, 0, 200, 0, 0, 0, 200) + BLOCK_REQUEST
    tap.hear(mt(0x4481, lying))
    assert tap.taken == []


STREAM = [PING_ANSWER, incoming(BLOCK_REQUEST), ROUTE, incoming(READ, cluster=0x0006), incoming(BLOCK_REQUEST, source=0x4321), RESET, confirm(9)]


@given(st.lists(st.integers(1, sum(map(len, STREAM)) - 1), max_size=40))
def test_however_the_bytes_are_cut_the_same_is_taken_and_handed_on(cuts: list[int]) -> None:
    async def hear() -> None:
        tap = _tap()
        stream = b"".join(STREAM)
        edges = [0, *sorted(set(cuts)), len(stream)]
        tap.hear(*(stream[start:end] for start, end in itertools.pairwise(edges)))
        assert [frame[0] for frame in tap.taken] == [0x1234, 0x4321]
        assert tap.handed_on == b"".join(frame for frame in STREAM if b"\x19\x00\x34\x12" not in frame and b"\x19\x00\x21\x43" not in frame)

    asyncio.run(hear())


@given(st.lists(st.binary(max_size=300), max_size=10))
def test_rubbish_is_handed_on_unchanged_and_holds_back_at_most_one_frame(chunks: list[bytes]) -> None:
    async def hear() -> None:
        tap = _tap(taking=False)
        tap.hear(*chunks)
        heard = b"".join(chunks)
        assert heard.startswith(tap.handed_on)
        assert len(heard) - len(tap.handed_on) <= 255
        tap.path.detach()
        assert tap.handed_on == heard, "what was held back of a frame is the library's when we go"

    asyncio.run(hear())


@pytest.mark.asyncio
async def test_the_tap_finds_its_step_again_after_rubbish() -> None:
    tap = _tap()
    tap.hear(b"\x00\xfe\xff\xfe\x05\x99", b"\x12" + incoming(BLOCK_REQUEST), incoming(BLOCK_REQUEST))
    assert len(tap.taken) == 2
    assert tap.handed_on == b"\x00\xfe\xff\xfe\x05\x99\x12"


@pytest.mark.asyncio
async def test_when_it_is_detached_everything_is_as_before() -> None:
    tap = _tap()
    tap.path.detach()
    tap.hear(incoming(BLOCK_REQUEST))
    assert tap.taken == []
    await tap.app.send_packet(_Packet(tsn=5))
    assert [each.tsn for each in tap.app.sent] == [5]
    tap.path.detach()
    with pytest.raises(DeviceUnreachable):
        await tap.path.send(nwk=1, endpoint=1, frame=REPLY, ack=False, ended=lambda _: None)


# --- out --------------------------------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _sending(tap: _Tap, frame: bytes = REPLY, *, ack: bool = False) -> AsyncIterator[tuple[asyncio.Task[None], list[Fate]]]:
    """A send whose request has been written and is not answered yet."""
    ends: list[Fate] = []
    before = len(tap.app.line.written)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(tap.path.send(nwk=0x1234, endpoint=3, frame=frame, ack=ack, ended=ends.append))
        async with asyncio.timeout(60):
            while len(tap.app.line.written) == before:
                await asyncio.sleep(0)
        yield task, ends


def _request(written: bytes) -> tuple[Any, ...]:
    return struct.unpack_from("<BQBHBHBBBH", written, 4)


@pytest.mark.asyncio
@pytest.mark.parametrize("ack", [False, True])
async def test_a_frame_leaves_as_one_data_request_from_our_endpoint(ack: bool) -> None:
    tap = _tap()
    async with _sending(tap, ack=ack):
        tap.hear(accepted())
    (written,) = tap.app.line.written
    assert written == mt(0x2402, written[4:-1])
    mode, address, endpoint, pan, own, cluster, _, options, _, length = _request(written)
    assert (mode, address, endpoint, pan, own, cluster, length) == (2, 0x1234, 3, 0, 1, 0x0019, len(REPLY))
    assert bool(options & 0x10) is ack
    assert written.endswith(REPLY + written[-1:])
    assert tap.handed_on == b"", "the answer to our request is no business of the library"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "fate"),
    [(0x00, Fate.DELIVERED), (0xE9, Fate.LOST), (0xB7, Fate.LOST), (0xCD, Fate.NO_ROUTE), (0xE5, Fate.TOO_LONG), (0xA0, Fate.TOO_LONG)],
)
async def test_a_confirmation_tells_how_a_frame_ended(status: int, fate: Fate) -> None:
    tap = _tap()
    async with _sending(tap) as (_, ends):
        tap.hear(accepted())
    number = _request(tap.app.line.written[0])[6]
    tap.hear(confirm(number, status), confirm(number, status))
    assert ends == [fate]
    assert tap.handed_on == confirm(number, status), "a second one is not ours"


@pytest.mark.asyncio
async def test_a_confirmation_may_come_before_the_answer_is_looked_at() -> None:
    tap = _tap()
    async with _sending(tap) as (_, ends):
        tap.hear(accepted() + confirm(_request(tap.app.line.written[0])[6]))
    assert ends == [Fate.DELIVERED]


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [0x10, 0x11, 0x1A])
async def test_a_coordinator_without_a_buffer_is_busy(status: int) -> None:
    tap = _tap()
    with pytest.RaisesGroup(Busy):
        async with _sending(tap) as (_, ends):
            tap.hear(accepted(status))
    assert ends == []


@pytest.mark.asyncio
async def test_a_request_that_is_refused_ends_there() -> None:
    tap = _tap()
    async with _sending(tap) as (_, ends):
        tap.hear(accepted(0xC2))
    assert ends == [Fate.LOST]
    async with _sending(tap) as (_, ends):
        tap.hear(accepted(0x02))  # what Z-Stack says of a frame that is too long for it
    assert ends == [Fate.TOO_LONG]


@pytest.mark.asyncio
async def test_a_frame_may_leave_without_a_task_and_what_came_of_it_is_told() -> None:
    tap = _tap()
    ends: list[Fate] = []
    told: list[Exception | None] = []
    for status in (0x00, 0x11, 0xC2):
        assert tap.path.is_free()
        assert tap.path.send_now(nwk=0x1234, endpoint=3, frame=REPLY, ack=False, ended=ends.append, told=told.append)
        assert not tap.path.is_free()
        tap.hear(accepted(status))
    assert len(tap.app.line.written) == 3
    assert [type(each) for each in told] == [type(None), Busy, type(None)]
    assert ends == [Fate.LOST], "the last one was refused for good"


@pytest.mark.asyncio
async def test_a_coordinator_that_does_not_know_the_command_ends_the_fast_path() -> None:
    tap = _tap()
    with pytest.RaisesGroup(FastPathUnavailable):
        async with _sending(tap):
            tap.hear(mt(0x6000, b"\x02\x24\x02"))


@pytest.mark.asyncio
async def test_a_line_that_is_closed_ends_a_request_under_way() -> None:
    tap = _tap()
    with pytest.RaisesGroup(DeviceUnreachable):
        async with _sending(tap):
            tap.path.detach()


@pytest.mark.asyncio
async def test_no_two_frames_under_way_share_a_number_the_librarys_included() -> None:
    tap = _tap()
    tap.app.gate.clear()
    async with asyncio.TaskGroup() as group:
        for _ in range(100):
            group.create_task(tap.app.send_packet(_Packet(tsn=77)))
        while len(tap.app.sent) < 100:
            await asyncio.sleep(0)
        ours = []
        for _ in range(100):
            async with _sending(tap):
                tap.hear(accepted())
            ours.append(_request(tap.app.line.written[-1])[6])
        tap.app.gate.set()
    numbers = [*ours, *(each.tsn for each in tap.app.sent)]
    assert len(set(numbers)) == 200


@pytest.mark.asyncio
async def test_a_request_to_the_zdo_keeps_its_number_because_it_travels_in_the_frame() -> None:
    tap = _tap()
    await tap.app.send_packet(_Packet(tsn=77, dst_ep=0))
    assert [each.tsn for each in tap.app.sent] == [77]


@pytest.mark.asyncio
@pytest.mark.parametrize("missing", ["_znp", "_znp._uart", "_znp._sync_request_lock"])
async def test_a_library_without_a_private_name_is_left_untouched(missing: str) -> None:
    app = _App()
    line = app.line
    owner, _, name = missing.rpartition(".")
    delattr(app if not owner else app._znp, name)
    with pytest.raises(FastPathUnavailable):
        ZnpPath(app, take=lambda *_: True)  # type: ignore[arg-type]
    assert "data_received" not in vars(line)
    assert "send_packet" not in vars(app)
