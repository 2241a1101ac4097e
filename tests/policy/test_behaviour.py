"""What an update did to the settings of its device: what is compared, what is given back, and what it comes to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otagate.model.portraits import Behaviour, Care, Portrait, Setting
from otagate.policy.behaviour import UNTOUCHED, Comparison, compare, conclude, to_restore

GROUP = Setting(kind="group", question="groups/1", at="1/0x0005")
BINDING = Setting(kind="binding", question="bindings", at="1/0x0006 to group 0x0005")
REPORT = Setting(kind="reporting", question="reporting/1/0x0006", at="1/0x0006/0x0000", value="1000002c01")
START_UP = Setting(kind="start_up_on_off", question="attribute/1/0x0006/0x4003", at="endpoint 1", value="255")
ON = Setting(kind="on_off", question="attribute/1/0x0006/0x0000", at="endpoint 1", value="1")
OFF = Setting(kind="on_off", question="attribute/1/0x0006/0x0000", at="endpoint 1", value="0")
LEVEL = Setting(kind="level", question="attribute/1/0x0008/0x0000", at="endpoint 1", value="128")
LASTING = (GROUP, BINDING, REPORT, START_UP)


def told(*settings: Setting, silent: tuple[Setting, ...] = (), empty: tuple[Setting, ...] = ()) -> Portrait:
    """A portrait of these; of `empty` the device says that they are not set, and of `silent` nothing."""
    answered = dict.fromkeys(each.question for each in (*settings, *empty))
    for each in silent:
        answered.pop(each.question, None)
    return Portrait(answered=tuple(answered), settings=tuple(each for each in settings if each.question in answered))


ALL = told(*LASTING, ON, LEVEL)


@pytest.mark.parametrize(
    ("after", "same", "changed", "unread"),
    [
        (ALL, [GROUP, BINDING, REPORT, START_UP, ON, LEVEL], [], []),
        (told(BINDING, REPORT, START_UP, ON, LEVEL, empty=(GROUP,)), [BINDING, REPORT, START_UP, ON, LEVEL], [GROUP], []),
        (told(*LASTING, ON, LEVEL, silent=(GROUP, REPORT)), [BINDING, START_UP, ON, LEVEL], [], [GROUP, REPORT]),
        (told(*LASTING, OFF, LEVEL), [*LASTING, LEVEL], [ON], []),
        (told(*LASTING, ON, LEVEL, Setting(kind="group", question="groups/1", at="1/0x0009")), [*LASTING, ON, LEVEL], [], []),
        (Portrait(), [], [], [*LASTING, ON, LEVEL]),
    ],
)
def test_what_was_known_before_is_the_same_or_changed_or_not_told(
    after: Portrait, same: list[Setting], changed: list[Setting], unread: list[Setting]
) -> None:
    found = compare(ALL, after)
    assert (list(found.same), list(found.changed), list(found.unread)) == (same, changed, unread)


@pytest.mark.parametrize(
    ("changed", "care", "since_return", "given_back"),
    [
        ((REPORT, BINDING, GROUP, START_UP), "restore", 5.0, [GROUP, START_UP, BINDING, REPORT]),
        ((REPORT, BINDING, GROUP), "restore", None, [GROUP, BINDING, REPORT]),
        ((GROUP, ON), "report", 5.0, []),
        ((LEVEL, ON), "restore", UNTOUCHED, [ON, LEVEL]),
        ((LEVEL, ON), "restore", UNTOUCHED + 1, []),
        ((LEVEL, ON), "restore", None, []),
        ((LEVEL, OFF), "restore", 5.0, [OFF]),
    ],
)
def test_what_is_given_back_and_in_which_order(
    changed: tuple[Setting, ...], care: Care, since_return: float | None, given_back: list[Setting]
) -> None:
    assert list(to_restore(changed, care, since_return=since_return)) == given_back


@pytest.mark.parametrize(
    ("first", "given_back", "last", "outcome"),
    [
        (Comparison(same=LASTING), (), Comparison(), Behaviour(kept=4)),
        (Comparison(same=(BINDING,), changed=(GROUP,)), (GROUP,), Comparison(same=(GROUP,)), Behaviour(kept=1, restored=(GROUP.name,))),
        (Comparison(changed=(GROUP,)), (GROUP,), Comparison(changed=(GROUP,)), Behaviour(lost=(GROUP.name,))),
        (Comparison(changed=(GROUP,)), (), Comparison(), Behaviour(lost=(GROUP.name,))),
        (Comparison(changed=(GROUP,)), (GROUP,), Comparison(unread=(GROUP,)), Behaviour(not_compared=(GROUP.name,))),
        (Comparison(unread=(BINDING, ON)), (), Comparison(), Behaviour(not_compared=(BINDING.name,))),
        (Comparison(same=(ON,), changed=(LEVEL,)), (), Comparison(), Behaviour()),
        (Comparison(changed=(ON,)), (ON,), Comparison(same=(ON,)), Behaviour(restored=(ON.name,))),
        (Comparison(changed=(ON,)), (ON,), Comparison(changed=(ON,)), Behaviour()),
    ],
)
def test_what_an_update_did_is_told_as_far_as_somebody_saw_it(
    first: Comparison, given_back: tuple[Setting, ...], last: Comparison, outcome: Behaviour
) -> None:
    assert conclude(first, given_back, last) == outcome


@given(
    lost=st.sets(st.sampled_from(LASTING)),
    silent=st.sets(st.sampled_from(LASTING)),
    stubborn=st.sets(st.sampled_from(LASTING)),
    silent_again=st.sets(st.sampled_from(LASTING)),
)
def test_what_the_device_did_not_answer_is_never_a_loss_and_everything_is_told_once(
    lost: set[Setting], silent: set[Setting], stubborn: set[Setting], silent_again: set[Setting]
) -> None:
    before = told(*LASTING)
    first = compare(before, told(*(each for each in LASTING if each not in lost), empty=tuple(lost - silent), silent=tuple(silent)))
    wanted = to_restore(first.changed, "restore", since_return=None)
    back = tuple(each for each in wanted if each not in stubborn)
    last = compare(told(*wanted), told(*back, empty=wanted, silent=tuple(silent_again)))
    outcome = conclude(first, wanted, last)
    assert set(outcome.lost) == {each.name for each in (lost & stubborn) - silent - silent_again}
    assert outcome.kept + len(outcome.restored) + len(outcome.lost) + len(outcome.not_compared) == len(LASTING)


def test_a_newer_portrait_replaces_what_was_answered_again_and_keeps_the_rest() -> None:
    renewed = told(GROUP, BINDING, ON).lasting.renewed(told(OFF, empty=(BINDING,)))
    assert set(renewed.settings) == {GROUP, OFF}
    assert set(renewed.answered) == {GROUP.question, BINDING.question, ON.question}


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (Behaviour(), ""),
        (Behaviour(kept=1), "1 setting kept"),
        (Behaviour(kept=2, restored=("a",), lost=("b", "c"), not_compared=("d",)), "2 settings kept; restored: a; lost: b, c; not compared: d"),
        (Behaviour(lost=tuple("abcdefgh")), "lost: a, b, c, d, e, f and 2 more"),
    ],
)
def test_it_is_told_in_a_sentence(told: Behaviour, sentence: str) -> None:
    assert told.sentence == sentence
