"""A hostile or broken device: what it asks for nothing is answered within bounds, and others lose nothing by it."""

from __future__ import annotations

import pytest

from otagate.model.lifecycle import Cause, State
from otagate.sessions.effects import Advance
from tests.sessions.playbook import IMAGE, Playbook, downloads, offering, park, play, serve, told, transferring
from tests.sessions.wire import ABORT, ask, ask_file, ask_page, block, end, picture, query, wait

SIZE = len(IMAGE)
BURST = 100
PER_SECOND = 20


def answers(story: Playbook) -> int:
    return sum(hasattr(effect, "frame") for _, effect in story.came_out())


REQUESTS = {
    "the same block": ask(0, 50),
    "a block past the end": ask(SIZE),
    "a block of no bytes": ask(0, 0),
    "a block of another version": ask(0, version=3),
    "half a block request": ask(0)[:9],
    "half a query": query()[:9],
    "the same query": query(),
    "a query of another image": query(image_type=1),
    "the same end": end(),
    "a failure of another image": end(ABORT, version=3),
    "a page past the end": ask_page(SIZE),
    "a page of another version": ask_page(0, version=3),
    "a file that does not exist": ask_file(),
}


@pytest.mark.parametrize("what", REQUESTS)
def test_a_thousand_requests_at_one_moment_get_a_hundred_answers(what: str) -> None:
    story = transferring().sends(ask(50, 50)).whatever().sends(*[REQUESTS[what]] * 1_000)
    assert 0 < answers(story) <= BURST


@pytest.mark.parametrize("what", REQUESTS)
def test_a_thousand_requests_a_second_for_a_minute_get_twenty_answers_a_second(what: str) -> None:
    story, total = transferring().sends(ask(50, 50)).whatever(), 0
    for _ in range(600):
        story.passes(0.1).whatever().sends(*[REQUESTS[what]] * 100)
        total += answers(story)
    assert total <= BURST + PER_SECOND * 61


@pytest.mark.parametrize("what", REQUESTS)
def test_a_device_that_stops_flooding_is_served_again(what: str) -> None:
    story = downloads(transferring(), stop=500).sends(*[REQUESTS[what]] * 1_000).whatever()
    downloads(story.passes(1.0).whatever(), start=500)


@pytest.mark.parametrize("what", REQUESTS)
def test_a_flood_while_nothing_is_pinned_is_bounded_too(what: str) -> None:
    story = play().sends(*[REQUESTS[what]] * 1_000)
    assert answers(story) <= BURST


@pytest.mark.parametrize("what", REQUESTS)
def test_a_flood_while_the_update_waits_its_turn_is_bounded_too(what: str) -> None:
    story = offering().orders(park()).nothing().sends(*[REQUESTS[what]] * 1_000)
    assert answers(story) <= BURST


def test_jumping_between_two_blocks_is_no_way_around_the_bound() -> None:
    story = downloads(transferring(), stop=500).sends(*[ask(0, 50), ask(50, 50)] * 1_000)
    assert answers(story) <= 2 * BURST


def test_a_download_is_not_slowed_down_by_the_bound() -> None:
    image = picture(100_000)
    story = transferring(serve(image=memoryview(image)))
    downloads(story, image=image).sends(end()).expects(told(Cause.TRANSFERRED, Cause.ACTIVATED, offset=100_000))


def test_a_download_over_a_bad_link_may_repeat_every_block() -> None:
    image = picture(50_000)
    story = transferring(serve(image=memoryview(image)))
    for offset in range(0, 50_000, 50):
        answer = block(image[offset : offset + 50], offset)
        story.sends(ask(offset, 50), ask(offset, 50)).expects(answer, answer)


def test_a_download_that_begins_again_is_not_slowed_down_either() -> None:
    image = picture(50_000)
    story = transferring(serve(image=memoryview(image)))
    downloads(story, image=image, stop=45_000)
    downloads(story, image=image).sends(end()).expects(told(Cause.TRANSFERRED, Cause.ACTIVATED))


def test_a_device_may_ask_for_three_times_the_image_and_then_has_lost_its_turn() -> None:
    image = picture(100_000)
    story, sent = transferring(serve(image=memoryview(image))), 0
    while True:
        for offset in range(0, 100_000, 50):
            story.sends(ask(offset, 50))
            out = [effect for _, effect in story.came_out()]
            if any(isinstance(effect, Advance) for effect in out):
                break
            sent += sum(len(effect.frame) - 17 for effect in out)
        else:
            continue
        break
    assert 300_000 <= sent <= 3 * 100_000 + 65_536 + 64
    assert [effect.causes for effect in out] == [(Cause.STALLED,)]
    assert "three times" in out[0].detail
    story.commits().whatever().stands(State.QUEUED)


def test_a_small_image_may_be_asked_for_more_often_because_it_costs_little() -> None:
    story = transferring()
    for _ in range(20):
        downloads(story)


def test_a_new_attempt_has_its_own_share() -> None:
    story = transferring()
    while story.states[next(iter(story.states))] is State.TRANSFERRING:
        for offset in range(0, SIZE, 50):
            story.sends(ask(offset, 50))
            if any(isinstance(effect, Advance) for _, effect in story.came_out()):
                story.commits().whatever()
                break
    story.orders(park()).nothing().passes(60.0).nothing().orders(serve()).whatever()
    story.sends(query()).whatever().commits().whatever()
    downloads(story)


def test_an_activated_device_that_downloads_for_ever_is_stopped_without_a_word_to_the_ledger() -> None:
    story = downloads(transferring()).sends(end()).whatever().commits().whatever()
    frames = []
    for _ in range(100):
        for offset in range(0, SIZE, 50):
            story.passes(0.05).nothing().sends(ask(offset, 50))
            frames += [effect.frame for _, effect in story.came_out()]
    assert frames[-1][3] == 0x95
    assert sum(len(frame) - 17 for frame in frames if frame[3] == 0) <= 3 * SIZE + 65_536 + 64
    story.stands(State.ACTIVATING)


def test_the_first_block_after_a_flood_of_another_kind_still_waits_for_its_share() -> None:
    """The bound is one for all kinds: no kind is a way around another."""
    story = transferring().sends(ask(0, 50)).whatever().sends(*[query()] * 1_000).whatever()
    story.sends(*[ask(0, 50)] * 10).nothing()
    story.passes(0.125).whatever().sends(*[ask(0, 50)] * 10).expects(block(IMAGE[:50], 0), block(IMAGE[:50], 0))


def test_waiting_devices_are_answered_within_the_bound() -> None:
    story = offering().orders(park()).nothing().sends(ask(0, 50)).whatever().sends(*[ask(0, 50)] * 50)
    story.expects(*[wait(5)] * 50)
