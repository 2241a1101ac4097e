"""Restart with backoff: what fails comes back by itself, unless coming back could do harm."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from otagate.model.errors import RadioError, RadioInUse, WrongNetwork
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


async def supervise_radio(radio: Radio, *, emit: Emit, clock: Clock, reattach: asyncio.Event, beat: Callable[[], None], backoff: Backoff) -> None:
    """Run a radio for ever. After `wrong_network` or `in_use` it stays off until `reattach` is set."""
    delay = backoff.first
    while True:
        beat()
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
    try:
        await radio.run()
    except WrongNetwork as error:
        return "wrong_network", str(error)
    except RadioInUse as error:
        return "in_use", str(error)
    except RadioError as error:
        return "retrying", str(error)
    except Exception as error:  # the supervisor is the one place that outlives what nobody foresaw
        LOG.exception("radio failed", radio=radio.name)
        return "retrying", f"the radio failed unexpectedly: {type(error).__name__}"
    return "retrying", "the radio ended"
