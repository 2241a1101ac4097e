"""Restart with backoff: what fails comes back by itself, unless coming back could do harm."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from otagate.engine.pulse import Pulse
from otagate.model.errors import OtagateError, RadioError, RadioInUse, WrongNetwork
from otagate.model.ids import RadioName
from otagate.ports import Clock, Emit, Radio, RadioChanged, RadioState

LOG = structlog.get_logger("otagate.supervise")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Seconds between two attempts: doubled from `first` to `most`, from `first` again after a life of `healthy` seconds."""

    first: float = 1.0
    most: float = 30.0
    healthy: float = 60.0

    def after(self, delay: float) -> float:
        """The delay that follows."""
        return min(delay * 2, self.most)


async def supervise_radio(radio: Radio, *, emit: Emit, clock: Clock, reattach: asyncio.Event, backoff: Backoff, pulse: Pulse) -> None:
    """Run a radio for ever. After an error that time does not mend (`wrong_network`, `in_use`) it stays off until `reattach` is set.

    The signs of life are the supervisor's: a radio that is away is none of the watchdog's business, one that nobody tries any more is.
    """
    delay = backoff.first
    while True:
        began = clock.monotonic()
        reattach.clear()
        state, sentence, lasting = await _one_life(radio, pulse)
        if clock.monotonic() - began >= backoff.healthy:
            delay = backoff.first
        emit(RadioChanged(radio=radio.name, state=state, sentence=sentence, retried=not lasting))
        called = await rest(reattach, None if lasting else delay, radio=radio.name, pulse=pulse)
        delay = backoff.first if called else backoff.after(delay)


async def supervise_line(life: Callable[[], Awaitable[None]], *, clock: Clock, backoff: Backoff) -> None:
    """Live for ever on a line that comes and goes; each new reason why it is away is told once. What it is for goes on without it."""
    delay, told = backoff.first, ""
    while True:
        began = clock.monotonic()
        error = await outcome(life(), what="a line")
        if clock.monotonic() - began >= backoff.healthy:
            delay, told = backoff.first, ""
        if str(error) != told:
            told = str(error)
            LOG.warning("a line is down and tried again", why=told)
        await asyncio.sleep(delay)
        delay = backoff.after(delay)


def beat(radio: RadioName, pulse: Pulse) -> None:
    """A sign of life of the supervisor of a radio."""
    pulse.beat(f"the supervisor of radio {radio}")


async def rest(called: asyncio.Event, seconds: float | None, *, radio: RadioName, pulse: Pulse) -> bool:
    """Wait for so many seconds, or for ever, with signs of life, unless `called`; True where that is why it ended."""
    while seconds is None or seconds > 0:
        beat(radio, pulse)
        step = pulse.every if seconds is None else min(pulse.every, seconds)
        try:
            async with asyncio.timeout(step):
                await called.wait()
        except TimeoutError:
            seconds = None if seconds is None else seconds - step
        else:
            return True
    return False


async def _one_life(radio: Radio, pulse: Pulse) -> tuple[RadioState, str, bool]:
    """How a life ended: the radio's state, a sentence, and whether only an operator can mend it."""
    error = await alive(radio.run(), what=f"radio {radio.name}", radio=radio.name, pulse=pulse)
    match error:
        case WrongNetwork():
            return "wrong_network", str(error), True
        case RadioInUse():
            return "in_use", str(error), error.retry == "never"
        case RadioError():
            return "retrying", str(error), False
        case None:
            return "retrying", "the radio ended", False
    return "retrying", f"the radio failed unexpectedly: {type(error).__name__}", False


async def alive(work: Coroutine[Any, Any, T], *, what: str, radio: RadioName, pulse: Pulse) -> T | Exception:
    """The outcome of work that takes long, with signs of life meanwhile."""
    # In a task of its own: what a task group inside leaves behind in its task (Python 3.11 does not take back every cancel) dies with the life.
    async with asyncio.TaskGroup() as group:
        life = group.create_task(outcome(work, what=what), name=f"life:{radio}")
        while not life.done():
            beat(radio, pulse)
            await asyncio.wait([life], timeout=pulse.every)
    return InterruptedError(f"{what} cancelled itself") if life.cancelled() else life.result()


async def outcome(work: Awaitable[T], *, what: str) -> T | Exception:
    """Await, and give a failure back as a value: the one place that outlives what nobody foresaw. Cancellation passes."""
    try:
        return await work
    except OtagateError as error:
        return error
    except Exception as error:
        leaves = list(_leaves(error))
        foreseen = next((each for each in leaves if isinstance(each, OtagateError)), None)
        if foreseen is None:
            LOG.exception("failed unexpectedly", what=what)
        return foreseen or leaves[0]


def in_words(error: Exception) -> str:
    """Why something failed, for people; of what nobody foresaw its kind alone, because nobody knows what else it says."""
    return str(error) if isinstance(error, OtagateError) else f"it failed in a way that nobody foresaw ({type(error).__name__}): see the hub's log"


def _leaves(error: Exception) -> Iterator[Exception]:
    """A task group wraps what its tasks raise."""
    if isinstance(error, ExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error
