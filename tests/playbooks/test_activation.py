"""Staging now and activating later: the device holds the image until it is told, and asks now and then."""

from __future__ import annotations

from otagate.model.lifecycle import Cause, State
from tests.playbooks.test_restart import adopted
from tests.sessions.playbook import (
    IMAGE,
    Playbook,
    activate,
    asked,
    downloads,
    offering,
    pause,
    release,
    resume,
    serve,
    told,
    transferring,
    unasked,
)
from tests.sessions.wire import ABORT, HOLD, INVALID_IMAGE, NEW, SUCCESS, ask, block, default, end, no_image, offered, query, upgrade


def staged() -> Playbook:
    return downloads(transferring(serve(hold_activation=True))).sends(end()).whatever().commits().whatever()


def test_a_held_image_is_answered_with_wait() -> None:
    story = downloads(transferring(serve(hold_activation=True))).sends(end(tsn=9)).expects(told(Cause.TRANSFERRED))
    story.commits().expects(upgrade(HOLD, tsn=9)).stands(State.STAGED)


def test_a_device_that_polls_is_told_to_wait_on_for_as_long_as_it_takes() -> None:
    story = staged()
    for hour in range(48):
        story.passes(3_600.0).nothing().sends(end(tsn=hour)).expects(upgrade(HOLD, tsn=hour))
    story.stands(State.STAGED)


def test_the_word_comes_unasked_and_a_poll_after_it_is_told_the_same() -> None:
    story = staged().orders(activate()).expects(unasked(upgrade(0, tsn=2))).stands(State.ACTIVATING)
    story.sends(end(tsn=9)).expects(upgrade(0, tsn=9))
    story.sends(end(tsn=10)).expects(upgrade(0, tsn=10))


def test_the_word_can_be_given_again() -> None:
    staged().orders(activate()).whatever().orders(activate()).expects(unasked(upgrade(0, tsn=3)))


def test_no_word_is_given_to_a_device_that_has_no_image() -> None:
    offering().orders(activate()).nothing()
    story = downloads(transferring(), stop=500).orders(activate()).nothing()
    downloads(story, start=500)


def test_a_held_image_that_the_device_boots_by_itself_is_read() -> None:
    staged().sends(query(NEW)).expects(told(Cause.REBOOTED)).commits().expects(asked(NEW), no_image()).stands(State.CONFIRMING)


def test_a_device_that_restarts_with_a_held_image_and_asks_anew_is_offered_the_same_and_waits_again() -> None:
    story = staged().sends(query()).expects(asked(), offered(len(IMAGE))).stands(State.STAGED)
    story.sends(ask(0, 50)).expects(block(IMAGE[:50], 0)).sends(end()).expects(upgrade(HOLD)).stands(State.STAGED)


def test_a_device_that_was_out_of_reach_is_given_the_word_in_the_answer_to_its_own_question() -> None:
    story = staged().orders(release()).nothing().passes(3_600.0).nothing()
    story.sends(end(tsn=9)).expects(told(Cause.ACTIVATED)).commits().expects(upgrade(0, tsn=9)).stands(State.ACTIVATING)


def test_a_word_given_before_the_image_is_whole_is_the_answer_to_its_end() -> None:
    story = downloads(transferring(serve(hold_activation=True))).orders(release()).nothing()
    story.sends(end()).expects(told(Cause.TRANSFERRED, Cause.ACTIVATED)).commits().expects(upgrade(0)).stands(State.ACTIVATING)


def test_a_word_that_was_given_waits_for_the_end_of_a_pause() -> None:
    story = staged().orders(pause()).nothing().orders(release()).nothing()
    story.sends(end()).expects(upgrade(HOLD)).orders(resume()).nothing()
    story.sends(end()).expects(told(Cause.ACTIVATED)).commits().expects(upgrade(0)).stands(State.ACTIVATING)


def test_a_word_that_was_given_before_a_restart_is_given_by_the_next_process() -> None:
    story = adopted("staged", hold_activation=True, released=True).sends(end()).expects(told(Cause.ACTIVATED)).commits()
    story.expects(upgrade(0)).stands(State.ACTIVATING)


def test_a_device_that_lost_part_of_the_staged_image_may_fetch_it_again() -> None:
    story = staged().sends(ask(0, 50)).expects(block(IMAGE[:50], 0)).stands(State.STAGED)
    story.sends(end()).expects(upgrade(HOLD))


def test_a_failure_told_after_the_image_was_staged_is_acknowledged() -> None:
    for status in (INVALID_IMAGE, ABORT):
        staged().sends(end(status)).expects(default(0x06, SUCCESS)).stands(State.STAGED)


def test_an_activated_device_is_neither_hurried_nor_given_up_by_the_session() -> None:
    story = staged().orders(activate()).whatever().passes(7 * 86_400.0).nothing().overhears().nothing().reopens().nothing()
    assert story.server.wake_at() is None


def test_a_device_that_still_runs_the_old_version_after_the_word_is_noted() -> None:
    staged().orders(activate()).whatever().sends(query()).expects(asked(), no_image()).stands(State.ACTIVATING)
