"""Letters wait in order, one of a kind."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from otagate.engine.mailbox import Changed, Heard, Letter, Mailbox, Returned, Told
from otagate.model.errors import IllegalTransition, OtagateError, StoreUnavailable
from otagate.model.ids import UpdateId
from otagate.model.lifecycle import Cause
from otagate.ports import TransferAdvanced
from tests.policy import cases
from tests.virtual_time import VirtualClock, instantly


def advanced(cause: Cause, token: int) -> TransferAdvanced:
    return TransferAdvanced(update=UpdateId("u1"), causes=(cause,), detail="", token=token)


async def emptied(box: Mailbox) -> list[Letter]:
    letters = []
    while (letter := await the_next(box, 0)) is not None:
        letters.append(letter)
    return letters


async def the_next(box: Mailbox, timeout: float | None) -> Letter | None:
    async with box.reading(timeout) as letter:
        return letter


async def not_heeded(box: Mailbox, error: OtagateError, meanwhile: Callable[[], None]) -> None:
    """Read a letter, and fail at what it wants."""
    async with box.reading(0):
        meanwhile()
        raise error


@instantly
async def test_letters_of_different_kinds_come_in_order() -> None:
    box = Mailbox()
    letters = [Returned(), advanced(Cause.ACCEPTED, 1), Heard(), advanced(Cause.STALLED, 2), Changed()]
    for letter in letters:
        box.put(letter)
    assert await emptied(box) == letters


@instantly
async def test_however_often_a_device_repeats_itself_one_letter_waits_and_it_is_the_newest() -> None:
    box = Mailbox()
    for number in range(10_000):
        box.put(advanced(Cause.ACCEPTED, number))
        box.put(Returned())
        box.put(Told(cases.component(version=number)))
    assert await emptied(box) == [advanced(Cause.ACCEPTED, 9_999), Returned(), Told(cases.component(version=9_999))]


@instantly
async def test_who_waits_is_woken_or_told_that_nothing_came() -> None:
    box, clock = Mailbox(), VirtualClock()
    before = clock.monotonic()
    assert await the_next(box, 30) is None
    assert clock.monotonic() - before == 30
    box.put(Heard())
    assert await the_next(box, None) == Heard()


@instantly
async def test_what_is_forgotten_does_not_come() -> None:
    box = Mailbox()
    box.put(Returned())
    box.put(Changed())
    box.forget(Returned, Heard)
    assert await emptied(box) == [Changed()]
    box.put(Returned())
    box.forget(Returned)
    assert await the_next(box, 5) is None


@pytest.mark.parametrize("error", [StoreUnavailable("the disk is full"), IllegalTransition("somebody was faster")])
@instantly
async def test_a_letter_that_could_not_be_heeded_is_read_again_before_all_others(error: OtagateError) -> None:
    box = Mailbox()
    box.put(advanced(Cause.ACCEPTED, 1))
    box.put(Heard())
    with pytest.raises(type(error)):
        await not_heeded(box, error, lambda: box.put(Returned()))
    assert await emptied(box) == [advanced(Cause.ACCEPTED, 1), Heard(), Returned()]


@instantly
async def test_of_a_letter_that_could_not_be_heeded_and_a_newer_one_of_its_kind_the_newer_one_is_read() -> None:
    box = Mailbox()
    box.put(advanced(Cause.ACCEPTED, 1))
    with pytest.raises(IllegalTransition):
        await not_heeded(box, IllegalTransition("somebody was faster"), lambda: box.put(advanced(Cause.ACCEPTED, 2)))
    assert await emptied(box) == [advanced(Cause.ACCEPTED, 2)]


@instantly
async def test_a_letter_that_is_forgotten_while_it_is_read_does_not_come_back() -> None:
    box = Mailbox()
    box.put(Returned())
    with pytest.raises(StoreUnavailable):
        await not_heeded(box, StoreUnavailable("the disk is full"), lambda: box.forget(Returned))
    assert await emptied(box) == []
