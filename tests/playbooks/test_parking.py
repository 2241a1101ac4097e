"""An update that waits its turn stays pinned: its device is told to wait, and its knock is heard."""

from __future__ import annotations

from otagate.model.lifecycle import Cause, State
from tests.sessions.playbook import IMAGE, LAMP, Playbook, asked, downloads, knock, offering, park, play, serve, told, transferring, unasked, withdraw
from tests.sessions.wire import NEW, ask, ask_page, block, default, end, notify, offered, query, stop, wait

SIZE = len(IMAGE)


def parked(story: Playbook | None = None) -> Playbook:
    """Back in the queue."""
    story = (story or offering()).orders(park()).nothing()
    story.states[LAMP] = State.QUEUED
    return story


def test_a_block_request_is_told_to_wait_and_knocks() -> None:
    parked(downloads(transferring(), stop=500)).sends(ask(500)).expects(wait(5), knock())


def test_a_page_request_is_told_to_wait_and_knocks() -> None:
    parked(downloads(transferring(), stop=500)).sends(ask_page(500)).expects(wait(5), knock()).passes(10.0).nothing()


def test_knocks_are_told_once_in_five_seconds_and_every_request_is_answered() -> None:
    story = parked(downloads(transferring(), stop=500)).sends(ask(500)).expects(wait(5), knock())
    story.sends(ask(500)).expects(wait(5)).passes(4.9).sends(ask(500)).expects(wait(5))
    story.passes(0.1).sends(ask(500)).expects(wait(5), knock())


def test_a_device_that_waits_for_long_is_asked_to_come_less_often() -> None:
    """A battery does not last for a knock every five seconds through a night."""
    story = parked(downloads(transferring(), stop=500)).passes(100.0).nothing().sends(ask(500)).expects(wait(25), knock())
    story.passes(10_000.0).nothing().sends(ask(500)).expects(wait(60), knock())


def test_a_query_is_answered_when_the_turn_comes_and_needs_no_notify() -> None:
    story = parked().sends(query(tsn=9)).expects(asked(), knock()).passes(2.0).nothing()
    story.orders(serve()).expects(told(Cause.ACCEPTED)).commits().expects(offered(SIZE, tsn=9))


def test_the_newest_of_several_queries_is_the_one_that_is_answered() -> None:
    story = parked().sends(query(tsn=9)).expects(asked(), knock()).sends(query(tsn=10)).nothing()
    story.orders(serve()).expects(told(Cause.ACCEPTED)).commits().expects(offered(SIZE, tsn=10))


def test_a_query_that_waited_too_long_is_answered_by_a_notify() -> None:
    story = parked().sends(query()).expects(asked(), knock()).passes(5.1).nothing()
    story.orders(serve()).expects(unasked(notify(tsn=2))).sends(query()).expects(told(Cause.ACCEPTED))


def test_a_device_that_was_told_to_come_back_is_not_called_meanwhile() -> None:
    """A notify would make it ask from the beginning; it comes by itself when its wait is over."""
    story = parked(downloads(transferring(), stop=500)).sends(ask(500)).expects(wait(5), knock()).passes(1.0).nothing()
    story.orders(serve()).nothing().passes(4.0).nothing()
    story.sends(ask(500, 50)).expects(told(Cause.ACCEPTED, offset=500)).commits().expects(block(IMAGE[500:550], 500))
    downloads(story, start=550)


def test_a_device_that_was_told_to_come_back_and_does_not_is_called_after_a_while() -> None:
    story = parked(downloads(transferring(), stop=500)).sends(ask(500)).expects(wait(5), knock()).orders(serve()).nothing()
    story.passes(30.0).expects_at((25.0, unasked(notify(tsn=2))))


def test_nothing_happens_by_itself_while_parked() -> None:
    story = parked(downloads(transferring(), stop=500)).passes(7 * 86_400.0).nothing().overhears().nothing().reopens().nothing()
    assert story.server.wake_at() is None
    assert story.server.serves()


def test_the_high_water_mark_survives_the_queue() -> None:
    story = parked(downloads(transferring(), stop=500)).orders(serve()).whatever()
    assert story.server.high_water(LAMP) == 450


def test_a_parked_update_can_be_withdrawn() -> None:
    parked().orders(withdraw()).nothing().sends(ask(0)).expects(stop())


def test_a_block_of_another_version_is_aborted_even_while_parked() -> None:
    parked().sends(ask(0, version=NEW - 1)).expects(stop())


def test_a_malformed_request_is_malformed_even_while_parked() -> None:
    parked().sends(ask(SIZE)).expects(default(0x03, 0x80)).sends(ask(0, 0)).expects(default(0x03, 0x80))


def test_a_stray_end_is_stray_even_while_parked() -> None:
    parked().sends(end()).expects(default(0x06, 0x95))


def test_what_was_told_before_is_forgotten_with_the_order_to_wait() -> None:
    story = parked(offering().sends(query()).whatever()).passes(60.0).nothing().commits_token(1).nothing()
    story.orders(serve()).whatever().sends(query(tsn=9)).expects(told(Cause.ACCEPTED)).commits().expects(offered(SIZE, tsn=9))


def test_a_download_that_had_to_wait_for_a_slot_goes_on_as_the_download_that_it_is() -> None:
    story = play().orders(serve(adopted="transferring")).nothing().orders(park()).nothing()
    story.passes(200.0).nothing().sends(ask(500)).expects(wait(50), knock()).passes(1.0).nothing()
    story.states.clear()
    story.orders(serve(adopted="transferring")).nothing().passes(78.0).nothing()
    story.sends(ask(500, 50)).expects(block(IMAGE[500:550], 500)).stands(State.TRANSFERRING)


def test_a_download_that_had_to_wait_for_a_slot_is_not_given_up_while_it_was_told_to_wait() -> None:
    story = play().orders(serve(adopted="transferring")).nothing().orders(park()).nothing()
    story.passes(200.0).nothing().sends(ask(500)).expects(wait(50), knock())
    story.states.clear()
    story.orders(serve(adopted="transferring")).nothing().passes(351.0)
    at, last = story.came_out()[-1]
    assert (at, last.causes) == (350.0, (Cause.STALLED,))


def test_a_stall_that_is_not_yet_on_disk_is_not_overtaken_by_the_same_order_again() -> None:
    """The engine may say `Serve` again after its store refused: the two must not come apart."""
    story = downloads(transferring(), stop=500).passes(300.0).whatever()
    story.orders(serve()).nothing().sends(ask(500, 50)).nothing()
    story.commits().expects(wait(5), knock()).stands(State.QUEUED)
    story.orders(park()).nothing().orders(serve()).nothing()
    story.sends(ask(500, 50)).expects(told(Cause.ACCEPTED)).commits().expects(block(IMAGE[500:550], 500))
