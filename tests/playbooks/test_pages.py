"""Image Page Request: one request, many blocks, each in its time, and always an end."""

from __future__ import annotations

import pytest

from otagate.model.lifecycle import Cause, State
from otagate.model.orders import Order
from tests.sessions.playbook import IMAGE, LAMP, Playbook, downloads, offering, park, pause, play, serve, told, transferring, withdraw
from tests.sessions.wire import NEW, ask, ask_page, block, default, end, offered, query, stop, upgrade, wait

SIZE = len(IMAGE)


def part(start: int, length: int = 50) -> bytes:
    return block(IMAGE[start : start + length], start)


def test_a_page_leaves_block_by_block_at_the_spacing_that_was_asked() -> None:
    story = transferring().sends(ask_page(100, 50, page=200, spacing=50)).expects(part(100))
    story.passes(10.0).expects_at((0.05, part(150)), (0.1, part(200)), (0.15, part(250)))


def test_a_radio_that_wakes_late_sends_one_block_and_not_all_that_were_missed() -> None:
    story = transferring().sends(ask_page(0, 50, page=500, spacing=50)).expects(part(0))
    story.now += 1.0
    late = story.server.tick(story.now)
    assert len(late) == 1
    assert story.server.wake_at() == story.now + 0.05


def test_a_page_that_reaches_past_the_end_of_the_file_ends_there_and_does_not_go_on_without_end() -> None:
    story = transferring().sends(ask_page(900, 50, page=500, spacing=50)).expects(part(900))
    story.passes(10.0).expects(part(950))


def test_a_page_ends_with_a_short_block_where_its_size_is_no_multiple() -> None:
    story = transferring().sends(ask_page(0, 64, page=150, spacing=10)).expects(part(0, 64))
    story.passes(1.0).expects(part(64, 64), part(128, 22))


def test_a_page_that_is_shorter_than_a_block_is_one_short_block() -> None:
    transferring().sends(ask_page(0, 64, page=10)).expects(part(0, 10)).passes(1.0).nothing()


def test_a_whole_image_by_pages() -> None:
    story, received = transferring(), b""
    while len(received) < SIZE:
        story.sends(ask_page(len(received), 50, page=256, spacing=20))
        received += _data(story)
        story.passes(1.0)
        received += _data(story)
    assert received == IMAGE
    story.sends(end()).expects(told(Cause.TRANSFERRED, Cause.ACTIVATED, offset=SIZE)).commits().expects(upgrade())


def _data(story: Playbook) -> bytes:
    return b"".join(bytes(effect.frame[17:]) for _, effect in story.came_out())


def test_no_spacing_is_still_a_spacing() -> None:
    story = transferring().sends(ask_page(0, 50, page=150, spacing=0)).expects(part(0))
    story.passes(1.0).expects_at((0.007, part(50)), (0.014, part(100)))


def test_the_longest_spacing_is_honoured_and_is_no_silence_of_the_device() -> None:
    story = transferring().sends(ask_page(0, 50, page=500, spacing=65_535)).expects(part(0))
    story.passes(600.0)
    assert [at for at, _ in story.came_out()] == [round(65.535 * n, 6) for n in range(1, 10)]


@pytest.mark.parametrize("page", [0, 4_097, 65_535])
def test_a_page_of_nothing_or_of_more_than_4096_bytes_is_malformed(page: int) -> None:
    story = transferring().sends(ask_page(0, 50, page=page)).expects(default(0x04, 0x80)).passes(10.0).nothing()
    downloads(story)


def test_one_request_for_65535_single_bytes_is_malformed_and_never_65535_frames() -> None:
    """In an image that has so many."""
    image = bytes(70_000)
    story = transferring(serve(image=memoryview(image))).sends(ask_page(0, 1, page=65_535, spacing=0)).expects(default(0x04, 0x80))
    story.passes(10.0).nothing()


def test_a_page_of_no_bytes_a_block_is_malformed_and_not_sent_without_end() -> None:
    transferring().sends(ask_page(0, 0)).expects(default(0x04, 0x80)).passes(10.0).nothing()


@pytest.mark.parametrize("offset", [SIZE, SIZE + 1, 0xFFFF_FFFF])
def test_a_page_past_the_end_is_malformed(offset: int) -> None:
    story = transferring().sends(ask_page(offset)).expects(default(0x04, 0x80)).passes(10.0).nothing()
    downloads(story).sends(end()).expects(told(Cause.TRANSFERRED, Cause.ACTIVATED, offset=SIZE))


def test_one_request_for_a_page_of_single_bytes_is_worth_twenty_frames_and_not_thousands() -> None:
    story = transferring().sends(ask_page(0, 1, page=4_096, spacing=0)).expects(part(0, 1)).passes(20.0)
    assert len(story.came_out()) == 19


def test_a_large_page_is_worth_twenty_frames_and_the_device_asks_for_the_rest() -> None:
    image = b"".join(bytes([n % 251]) * 16 for n in range(500))
    story = transferring(serve(image=memoryview(image))).sends(ask_page(0, 64, page=4_096, spacing=10)).whatever().passes(10.0)
    assert len(story.came_out()) == 19
    story.sends(ask(1_280, 64)).expects(block(image[1_280:1_344], 1_280))


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (ask(0, 50), part(0)),
        (ask_page(0, 50, page=50), part(0)),
        (query(), offered(SIZE)),
        (ask(SIZE), default(0x03, 0x80)),
        (ask_page(0, 0), default(0x04, 0x80)),
    ],
)
def test_the_next_request_ends_a_page(request_: bytes, answer: bytes) -> None:
    story = transferring().sends(ask_page(100, 50, page=500, spacing=50)).expects(part(100)).passes(0.06).expects(part(150))
    story.sends(request_).expects(answer).passes(10.0).nothing()


def test_an_upgrade_end_ends_a_page() -> None:
    story = downloads(transferring()).sends(ask_page(0, 50, page=500, spacing=50)).expects(part(0))
    story.sends(end()).expects(told(Cause.TRANSFERRED, Cause.ACTIVATED)).passes(5.0).nothing().commits().expects(upgrade()).passes(5.0).nothing()


def test_an_upgrade_end_without_a_download_ends_a_page_too() -> None:
    story = transferring().sends(ask_page(0, 50, page=500, spacing=50)).expects(part(0))
    story.sends(end()).expects(default(0x06, 0x95)).passes(10.0).nothing()


def test_pages_raise_the_high_water_mark() -> None:
    story = transferring().sends(ask_page(0, 50, page=500, spacing=50)).whatever().passes(5.0).whatever()
    story.sends(ask_page(500, 50, page=500, spacing=50)).expects(part(500))
    assert story.server.high_water(LAMP) == 500


@pytest.mark.parametrize("order", [withdraw(), pause(), park()])
def test_no_block_of_a_page_leaves_after_an_order_to_stop(order: Order) -> None:
    story = transferring().sends(ask_page(100, 50, page=500, spacing=50)).expects(part(100))
    story.orders(order).nothing().passes(10.0).nothing()


def test_a_radio_that_comes_back_does_not_go_on_with_an_old_page() -> None:
    story = transferring().sends(ask_page(100, 50, page=500, spacing=50)).expects(part(100))
    story.reopens().nothing().passes(10.0).nothing()


def test_a_page_of_another_version_is_aborted() -> None:
    transferring().sends(ask_page(0, version=NEW + 1)).expects(stop()).passes(10.0).nothing()


def test_a_page_of_nothing_that_is_pinned_is_aborted() -> None:
    play().sends(ask_page(0)).expects(stop()).passes(10.0).nothing()


def test_a_page_while_paused_is_told_to_wait() -> None:
    story = transferring(wait_for_data=60.0).orders(pause()).nothing()
    story.sends(ask_page(0)).expects(wait(60)).passes(10.0).nothing()


def test_a_page_request_that_goes_on_without_a_query_is_answered_in_full_after_its_commit() -> None:
    story = offering(serve(adopted="offering")).sends(ask_page(100, 50, page=150, spacing=50)).expects(told(Cause.ACCEPTED))
    story.passes(1.0).nothing().commits().expects(part(100)).stands(State.TRANSFERRING)
    story.passes(1.0).expects(part(150), part(200))


def test_page_requests_have_their_share_of_the_bytes_and_no_more() -> None:
    """Three times the image and a little: by pages as by blocks."""
    story, sent = transferring(), 0
    for _ in range(500):
        story.sends(ask_page(0, 64, page=1_000, spacing=7))
        out = story.came_out()
        story.passes(1.0)
        out += story.came_out()
        sent += sum(len(effect.frame) - 17 for _, effect in out if hasattr(effect, "frame") and effect.frame[3] == 0 and effect.frame[2] == 5)
    assert sent <= 3 * SIZE + 65_536 + 4_096


# --- a device that cannot keep up ----------------------------------------------------------------------------------------------------------------


def _page(story: Playbook, number: int, *, missing: int, size: int = 200) -> float:
    """One page of four blocks, of which the device asks for so many again; the seconds between its first two."""
    start = number * size
    story.sends(ask_page(start, 50, page=size, spacing=10)).whatever().passes(2.0)
    apart = story.came_out()[0][0]
    for each in range(missing):
        story.sends(ask(start + 50 * each, 50)).expects(part(start + 50 * each))
    return apart


def test_a_device_that_misses_much_of_its_pages_gets_them_slower_until_it_does_not() -> None:
    story = transferring()
    apart = [_page(story, number, missing=missing) for number, missing in enumerate((2, 2, 0, 0))]
    assert apart == pytest.approx([0.010, 0.015, 0.0225, 0.02025])


def test_a_block_that_is_lost_on_the_way_slows_no_page_down() -> None:
    story = transferring()
    assert [_page(story, number, missing=1) for number in range(4)] == pytest.approx([0.010] * 4)


def test_a_device_that_asks_for_its_page_again_has_missed_it() -> None:
    story = transferring()
    assert [_page(story, 0, missing=0) for _ in range(3)] == pytest.approx([0.010, 0.015, 0.0225])


def test_blocks_of_a_page_are_never_more_than_a_quarter_of_a_second_apart_unless_that_is_asked_for() -> None:
    story = transferring()
    assert [_page(story, 0, missing=0) for _ in range(20)][-1] == pytest.approx(0.25)
