"""The border to the radio libraries: whatever they raise becomes an error of ours, in a sentence for people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from otagate.model.errors import RadioError, RadioUnavailable


@contextmanager
def in_our_words(what: str) -> Iterator[None]:
    """Raise what a radio library raises as RadioUnavailable; `what` is the path or the deed that it was about."""
    try:
        yield
    except RadioError:
        raise
    except Exception as error:  # a library lets through whatever its vendor's line makes of it: OSError, KeyError, struct.error …
        raise RadioUnavailable(explain(what, error)) from error


def plain(error: BaseException) -> str:
    """The error's own words, or its name where it has none."""
    return str(error) or type(error).__name__


def explain(what: str, error: BaseException) -> str:
    """What went wrong, in one sentence."""
    cause = error
    while cause.__cause__ is not None and not str(cause):
        cause = cause.__cause__
    match cause:
        case FileNotFoundError():
            return f"{what} does not exist: is the stick plugged in, and is the path right?"
        case PermissionError():
            return f"{what} cannot be opened: another program holds it, or this user may not use it ({plain(cause)})"
        case TimeoutError():
            return f"{what} does not answer like a coordinator of this type"
    return f"{what} cannot be used: {plain(cause)}"
