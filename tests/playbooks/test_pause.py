"""Pause keeps the state and keeps the device: it is told to wait, never more than five minutes at once."""

from __future__ import annotations

import pytest

from otagate.model.lifecycle import Cause, State
from tests.sessions.playbook import IMAGE, activate, asked, downloads, offering, pause, resume, serve, told, transferring, unasked, withdraw
from tests.sessions.wire import ABORT, HOLD, REQUIRE_MORE_IMAGE, ask, block, default, end, no_image, notify, offered, query, stop, upgrade, wait

SIZE = len(IMAGE)


def test_a_paused_download_waits_and_goes_on_where_it_was() -> None:
    story = downloads(transferring(), stop=500).orders(pause()).nothing()
    for _ in range(60):
        story.sends(ask(500)).expects(wait(60)).passes(60.0).nothing()
    story.orders(resume()).nothing().stands(State.TRANSFERRING)
    downloads(story, start=500).sends(end()).expects(told(Cause.TRANSFERRED, Cause.ACTIVATED))


@pytest.mark.parametrize(("wish", "told_"), [(60.0, 60), (10_000.0, 300), (0.2, 1)])
def test_a_wait_is_between_a_second_and_five_minutes(wish: float, told_: int) -> None:
    transferring(wait_for_data=wish).orders(pause()).nothing().sends(ask(0)).expects(wait(told_))


def test_time_in_a_pause_is_nobodys_silence() -> None:
    story = downloads(transferring(), stop=500).orders(pause()).nothing().passes(86_400.0).nothing()
    assert story.server.wake_at() is None
    story.orders(resume()).nothing().passes(29.0).nothing()


def test_after_a_resume_the_device_has_the_time_that_it_was_told_to_wait() -> None:
    story = downloads(transferring(), stop=500).orders(pause()).sends(ask(500)).expects(wait(60)).passes(1.0).nothing().orders(resume()).nothing()
    story.passes(88.0).nothing().passes(2.0).expects(unasked(notify(tsn=2)))


def test_a_device_that_never_comes_back_from_a_pause_is_given_up_after_the_usual_patience() -> None:
    story = downloads(transferring(), stop=500).orders(pause()).nothing().passes(9_999.0).nothing().orders(resume()).nothing().passes(301.0)
    at, last = story.came_out()[-1]
    assert (at, last.causes) == (300.0, (Cause.STALLED,))


def test_a_paused_offer_stays_an_offer() -> None:
    story = offering().orders(pause()).nothing().passes(86_400.0).nothing().sends(query()).expects(asked(), no_image()).stands(State.OFFERING)
    story.sends(ask(0)).expects(wait(60)).stands(State.OFFERING)
    story.overhears().nothing().reopens().nothing()


def test_a_resumed_offer_is_announced_again_and_has_its_whole_time() -> None:
    story = offering().orders(pause()).nothing().passes(86_400.0).nothing().orders(resume()).expects(unasked(notify(tsn=2)))
    story.passes(119.0)
    assert all(hasattr(effect, "frame") for _, effect in story.came_out())
    story.sends(query()).expects(told(Cause.ACCEPTED)).commits().expects(offered(SIZE))


def test_a_resume_without_a_pause_does_nothing() -> None:
    story = offering().passes(100.0).whatever().orders(resume()).nothing().passes(20.0)
    assert story.came_out()[-1][1].causes == (Cause.EXPIRED,)


def test_a_device_that_has_everything_says_so_in_a_pause_and_waits_for_the_word() -> None:
    story = downloads(transferring()).orders(pause()).nothing().sends(end()).expects(told(Cause.TRANSFERRED))
    story.commits().expects(upgrade(HOLD)).stands(State.STAGED)
    story.sends(end()).expects(upgrade(HOLD)).orders(resume()).nothing().sends(end()).expects(upgrade(HOLD))
    story.orders(activate()).expects(unasked(upgrade(0, tsn=2)))


def test_only_a_pause_that_keeps_a_device_from_its_image_is_told_as_such() -> None:
    for order, paused, held in ((serve(), True, True), (serve(), False, False), (serve(hold_activation=True), True, False)):
        story = downloads(transferring(order))
        if paused:
            story.orders(pause()).nothing()
        story.sends(end())
        assert [effect.held for _, effect in story.came_out()] == [held]


def test_a_device_that_waited_for_another_image_goes_on_waiting_in_a_pause() -> None:
    story = downloads(transferring()).sends(end(REQUIRE_MORE_IMAGE)).whatever().commits().whatever().orders(pause()).nothing()
    story.sends(end()).expects(upgrade(HOLD)).stands(State.STAGED)
    story.orders(resume()).nothing().sends(end()).expects(told(Cause.ACTIVATED)).commits().expects(upgrade())


def test_a_device_may_give_up_in_a_pause() -> None:
    story = downloads(transferring(), stop=500).orders(pause()).nothing().sends(end(ABORT)).expects(told(Cause.ABORTED_BY_DEVICE))
    story.commits().expects(default(0x06, 0x00)).stands(State.QUEUED)


def test_a_paused_update_can_be_withdrawn() -> None:
    transferring().orders(pause()).nothing().orders(withdraw()).nothing().sends(ask(0)).expects(stop())


def test_a_paused_download_that_was_adopted_waits_too() -> None:
    story = offering(serve(adopted="transferring")).orders(pause()).nothing().sends(ask(500)).expects(wait(60))
    story.orders(resume()).nothing().sends(ask(500, 50)).expects(block(IMAGE[500:550], 500))


def test_a_resumed_offer_is_not_announced_while_its_device_was_told_to_wait() -> None:
    story = offering().orders(pause()).nothing().sends(ask(0)).expects(wait(60)).passes(10.0).nothing().orders(resume()).nothing()
    story.passes(75.0).expects_at((70.0, unasked(notify(tsn=2))))
