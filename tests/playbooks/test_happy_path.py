"""The way of an update as the specification draws it, and the small accidents that belong to every one of them."""

from __future__ import annotations

import pytest

from otagate.model.lifecycle import Cause, State
from otagate.model.orders import Order
from otagate.sessions.effects import Asked
from tests.sessions.playbook import IMAGE, LAMP, asked, downloads, offering, park, pause, play, resume, serve, told, transferring, unasked, withdraw
from tests.sessions.wire import NEW, OLD, ask, ask_file, block, default, end, no_file, no_image, notify, offered, query, stop, upgrade


def test_an_update_from_the_notify_to_the_word_to_use_the_image() -> None:
    story = play().orders(serve()).expects(unasked(notify(tsn=1)))
    story.sends(query(tsn=7)).expects(told(Cause.ACCEPTED, offset=0)).stands(State.OFFERING)
    story.commits().expects(offered(len(IMAGE), tsn=7)).stands(State.TRANSFERRING)
    for tsn, offset in enumerate(range(0, len(IMAGE), 64), start=8):
        data = IMAGE[offset : offset + 64]
        story.sends(ask(offset, 64, tsn=tsn)).expects(block(data, offset, tsn=tsn))
    story.sends(end(tsn=99)).expects(told(Cause.TRANSFERRED, Cause.ACTIVATED, offset=len(IMAGE)))
    story.commits().expects(upgrade(0, tsn=99)).stands(State.ACTIVATING)
    story.sends(query(NEW)).expects(asked(NEW), no_image())
    story.orders(withdraw()).nothing()
    assert not story.server.serves()


def test_the_last_block_is_as_long_as_what_is_left() -> None:
    transferring().sends(ask(990, 64)).expects(block(IMAGE[990:], 990))


def test_a_block_is_never_longer_than_asked() -> None:
    transferring().sends(ask(0, 12)).expects(block(IMAGE[:12], 0))


def test_a_block_is_never_longer_than_what_fits_one_frame() -> None:
    transferring().sends(ask(0, 255)).expects(block(IMAGE[:64], 0))


def test_a_repeated_block_request_gets_the_same_bytes_again() -> None:
    story = transferring().sends(ask(0, 50)).expects(block(IMAGE[:50], 0))
    story.sends(ask(50, 50, tsn=9)).expects(block(IMAGE[50:100], 50, tsn=9))
    story.sends(ask(50, 50, tsn=9)).expects(block(IMAGE[50:100], 50, tsn=9))
    story.sends(ask(50, 50, tsn=10)).expects(block(IMAGE[50:100], 50, tsn=10))


def test_the_high_water_mark_is_what_the_device_holds_and_never_falls() -> None:
    story = transferring()
    assert story.server.high_water(LAMP) == 0
    downloads(story, stop=500)
    assert story.server.high_water(LAMP) == 450
    story.sends(ask(0, 50)).whatever()
    assert story.server.high_water(LAMP) == 450


def test_an_image_that_was_handed_out_to_its_end_counts_as_all_of_it() -> None:
    story = downloads(transferring())
    story.sends(ask(950, 50)).whatever()
    assert story.server.high_water(LAMP) == len(IMAGE)


# --- the query and its commit -----------------------------------------------------------------------------------------------------------


def test_nothing_leaves_before_the_commit_and_repeats_are_answered_once_after_it() -> None:
    story = offering().sends(query(tsn=7)).expects(told(Cause.ACCEPTED))
    story.sends(query(tsn=7), query(tsn=7)).nothing()
    story.commits().expects(offered(len(IMAGE), tsn=7))


def test_a_repeat_under_a_new_number_is_the_one_that_is_answered() -> None:
    """A device that asks again has given up waiting for the answer to the number before."""
    story = offering().sends(query(tsn=7)).expects(told(Cause.ACCEPTED)).sends(query(tsn=8)).nothing()
    story.commits().expects(offered(len(IMAGE), tsn=8))


def test_a_lost_offer_is_repeated_at_once() -> None:
    transferring().sends(query(tsn=9)).expects(offered(len(IMAGE), tsn=9))


def test_a_lost_offer_is_repeated_even_when_half_of_the_image_is_there() -> None:
    downloads(transferring(), stop=500).sends(query(tsn=9)).expects(offered(len(IMAGE), tsn=9))


def test_what_is_not_committed_is_told_again_until_it_is() -> None:
    story = offering(commit=10.0).sends(query(tsn=7)).expects(told(Cause.ACCEPTED))
    story.passes(25.0).expects_at((10.0, told(Cause.ACCEPTED)), (20.0, told(Cause.ACCEPTED)))
    story.sends(query(tsn=8)).nothing()
    story.commits().expects(offered(len(IMAGE), tsn=8)).stands(State.TRANSFERRING)
    story.passes(20.0).nothing()


def test_a_store_that_is_slow_for_an_hour_costs_no_update() -> None:
    """Neither the offer's end nor silence is told while something else waits: the two would contradict each other."""
    story = offering().sends(query(tsn=7)).whatever()
    story.passes(3_600.0)
    assert {effect.causes for _, effect in story.came_out()} == {(Cause.ACCEPTED,)}
    story.commits().expects(offered(len(IMAGE), tsn=7))
    downloads(story).sends(end()).expects(told(Cause.TRANSFERRED, Cause.ACTIVATED))


def test_a_radio_that_was_away_between_telling_and_commit_loses_nothing() -> None:
    story = offering().sends(query(tsn=7)).whatever().reopens().nothing()
    story.commits().expects(offered(len(IMAGE), tsn=7)).stands(State.TRANSFERRING)
    downloads(story)


def test_a_token_that_was_never_given_or_came_twice_does_nothing() -> None:
    story = offering().commits_token(77).nothing().sends(query()).whatever().commits().whatever()
    story.commits_token(1).nothing()
    downloads(story)


def test_the_token_of_a_withdrawn_update_does_nothing() -> None:
    story = offering().sends(query()).whatever().orders(withdraw()).nothing().commits_token(1).nothing()
    assert not story.server.serves()


def test_ordering_the_same_thing_twice_changes_nothing() -> None:
    story = downloads(transferring(), stop=500).orders(serve()).nothing()
    downloads(story, start=500).sends(end()).expects(told(Cause.TRANSFERRED, Cause.ACTIVATED))


@pytest.mark.parametrize("order", [park(), pause(), resume(), withdraw()])
def test_orders_about_unknown_updates_are_silent(order: Order) -> None:
    story = play().orders(order).nothing()
    assert story.server.wake_at() is None
    assert story.server.high_water(LAMP) == 0


# --- who may have it --------------------------------------------------------------------------------------------------------------------


def test_a_device_that_runs_the_version_already_is_told_so_and_left_alone() -> None:
    story = offering().sends(query(NEW)).expects(told(Cause.ALREADY_CURRENT, words="0x00000014"))
    story.commits().expects(asked(NEW), no_image()).stands(State.SUCCEEDED)
    story.passes(600.0).nothing().overhears().nothing()


def test_a_newer_device_is_not_brought_back_unless_somebody_said_so() -> None:
    story = offering().sends(query(21)).expects(told(Cause.DECLINED, words="no downgrade"))
    story.commits().expects(asked(21), no_image()).stands(State.FAILED)
    story.passes(600.0).nothing()


def test_a_downgrade_that_was_allowed_is_offered() -> None:
    offering(serve(allow_downgrade=True)).sends(query(21)).expects(told(Cause.ACCEPTED)).commits().expects(offered(len(IMAGE)))


def test_a_device_that_does_not_know_its_own_version_runs_no_newer_one() -> None:
    story = offering().sends(query(0xFFFF_FFFF)).expects(told(Cause.ACCEPTED, words="does not know what it runs"))
    story.commits().expects(offered(len(IMAGE)))


def test_a_device_that_does_not_know_its_own_version_tells_none() -> None:
    play().sends(query(0xFFFF_FFFF)).expects(asked(None), no_image())


@pytest.mark.parametrize("hardware", [3, 4, 5])
def test_hardware_inside_the_range_of_the_image_gets_it(hardware: int) -> None:
    offering(serve(hardware_min=3, hardware_max=5)).sends(query(hardware=hardware)).expects(told(Cause.ACCEPTED))


@pytest.mark.parametrize("hardware", [0, 2, 6, 0xFFFF])
def test_hardware_outside_the_range_of_the_image_does_not_get_it(hardware: int) -> None:
    story = offering(serve(hardware_min=3, hardware_max=5)).sends(query(hardware=hardware))
    story.expects(told(Cause.DECLINED, words=f"hardware version {hardware} is outside 3 to 5"))
    story.commits().expects(asked(hardware=hardware), no_image()).stands(State.FAILED)


@pytest.mark.parametrize("bounds", [{"hardware_min": 3}, {"hardware_max": 3}])
def test_half_a_hardware_range_is_none(bounds: dict[str, int]) -> None:
    offering(serve(**bounds)).sends(query(hardware=9)).expects(told(Cause.ACCEPTED))


def test_a_device_that_does_not_tell_its_hardware_was_judged_before() -> None:
    offering(serve(hardware_min=3, hardware_max=5)).sends(query()).expects(told(Cause.ACCEPTED))


def test_a_device_of_another_maker_gets_nothing() -> None:
    offering().sends(query(manufacturer=0x1037)).expects(asked(manufacturer=0x1037), no_image())


def test_another_component_of_the_same_device_gets_nothing_and_disturbs_nothing() -> None:
    story = transferring().sends(query(image_type=0x9999)).expects(asked(image_type=0x9999), no_image())
    downloads(story)


def test_after_a_refusal_blocks_are_aborted() -> None:
    offering().sends(query(21)).whatever().commits().whatever().sends(ask(0)).expects(stop())


# --- what needs no update ---------------------------------------------------------------------------------------------------------------


def test_a_device_with_nothing_waiting_is_told_so_and_its_version_is_noted() -> None:
    play().sends(query(hardware=3)).expects(asked(OLD, hardware=3), no_image())


def test_versions_are_noted_at_most_every_ten_seconds_but_every_query_is_answered() -> None:
    story = play().sends(query()).expects(asked(), no_image())
    story.sends(query()).expects(no_image())
    story.passes(10.0).sends(query()).expects(asked(), no_image())


def test_a_device_that_invents_image_types_is_noted_sixteen_times_in_ten_seconds() -> None:
    story = play().sends(*(query(image_type=image_type) for image_type in range(50)))
    noted = [effect for _, effect in story.came_out() if isinstance(effect, Asked)]
    assert len(noted) == 16
    story.passes(10.0).nothing().sends(query(image_type=99)).expects(asked(image_type=99), no_image())


def test_there_is_no_device_specific_file() -> None:
    play().sends(ask_file(tsn=3)).expects(no_file(tsn=3))
    transferring().sends(ask_file(tsn=3)).expects(no_file(tsn=3))


# --- malformed --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", [query(), ask(0), end(), ask_file()])
def test_a_frame_cut_short_is_answered_malformed_and_changes_nothing(frame: bytes) -> None:
    story = downloads(transferring(), stop=100)
    for length in range(3, len(frame)):
        story.passes(0.1).sends(frame[:length]).expects(default(frame[2], 0x80))
    downloads(story, start=100)


def test_frames_that_are_no_requests_are_not_answered() -> None:
    story = transferring()
    for frame in (b"", b"\x01", b"\x01\x02", b"\x09\x01\x03", b"\x01\x01\x0a", b"\x00\x01\x03\x00", b"\x05\x5f\x11\x01\x03"):
        story.sends(frame).nothing()
    assert story.server.high_water(LAMP) == 0
