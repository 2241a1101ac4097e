"""Image Block Request: only bytes of the image that was pinned, only inside it, and never longer than a frame."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from otagate.model.lifecycle import Cause, State
from otagate.model.quirks import Quirk
from tests.sessions.playbook import (
    IMAGE,
    LAMP,
    SENSOR,
    Playbook,
    downloads,
    knock,
    offering,
    park,
    play,
    serve,
    told,
    transferring,
    unasked,
    withdraw,
)
from tests.sessions.wire import IMAGE_TYPE, MANUFACTURER, NEW, ask, ask_page, block, default, end, notify, offered, picture, query, stop, wait

SIZE = len(IMAGE)


@pytest.mark.parametrize("offset", [SIZE, SIZE + 1, SIZE + 64, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF])
def test_a_block_request_past_the_end_is_malformed(offset: int) -> None:
    story = transferring().sends(ask(offset)).expects(default(0x03, 0x80))
    assert story.server.high_water(LAMP) == 0
    downloads(story).sends(end()).expects(told(Cause.TRANSFERRED, Cause.ACTIVATED, offset=SIZE))


@pytest.mark.parametrize("offset", [0, 1, SIZE - 65, SIZE - 64, SIZE - 63, SIZE - 1])
def test_a_block_request_inside_the_image_gets_exactly_the_bytes_there(offset: int) -> None:
    transferring().sends(ask(offset, 64)).expects(block(IMAGE[offset : offset + 64], offset))


def test_a_block_request_for_no_bytes_is_malformed() -> None:
    story = transferring().sends(ask(0, 0)).expects(default(0x03, 0x80))
    downloads(story)


@pytest.mark.parametrize(
    "request_",
    [
        ask(100, version=NEW - 1),
        ask(100, version=NEW + 1),
        ask(100, version=0xFFFF_FFFF),
        ask(100, manufacturer=MANUFACTURER + 1),
        ask(100, manufacturer=0xFFFF),
        ask(100, image_type=IMAGE_TYPE + 1),
        ask(100, image_type=0xFFFF),
    ],
)
def test_a_block_of_another_image_is_aborted_and_the_pinned_one_goes_on(request_: bytes) -> None:
    story = downloads(transferring(), stop=500).sends(request_).expects(stop())
    assert story.server.high_water(LAMP) == 450
    downloads(story, start=500)


def test_a_block_of_anything_is_aborted_where_nothing_is_pinned() -> None:
    play().sends(ask(0)).expects(stop())


def test_a_device_that_resumes_an_old_download_is_told_to_drop_it_and_then_offered_the_new_one() -> None:
    story = offering(notify_every=20.0).passes(5.0).nothing().sends(ask(400, version=NEW - 1)).expects(stop())
    story.passes(20.0).expects_at((20.0, unasked(notify(tsn=2))))
    story.sends(query()).expects(told(Cause.ACCEPTED)).commits().expects(offered(SIZE))


def test_after_a_newer_image_was_pinned_no_byte_of_it_reaches_a_request_for_the_old_one() -> None:
    newer = picture(1_000, seed=2)
    story = downloads(transferring(), stop=500)
    story.orders(withdraw()).orders(serve(update=SENSOR, file_version=NEW + 1, image=memoryview(newer))).expects(unasked(notify(tsn=2)))
    story.sends(ask(500, 50)).expects(stop())
    story.sends(query()).expects(told(Cause.ACCEPTED, update=SENSOR)).commits().expects(offered(1_000, NEW + 1))
    story.sends(ask(500, 50)).expects(stop())
    story.sends(ask(0, 50, version=NEW + 1)).expects(block(newer[:50], 0, version=NEW + 1))


@pytest.mark.parametrize("goes_on", [ask(500, 50), ask_page(500, 50)])
def test_what_was_begun_with_another_file_of_that_very_version_is_dropped_first(goes_on: bytes) -> None:
    """Another server's, or one of ours that an operator cancelled while the device slept: makers give different files one version."""
    fresh = serve(begun=False)
    story = play().orders(fresh).expects(unasked(notify(tsn=1))).sends(goes_on).expects(stop()).passes(20.0).expects(unasked(notify(tsn=2)))
    story.sends(query()).expects(told(Cause.ACCEPTED, offset=0)).commits().expects(offered(SIZE))
    assert story.server.high_water(LAMP) == 0
    downloads(story).sends(end()).expects(told(Cause.TRANSFERRED, Cause.ACTIVATED, offset=SIZE))


def _ordered_again(*, digest: str = "aa", between: Callable[[Playbook], Playbook] = lambda story: story) -> Playbook:
    """Half of an image, whose order is withdrawn; then an order for an image of that digest."""
    story = downloads(transferring(serve(begun=False, digest="aa")), stop=500).orders(withdraw()).nothing()
    story = between(story)
    return story.orders(serve(update=SENSOR, begun=False, digest=digest)).whatever()


def test_an_image_that_is_ordered_again_goes_on_where_it_was_withdrawn() -> None:
    story = _ordered_again().sends(ask(500, 50)).expects(told(Cause.ACCEPTED, update=SENSOR, offset=500)).commits()
    story.expects(block(IMAGE[500:550], 500))


def _another_is_begun(story: Playbook) -> Playbook:
    story.states[SENSOR] = State.OFFERING
    story.orders(serve(update=SENSOR, begun=False, digest="bb")).whatever().sends(query()).whatever().commits().whatever()
    return story.sends(ask(0, 50)).whatever().orders(withdraw(SENSOR)).whatever()


@pytest.mark.parametrize(
    ("digest", "between"),
    [
        ("bb", lambda story: story),
        ("aa", _another_is_begun),
        ("aa", lambda story: story.reopens().nothing()),  # the stick may have been lent
    ],
    ids=["another image", "another one in between", "another program in between"],
)
def test_what_else_is_ordered_after_a_withdrawn_image_goes_on_with_nothing_of_it(digest: str, between: Callable[[Playbook], Playbook]) -> None:
    _ordered_again(digest=digest, between=between).sends(ask(500, 50)).expects(stop())


def test_a_device_that_goes_on_with_another_file_after_it_was_offered_this_one_is_stopped_until_it_asks_again() -> None:
    """It takes the offer for that of the other server; and a client that reads the end of a file first is told once, too."""
    story = transferring(serve(begun=False)).sends(ask(500, 50)).expects(stop()).sends(ask(550, 50)).expects(stop())
    story.sends(query()).expects(offered(SIZE)).sends(ask(950, 50)).expects(block(IMAGE[950:], 950)).sends(ask(0, 50)).expects(block(IMAGE[:50], 0))


def test_a_device_that_does_not_drop_another_file_gets_no_byte_of_this_one_and_that_is_why_it_ends() -> None:
    story = transferring(serve(begun=False))
    for _ in range(29):
        story.sends(ask(500, 50)).expects(stop()).passes(10.0).whatever()
    _, last = story.sends(ask(500, 50)).expects(stop()).passes(11.0).came_out()[-1]
    assert last.causes == (Cause.STALLED,)
    assert "at offset 500 with a file that it did not begin here" in last.detail


def test_a_device_that_waits_its_turn_with_another_file_is_told_so_when_it_comes() -> None:
    story = play().orders(serve(begun=False, adopted="offering")).orders(park()).nothing().sends(ask(500, 50)).expects(wait(5), knock())
    story.passes(6.0).nothing().orders(serve(begun=False)).expects(unasked(notify(tsn=1))).sends(ask(500, 50)).expects(stop())


def test_an_attempt_with_other_bytes_goes_on_with_nothing_of_the_one_before() -> None:
    """The stored file was lost, and what its source gave the second time is another one; the last request may lie past its end."""
    story = downloads(transferring(), stop=500).orders(park()).nothing().sends(ask(500, 50)).whatever().sends(query()).whatever()
    story.states[LAMP] = State.QUEUED
    story.orders(serve(image=memoryview(picture(400, seed=2)), digest="bb")).expects(unasked(notify(tsn=2))).sends(ask(350, 50)).expects(stop())


def test_a_client_that_another_server_left_stuck_is_freed_though_its_file_was_not_begun_here() -> None:
    transferring(serve(begun=False), quirk=LEGRAND).sends(ask(50, 12)).expects(block(IMAGE[78:142], 78)).sends(ask(0, 62)).expects(
        block(IMAGE[:62], 0)
    )


def test_two_components_are_served_side_by_side_and_never_mixed() -> None:
    other = picture(600, seed=2)
    second = serve(update=SENSOR, image_type=0x1410, file_version=7, image=memoryview(other))
    story = transferring().orders(second).expects(unasked(notify(tsn=2)))
    story.sends(query(3, image_type=0x1410)).expects(told(Cause.ACCEPTED, update=SENSOR)).commits().expects(offered(600, 7, image_type=0x1410))
    for offset in range(0, 600, 50):
        story.sends(ask(offset, 50)).expects(block(IMAGE[offset : offset + 50], offset))
        request = ask(offset, 50, image_type=0x1410, version=7)
        story.sends(request).expects(block(other[offset : offset + 50], offset, version=7, image_type=0x1410))
    story.sends(end(image_type=0x1410, version=7)).expects(told(Cause.TRANSFERRED, Cause.ACTIVATED, update=SENSOR))
    story.commits().whatever().stands(State.TRANSFERRING, LAMP).stands(State.ACTIVATING, SENSOR)


def test_the_nearest_of_two_moments_is_the_one_to_wake_for() -> None:
    second = serve(update=SENSOR, image_type=0x1410, file_version=7, image=memoryview(IMAGE))
    story = offering().passes(15.0).nothing().orders(second).expects(unasked(notify(tsn=2)))
    story.passes(21.0).expects_at((5.0, unasked(notify(tsn=3))), (20.0, unasked(notify(tsn=4))))


def test_withdrawing_an_update_aborts_its_next_block() -> None:
    story = downloads(transferring(), stop=500).orders(withdraw()).nothing()
    story.sends(ask(500)).expects(stop())
    assert story.server.wake_at() is None


# --- the length of a block --------------------------------------------------------------------------------------------------------------


def test_blocks_become_shorter_step_by_step_while_frames_are_too_long() -> None:
    story = transferring()
    for longest in (57, 50, 40):
        assert story.server.too_long()
        story.sends(ask(0, 64)).expects(block(IMAGE[:longest], 0))
    assert not story.server.too_long()
    story.sends(ask(0)).expects(block(IMAGE[:40], 0))


def test_a_request_for_48_bytes_is_answered_whole_even_where_frames_are_short() -> None:
    """Telink's client, under many makers' codes, fails on less than it asked for."""
    story = transferring()
    while story.server.too_long():
        pass
    story.sends(ask(0, 48)).expects(block(IMAGE[:48], 0)).sends(ask(0, 49)).expects(block(IMAGE[:40], 0))
    story.sends(ask_page(0, 48, page=96, spacing=10)).expects(block(IMAGE[:48], 0))


def test_a_quirk_makes_longer_requests_whole() -> None:
    story = transferring(quirk=Quirk(whole_up_to=64))
    assert story.server.too_long()
    story.sends(ask(0, 62)).expects(block(IMAGE[:62], 0)).sends(ask(0, 65)).expects(block(IMAGE[:57], 0))


LEGRAND = Quirk(whole_up_to=64, stuck_at=(50, 12), freed_by=(78, 64))


def test_a_client_that_another_server_left_stuck_is_freed_and_begins_again() -> None:
    story = transferring(quirk=LEGRAND).sends(ask(50, 12)).expects(block(IMAGE[78:142], 78))
    downloads(story.sends(ask(0, 62)).expects(block(IMAGE[:62], 0)))


def test_a_client_that_stays_stuck_is_answered_what_it_asks_for() -> None:
    transferring(quirk=LEGRAND).sends(ask(50, 12)).expects(block(IMAGE[78:142], 78)).sends(ask(50, 12)).expects(block(IMAGE[50:62], 50))


def test_a_client_that_began_here_is_not_stuck() -> None:
    transferring(quirk=LEGRAND).sends(ask(0, 50)).expects(block(IMAGE[:50], 0)).sends(ask(50, 12)).expects(block(IMAGE[50:62], 50))


@pytest.mark.parametrize(("offset", "size"), [(50, 13), (51, 12)])
def test_another_first_block_is_that_of_a_client_that_goes_on(offset: int, size: int) -> None:
    transferring(quirk=LEGRAND).sends(ask(offset, size)).expects(block(IMAGE[offset : offset + size], offset))


def test_an_image_without_the_block_that_frees_is_served_as_it_is() -> None:
    story = transferring(serve(image=memoryview(IMAGE[:141])), quirk=LEGRAND)
    story.sends(ask(50, 12)).expects(block(IMAGE[50:62], 50))


def test_what_a_device_cannot_take_is_never_sent_to_it_whole() -> None:
    transferring(quirk=Quirk(block_limit=40)).sends(ask(0, 48)).expects(block(IMAGE[:40], 0))


def test_a_quirk_bounds_the_block() -> None:
    transferring(quirk=Quirk(block_limit=40)).sends(ask(0)).expects(block(IMAGE[:40], 0))


def test_a_quirk_bounds_the_blocks_of_a_page_too() -> None:
    story = transferring(quirk=Quirk(block_limit=40)).sends(ask_page(0, 64, page=100, spacing=10)).expects(block(IMAGE[:40], 0))
    story.passes(1.0).expects_at((0.01, block(IMAGE[40:80], 40)), (0.02, block(IMAGE[80:100], 80)))


def test_a_quirk_never_makes_blocks_longer_than_a_frame() -> None:
    transferring(quirk=Quirk(block_limit=100)).sends(ask(0, 200)).expects(block(IMAGE[:64], 0))


def test_a_frame_that_is_too_long_with_a_quirk_steps_down_from_the_length_that_was_used() -> None:
    story = transferring(quirk=Quirk(block_limit=48))
    assert story.server.too_long()
    story.sends(ask(0)).expects(block(IMAGE[:40], 0))
    assert not story.server.too_long()


def test_there_is_no_step_below_a_quirk_that_is_shorter_than_all_of_them() -> None:
    story = transferring(quirk=Quirk(block_limit=40))
    assert not story.server.too_long()
    story.sends(ask(0)).expects(block(IMAGE[:40], 0))


def test_a_device_that_paces_itself_keeps_its_pace_through_a_wait() -> None:
    """The server has no wish for another period, so it gives back the one that the device told."""
    from tests.sessions.playbook import pause

    story = transferring(wait_for_data=60.0).sends(ask(0, period=150)).expects(block(IMAGE[:64], 0)).orders(pause()).nothing()
    story.sends(ask(64, period=150)).expects(wait(60, period=150))
    story.sends(ask(64, node=0x000D_6F00_0A90_69E7, period=150)).expects(wait(60, period=150))
    story.sends(ask(64)).expects(wait(60))
