"""What a radio library raises, in words that a person can act on."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import pytest
from bellows.ash import NcpFailure
from bellows.types import NcpResetCode

from otagate.model.errors import RadioUnavailable, WrongNetwork
from otagate.radios.library import failing, in_our_words, opening, plain, to_its_end


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


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (NcpResetCode.RESET_WATCHDOG, "the coordinator reset itself: watchdog"),
        (NcpResetCode.RESET_SOFTWARE, "another program"),
        (NcpResetCode.ERROR_EXCEEDED_MAXIMUM_ACK_TIMEOUT_COUNT, "repeated and not acknowledged"),
        (NcpResetCode(0x77), "the coordinator failed (code 0x77)"),
        (0x51, "repeated and not acknowledged"),
        ("Transport is closed, cannot send frame", "Transport is closed"),
    ],
)
def test_why_an_emberznet_coordinator_failed_is_told_in_words(code: object, words: str) -> None:
    assert words in plain(NcpFailure(code=code))
    assert words in _raised(NcpFailure(code=code))


def test_every_code_that_the_library_knows_has_its_words() -> None:
    told = {plain(NcpFailure(code=code)) for code in NcpResetCode if code != NcpResetCode.ERROR_UNKNOWN_EM3XX_ERROR}
    assert not any("code" in words for words in told)


@pytest.mark.asyncio
@pytest.mark.parametrize("fails", [False, True])
async def test_work_that_must_not_be_cut_short_is_awaited_however_often_its_owner_is_cancelled(fails: bool) -> None:
    begun, may_end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
    unheard: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(str(context["message"])))

    async def work() -> None:
        begun.set()
        await may_end.wait()
        ended.set()
        if fails:
            raise OSError("disk full")

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        owner = group.create_task(to_its_end(work()))
        await begun.wait()
        for _ in range(3):
            owner.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not owner.done()
        may_end.set()
        await asyncio.wait([owner])
        assert ended.is_set()
    assert owner.cancelled()
    del owner
    gc.collect()
    assert unheard == []


@pytest.mark.asyncio
async def test_what_comes_of_work_that_nobody_cut_short_is_told() -> None:
    assert await to_its_end(asyncio.sleep(0, "done")) == "done"
    with pytest.raises(FileNotFoundError):
        await to_its_end(asyncio.to_thread(Path("/nowhere/at/all").read_bytes))
