"""The NCP's end of the ASH connection: order, acknowledgement, repetition, and giving up; on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from ezsp_fakes import RawHost, raw_host
from tests.rig.virtual_time import run

from otagate_rig.ezsp import EzspNcp, ash, frames
from otagate_rig.ezsp.enums import ResetCode
from otagate_rig.ezsp.link import ACK_TIMEOUTS, WINDOW

ECHO = frames.ECHO
Story = Callable[[EzspNcp, RawHost], Coroutine[Any, Any, None]]


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[EzspNcp, RawHost]]:
    """A raw host that has acknowledged everything."""
    async with raw_host() as (ncp, host):
        await asyncio.sleep(0)
        yield ncp, host


def on_virtual_time(story: Story) -> Callable[[], None]:
    async def tell() -> None:
        async with connected() as (ncp, host):
            await story(ncp, host)

    def test() -> None:
        run(tell())

    test.__name__ = story.__name__
    return test


def data_numbers(host: RawHost, since: int = 0) -> list[tuple[int, bool]]:
    """(frame number, repeated) of the DATA frames heard."""
    return [(body[0] >> 4, bool(body[0] & ash.RETRANSMITTED)) for body in host.bodies[since:] if body[0] < ash.ACK]


def callback(ncp: EzspNcp, number: int) -> None:
    ncp._stack.call_back(0x7000 + number, b"")


@on_virtual_time
async def test_a_response_carries_the_acknowledgement_of_its_command(ncp: EzspNcp, host: RawHost) -> None:
    before = len(host.bodies)
    assert host.ask(ECHO, b"\x02hi") == b"\x02hi"
    (only,) = host.bodies[before:]
    assert only[0] & 7 == host.next


@on_virtual_time
async def test_no_more_frames_than_the_window_wait_for_their_acknowledgement(ncp: EzspNcp, host: RawHost) -> None:
    host.acknowledges = False
    before = len(host.heard)
    for number in range(12):
        callback(ncp, number)
    assert len(host.heard) - before == WINDOW
    host.acknowledge()
    assert len(host.heard) - before == 2 * WINDOW
    host.acknowledge()
    assert [command - 0x7000 for command, _ in host.heard[before:]] == list(range(12))


@on_virtual_time
async def test_a_command_is_acknowledged_by_a_frame_of_its_own_while_its_response_waits(ncp: EzspNcp, host: RawHost) -> None:
    host.acknowledges = False
    for number in range(WINDOW + 3):
        callback(ncp, number)
    assert host.tell(ECHO, b"\x00") == []
    assert host.bodies[-1] == bytes((ash.ACK | host.next,))
    before = len(host.heard)
    host.acknowledge()
    assert host.heard[before][0] == ECHO, "responses overtake callbacks that wait"


@on_virtual_time
async def test_what_is_not_acknowledged_is_repeated_in_order_until_it_is(ncp: EzspNcp, host: RawHost) -> None:
    host.acknowledges = False
    before = len(host.bodies)
    heard = len(host.heard)
    callback(ncp, 1)
    callback(ncp, 2)
    first = host.bodies[-1][0] >> 4
    await asyncio.sleep(2)
    numbers = data_numbers(host, before)
    assert numbers == [((first - 1) & 7, False), (first, False), ((first - 1) & 7, True), (first, True)]
    assert len(host.heard) - heard == 2
    host.acknowledge()
    await asyncio.sleep(60)
    assert data_numbers(host, before) == numbers
    assert ncp.link_counters.ack_timeouts == 1
    assert ncp.link_counters.retransmissions == 2


@on_virtual_time
async def test_a_nak_has_everything_from_there_on_repeated_at_once(ncp: EzspNcp, host: RawHost) -> None:
    host.acknowledges = False
    for number in range(3):
        callback(ncp, number)
    last = host.bodies[-1][0] >> 4
    before = len(host.bodies)
    host.put(bytes((ash.NAK | (last - 1) & 7,)))
    assert data_numbers(host, before) == [((last - 1) & 7, True), (last, True)]
    assert ncp.link_counters.naks_received == 1


@on_virtual_time
async def test_a_host_that_never_acknowledges_is_given_up_with_an_error_frame(ncp: EzspNcp, host: RawHost) -> None:
    host.acknowledges = False
    callback(ncp, 1)
    await asyncio.sleep(60)
    assert host.errors == [ResetCode.ACK_TIMEOUTS]
    assert ncp.link_counters.ack_timeouts == ACK_TIMEOUTS
    assert ncp.network_is_up
    assert host.tell(ECHO, b"\x00") == []
    assert host.errors == [ResetCode.ACK_TIMEOUTS] * 2
    host.acknowledges = True
    host.agree()
    assert host.ask(ECHO, b"\x00") == b"\x00"


@on_virtual_time
async def test_a_repeated_command_is_acknowledged_and_not_obeyed_twice(ncp: EzspNcp, host: RawHost) -> None:
    host.ask(ECHO, b"\x00")
    frames_in, before = ncp.counters.frames_in, len(host.bodies)
    again = frames.HEADER.pack(host.sequence, 0, frames.FORMAT_1, ECHO) + b"\x00"
    host.data(again, number=(host.next - 1) & 7, flags=ash.RETRANSMITTED)
    assert host.bodies[before:] == [bytes((ash.ACK | host.next,))]
    assert ncp.counters.frames_in == frames_in


@on_virtual_time
async def test_a_lost_command_is_asked_for_once_and_what_follows_it_is_not_obeyed(ncp: EzspNcp, host: RawHost) -> None:
    await asyncio.sleep(0)
    missing, before = host.next, len(host.bodies)
    echo = frames.HEADER.pack(99, 0, frames.FORMAT_1, ECHO) + b"\x00"
    host.data(echo, number=(missing + 1) & 7)
    host.data(echo, number=(missing + 2) & 7)
    assert host.bodies[before:] == [bytes((ash.NAK | missing,))]
    assert host.ask(ECHO, b"\x01x") == b"\x01x"
    host.data(echo, number=(missing + 2) & 7)
    assert host.bodies[-1] == bytes((ash.NAK | (missing + 1) & 7,))


@on_virtual_time
async def test_a_damaged_command_is_asked_for_again(ncp: EzspNcp, host: RawHost) -> None:
    before = len(host.bodies)
    ncp.bytes_received(ash.corrupt(ash.encode(bytes((host.next << 4 | host.expected,)) + b"\x00" * 6)))
    assert host.bodies[before:] == [bytes((ash.NAK | host.next,))]
    assert ncp.bad_frames == 1
    assert ncp.link_counters.naks_sent == 1
    assert host.ask(ECHO, b"\x00") == b"\x00"


@on_virtual_time
async def test_a_command_that_is_misheard_is_asked_for_again(ncp: EzspNcp, host: RawHost) -> None:
    before = len(host.bodies)
    ncp.mishear_next()
    assert host.tell(ECHO, b"\x00") == []
    assert host.bodies[before:] == [bytes((ash.NAK | (host.next - 1) & 7,))]
    host.data(frames.HEADER.pack(host.sequence, 0, frames.FORMAT_1, ECHO) + b"\x00", number=(host.next - 1) & 7, flags=ash.RETRANSMITTED)
    assert host.heard[-1][0] == ECHO


@on_virtual_time
async def test_an_acknowledgement_for_a_frame_that_was_never_sent_is_refused(ncp: EzspNcp, host: RawHost) -> None:
    before = len(host.bodies)
    host.put(bytes((ash.ACK | (host.expected + 3) & 7,)))
    assert host.bodies[before:] == [bytes((ash.NAK | host.next,))]
    assert host.ask(ECHO, b"\x00") == b"\x00"


@on_virtual_time
async def test_a_host_that_is_not_ready_gets_responses_and_for_a_second_no_callbacks(ncp: EzspNcp, host: RawHost) -> None:
    host.acknowledges = False
    host.acknowledge(ash.NOT_READY)
    before = len(host.heard)
    callback(ncp, 1)
    assert len(host.heard) == before
    assert host.ask(ECHO, b"\x00") == b"\x00"
    await asyncio.sleep(1.1)
    assert host.heard[-1][0] == 0x7001
    host.acknowledge(ash.NOT_READY)
    callback(ncp, 2)
    assert host.heard[-1][0] == 0x7001
    host.acknowledge()
    assert host.heard[-1][0] == 0x7002


@on_virtual_time
async def test_the_wait_for_an_acknowledgement_follows_the_host(ncp: EzspNcp, host: RawHost) -> None:
    host.acknowledges = False
    for number in range(20):
        callback(ncp, number)
        await asyncio.sleep(0.01)
        host.acknowledge()
    before = len(host.bodies)
    callback(ncp, 99)
    await asyncio.sleep(0.41)
    assert len(data_numbers(host, before)) == 2, "a prompt host is waited for 0.4 s instead of 1.6 s"


@on_virtual_time
async def test_callbacks_beyond_the_queue_are_lost_and_the_next_response_says_so(ncp: EzspNcp, host: RawHost) -> None:
    host.acknowledges = False
    for number in range(600):
        callback(ncp, number)
    assert ncp.link_counters.lost_frames == 600 - 512 - WINDOW
    host.tell(ECHO, b"\x00")
    host.acknowledge()
    response = next(ash.randomise(body[1:]) for body in host.bodies[-WINDOW:] if ash.randomise(body[1:])[3] == ECHO)
    assert response[1] == frames.RESPONSE | frames.OVERFLOW


@on_virtual_time
async def test_a_reset_starts_both_counts_at_nought_and_forgets_what_waited(ncp: EzspNcp, host: RawHost) -> None:
    host.acknowledges = False
    for number in range(8):
        callback(ncp, number)
    host.reset()
    before = len(host.heard)
    host.ask(frames.VERSION, b"\x0d")
    assert host.bodies[-1][0] == 0x01, "frame 0, which acknowledges frame 0 of the host"
    host.acknowledge()
    assert len(host.heard) - before == 1


@pytest.mark.parametrize("body", [b"\x25ab", b"\xc3", b"\xc0x", b"\x80x", b"\xe0", b"\xc1\x02\x0b"])
def test_frames_that_no_host_sends_are_refused(body: bytes) -> None:
    async def story() -> None:
        async with connected() as (_, host):
            before = len(host.bodies)
            host.put(body)
            assert host.bodies[before:] == [bytes((ash.NAK | host.next,))]
            assert host.ask(ECHO, b"\x00") == b"\x00"

    run(story())
