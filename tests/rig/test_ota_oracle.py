"""Every rule of the oracle: a server that breaks it is told on, by that name and no other."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

import otagate_rig
from otagate_rig.spec import Behaviours
from tests.rig.client_bench import IMAGE, IMAGE_TYPE, MANUFACTURER, NEW, Bench


def bench() -> Bench:
    return Bench().downloading()


def paged(**fields: object) -> Bench:
    return Bench(behaviours=Behaviours(page_size=126, page_spacing=100, **fields)).downloading()  # type: ignore[arg-type]


def page_block(it: Bench, offset: int, length: int = 63) -> None:
    page = next(sent for sent in reversed(it.sent) if sent.command == 0x04)
    it.block(offset=offset, data=it.image[offset : offset + length], tsn=page.tsn)


def reserved_frame_type() -> Bench:
    it = bench()
    it.say(0x05, b"\x95", control=0x1B)
    return it


def reserved_bits() -> Bench:
    it = bench()
    it.block(control=0x39)
    return it


def manufacturer_specific() -> Bench:
    it = bench()
    it.give(struct.pack("<BHBB", 0x1D, 0x1189, it.last.tsn, 0x05) + b"\x95")
    return it


def wrong_direction() -> Bench:
    it = bench()
    it.block(control=0x11)
    return it


def default_response_enabled() -> Bench:
    it = bench()
    it.block(control=0x09)
    return it


def wrong_endpoint() -> Bench:
    it = bench()
    it.block(src_ep=2)
    return it


def wrong_tsn() -> Bench:
    it = bench()
    it.block(tsn=(it.last.tsn + 1) & 0xFF)
    return it


def unsolicited() -> Bench:
    it = Bench()
    it.say(0x05, struct.pack("<BHHIIB", 0, MANUFACTURER, IMAGE_TYPE, NEW, 0, 4) + b"abcd", tsn=9)
    return it


def two_answers() -> Bench:
    it = bench()
    first = it.last
    it.block()
    it.block(offset=0, data=IMAGE[:63], tsn=first.tsn)
    return it


def a_second_answer_to_a_request_of_the_life_before() -> Bench:
    it, unanswered = _started_anew()
    it.end(tsn=unanswered)
    it.end(tsn=unanswered)
    return it


def response_after_abort() -> Bench:
    it = bench()
    it.abort()
    it.block(offset=0, data=IMAGE[:63], tsn=(it.last.tsn + 1) & 0xFF)
    return it


def wrong_offset() -> Bench:
    it = bench()
    it.block(offset=63, data=IMAGE[63:126])
    return it


def page_overrun_by_one_block() -> Bench:
    it = paged()
    page_block(it, 0)
    it.now += 0.1
    page_block(it, 63, length=63)
    it.now += 0.1
    # The next page has been asked for: the old one goes on beyond its end.
    it.block(offset=252, data=IMAGE[252:315], tsn=0xEE)
    return it


def page_overrun_within_one_block() -> Bench:
    it = Bench(behaviours=Behaviours(page_size=100)).downloading()
    page_block(it, 0)
    it.now += 0.1
    page_block(it, 63)
    return it


def page_overrun_before_its_end() -> Bench:
    it = paged()
    page_block(it, 189)
    return it


def page_not_cancelled_by_the_next_page() -> Bench:
    it = Bench(behaviours=Behaviours(page_size=252, page_spacing=0, page_cancels=True)).downloading()
    old = it.last
    page_block(it, 0)
    it.block(offset=63, data=it.image[63:126], tsn=old.tsn)
    assert it.last.offset == 126
    it.block(offset=126, data=it.image[126:189], tsn=old.tsn)  # under way
    page_block(it, 126)
    it.block(offset=189, data=it.image[189:252], tsn=old.tsn)
    return it


def page_not_cancelled_by_a_block_request() -> Bench:
    it = paged()
    it.wait(3)
    assert (it.last.command, it.last.offset) == (0x03, 0)
    it.block()
    it.block(offset=63, data=it.image[63:126], tsn=it.sent[1].tsn)
    return it


def page_overrun_through_a_power_cut() -> Bench:
    it, old = _cut_off()
    for offset in (0, 63, 0):
        it.block(offset=offset, data=it.image[offset : offset + 63], tsn=old)
    return it


def _cut_off() -> tuple[Bench, int]:
    """A client that lost its power amid a page and has it again, and the number of the page."""
    it = Bench(behaviours=Behaviours(page_size=252, page_spacing=0, power_cut_at=(0.25,))).downloading()
    old = it.last.tsn
    for offset in (0, 63):
        page_block(it, offset)
    it.client.power_lost()
    it._note(it.client.power_up(it.now))
    assert it.last.offset == 126
    return it, old


def page_too_early() -> Bench:
    it = paged()
    page_block(it, 0)
    it.now += 0.05
    page_block(it, 63)
    return it


def query_answer_changed() -> Bench:
    it = Bench()
    it.notify()
    first = it.last
    it.wait(3)
    it.offer(tsn=first.tsn)
    query = next(sent for sent in reversed(it.sent) if sent.command == 0x01)
    it.offer(tsn=query.tsn, version=3)
    return it


def bad_query_status() -> Bench:
    it = Bench()
    it.notify()
    it.say(0x02, b"\x97")
    return it


def offer_for_another() -> Bench:
    it = Bench()
    it.notify()
    it.say(0x02, b"\x00" + struct.pack("<HHII", MANUFACTURER, 0x0099, NEW, 1000))
    assert it.last.command == 0x01
    return it


def empty_offer() -> Bench:
    it = Bench(known=False)
    it.notify()
    it.offer(size=0)
    return it


def wrong_size() -> Bench:
    it = Bench()
    it.notify()
    it.offer(size=len(IMAGE) - 1)
    return it


def wrong_manufacturer_code() -> Bench:
    it = bench()
    it.block(ids=(0x1234, IMAGE_TYPE, NEW))
    return it


def wrong_image_type() -> Bench:
    it = bench()
    it.block(ids=(MANUFACTURER, 0x99, NEW))
    return it


def wrong_file_version() -> Bench:
    it = bench()
    it.block(ids=(MANUFACTURER, IMAGE_TYPE, 3))
    return it


def zero_bytes_with_success() -> Bench:
    it = bench()
    it.block(data=b"")
    return it


def too_much_data() -> Bench:
    it = bench()
    it.block(data=IMAGE[:64])
    return it


def past_the_end() -> Bench:
    it = bench()
    while it.last.offset + 63 < len(IMAGE):
        it.block()
    it.block(data=IMAGE[it.last.offset :] + b"!")
    return it


def wrong_bytes() -> Bench:
    it = bench()
    it.block(data=b"x" * 63)
    return it


def bytes_changed() -> Bench:
    it = Bench(known=False).downloading()
    first = it.last
    it.wait(3)
    second = it.last
    it.block(offset=0, data=IMAGE[:63], tsn=first.tsn)
    it.block(offset=0, data=b"x" * 63, tsn=second.tsn)
    return it


def wait_in_the_past() -> Bench:
    it = bench()
    it.wait_for_data(1000, 999)
    return it


def bad_block_status() -> Bench:
    it = bench()
    it.say(0x05, b"\x98")
    return it


def end_for_another() -> Bench:
    it = Bench().until_end()
    it.end(version=3)
    return it


def upgrade_in_the_past() -> Bench:
    it = Bench().until_end()
    it.end(1000, 999)
    return it


def end_response_to_failed_upgrade() -> Bench:
    it = Bench(behaviours=Behaviours(end_status=0x96)).until_end()
    it.end()
    return it


def failed_end_refused() -> Bench:
    it = Bench(behaviours=Behaviours(end_status=0x96)).until_end()
    it.default(0x01)
    return it


def no_answer_to_a_block_request() -> Bench:
    it = bench()
    it.default(0x00)
    return it


def no_answer_to_an_end_request() -> Bench:
    it = Bench().until_end()
    it.default(0x00)
    return it


def unknown_command() -> Bench:
    it = bench()
    it.say(0x0A, b"")
    return it


def malformed(command: int, payload: bytes) -> Callable[[], Bench]:
    def break_it() -> Bench:
        it = Bench().until_end() if command == 0x07 else bench()
        if command == 0x02:
            it = Bench()
            it.notify()
        it.say(command, payload)
        return it

    return break_it


def malformed_header() -> Bench:
    it = bench()
    it.give(b"\x19\x01")
    return it


def malformed_default_response() -> Bench:
    it = bench()
    it.say(0x0B, b"\x03", control=0x18)
    return it


BROKEN: list[tuple[str, Callable[[], Bench]]] = [
    ("reserved_frame_type", reserved_frame_type),
    ("reserved_bits", reserved_bits),
    ("manufacturer_specific", manufacturer_specific),
    ("wrong_direction", wrong_direction),
    ("default_response_enabled", default_response_enabled),
    ("wrong_endpoint", wrong_endpoint),
    ("wrong_tsn", wrong_tsn),
    ("unsolicited", unsolicited),
    ("unsolicited", a_second_answer_to_a_request_of_the_life_before),
    ("two_answers", two_answers),
    ("response_after_abort", response_after_abort),
    ("wrong_offset", wrong_offset),
    ("page_overrun", page_overrun_by_one_block),
    ("page_overrun", page_overrun_within_one_block),
    ("page_overrun", page_overrun_before_its_end),
    ("page_not_cancelled", page_not_cancelled_by_the_next_page),
    ("page_not_cancelled", page_not_cancelled_by_a_block_request),
    ("page_overrun", page_overrun_through_a_power_cut),
    ("page_too_early", page_too_early),
    ("query_answer_changed", query_answer_changed),
    ("bad_query_status", bad_query_status),
    ("offer_for_another", offer_for_another),
    ("empty_offer", empty_offer),
    ("wrong_size", wrong_size),
    ("wrong_manufacturer_code", wrong_manufacturer_code),
    ("wrong_image_type", wrong_image_type),
    ("wrong_file_version", wrong_file_version),
    ("zero_bytes_with_success", zero_bytes_with_success),
    ("too_much_data", too_much_data),
    ("past_the_end", past_the_end),
    ("wrong_bytes", wrong_bytes),
    ("bytes_changed", bytes_changed),
    ("wait_in_the_past", wait_in_the_past),
    ("bad_block_status", bad_block_status),
    ("end_for_another", end_for_another),
    ("upgrade_in_the_past", upgrade_in_the_past),
    ("end_response_to_failed_upgrade", end_response_to_failed_upgrade),
    ("failed_end_refused", failed_end_refused),
    ("no_answer", no_answer_to_a_block_request),
    ("no_answer", no_answer_to_an_end_request),
    ("unknown_command", unknown_command),
    ("malformed", malformed_header),
    ("malformed", malformed_default_response),
    ("malformed", malformed(0x00, b"\x04\x64")),
    ("malformed", malformed(0x00, b"\x00\x00")),
    ("malformed", malformed(0x00, b"\x01\x64")),
    ("malformed", malformed(0x02, b"\x00")),
    ("malformed", malformed(0x02, b"")),
    ("malformed", malformed(0x05, b"")),
    ("malformed", malformed(0x05, b"\x95\x00")),
    ("malformed", malformed(0x05, b"\x00" + bytes(12))),
    ("malformed", malformed(0x05, b"\x97" + bytes(9))),
    ("malformed", malformed(0x05, struct.pack("<BHHIIB", 0, MANUFACTURER, IMAGE_TYPE, NEW, 0, 5) + b"abcd")),
    ("malformed", malformed(0x07, bytes(15))),
]


@pytest.mark.parametrize(("name", "break_it"), BROKEN, ids=lambda value: value if isinstance(value, str) else "")
def test_a_server_that_breaks_a_rule_is_told_on(name: str, break_it: Callable[[], Bench]) -> None:
    it = break_it()
    assert it.violations == [name]
    violation = it.client.oracle.violations[0]
    assert bytes.fromhex(violation.frame)


def test_every_rule_in_the_code_has_a_server_that_breaks_it() -> None:
    rooms = Path(otagate_rig.__file__).parent.glob("ota_*.py")
    named = {name for room in rooms for name in re.findall(r'violate\("(\w+)"', room.read_text())}
    assert named - {"wrong_"} <= {name for name, _ in BROKEN}


@pytest.mark.parametrize("case", [unsolicited, wrong_tsn, wrong_offset, two_answers, wrong_file_version, too_much_data, past_the_end])
def test_bytes_that_nobody_asked_for_are_not_stored(case: Callable[[], Bench]) -> None:
    it = case()
    stored = 0 if it.client.download is None else it.client.download.offset
    assert stored == it.client.oracle.counters.bytes
    assert it.client.oracle.counters.bytes in (0, 63, 63 * ((len(IMAGE) - 1) // 63))


def test_a_foreign_label_counts_as_a_mixed_image() -> None:
    assert wrong_file_version().client.oracle.counters.mixed == 1
    assert wrong_bytes().client.oracle.counters.mixed == 1


def test_a_right_server_breaks_nothing() -> None:
    it = Bench().until_end()
    it.end()
    assert it.violations == []
    assert it.client.received == IMAGE


def test_a_late_answer_to_the_first_of_two_requests_is_no_offence() -> None:
    it = bench()
    first = it.last
    it.wait(3)
    second = it.last
    it.block(offset=0, data=IMAGE[:63], tsn=first.tsn)
    it.block(offset=0, data=IMAGE[:63], tsn=second.tsn)
    assert it.violations == []
    assert it.client.oracle.counters.bytes == it.client.oracle.counters.bytes_again == 63


def test_the_blocks_of_a_page_may_have_the_number_of_the_request_or_fresh_ones() -> None:
    it = paged()
    first = it.last.tsn
    it.block(offset=0, data=IMAGE[:63], tsn=first)
    it.now += 0.1
    it.block(offset=63, data=IMAGE[63:126], tsn=(first + 0x80) & 0xFF)
    it.now += 0.1
    assert it.violations == []
    assert it.last.command == 0x04
    assert it.last.offset == 126


def test_page_blocks_under_way_when_a_new_request_cancels_the_page_are_no_offence() -> None:
    it = Bench(behaviours=Behaviours(page_size=252, page_spacing=0, page_cancels=True)).downloading()
    old = it.last
    for offset in (0, 63, 126):
        it.block(offset=offset, data=IMAGE[offset : offset + 63], tsn=old.tsn)
    assert it.violations == []


def test_page_blocks_under_way_through_a_power_cut_are_no_offence() -> None:
    it, old = _cut_off()
    it.block(offset=126, data=IMAGE[126:189], tsn=old)
    it.block(offset=189, data=IMAGE[189:252], tsn=old)
    assert it.violations == []


def _started_anew() -> tuple[Bench, int]:
    """A client that asked twice before it was told to use its image, and has started with it; and the number of what nobody has answered."""
    it = Bench().until_end()
    first = it.last
    it.wait(3)
    assert it.last.command == first.command == 0x06
    it.end(tsn=first.tsn)
    it.client.power_lost()
    it._note(it.client.power_up(it.now))
    return it, it.last.tsn


def test_the_answer_to_a_request_that_was_open_when_the_client_started_anew_is_no_offence_and_does_nothing() -> None:
    it, unanswered = _started_anew()
    before = len(it.sent), len(it.effects)
    it.end(tsn=unanswered)
    assert it.violations == []
    assert (len(it.sent), len(it.effects)) == before


def test_a_block_under_way_through_a_power_cut_is_no_offence() -> None:
    it = Bench(behaviours=Behaviours(asks_again=False)).downloading()
    it.client.power_lost()
    it._note(it.client.power_up(it.now))
    it.block(offset=0, data=IMAGE[:63])
    assert it.violations == []
    assert it.client.oracle.counters.bytes == 0


def test_no_more_violations_are_kept_than_anyone_will_read() -> None:
    it = Bench()
    for _ in range(1200):
        it.say(0x05, b"\x95", tsn=1)
    assert len(it.violations) == 1000
