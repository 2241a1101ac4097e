"""Upgrade End Request: an Upgrade End Response follows SUCCESS alone; every other status is acknowledged and changes the update as it deserves."""

from __future__ import annotations

import pytest

from otagate.model.lifecycle import Cause, State
from otagate.model.quirks import Quirk
from tests.sessions.playbook import IMAGE, LAMP, SENSOR, Playbook, asked, downloads, knock, offering, park, play, serve, told, transferring, withdraw
from tests.sessions.wire import (
    ABORT,
    HOLD,
    IMAGE_TYPE,
    INVALID_IMAGE,
    MANUFACTURER,
    NEW,
    REQUIRE_MORE_IMAGE,
    SUCCESS,
    ask,
    block,
    default,
    end,
    no_image,
    offered,
    query,
    stop,
    upgrade,
    wait,
)

SIZE = len(IMAGE)
ACKNOWLEDGED = default(0x06, SUCCESS)
STRAY = default(0x06, ABORT)


def downloaded(**changes: object) -> Playbook:
    return downloads(transferring(serve(**changes)))


# --- success ----------------------------------------------------------------------------------------------------------------------------


def test_success_is_answered_by_the_word_to_upgrade_after_its_commit() -> None:
    story = downloaded().sends(end(tsn=9)).expects(told(Cause.TRANSFERRED, Cause.ACTIVATED, offset=SIZE, words="whole image"))
    story.sends(end(tsn=9), end(tsn=9)).nothing()
    story.commits().expects(upgrade(0, tsn=9)).stands(State.ACTIVATING)


def test_a_lost_upgrade_end_response_is_given_again() -> None:
    story = downloaded().sends(end(tsn=9)).whatever().commits().whatever()
    story.passes(3_600.0).nothing().sends(end(tsn=10)).expects(upgrade(0, tsn=10)).stands(State.ACTIVATING)


def test_an_end_while_the_last_block_is_repeated_is_still_the_end() -> None:
    story = downloaded().sends(ask(950, 50)).expects(block(IMAGE[950:], 950))
    story.sends(end()).expects(told(Cause.TRANSFERRED, Cause.ACTIVATED))


# --- failure ----------------------------------------------------------------------------------------------------------------------------


def test_an_image_that_the_device_rejects_has_failed_and_is_served_no_more() -> None:
    story = downloaded().sends(end(INVALID_IMAGE, tsn=9)).expects(told(Cause.IMAGE_REJECTED, words="INVALID_IMAGE"))
    story.commits().expects(default(0x06, SUCCESS, tsn=9)).stands(State.FAILED)
    story.sends(ask(0)).expects(stop())
    story.sends(query()).expects(asked(), no_image())
    story.passes(3_600.0).nothing()


@pytest.mark.parametrize(
    ("status", "word"), [(ABORT, "ABORT"), (0x7E, "NOT_AUTHORIZED"), (0x01, "status 0x01"), (0x94, "status 0x94"), (0xFF, "status 0xff")]
)
def test_a_device_that_gives_up_may_be_offered_the_image_again_later(status: int, word: str) -> None:
    story = downloads(transferring(), stop=500).sends(end(status)).expects(told(Cause.ABORTED_BY_DEVICE, offset=450, words=word))
    story.commits().expects(ACKNOWLEDGED).stands(State.QUEUED).orders(park()).nothing()
    story.sends(ask(500)).expects(wait(5), knock())
    story.orders(serve()).nothing()
    story.sends(ask(500, 50)).expects(told(Cause.ACCEPTED, offset=500)).commits().expects(block(IMAGE[500:550], 500))


def test_a_failure_that_is_repeated_before_its_commit_is_answered_once() -> None:
    story = downloads(transferring(), stop=500).sends(end(ABORT, tsn=9)).expects(told(Cause.ABORTED_BY_DEVICE))
    story.sends(end(ABORT, tsn=10)).nothing().commits().expects(default(0x06, SUCCESS, tsn=10))


def test_a_failure_that_is_repeated_after_its_commit_is_acknowledged_again_and_nothing_else() -> None:
    story = downloads(transferring(), stop=500).sends(end(ABORT)).whatever().commits().expects(ACKNOWLEDGED).orders(park()).nothing()
    story.sends(end(ABORT)).expects(ACKNOWLEDGED)


def test_a_failure_of_an_image_that_nobody_serves_is_acknowledged() -> None:
    play().sends(end(INVALID_IMAGE)).expects(ACKNOWLEDGED)


@pytest.mark.parametrize("status", [INVALID_IMAGE, ABORT, REQUIRE_MORE_IMAGE])
@pytest.mark.parametrize("other", [{"version": NEW - 1}, {"manufacturer": MANUFACTURER + 1}, {"image_type": IMAGE_TYPE + 1}])
def test_a_failure_of_another_image_does_not_touch_this_one(status: int, other: dict[str, int]) -> None:
    story = downloads(transferring(), stop=500).sends(end(status, **other)).expects(ACKNOWLEDGED).stands(State.TRANSFERRING)
    downloads(story, start=500)


def test_a_failure_before_anything_was_accepted_is_the_end_of_something_older() -> None:
    offering().sends(end(ABORT)).expects(ACKNOWLEDGED).stands(State.OFFERING)


# --- more than one image ----------------------------------------------------------------------------------------------------------------


def test_a_device_that_wants_another_image_first_keeps_this_one() -> None:
    story = downloaded().sends(end(REQUIRE_MORE_IMAGE)).expects(told(Cause.TRANSFERRED, offset=SIZE, words="another"))
    story.commits().expects(ACKNOWLEDGED).stands(State.STAGED)
    story.passes(86_400.0).nothing()


def test_only_a_device_that_wants_another_image_is_told_of_as_such() -> None:
    for status, wants_more in ((REQUIRE_MORE_IMAGE, True), (SUCCESS, False)):
        assert [effect.wants_more for _, effect in downloaded().sends(end(status)).came_out()] == [wants_more]


def test_a_device_that_lost_the_image_while_it_wanted_another_one_gets_it_again() -> None:
    story = downloaded().sends(end(REQUIRE_MORE_IMAGE)).whatever().commits().whatever()
    story.sends(query()).expects(asked(), offered(SIZE)).sends(ask(0, 50)).expects(block(IMAGE[:50], 0))
    story.sends(end(REQUIRE_MORE_IMAGE)).expects(ACKNOWLEDGED).stands(State.STAGED)


def test_a_device_with_two_processors_takes_two_images_and_then_the_word_for_each() -> None:
    story = downloaded().sends(end(REQUIRE_MORE_IMAGE)).whatever().commits().whatever()
    second = serve(update=SENSOR, image_type=0x1410, file_version=7, image=memoryview(IMAGE))
    story.orders(second).whatever().sends(query(3, image_type=0x1410)).whatever().commits().whatever()
    for offset in range(0, SIZE, 50):
        story.sends(ask(offset, 50, image_type=0x1410, version=7)).whatever()
    story.sends(end(image_type=0x1410, version=7)).expects(told(Cause.TRANSFERRED, Cause.ACTIVATED, update=SENSOR))
    story.commits().expects(upgrade(0, image_type=0x1410, version=7))
    story.sends(end()).expects(told(Cause.ACTIVATED)).commits().expects(upgrade(0)).stands(State.ACTIVATING)


def test_the_word_for_a_first_image_is_held_where_activation_is_held() -> None:
    story = downloaded(hold_activation=True).sends(end(REQUIRE_MORE_IMAGE)).whatever().commits().expects(ACKNOWLEDGED)
    story.sends(end()).expects(upgrade(HOLD)).stands(State.STAGED)


def test_a_failure_after_the_image_was_staged_is_acknowledged_only() -> None:
    story = downloaded().sends(end(REQUIRE_MORE_IMAGE)).whatever().commits().whatever()
    story.sends(end(INVALID_IMAGE)).expects(ACKNOWLEDGED).stands(State.STAGED)


def test_a_device_that_comes_back_with_the_new_version_after_the_other_image_is_believed_enough_to_be_read() -> None:
    story = downloaded().sends(end(REQUIRE_MORE_IMAGE)).whatever().commits().whatever()
    story.sends(query(NEW)).expects(told(Cause.REBOOTED)).commits().expects(asked(NEW), no_image()).stands(State.CONFIRMING)


# --- an end without a download ----------------------------------------------------------------------------------------------------------


def test_an_end_where_nothing_is_pinned_is_aborted_so_that_the_device_stops_repeating_it() -> None:
    play().sends(end()).expects(STRAY)


def test_an_end_before_any_block_is_aborted() -> None:
    offering().sends(end()).expects(STRAY).stands(State.OFFERING)


def test_an_end_in_the_middle_of_the_download_is_aborted_and_the_download_may_go_on() -> None:
    story = downloads(transferring(), stop=950).sends(end()).expects(STRAY).stands(State.TRANSFERRING)
    downloads(story, start=950).sends(end()).expects(told(Cause.TRANSFERRED, Cause.ACTIVATED))


@pytest.mark.parametrize("other", [{"version": NEW - 1}, {"manufacturer": MANUFACTURER + 1}, {"image_type": IMAGE_TYPE + 1}])
def test_the_end_of_another_image_is_aborted(other: dict[str, int]) -> None:
    downloaded().sends(end(**other)).expects(STRAY).stands(State.TRANSFERRING)


def test_an_end_after_the_update_was_withdrawn_is_aborted() -> None:
    downloaded().orders(withdraw()).nothing().sends(end()).expects(STRAY)


def test_a_quirk_says_how_a_stray_end_is_answered() -> None:
    play(quirk=Quirk(stray_end_status=SUCCESS)).sends(end()).expects(default(0x06, SUCCESS))


# --- an end in an unusual moment --------------------------------------------------------------------------------------------------------


def test_an_end_while_the_update_waits_its_turn_is_answered_when_the_turn_comes() -> None:
    story = downloaded().orders(park()).nothing()
    story.states[LAMP] = State.QUEUED
    story.sends(end(tsn=9)).expects(knock())
    story.passes(1.0).nothing().orders(serve()).expects(told(Cause.ACCEPTED, Cause.TRANSFERRED, Cause.ACTIVATED))
    story.commits().expects(upgrade(0, tsn=9)).stands(State.ACTIVATING)


def test_an_end_right_after_the_restart_of_an_attempt_counts_the_blocks_of_the_attempt_before() -> None:
    story = downloaded().sends(end(ABORT)).whatever().commits().whatever().orders(park()).nothing().passes(60.0).nothing()
    story.orders(serve()).whatever().sends(end()).expects(told(Cause.ACCEPTED, Cause.TRANSFERRED, Cause.ACTIVATED))
    story.commits().expects(upgrade())


def test_a_device_that_boots_the_image_without_waiting_for_the_word_is_read_again() -> None:
    story = downloaded().sends(query(NEW)).expects(told(Cause.REBOOTED, words="without having been told")).stands(State.TRANSFERRING)
    story.commits().expects(asked(NEW), no_image()).stands(State.CONFIRMING)
    story.sends(query(NEW)).expects(no_image())
    story.sends(end()).expects(upgrade())
