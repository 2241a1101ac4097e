"""What every fast path does on a line that it shares with a radio library: one request at a time, in turn with the library's own.

A request is handed over when the coordinator has answered it; how its frame ended is told later, under the frame's number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

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


Told = Callable[[int | Exception], None]
"""Told once what came of a request: the status of its answer, or why there is none."""


def changed(error: Exception) -> FastPathUnavailable:
    """Where a radio library is not built as expected."""
    return FastPathUnavailable(f"its inside has changed: {error}")


class Lock(Protocol):
    """The library's own lock around its requests."""

    def locked(self) -> bool:
        """Whether somebody has it."""

    def acquire(self, priority: int = 0) -> Coroutine[Any, Any, object]:
        """Wait for it."""

    def release(self) -> None:
        """Give it back."""


@dataclass(slots=True, eq=False)
class _Request:
    """What was written and is not answered yet, and the turn that it has on the line."""

    lock: Lock
    number: int
    told: Told


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
        self._request: _Request | None = None
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

    def is_free(self) -> bool:
        """Whether a request could be written at this moment, by anybody."""
        try:
            return self._request is None and not self._closed and not self._lock().locked()
        except CHANGED:
            return False  # whoever waits for a turn is told why

    async def hand_over(self, number: int, write: Callable[[], None], ended: Ended) -> int:
        """Write a request in its turn and wait for the status of its answer; where that is 0, `ended` is told later how the frame ended.

        Raises DeviceUnreachable, FastPathUnavailable, and what `write` raises.
        """
        answer: asyncio.Future[int] = self._loop.create_future()

        def told(outcome: int | Exception) -> None:
            if answer.done():
                return
            if isinstance(outcome, Exception):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)

        self._flights[number] = (self._loop.time(), ended)
        request: _Request | None = None
        try:
            lock = self._lock()
            await _take_turn(lock)
            request = self._ask(lock, number, write, told)
            return await answer
        except (TimeoutError, *CHANGED) as error:
            raise self._because(error) from None
        finally:
            if request is None:
                self._flights.pop(number, None)
            else:
                self._give_up(request)

    def hand_over_now(self, number: int, write: Callable[[], None], ended: Ended, told: Told) -> bool:
        """The same without waiting: False, with nothing done, where it is not this request's turn; else `told` is called once, later.

        It is told the status of the answer, DeviceUnreachable or FastPathUnavailable; errors never from within the line's own callback.
        """
        try:
            lock = self._lock()
            if self._closed or not _takes_at_once(lock):
                return False
        except CHANGED:
            return False  # whoever waits for a turn is told why
        self._flights[number] = (self._loop.time(), ended)
        try:
            self._ask(lock, number, write, told)
        except (DeviceUnreachable, *CHANGED) as error:
            self._flights.pop(number, None)
            self._loop.call_soon(told, error if isinstance(error, DeviceUnreachable) else self._because(error))
        return True

    def _ask(self, lock: Lock, number: int, write: Callable[[], None], told: Told) -> _Request:
        """Write in a turn that was taken; it is given back with the answer, or at once where there will be none.

        A timer of its own for every frame would cost as much as the frame: one is put off again and again.
        """
        request = self._request = _Request(lock, number, told)
        self._overdue.reschedule(ANSWER_BOUND)
        written = False
        try:
            if self._closed:
                raise DeviceUnreachable("the radio is closed")
            write()
            written = True
        finally:
            if not written:
                self._give_up(request)
        return request

    def _because(self, error: Exception) -> Exception:
        if isinstance(error, TimeoutError):
            self._mute += 1
            if self._mute >= _MUTE_BOUND:
                return FastPathUnavailable(f"the coordinator left {self._mute} send requests unanswered")
            return DeviceUnreachable("the coordinator did not answer a send request")
        if self._closed:  # while this request waited for its turn
            return DeviceUnreachable("the radio was closed")
        return changed(error)

    def _is_overdue(self) -> None:
        self.fail(TimeoutError())

    @property
    def waits(self) -> bool:
        """Whether an answer is due."""
        return self._request is not None

    def answer(self, status: int) -> None:
        """The answer that is due has come."""
        request = self._end()
        if request is not None:
            self._mute = 0
            if status != 0:
                self._flights.pop(request.number, None)
            request.told(status)

    def fail(self, error: Exception) -> None:
        """There will be no answer."""
        request = self._end()
        if request is not None:
            self._flights.pop(request.number, None)
            because = self._because(error) if isinstance(error, TimeoutError) else error
            self._loop.call_soon(request.told, because)

    def _end(self) -> _Request | None:
        request, self._request = self._request, None
        if request is not None:
            request.lock.release()
        return request

    def _give_up(self, request: _Request) -> None:
        """Whoever waited for the answer does so no more."""
        if self._request is request:
            self._end()
            self._flights.pop(request.number, None)

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


def _takes_at_once(lock: Lock) -> bool:
    """Take a free lock outside of any task: an `acquire` that need not wait runs to its end at the first step."""
    turn = lock.acquire(priority=-1)
    try:
        turn.send(None)
    except StopIteration:
        return True
    turn.close()
    return False
