"""Requests on a line that a library shares, and the numbers of frames under way; on virtual time."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any

import pytest
from zigpy.datastructures import PriorityLock

from otagate.model.errors import DeviceUnreachable
from otagate.radios.exchange import ANSWER_BOUND, Exchange
from otagate.radios.stacks import FastPathUnavailable, Fate
from tests.rig.virtual_time import run


class _Library:
    def __init__(self) -> None:
        self.lock = PriorityLock()
        self.written = 0

    def write(self) -> None:
        self.written += 1


class _Bench:
    def __init__(self, draws: Iterable[int]) -> None:
        self.library = _Library()
        self.ends: list[Fate] = []
        self._draws: Iterator[int] = iter(draws)
        self.exchange = Exchange(lambda: self.library.lock, draw=lambda: next(self._draws))

    async def hand_over(self, status: int | None, *, number: int = 1) -> int:
        """One frame; its request is answered with a status as soon as it is written, or not at all."""

        def write() -> None:
            self.library.write()
            if status is not None:
                self.exchange.answer(status)

        return await self.exchange.hand_over(number, write, self.ends.append)

    async def outcome(self, status: int | None) -> str:
        """The name of what is raised, or the status."""
        try:
            return str(await self.hand_over(status))
        except (DeviceUnreachable, FastPathUnavailable) as error:
            return type(error).__name__


def on_virtual_time(story: Callable[[_Bench], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    async def tell() -> None:
        await story(_Bench(itertools.cycle(range(256))))

    def test() -> None:
        run(tell())

    test.__name__ = story.__name__
    return test


@on_virtual_time
async def test_a_frame_that_was_taken_is_under_way_until_its_end_is_told(bench: _Bench) -> None:
    assert await bench.hand_over(0) == 0
    assert bench.exchange.is_under_way(1)
    bench.exchange.end(1, Fate.LOST)
    assert bench.ends == [Fate.LOST]
    assert not bench.exchange.is_under_way(1)


@on_virtual_time
async def test_a_frame_that_was_refused_or_not_answered_is_not_under_way(bench: _Bench) -> None:
    assert await bench.hand_over(0x11) == 0x11
    assert not bench.exchange.is_under_way(1)
    assert await bench.outcome(None) == "DeviceUnreachable"
    assert not bench.exchange.is_under_way(1)
    assert bench.ends == []


@on_virtual_time
async def test_only_answers_missing_in_a_row_end_the_fast_path(bench: _Bench) -> None:
    story = [None, None, 0, None, None, 5, None, None, None]
    assert [await bench.outcome(status) for status in story] == [
        "DeviceUnreachable", "DeviceUnreachable", "0", "DeviceUnreachable", "DeviceUnreachable", "5", "DeviceUnreachable", "DeviceUnreachable",
        "FastPathUnavailable",
    ]  # fmt: skip


@on_virtual_time
async def test_the_lock_is_given_back_whatever_happens(bench: _Bench) -> None:
    await bench.outcome(0)
    await bench.outcome(None)
    bench.exchange.close()
    await bench.outcome(0)
    assert not bench.library.lock.locked()


@on_virtual_time
async def test_a_line_that_is_closed_is_written_to_no_more(bench: _Bench) -> None:
    bench.exchange.close()
    assert await bench.outcome(0) == "DeviceUnreachable"
    assert bench.library.written == 0


@on_virtual_time
async def test_a_library_that_has_lost_its_lock_has_changed_unless_the_line_is_closed(bench: _Bench) -> None:
    del bench.library.lock
    with pytest.raises(FastPathUnavailable, match=r"its inside has changed: .* 'lock'"):
        await bench.exchange.hand_over(1, bench.library.write, bench.ends.append)
    bench.exchange.close()
    with pytest.raises(DeviceUnreachable):
        await bench.exchange.hand_over(1, bench.library.write, bench.ends.append)


@on_virtual_time
async def test_a_number_under_way_or_in_use_by_others_is_passed_over(bench: _Bench) -> None:
    bench = _Bench([7, 7, 8, 9])
    assert await bench.hand_over(0, number=bench.exchange.next_number()) == 0
    assert bench.exchange.next_number(besides={8}) == 9


@on_virtual_time
async def test_the_number_of_a_frame_whose_end_was_lost_is_free_after_a_minute(bench: _Bench) -> None:
    for number in range(200):
        await bench.hand_over(0, number=number)
    assert bench.exchange.next_number() == 200
    await asyncio.sleep(61)
    await bench.hand_over(0, number=bench.exchange.next_number())
    assert bench.exchange.is_under_way(201)
    assert not any(bench.exchange.is_under_way(number) for number in range(200))


@on_virtual_time
async def test_a_request_waits_no_longer_for_the_library_than_for_an_answer(bench: _Bench) -> None:
    await bench.library.lock.acquire()
    before = asyncio.get_running_loop().time()
    with pytest.raises(DeviceUnreachable):
        await bench.exchange.hand_over(1, bench.library.write, bench.ends.append)
    assert asyncio.get_running_loop().time() - before == pytest.approx(ANSWER_BOUND)
    assert bench.library.written == 0


# --- without a task ---------------------------------------------------------------------------------------------------------------------------


@on_virtual_time
async def test_where_the_line_is_free_a_request_is_written_at_once_and_its_answer_told(bench: _Bench) -> None:
    told: list[int | Exception] = []
    assert bench.exchange.hand_over_now(1, bench.library.write, bench.ends.append, told.append)
    assert bench.library.written == 1
    assert bench.library.lock.locked()
    bench.exchange.answer(0)
    assert told == [0]
    assert not bench.library.lock.locked()
    bench.exchange.end(1, Fate.DELIVERED)
    assert bench.ends == [Fate.DELIVERED]


@on_virtual_time
async def test_where_the_library_or_a_request_of_ours_has_the_line_nothing_is_written(bench: _Bench) -> None:
    told: list[int | Exception] = []
    await bench.library.lock.acquire()
    assert not bench.exchange.hand_over_now(1, bench.library.write, bench.ends.append, told.append)
    bench.library.lock.release()
    assert bench.exchange.hand_over_now(1, bench.library.write, bench.ends.append, told.append)
    assert not bench.exchange.hand_over_now(2, bench.library.write, bench.ends.append, told.append)
    bench.exchange.answer(0)
    bench.exchange.close()
    assert not bench.exchange.hand_over_now(3, bench.library.write, bench.ends.append, told.append)
    assert bench.library.written == 1


@on_virtual_time
async def test_why_there_is_no_answer_is_told_once_and_never_from_within_the_call(bench: _Bench) -> None:
    told: list[int | Exception] = []

    def gone() -> None:
        raise DeviceUnreachable("the radio is closed")

    def changed() -> None:
        raise AttributeError("_transport")

    for write, kind in ((gone, DeviceUnreachable), (changed, FastPathUnavailable), (bench.library.write, DeviceUnreachable)):
        assert bench.exchange.hand_over_now(1, write, bench.ends.append, told.append)
        assert told == []
        await asyncio.sleep(ANSWER_BOUND + 1)
        assert [type(each) for each in told] == [kind]
        assert not bench.exchange.is_under_way(1)
        assert bench.exchange.is_free()
        told.clear()


@on_virtual_time
async def test_a_task_that_is_cancelled_gives_the_line_back(bench: _Bench) -> None:
    task = asyncio.get_running_loop().create_task(bench.hand_over(None))
    await asyncio.sleep(0)
    assert not bench.exchange.is_free()
    task.cancel()
    await asyncio.wait([task])
    assert bench.exchange.is_free()
    assert not bench.exchange.is_under_way(1)
