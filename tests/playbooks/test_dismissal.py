"""A radio that goes away tells devices in mid-transfer when to ask again, and finds them where they were."""

from __future__ import annotations

import pytest

from otagate.model.lifecycle import Cause, State
from tests.sessions.playbook import IMAGE, LAMP, dismiss, downloads, offering, pause, resume, told, transferring, unasked
from tests.sessions.wire import ask, end, notify, wait

HOURS = 6 * 3_600.0


def test_a_device_waits_until_the_radio_is_back_and_goes_on_where_it_was() -> None:
    story = downloads(transferring(), stop=500).orders(dismiss(HOURS)).nothing()
    assert not story.server.is_dismissed(LAMP)
    story.sends(ask(500)).expects(wait(int(HOURS)))
    assert story.server.is_dismissed(LAMP)
    story.passes(HOURS).nothing().reopens().nothing().stands(State.TRANSFERRING)
    downloads(story, start=500).sends(end()).expects(told(Cause.TRANSFERRED, Cause.ACTIVATED))


@pytest.mark.parametrize(("seconds", "told_"), [(0.2, 1), (60.9, 60), (10**6, 0xFFFF)])
def test_no_device_waits_for_longer_than_it_can_count(seconds: float, told_: int) -> None:
    transferring().orders(dismiss(seconds)).nothing().sends(ask(0)).expects(wait(told_))


def test_a_radio_that_is_back_early_gives_the_device_the_time_that_it_was_told_to_wait() -> None:
    story = downloads(transferring(), stop=500).orders(dismiss(HOURS)).nothing().sends(ask(500)).expects(wait(int(HOURS)))
    story.passes(60.0).nothing().reopens().nothing().passes(HOURS - 61.0).nothing().passes(40.0).expects(unasked(notify(tsn=2)))


def test_a_device_that_was_not_reached_is_found_by_the_usual_patience() -> None:
    story = downloads(transferring(), stop=500).orders(dismiss(HOURS)).nothing().passes(HOURS).nothing().reopens().nothing()
    story.passes(301.0)
    at, last = story.came_out()[-1]
    assert (at, last.causes) == (300.0, (Cause.STALLED,))


def test_a_pause_outlives_the_absence() -> None:
    story = downloads(transferring(), stop=500).orders(pause()).nothing().orders(dismiss(HOURS)).nothing().sends(ask(500)).expects(wait(int(HOURS)))
    story.passes(HOURS).nothing().reopens().nothing().sends(ask(500)).expects(wait(60)).orders(resume()).nothing()


def test_what_is_not_fetched_yet_need_not_be_told() -> None:
    story = offering().orders(dismiss(HOURS)).nothing()
    assert story.server.is_dismissed(LAMP)
    assert len(IMAGE) > 500


def test_how_long_a_device_waits_is_known_until_it_asks() -> None:
    story = downloads(transferring(), stop=500).orders(dismiss(HOURS)).nothing()
    assert story.server.back_in(LAMP, story.now) == 0, "nobody has told it yet"
    story.sends(ask(500)).expects(wait(int(HOURS))).passes(60.0).nothing().reopens().nothing()
    assert story.server.back_in(LAMP, story.now) == HOURS - 60
    downloads(story, start=500, stop=550)
    assert story.server.back_in(LAMP, story.now) == 0, "it came before its time"
