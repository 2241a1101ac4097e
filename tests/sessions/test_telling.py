"""What a session tells is told until it is on disk."""

from __future__ import annotations

import itertools

from otagate.model.ids import UpdateId
from otagate.model.lifecycle import Cause
from otagate.sessions.telling import Telling


def a_telling() -> Telling:
    return Telling(UpdateId("u1"), tokens=itertools.count(7), repeat=5.0)


def test_nothing_is_told_before_anything_has_happened() -> None:
    telling = a_telling()
    assert (telling.open, telling.again(1_000.0)) == (False, ())


def test_the_same_is_told_again_until_it_is_on_disk() -> None:
    telling = a_telling()
    (told,) = telling.tell((Cause.ACCEPTED,), "it asks", 100.0, offset=40, code="x")
    assert (told.update, told.causes, told.token, told.offset, told.code) == ("u1", (Cause.ACCEPTED,), 7, 40, "x")
    assert telling.again(104.9) == ()
    assert telling.again(105.0) == (told,)
    assert telling.again(109.9) == ()
    assert telling.again(110.0) == (told,)
    assert not telling.committed(6)
    assert telling.open
    assert telling.committed(7)
    assert (telling.open, telling.again(200.0), telling.committed(7)) == (False, (), False)


def test_what_comes_before_the_last_word_is_on_disk_is_told_with_it_under_another_token() -> None:
    telling = a_telling()
    telling.tell((Cause.ACCEPTED,), "it asks", 100.0)
    (both,) = telling.tell((Cause.ACCEPTED, Cause.REBOOTED), "it is done", 101.0)
    assert (both.causes, both.detail, both.token) == ((Cause.ACCEPTED, Cause.REBOOTED), "it is done", 8)
    (all_,) = telling.tell((Cause.RETURNED,), "it is back", 102.0)
    assert all_.causes == (Cause.ACCEPTED, Cause.REBOOTED, Cause.RETURNED)
    assert not telling.committed(7), "that told less"
    assert telling.committed(9)
    (later,) = telling.tell((Cause.STALLED,), "no", 103.0)
    assert later.causes == (Cause.STALLED,)


def test_what_is_moot_is_not_told_again() -> None:
    telling = a_telling()
    telling.tell((Cause.ACCEPTED,), "it asks", 100.0)
    telling.forget()
    assert (telling.open, telling.again(200.0)) == (False, ())
