"""What a radio library raises, in words that a person can act on."""

from __future__ import annotations

import asyncio

import pytest

from otagate.model.errors import RadioUnavailable, WrongNetwork
from otagate.radios.library import failing, in_our_words, opening


def _raised(error: Exception) -> str:
    with pytest.raises(RadioUnavailable) as told, in_our_words(opening("/dev/stick")):
        raise error
    assert told.value.__cause__ is error
    return str(told.value)


def test_a_failure_to_open_tells_the_path_and_the_likely_cause() -> None:
    assert _raised(FileNotFoundError(2, "No such file")) == "/dev/stick does not exist: is the stick plugged in, and is the path right?"
    assert "another program holds it" in _raised(PermissionError("locked"))
    assert "does not answer like a coordinator" in _raised(TimeoutError())
    assert _raised(KeyError("NIB")) == "/dev/stick cannot be used: 'NIB'"
    assert _raised(RuntimeError()) == "/dev/stick cannot be used: RuntimeError"


def test_an_error_without_words_is_told_by_its_cause() -> None:
    error = RuntimeError()
    error.__cause__ = PermissionError("locked")
    assert "another program holds it" in _raised(error)


def test_our_own_errors_and_cancellation_pass() -> None:
    with pytest.raises(WrongNetwork), in_our_words(failing("x")):
        raise WrongNetwork("another network")
    with pytest.raises(asyncio.CancelledError), in_our_words(failing("x")):
        raise asyncio.CancelledError
