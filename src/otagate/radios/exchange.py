"""What every fast path does on a line that it shares with a radio library: one request at a time, in turn with the library's own.

A request is handed over when the coordinator has answered it; how its frame ended is told later, under the frame's number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container
from typing import TYPE_CHECKING, Protocol

from otagate.model.errors import DeviceUnreachable
from otagate.radios.stacks import Ended, FastPathUnavailable, Fate

if TYPE_CHECKING:
    from zigpy.datastructures import ReschedulableTimeout

ANSWER_BOUND = 5.0
"""Seconds for a turn on the line, and again for an answer."""

CHANGED = (AttributeError, TypeError, KeyError, IndexError, ValueError, ImportError)
"""What private names that are gone, or mean something else now, raise."""

_MUTE_BOUND = 3
_QUARANTINE = 60.0
_MANY = 128


def changed(error: Exception) -> FastPathUnavailable:
    """Where a radio library is not built as expected."""
    return FastPathUnavailable(f"its inside has changed: {error}")


class Lock(Protocol):
    """The library's own lock around its requests."""

    def locked(self) -> bool:
        """Whether somebody has it."""

    async def acquire(self, priority: int = 0) -> object:
        """Wait for it."""

    def release(self) -> None:
        """Give it back."""


class Exchange:
    """One request at a time, each with one answer; and the frames that were handed over, until their end is told."""

    def __init__(self, lock: Callable[[], Lock], *, draw: Callable[[], int]) -> None:
        """`lock` finds the library's lock anew for every request, so that one that is gone is noticed; `draw` gives the next number of one octet.

        Raises what `CHANGED` names.
        """
        from zigpy.datastructures import ReschedulableTimeout

        found = lock()
        found.locked, found.acquire, found.release  # noqa: B018 -- all must exist before anything is tapped
        self._loop = asyncio.get_running_loop()
        self._lock = lock
        self._draw = draw
        self._overdue: ReschedulableTimeout = ReschedulableTimeout(self._is_overdue)
        self._overdue.reschedule, self._overdue.cancel  # noqa: B018
        self._answer: asyncio.Future[int] | None = None
        self._mute = 0
        self._closed = False
        self._flights: dict[int, tuple[float, Ended]] = {}

    def close(self) -> None:
        """The line is gone: what waits fails, and what is asked later too."""
        self._closed = True
        self.fail(DeviceUnreachable("the radio was closed"))
        self._overdue.cancel()
        self._flights.clear()

    # --- requests ---------------------------------------------------------------------------------------------------------------------

    async def hand_over(self, number: int, write: Callable[[], None], ended: Ended) -> int:
        """Write a request in its turn and wait for the status of its answer; where that is 0, `ended` is told later how the frame ended.

        Raises DeviceUnreachable, FastPathUnavailable, and what `write` raises.
        """
        self._flights[number] = (self._loop.time(), ended)
        status = -1
        try:
            status = await self._ask(write)
        finally:
            if status != 0:
                self._flights.pop(number, None)
        return status

    async def _ask(self, write: Callable[[], None]) -> int:
        try:
            lock = self._lock()
            await _take_turn(lock)
            try:
                status = await self._answered(write)
            finally:
                lock.release()
        except TimeoutError:
            self._mute += 1
            if self._mute >= _MUTE_BOUND:
                raise FastPathUnavailable(f"the coordinator left {self._mute} send requests unanswered") from None
            raise DeviceUnreachable("the coordinator did not answer a send request") from None
        except CHANGED as error:
            if self._closed:  # while this request waited for its turn
                raise DeviceUnreachable("the radio was closed") from None
            raise changed(error) from None
        self._mute = 0
        return status

    async def _answered(self, write: Callable[[], None]) -> int:
        """A timer of its own for every frame would cost as much as the frame: one is put off again and again."""
        if self._closed:
            raise DeviceUnreachable("the radio is closed")
        answer: asyncio.Future[int] = self._loop.create_future()
        self._answer = answer
        self._overdue.reschedule(ANSWER_BOUND)
        try:
            write()
            return await answer
        finally:
            self._answer = None

    def _is_overdue(self) -> None:
        self.fail(TimeoutError())

    @property
    def waits(self) -> bool:
        """Whether an answer is due."""
        return self._answer is not None and not self._answer.done()

    def answer(self, status: int) -> None:
        """The answer that is due has come."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(status)

    def fail(self, error: Exception) -> None:
        """There will be no answer."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    # --- frames by number -------------------------------------------------------------------------------------------------------------

    def next_number(self, besides: Container[int] = ()) -> int:
        """One that is no number under way, nor one of those; the number of a frame whose end was lost stays out of use for a minute."""
        if len(self._flights) > _MANY:
            bound = self._loop.time() - _QUARANTINE
            self._flights = {number: flight for number, flight in self._flights.items() if flight[0] > bound}
        for _ in range(256):
            number = self._draw()
            if number not in self._flights and number not in besides:
                break
        return number

    def is_under_way(self, number: int) -> bool:
        """Whether a frame of ours has this number."""
        return number in self._flights

    def end(self, number: int, fate: Fate) -> None:
        """The coordinator has told how a frame of ours ended."""
        _, ended = self._flights.pop(number)
        ended(fate)


async def _take_turn(lock: Lock) -> None:
    """After the library's own requests; a free lock is taken without a timer. Raises TimeoutError."""
    if not lock.locked():
        await lock.acquire(priority=-1)
        return
    async with asyncio.timeout(ANSWER_BOUND):
        await lock.acquire(priority=-1)
