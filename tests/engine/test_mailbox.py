"""Letters wait in order, one of a kind."""

from __future__ import annotations

from otagate.engine.mailbox import Changed, Heard, Letter, Mailbox, Returned, Told
from otagate.model.ids import UpdateId
from otagate.model.lifecycle import Cause
from otagate.ports import TransferAdvanced
from tests.policy import cases
from tests.virtual_time import VirtualClock, instantly


def advanced(cause: Cause, token: int) -> TransferAdvanced:
    return TransferAdvanced(update=UpdateId("u1"), causes=(cause,), detail="", token=token)


async def emptied(box: Mailbox) -> list[Letter]:
    letters = []
    while (letter := await box.get(0)) is not None:
        letters.append(letter)
    return letters


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
    assert await box.get(30) is None
    assert clock.monotonic() - before == 30
    box.put(Heard())
    assert await box.get(None) == Heard()


@instantly
async def test_what_is_forgotten_does_not_come() -> None:
    box = Mailbox()
    box.put(Returned())
    box.put(Changed())
    box.forget(Returned, Heard)
    assert await emptied(box) == [Changed()]
    box.put(Returned())
    box.forget(Returned)
    assert await box.get(5) is None
