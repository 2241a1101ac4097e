"""The border to the radio libraries: whatever they raise becomes an error of ours, in a sentence for people."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from otagate.model.errors import RadioError, RadioUnavailable

T = TypeVar("T")


@contextmanager
def in_our_words(sentence: Callable[[Exception], str]) -> Iterator[None]:
    """Raise what a radio library raises as RadioUnavailable, with a sentence made from it."""
    try:
        yield
    except RadioError:
        raise
    except Exception as error:  # a library lets through whatever its vendor's line makes of it: OSError, KeyError, struct.error …
        raise RadioUnavailable(sentence(error)) from error


_NCP_CODES = {
    0x00: "the coordinator reset itself for an unknown reason",
    0x01: "the coordinator was reset by its reset pin",
    0x02: "the coordinator reset itself: power came on",
    0x03: "the coordinator reset itself: watchdog",
    0x06: "the coordinator reset itself: assertion in its firmware",
    0x09: "the coordinator reset itself: boot loader",
    0x0B: "the coordinator was reset by software, perhaps for another program",
    0x51: "the line to the coordinator failed: frames were repeated and not acknowledged",
}
"""Reset and error codes of EmberZNet coordinators (Silicon Labs UG101), which bellows tells as `NcpFailure.code`."""


def plain(error: BaseException) -> str:
    """The error's own words, the meaning of its code, or its name where it has neither."""
    code = getattr(error, "code", None)
    if isinstance(code, int):
        return _NCP_CODES.get(code, f"the coordinator failed (code 0x{code:02x})")
    return str(error) or (code if isinstance(code, str) else type(error).__name__)


def one_line(words: object) -> str:
    """What a library or a database says, on one line and with an end."""
    return " ".join(str(words).split())[:200]


def failing(deed: str) -> Callable[[Exception], str]:
    """A sentence for a deed that failed."""
    return lambda error: f"{deed}: {plain(error)}"


def opening(path: str) -> Callable[[Exception], str]:
    """A sentence for a path that could not be opened, or behind which nothing answers."""

    def sentence(error: Exception) -> str:
        cause: BaseException = error
        while cause.__cause__ is not None and not str(cause):
            cause = cause.__cause__
        match cause:
            case FileNotFoundError():
                return f"{path} does not exist: is the stick plugged in, and is the path right?"
            case PermissionError():
                return f"{path} cannot be opened: another program holds it, or this user may not use it ({plain(cause)})"
            case TimeoutError():
                return f"{path} does not answer like a coordinator of this type"
        return f"{path} cannot be used: {plain(cause)}"

    return sentence


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Await work that must not be cut short; a cancellation meanwhile, or several, are raised as one when it is done."""
    task, cancelled = asyncio.get_running_loop().create_task(work), False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        if not task.cancelled():
            task.exception()  # moot, and the loop need not complain that nobody asked
        raise asyncio.CancelledError
    return task.result()
