"""How long the session waits, what it says meanwhile, and when it gives up."""

from __future__ import annotations

import pytest

from otagate.model.lifecycle import Cause, State
from otagate.model.quirks import Quirk
from otagate.sessions.ota_transfer import Patience
from tests.sessions.playbook import IMAGE, Playbook, asked, downloads, offering, park, play, serve, told, transferring, unasked
from tests.sessions.wire import ABORT, IMAGE_TYPE, MANUFACTURER, NEW, ask, block, end, no_image, notify, offered, query, stop, upgrade

SIZE = len(IMAGE)


def moments(story: Playbook) -> list[float]:
    """When something was announced."""
    return [at for at, effect in story.came_out() if type(effect).__name__ == "Announce"]


# --- offers -----------------------------------------------------------------------------------------------------------------------------


def test_an_offer_is_announced_again_and_again_and_then_given_up() -> None:
    story = play().orders(serve()).expects(unasked(notify(tsn=1))).passes(121.0)
    again = [(20.0 * n, unasked(notify(tsn=n + 1))) for n in range(1, 5)]
    story.expects_at(*again, (120.0, told(Cause.EXPIRED, words="did not ask for the image within 120 s")))
    story.commits().nothing().stands(State.QUEUED).orders(park()).nothing().passes(600.0).nothing()


def test_an_end_of_patience_that_is_not_heard_is_told_again() -> None:
    story = offering(commit=10.0).passes(119.0).whatever().passes(21.0)
    story.expects_at((1.0, told(Cause.EXPIRED)), (11.0, told(Cause.EXPIRED)), (21.0, told(Cause.EXPIRED)))
    story.commits().nothing().passes(60.0).nothing()


def test_an_expired_offer_begins_anew() -> None:
    story = offering().passes(121.0).whatever().commits().whatever().orders(park()).whatever().passes(300.0).nothing()
    story.orders(serve()).expects(unasked(notify(tsn=6))).sends(query()).expects(told(Cause.ACCEPTED)).commits().expects(offered(SIZE))


@pytest.mark.parametrize("other", [{"image_type": IMAGE_TYPE + 1}, {"manufacturer": MANUFACTURER + 1}])
def test_a_device_that_asks_for_something_else_again_and_again_declines_what_is_offered(other: dict[str, int]) -> None:
    story = offering()
    for _ in range(3):
        story.passes(20.0).whatever().sends(query(**other)).whatever()
    identity = f"0x{other.get('manufacturer', MANUFACTURER):04x} and image type 0x{other.get('image_type', IMAGE_TYPE):04x}"
    story.passes(59.0).whatever().passes(2.0).expects_at((1.0, told(Cause.DECLINED, words=identity)))
    story.commits().nothing().stands(State.FAILED)


def test_a_device_that_asks_for_each_of_its_images_in_turn_is_offered_the_one_that_there_is() -> None:
    story = offering()
    for _ in range(3):
        story.sends(query(image_type=IMAGE_TYPE + 1)).whatever()
    story.sends(query()).expects(told(Cause.ACCEPTED)).commits().expects(offered(SIZE))


def test_two_queries_for_something_else_are_no_proof() -> None:
    offering().sends(query(image_type=IMAGE_TYPE + 1)).whatever().sends(query(image_type=IMAGE_TYPE + 1)).whatever().passes(119.0).whatever().passes(
        2.0
    ).expects_at((1.0, told(Cause.EXPIRED)))


def test_a_lost_notify_is_never_fatal() -> None:
    offering().passes(119.0).whatever().sends(query()).expects(told(Cause.ACCEPTED)).commits().expects(offered(SIZE))


def test_a_device_that_must_not_be_notified_is_never_notified() -> None:
    story = play(quirk=Quirk(notify=False)).orders(serve()).nothing().overhears().nothing().reopens().nothing()
    story.passes(60.0).nothing().sends(query()).expects(told(Cause.ACCEPTED)).commits().expects(offered(SIZE))
    story.passes(100.0).nothing().overhears().nothing()
    story.passes(200.0).expects(told(Cause.STALLED))


def test_a_device_that_must_not_be_notified_and_does_not_ask_is_given_up_in_the_same_time() -> None:
    play(quirk=Quirk(notify=False)).orders(serve()).nothing().passes(121.0).expects_at((120.0, told(Cause.EXPIRED)))


def test_a_sleeping_device_is_told_at_once_and_then_whenever_it_is_heard() -> None:
    story = play(sleepy=True).orders(serve()).expects(unasked(notify(tsn=1))).passes(600.0).nothing()
    story.overhears().expects(unasked(notify(tsn=2))).overhears().nothing()
    story.passes(19.9).nothing().overhears().nothing().passes(0.1).nothing().overhears().expects(unasked(notify(tsn=3)))


def test_a_sleeping_device_has_more_time_to_ask() -> None:
    play(sleepy=True).orders(serve()).whatever().passes(901.0).expects_at((900.0, told(Cause.EXPIRED, words="900 s")))


def test_a_device_that_is_awake_all_the_time_is_not_notified_more_often_because_it_talks() -> None:
    story, notifies = play(offer=10_000.0).orders(serve()).expects(unasked(notify(tsn=1))), 1
    for _ in range(1_000):
        story.passes(1.0)
        notifies += len(moments(story))
        story.overhears()
        notifies += len(moments(story))
    assert notifies == 5


# --- silence ----------------------------------------------------------------------------------------------------------------------------


def test_a_device_that_falls_silent_is_nudged_and_then_given_up() -> None:
    story = downloads(transferring(), stop=500).passes(301.0)
    nudges = [(30.0 * n, unasked(notify(tsn=n + 1))) for n in range(1, 6)]
    story.expects_at(*nudges, (300.0, told(Cause.STALLED, offset=450, words="fell silent at offset 450 of 1000")))
    story.commits().nothing().stands(State.QUEUED)


def test_a_device_that_goes_on_after_a_nudge_may_be_nudged_again() -> None:
    story = transferring()
    for round_ in range(20):
        start = 50 * round_
        story.passes(35.0)
        assert len(moments(story)) == 1
        downloads(story, start=start, stop=start + 50)


def test_a_sleeping_device_may_be_silent_for_an_hour_between_two_blocks() -> None:
    story = downloads(transferring(sleepy=True), stop=500).passes(3_599.0).nothing()
    story.sends(ask(500, 50)).expects(block(IMAGE[500:550], 500)).passes(3_601.0).expects_at((3_600.0, told(Cause.STALLED)))


def test_a_sleeping_device_is_nudged_only_when_it_is_heard_and_silent_for_long() -> None:
    story = downloads(transferring(sleepy=True), stop=500).passes(100.0).nothing().overhears().nothing()
    story.passes(300.0).nothing().overhears().expects(unasked(notify(tsn=2))).overhears().nothing()


def test_a_sleeping_device_is_nudged_five_times_and_no_more() -> None:
    story, nudges = downloads(transferring(sleepy=True), stop=500), 0
    for _ in range(170):
        story.passes(20.0).nothing().overhears()
        nudges += len(story.came_out())
    assert nudges == 5


def test_a_quirk_gives_one_kind_of_device_more_time() -> None:
    story = downloads(transferring(quirk=Quirk(block_patience=1_800.0)), stop=500).passes(170.0).nothing()
    story.passes(1_631.0)
    at, last = story.came_out()[-1]
    assert (at, last.causes) == (1_630.0, (Cause.STALLED,))


def test_asking_for_the_same_block_for_ever_is_no_progress() -> None:
    story = downloads(transferring(), stop=500)
    for _ in range(59):
        story.passes(5.0).nothing().sends(ask(450, 50)).expects(block(IMAGE[450:500], 450))
    story.passes(5.0).expects_at((5.0, told(Cause.STALLED, words="no progress past offset 450")))


def test_asking_for_the_offer_for_ever_is_no_progress() -> None:
    story = transferring()
    for _ in range(29):
        story.passes(10.0).nothing().sends(query()).expects(offered(SIZE))
    story.passes(10.0).expects_at((10.0, told(Cause.STALLED)))


def test_malformed_requests_are_no_progress() -> None:
    story = downloads(transferring(), stop=500)
    for _ in range(29):
        story.passes(10.0).whatever().sends(ask(SIZE)).whatever()
    story.passes(10.0).expects_at((10.0, told(Cause.STALLED)))


def test_beginning_again_at_the_first_byte_is_progress() -> None:
    story = downloads(transferring(), stop=900)
    for offset in range(0, SIZE, 50):
        story.passes(25.0).nothing().sends(ask(offset, 50)).expects(block(IMAGE[offset : offset + 50], offset))
    story.sends(end()).expects(told(Cause.TRANSFERRED, Cause.ACTIVATED))


def test_the_sentence_of_a_stall_says_what_the_device_said_last() -> None:
    story = downloads(transferring(), stop=500).refuses(0x05, 0x00).refuses(0x05, 0x80).passes(300.0)
    assert "answered command 0x05 with status 0x80" in story.came_out()[-1][1].detail


def test_what_a_device_said_to_an_older_update_is_not_told_of_this_one() -> None:
    story = play().refuses(0x05, 0x80).orders(serve()).whatever().sends(query()).whatever().commits().whatever().passes(300.0)
    assert "0x80" not in story.came_out()[-1][1].detail


# --- after the last block ---------------------------------------------------------------------------------------------------------------


def test_a_device_that_checks_its_image_is_not_disturbed_and_not_waited_for_for_ever() -> None:
    story = downloads(transferring()).passes(60.0).nothing().overhears().nothing()
    story.passes(121.0).expects_at((120.0, told(Cause.STALLED, offset=950)))


def test_a_sleeping_device_has_an_hour_to_check_its_image() -> None:
    downloads(transferring(sleepy=True)).passes(3_601.0).expects_at((3_600.0, told(Cause.STALLED)))


def test_a_quirk_gives_a_device_more_time_to_check_its_image() -> None:
    story = downloads(transferring(quirk=Quirk(end_patience=3_600.0))).passes(3_500.0).nothing()
    story.sends(end()).expects(told(Cause.TRANSFERRED, Cause.ACTIVATED)).commits().expects(upgrade())


# --- the radio --------------------------------------------------------------------------------------------------------------------------


def test_the_time_without_a_radio_is_nobodys_silence() -> None:
    story = downloads(transferring(), stop=500).passes(20.0).nothing()
    story.now += 86_400.0
    story.reopens().nothing().passes(29.0).nothing()
    downloads(story, start=500)


def test_what_was_offered_is_offered_again_when_the_radio_is_back() -> None:
    story = offering().passes(110.0).whatever()
    story.now += 86_400.0
    story.reopens().expects(unasked(notify(tsn=6))).passes(119.0)
    assert moments(story) == [20.0, 40.0, 60.0, 80.0]


def test_an_aborting_device_finishes_after_a_dozen_offers() -> None:
    story = offering()
    for attempt in range(10):
        story.sends(query()).expects(told(Cause.ACCEPTED)).commits().expects(offered(SIZE))
        downloads(story, start=100 * attempt, stop=100 * (attempt + 1))
        if attempt == 9:
            break
        story.sends(end(ABORT)).expects(told(Cause.ABORTED_BY_DEVICE)).commits().whatever().orders(park()).nothing().passes(60.0).nothing()
        story.orders(serve()).expects(unasked(notify(tsn=attempt + 2)))
    story.sends(end()).expects(told(Cause.TRANSFERRED, Cause.ACTIVATED))


def test_a_device_whose_query_takes_long_is_not_notified_again_meanwhile() -> None:
    story = play(quirk=Quirk(query_patience=60.0), notify_every=20.0).orders(serve()).expects(unasked(notify(tsn=1))).passes(59.0).nothing()
    story.passes(2.0).expects_at((1.0, unasked(notify(tsn=2))))


# --- quirks of single image types ---------------------------------------------------------------------------------------------------------


def test_one_image_type_of_a_device_may_need_more_time_than_another() -> None:
    slow = Quirk(end_patience=3_600.0)
    downloads(transferring(quirk=Quirk(by_type=((IMAGE_TYPE, slow),)))).passes(3_500.0).nothing()
    downloads(transferring(quirk=Quirk(by_type=((IMAGE_TYPE + 1, slow),)))).passes(181.0).expects(told(Cause.STALLED))


def test_one_image_type_of_a_device_may_need_shorter_blocks() -> None:
    short = Quirk(block_limit=40)
    transferring(quirk=Quirk(by_type=((IMAGE_TYPE, short),))).sends(ask(0)).expects(block(IMAGE[:40], 0))
    transferring(quirk=Quirk(by_type=((IMAGE_TYPE + 1, short),))).sends(ask(0)).expects(block(IMAGE[:64], 0))


def test_one_image_type_of_a_device_may_not_be_notified_for() -> None:
    play(quirk=Quirk(by_type=((IMAGE_TYPE, Quirk(notify=False)),))).orders(serve()).nothing().passes(60.0).nothing()
    play(quirk=Quirk(by_type=((IMAGE_TYPE + 1, Quirk(notify=False)),))).orders(serve()).expects(unasked(notify(tsn=1)))


# --- quirks of refusal ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [0x95, 0x7E])
def test_a_quirk_says_how_a_query_is_refused(status: int) -> None:
    play(quirk=Quirk(refusal_status=status)).sends(query()).expects(asked(), no_image(status))
    offering(quirk=Quirk(refusal_status=status)).sends(query(20)).whatever().commits().expects(asked(20), no_image(status))


def test_no_may_be_said_by_no_answer() -> None:
    play(quirk=Quirk(silent_refusal=True)).sends(query()).expects(asked()).sends(query()).nothing()
    story = offering(quirk=Quirk(silent_refusal=True)).sends(query()).expects(told(Cause.ACCEPTED)).commits().expects(offered(SIZE))
    story.sends(query(image_type=IMAGE_TYPE + 1)).expects(asked(image_type=IMAGE_TYPE + 1))


# --- quirks of versions -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [NEW, NEW + 1])
def test_a_device_that_tells_a_version_that_it_does_not_run_is_served_whatever_it_tells(version: int) -> None:
    story = offering(quirk=Quirk(tells_version=False)).sends(query(version)).expects(told(Cause.ACCEPTED)).commits().expects(offered(SIZE))
    downloads(story, stop=500).sends(query(version)).expects(offered(SIZE))


def test_a_foreign_block_is_aborted_even_by_a_device_that_must_not_be_notified() -> None:
    offering(quirk=Quirk(notify=False)).sends(ask(0, version=1)).expects(stop())


# --- shorter lives ----------------------------------------------------------------------------------------------------------------------


def test_patience_for_hardware_that_lives_faster_keeps_counts_and_what_a_device_is_told() -> None:
    usual, faster = Patience(), Patience().scaled(20.0)
    assert faster.offer == usual.offer / 20
    assert faster.block == usual.block / 20
    assert faster.notify_limit == usual.notify_limit
    assert faster.wait_for_data == usual.wait_for_data
    assert faster.page_floor == usual.page_floor
