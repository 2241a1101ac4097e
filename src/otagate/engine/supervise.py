"""Restart with backoff: what fails comes back by itself, unless coming back could do harm."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass

import structlog

from otagate.model.errors import OtagateError, RadioError, RadioInUse, WrongNetwork
from otagate.ports import Clock, Emit, Radio, RadioChanged, RadioState

LOG = structlog.get_logger("otagate.supervise")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Seconds between two attempts: doubled from `first` to `most`, from `first` again after a life of `healthy` seconds."""

    first: float = 1.0
    most: float = 30.0
    healthy: float = 60.0

    def after(self, delay: float) -> float:
        """The delay that follows."""
        return min(delay * 2, self.most)


async def supervise_radio(radio: Radio, *, emit: Emit, clock: Clock, reattach: asyncio.Event, backoff: Backoff) -> None:
    """Run a radio for ever. After `wrong_network` or `in_use` it stays off until `reattach` is set."""
    delay = backoff.first
    while True:
        began = clock.monotonic()
        state, sentence = await _one_life(radio)
        if clock.monotonic() - began >= backoff.healthy:
            delay = backoff.first
        emit(RadioChanged(radio=radio.name, state=state, sentence=sentence))
        try:
            async with asyncio.timeout(None if state in ("wrong_network", "in_use") else delay):
                await reattach.wait()
            delay = backoff.first
        except TimeoutError:
            delay = backoff.after(delay)
        reattach.clear()


async def _one_life(radio: Radio) -> tuple[RadioState, str]:
    error = await outcome(radio.run(), what=f"radio {radio.name}")
    match error:
        case WrongNetwork():
            return "wrong_network", str(error)
        case RadioInUse():
            return "in_use", str(error)
        case RadioError():
            return "retrying", str(error)
        case None:
            return "retrying", "the radio ended"
    return "retrying", f"the radio failed unexpectedly: {type(error).__name__}"


async def outcome(work: Awaitable[None], *, what: str) -> Exception | None:
    """Await, and give a failure back as a value: the one place that outlives what nobody foresaw. Cancellation passes."""
    try:
        await work
    except OtagateError as error:
        return error
    except Exception as error:
        LOG.exception("failed unexpectedly", what=what)
        return error
    return None
