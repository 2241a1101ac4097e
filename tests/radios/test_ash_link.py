"""One line, two senders: bellows' ASH with the tap on it, against the far end of a coordinator, on virtual time."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from bellows.types import NcpResetCode
from hypothesis import given, settings
from hypothesis import strategies as st

from otagate.model.errors import DeviceUnreachable
from otagate.radios import ash
from otagate.radios.ash_link import AshLink
from otagate_rig.ezsp.link import LinkState
from tests.radios.ash_bench import AshBench, Spoil
from tests.rig.virtual_time import run

Story = Callable[[AshBench], Coroutine[Any, Any, None]]


def on_virtual_time(story: Story) -> Callable[[], None]:
    async def tell() -> None:
        bench = AshBench()
        await bench.attach()
        try:
            await story(bench)
        finally:
            bench.link.detach()
            bench.coordinator.close()

    def test() -> None:
        run(tell())

    test.__name__ = story.__name__
    return test


def losing(*places: int) -> Spoil:
    """Loses the writes at these places."""
    count = itertools.count()
    return lambda data: b"" if next(count) in places else data


def damaging(*places: int) -> Spoil:
    """Spoils the writes at these places."""
    count = itertools.count()
    return lambda data: bytes((data[0] ^ 0x40,)) + data[1:] if next(count) in places else data


# --- in ---------------------------------------------------------------------------------------------------------------------------------------


@on_virtual_time
async def test_wanted_frames_are_taken_and_the_others_reach_the_library_each_in_order(bench: AshBench) -> None:
    for number in range(20):
        bench.coordinator.call_back((b"Wanted" if number % 3 else b"other") + bytes((number,)))
    await bench.settle(1)
    assert bench.taken == [b"Wanted" + bytes((number,)) for number in range(20) if number % 3]
    assert bench.host.received == [b"other" + bytes((number,)) for number in range(20) if not number % 3]
    assert bench.coordinator.counters.retransmissions == 0, "an acknowledgement was missing"


@on_virtual_time
async def test_frames_that_come_together_are_acknowledged_together(bench: AshBench) -> None:
    together = b"".join(ash.pack(number << 4, b"Wanted") for number in range(4))
    bench.ash.data_received(together)
    assert len(bench.taken) == 4
    assert bench.transport.written == [ash.ACKS[4]]


@on_virtual_time
async def test_what_is_sent_because_of_a_frame_acknowledges_it(bench: AshBench) -> None:
    await bench.turn.acquire()
    bench.on_taken = lambda: bench.link.send(b"ours")
    bench.coordinator.call_back(b"Wanted")
    await bench.settle(1)
    bench.turn.release()
    assert bench.arrived == [b"ours"]
    assert len(bench.transport.written) == 1
    assert bench.coordinator.counters.retransmissions == 0, "the acknowledgement was missing"


@on_virtual_time
async def test_a_frame_that_acknowledges_ours_frees_the_line_before_it_is_taken(bench: AshBench) -> None:
    await bench.send_ours(b"ours")
    free: list[bool] = []
    bench.on_taken = lambda: free.append(not bench.turn.locked())
    bench.ash.data_received(ash.pack(0x01, b"Wanted"))
    assert free == [True]


@on_virtual_time
async def test_a_repeated_frame_is_acknowledged_and_not_taken_again(bench: AshBench) -> None:
    bench.ash.data_received(ash.pack(0x00, b"Wanted"))
    bench.ash.data_received(ash.pack(0x00 | ash.RETRANSMITTED, b"Wanted"))
    assert bench.taken == [b"Wanted"]
    assert bench.transport.written == [ash.ACKS[1], ash.ACKS[1]]


@on_virtual_time
async def test_a_frame_out_of_its_turn_is_refused_once_and_what_follows_in_turn_is_taken(bench: AshBench) -> None:
    for _ in range(2):
        bench.ash.data_received(ash.pack(0x10, b"Wanted too early"))
    assert bench.taken == []
    refusals = [data for data in bench.transport.written if data != ash.ACKS[0]]
    assert len(refusals) == 1
    bench.ash.data_received(ash.pack(0x00, b"Wanted"))
    bench.ash.data_received(ash.pack(0x20, b"Wanted too early"))
    assert bench.taken == [b"Wanted"]
    assert len(bench.transport.written) == 3, "a new gap is refused anew"


@on_virtual_time
async def test_a_damaged_frame_is_asked_for_again(bench: AshBench) -> None:
    bench.spoil_down = damaging(0)
    bench.coordinator.call_back(b"Wanted")
    await bench.settle(0.1)
    assert bench.taken == [b"Wanted"]
    assert bench.coordinator.counters.naks_received == 1


@on_virtual_time
async def test_a_lost_frame_comes_again(bench: AshBench) -> None:
    bench.spoil_down = losing(0)
    bench.coordinator.call_back(b"Wanted")
    await bench.settle()
    assert bench.taken == [b"Wanted"]


@on_virtual_time
async def test_no_acknowledgement_is_sent_where_something_on_the_way_does_it(bench: AshBench) -> None:
    silent = AshBench(suppress_acks=True)
    silent.link.attach()
    silent.ash.data_received(ash.pack(0x00, b"Wanted"))
    assert silent.taken == [b"Wanted"]
    assert silent.transport.written == []


STREAM = b"".join(
    (
        ash.pack(0x00, b"Wanted 1"),
        b"\x1a" + ash.pack(0x10, b"other 2"),  # cancelled before it began
        ash.FLAG,
        ash.pack(0x20, b"Wanted \x7e\x7d\x11\x13\x18\x1a"),
        ash.pack(0x30, b"other 4")[:-4] + b"\x18\x00\x7e",  # substituted: lost
        ash.pack(0x38, b"other 4"),
        b"\x11" + ash.pack(0x40, b"Wanted 5"),  # flow control in between
    )
)


@given(st.lists(st.integers(1, len(STREAM) - 1), max_size=30))
def test_however_the_octets_are_cut_the_same_is_taken_and_handed_on(cuts: list[int]) -> None:
    async def hear() -> None:
        bench = AshBench()
        bench.link.attach()
        edges = [0, *sorted(set(cuts)), len(STREAM)]
        for start, end in itertools.pairwise(edges):
            bench.ash.data_received(STREAM[start:end])
        assert bench.taken == [b"Wanted 1", b"Wanted \x7e\x7d\x11\x13\x18\x1a"]
        assert bench.host.received == [b"other 2", b"other 4", b"Wanted 5"], "the library reads what is unusual"

    run(hear())


@given(st.lists(st.binary(max_size=400), max_size=20))
def test_rubbish_costs_bounded_memory_and_the_line_is_in_step_after_the_next_flag(chunks: list[bytes]) -> None:
    async def hear() -> None:
        bench = AshBench()
        bench.link.attach()
        for chunk in chunks:
            bench.ash.data_received(chunk.replace(b"\xc1", b"").replace(b"\xc2", b""))
            assert len(bench.link._rest) + len(bench.ash._buffer) <= 2_048
        bench.ash.data_received(ash.FLAG)
        bench.ash.data_received(ash.pack(bench.ash._rx_seq << 4, b"Wanted"))
        assert bench.taken[-1:] == [b"Wanted"]

    run(hear())


@on_virtual_time
async def test_a_line_that_never_sends_a_flag_costs_bounded_memory(bench: AshBench) -> None:
    for _ in range(100):
        bench.ash.data_received(bytes(200))
    assert len(bench.link._rest) <= 1_024


# --- out --------------------------------------------------------------------------------------------------------------------------------------


@on_virtual_time
async def test_both_send_in_turn_and_every_frame_arrives_once(bench: AshBench) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(20):
            send = bench.send_ours if number % 2 else bench.send_theirs
            group.create_task(send(b"command" + bytes((number,))))
    await bench.settle(1)
    assert sorted(bench.arrived) == [b"command" + bytes((number,)) for number in range(20)]
    assert bench.coordinator.counters.naks_sent == 0


@on_virtual_time
async def test_the_library_waits_until_a_frame_of_ours_is_acknowledged(bench: AshBench) -> None:
    bench.spoil_up = losing(0)
    await bench.send_ours(b"ours")
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.send_theirs(b"theirs"))
    assert bench.arrived == [b"ours", b"theirs"]
    assert bench.coordinator.counters.naks_sent == 0, "its frame left before ours had arrived"


@on_virtual_time
async def test_a_frame_is_repeated_when_it_is_refused(bench: AshBench) -> None:
    bench.spoil_up = damaging(0)
    await bench.send_ours(b"ours")
    await bench.settle(0.1)
    assert bench.arrived == [b"ours"]
    assert bench.coordinator.counters.naks_sent == 1


@on_virtual_time
async def test_a_frame_is_repeated_when_it_is_not_acknowledged_and_arrives_once(bench: AshBench) -> None:
    bench.spoil_down = losing(0, 1)
    await bench.send_ours(b"ours")
    await bench.settle(20)
    assert bench.arrived == [b"ours"]
    assert [bool(data[0] & ash.RETRANSMITTED) for data in bench.transport.written] == [False, True, True]
    assert bench.host.failures == []
    await bench.send_theirs(b"theirs")
    assert bench.arrived == [b"ours", b"theirs"]


@on_virtual_time
async def test_a_coordinator_that_stays_silent_has_failed_after_as_many_tries_as_the_library_would_take(bench: AshBench) -> None:
    bench.spoil_up = lambda _: b""
    await bench.send_ours(b"ours")
    await bench.settle(10)
    assert bench.host.failures == [], "it was given no more time after each try"
    await bench.settle(20)
    assert len(bench.transport.written) == 5
    assert bench.host.failures == [NcpResetCode.ERROR_EXCEEDED_MAXIMUM_ACK_TIMEOUT_COUNT]
    assert not bench.link.is_busy(), "nobody else could send any more"


@on_virtual_time
async def test_an_error_of_the_coordinator_ends_a_frame_under_way(bench: AshBench) -> None:
    bench.spoil_up = lambda _: b""
    await bench.send_ours(b"ours")
    bench.coordinator.fail(0x51)  # type: ignore[arg-type]
    await bench.settle(30)
    assert len(bench.transport.written) == 1, "it was repeated to a coordinator that has failed"
    assert not bench.link.is_busy()


@on_virtual_time
async def test_a_line_that_closes_ends_a_frame_under_way_and_takes_no_other(bench: AshBench) -> None:
    bench.spoil_up = lambda _: b""
    await bench.send_ours(b"ours")
    bench.pull()
    await bench.settle(30)
    assert len(bench.transport.written) == 1
    assert not bench.link.is_busy()
    with pytest.raises(DeviceUnreachable):
        await bench.send_ours(b"more")
    assert not bench.link.is_busy(), "a frame that did not leave kept its place"


@on_virtual_time
async def test_an_acknowledgement_that_comes_with_a_wanted_frame_counts_for_the_library_too(bench: AshBench) -> None:
    bench.coordinator.call_back(b"Wanted")
    bench.spoil_down = losing(1)  # the acknowledgement of the library's frame
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.send_theirs(b"theirs"))
        await asyncio.sleep(0.01)
        bench.coordinator.call_back(b"Wanted again")
        await asyncio.sleep(0.01)
        assert not bench.link.is_busy()
    assert bench.taken == [b"Wanted", b"Wanted again"]


# --- coming and going -------------------------------------------------------------------------------------------------------------------------


@on_virtual_time
async def test_when_it_is_detached_the_library_goes_on_in_the_middle_of_a_frame(bench: AshBench) -> None:
    frame = ash.pack(0x00, b"Wanted")
    bench.ash.data_received(frame[:4])
    bench.link.detach()
    bench.ash.data_received(frame[4:])
    assert bench.taken == []
    assert bench.host.received == [b"Wanted"]
    bench.link.detach()


@on_virtual_time
async def test_a_frame_under_way_arrives_though_the_tap_is_gone(bench: AshBench) -> None:
    bench.spoil_up = losing(0)
    await bench.send_ours(b"ours")
    bench.link.detach()
    await bench.settle(10)
    assert bench.arrived == [b"ours"]
    await bench.send_theirs(b"theirs")
    assert bench.arrived == [b"ours", b"theirs"]


@on_virtual_time
async def test_a_frame_that_has_begun_before_the_tap_is_put_on_is_read_whole(bench: AshBench) -> None:
    for number, word in enumerate((b"Wanted", b"other")):
        bench.link.detach()
        frame = ash.pack(number << 4, word)
        bench.ash.data_received(frame[:4])
        bench.link.attach()
        bench.ash.data_received(frame[4:])
    assert bench.taken == [b"Wanted"]
    assert bench.host.received == [b"other"]


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["_rx_seq", "_tx_seq", "_t_rx_ack", "_pending_data_frames", "_buffer", "_send_data_frame_semaphore"])
async def test_a_library_whose_state_is_elsewhere_or_of_another_kind_is_not_tapped(name: str) -> None:
    bench = AshBench()
    setattr(bench.ash, name, "another")
    with pytest.raises((TypeError, AttributeError)):
        AshLink(bench.ash, take=lambda _: True)
    delattr(bench.ash, name)
    with pytest.raises(AttributeError):
        AshLink(bench.ash, take=lambda _: True)


# --- the law ----------------------------------------------------------------------------------------------------------------------------------


def _noise(dice: random.Random, share: float) -> Spoil:
    def spoil(data: bytes) -> bytes:
        if dice.random() >= share:
            return data
        place = dice.randrange(len(data))
        return dice.choice((b"", data[:place], data[:place] + bytes((data[place] ^ 1 << dice.randrange(8),)) + data[place + 1 :], data + data))

    return spoil


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1 << 32), share=st.sampled_from([0.02, 0.1, 0.25]))
def test_on_a_noisy_line_nothing_is_lost_doubled_or_swapped_unless_the_link_is_told_to_have_failed(seed: int, share: float) -> None:
    async def live() -> None:
        dice = random.Random(seed)
        bench = AshBench()
        await bench.attach()
        bench.spoil_up = bench.spoil_down = _noise(dice, share)
        down = [(b"Wanted" if dice.random() < 0.6 else b"other") + bytes((number,)) for number in range(40)]
        ours, theirs = ([word + bytes((number,)) for number in range(15)] for word in (b"ours", b"theirs"))

        async def fill(send: Callable[[bytes], Coroutine[Any, Any, None]], frames: list[bytes]) -> None:
            for frame in frames:
                if bench.host.failures:
                    return  # as a radio does that is told so
                await send(frame)
                await asyncio.sleep(dice.random() * 0.1)

        async with asyncio.TaskGroup() as group:
            sending = [group.create_task(fill(bench.send_ours, ours)), group.create_task(fill(bench.send_theirs, theirs))]
            for frame in down:
                bench.coordinator.call_back(frame)
                await asyncio.sleep(dice.random() * 0.05)
            await asyncio.wait(sending, timeout=300)
            for task in sending:
                task.cancel()
        await bench.settle(60)
        failed = bool(bench.host.failures) or bench.coordinator.state is not LinkState.CONNECTED
        bench.coordinator.close()
        for heard, sent in (
            (bench.taken, [frame for frame in down if frame.startswith(b"W")]),
            (bench.host.received, [frame for frame in down if not frame.startswith(b"W")]),
            ([frame for frame in bench.arrived if frame.startswith(b"o")], ours),
            ([frame for frame in bench.arrived if frame.startswith(b"t")], theirs),
        ):
            assert heard == (sent[: len(heard)] if failed else sent)

    run(live())
