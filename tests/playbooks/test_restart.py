"""After a restart of ours nothing is assumed and nothing is thrown away: the device goes on where it was and never hears ABORT."""

from __future__ import annotations

import pytest

from otagate.model.lifecycle import Cause, State
from tests.sessions.playbook import IMAGE, Playbook, activate, asked, downloads, knock, park, play, serve, told, unasked
from tests.sessions.wire import HOLD, NEW, ask, block, end, no_image, notify, offered, query, stop, upgrade, wait

SIZE = len(IMAGE)


def adopted(state: str, **changes: object) -> Playbook:
    """The process came up again, pinned what it was serving, and then the radio came up."""
    return play().orders(serve(adopted=state, **changes)).nothing().reopens().nothing()


def test_an_offer_goes_on_by_a_block_request_without_a_new_query() -> None:
    story = adopted("offering").sends(ask(500, 50, tsn=9)).expects(told(Cause.ACCEPTED, offset=500, words="offset 500 without a new query"))
    story.sends(ask(500, 50, tsn=9)).nothing()
    story.commits().expects(block(IMAGE[500:550], 500, tsn=9)).stands(State.TRANSFERRING)
    downloads(story, start=550)


def test_an_offer_is_announced_again_only_after_the_usual_while() -> None:
    story = adopted("offering")
    story.passes(25.0).expects_at((20.0, unasked(notify(tsn=1))))


def test_an_adopted_offer_can_still_be_asked_for() -> None:
    adopted("offering").sends(query()).expects(told(Cause.ACCEPTED)).commits().expects(offered(SIZE))


def test_a_download_goes_on_at_once_at_the_offset_of_the_device() -> None:
    story = adopted("transferring").sends(ask(500, 50)).expects(block(IMAGE[500:550], 500))
    downloads(story, start=550).sends(end()).expects(told(Cause.TRANSFERRED, Cause.ACTIVATED)).commits().expects(upgrade())


def test_a_download_that_ended_while_we_were_away_is_believed() -> None:
    adopted("transferring").sends(end()).expects(told(Cause.TRANSFERRED, Cause.ACTIVATED)).commits().expects(upgrade()).stands(State.ACTIVATING)


def test_a_device_that_rebooted_while_we_were_away_is_read() -> None:
    adopted("transferring").sends(query(NEW)).expects(told(Cause.REBOOTED)).commits().expects(asked(NEW), no_image()).stands(State.CONFIRMING)


def test_a_device_that_forgot_its_download_is_offered_it_again() -> None:
    adopted("transferring").sends(query()).expects(offered(SIZE)).stands(State.TRANSFERRING)


def test_a_download_that_nobody_goes_on_with_is_nudged_and_then_given_up() -> None:
    story = adopted("transferring").passes(119.0).nothing().passes(2.0).expects(unasked(notify(tsn=1))).passes(180.0)
    *nudges, (at, last) = story.came_out()
    assert [at for at, _ in nudges] == [29.0, 59.0, 89.0, 119.0]
    assert (at, last.causes) == (179.0, (Cause.STALLED,))


def test_a_device_that_was_told_to_wait_in_an_earlier_life_comes_by_itself_before_a_nudge_makes_it_begin_anew() -> None:
    story = adopted("transferring").passes(90.0).nothing().sends(ask(500, 50)).expects(block(IMAGE[500:550], 500))
    story.passes(29.0).nothing().passes(2.0).expects(unasked(notify(tsn=1)))


def test_a_staged_image_stays_staged() -> None:
    story = adopted("staged", hold_activation=True).passes(86_400.0).nothing().sends(end()).expects(upgrade(HOLD)).stands(State.STAGED)
    story.orders(activate()).expects(unasked(upgrade(0, tsn=1))).sends(end()).expects(upgrade(0))


def test_a_staged_image_that_waits_for_another_one_gets_its_word_when_the_device_asks() -> None:
    adopted("staged").sends(end()).expects(told(Cause.ACTIVATED)).commits().expects(upgrade()).stands(State.ACTIVATING)


def test_an_activating_device_that_missed_the_word_hears_it_again() -> None:
    adopted("activating").passes(3_600.0).nothing().sends(end()).expects(upgrade()).stands(State.ACTIVATING)


@pytest.mark.parametrize("state", ["offering", "transferring", "staged", "activating"])
def test_no_adopted_download_is_aborted(state: str) -> None:
    story = adopted(state).sends(ask(500, 50)).whatever()
    if state == "offering":
        story.commits().expects(block(IMAGE[500:550], 500))
    story.sends(ask(550, 50)).expects(block(IMAGE[550:600], 550))


def test_another_version_than_the_adopted_one_is_still_aborted() -> None:
    adopted("transferring").sends(ask(500, version=NEW - 1)).expects(stop())


def test_an_update_that_waits_its_turn_after_a_restart_answers_wait_and_knocks() -> None:
    story = play().orders(serve(adopted="offering")).nothing()
    story.states.clear()
    story.orders(park()).nothing().reopens().nothing().passes(3_600.0).nothing()
    story.sends(ask(500, 50)).expects(wait(60), knock())
    story.orders(serve()).nothing()
    story.sends(ask(500, 50)).expects(told(Cause.ACCEPTED, offset=500)).commits().expects(block(IMAGE[500:550], 500))
