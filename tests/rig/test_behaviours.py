"""Each way in which real OTA clients depart from the plain one."""

from __future__ import annotations

import struct

import pytest

from otagate_rig.ota_wire import Phase, PowerCut, Restart
from otagate_rig.spec import Behaviours
from tests.rig.client_bench import IMAGE, IMAGE_TYPE, MANUFACTURER, OLD, Bench

QUERY, BLOCK, PAGE, END = 0x01, 0x03, 0x04, 0x06


def commands(sent: list) -> list[int]:
    return [it.command for it in sent]


def read(it: Bench, attribute: int) -> int:
    (answer,) = it.give(bytes((0x18, 0x77, 0x00)) + struct.pack("<H", attribute))
    assert (answer.control, answer.tsn, answer.command) == (0x10, 0x77, 0x01)
    assert struct.unpack_from("<HB", answer.payload) == (attribute, 0)
    return int.from_bytes(answer.payload[4:], "little")


def test_same_tsn() -> None:
    it = Bench(behaviours=Behaviours(same_tsn=True)).downloading()
    first = it.last
    again = it.wait(6)
    assert {sent.tsn for sent in again} == {first.tsn}
    for _ in range(3):
        it.block(offset=0, data=IMAGE[:63], tsn=first.tsn)
    assert it.violations == []
    it.block(offset=0, data=IMAGE[:63], tsn=first.tsn)
    assert it.violations == ["two_answers"]


def test_duplicates() -> None:
    it = Bench(behaviours=Behaviours(duplicates=True))
    it.notify()
    it.offer()
    assert [(sent.command, sent.tsn) for sent in it.sent[-2:]] == [(BLOCK, it.last.tsn)] * 2
    tsn = it.last.tsn
    it.block(offset=0, tsn=tsn)
    it.block(offset=0, data=IMAGE[:63], tsn=tsn)
    assert it.violations == []
    assert it.client.oracle.counters.bytes_again == 63


def test_overrun() -> None:
    it = Bench(behaviours=Behaviours(overrun=True)).downloading()
    while it.last.offset < len(IMAGE):
        it.block()
    it.default(0x80)
    assert it.last.command == END
    assert it.last.payload[0] == 0
    assert it.violations == []


def test_overrun_answered_by_a_block_response_of_a_wrong_status_ends_too() -> None:
    it = Bench(behaviours=Behaviours(overrun=True)).downloading()
    while it.last.offset < len(IMAGE):
        it.block()
    assert commands(it.say(0x05, b"\x80")) == [END]
    assert it.violations == ["bad_block_status"]


def test_overrun_without_an_answer_ends_too() -> None:
    it = Bench(behaviours=Behaviours(overrun=True)).downloading()
    while it.last.offset < len(IMAGE):
        it.block()
    assert commands(it.wait(3)) == [END]


def test_block_sizes_change() -> None:
    it = Bench(behaviours=Behaviours(block_sizes=(63, 40, 10))).downloading()
    for _ in range(3):
        it.block()
    assert [sent.size for sent in it.sent if sent.command == BLOCK] == [63, 40, 10, 63]
    assert it.last.offset == 113


def test_a_page_is_asked_for_and_its_gap_filled_by_a_block_request() -> None:
    it = Bench(behaviours=Behaviours(page_size=189, page_spacing=10)).downloading()
    page = it.last
    assert page.command == PAGE
    assert struct.unpack_from("<HH", page.payload, 14) == (189, 10)
    it.block(offset=0, data=IMAGE[:63], tsn=page.tsn)
    it.now += 0.5
    it.block(offset=126, data=IMAGE[126:189], tsn=page.tsn)
    (fill,) = it.wait(3)
    assert (fill.command, fill.offset, fill.size) == (BLOCK, 63, 63)
    it.block()
    assert (it.last.command, it.last.offset) == (PAGE, 189)
    assert it.violations == []


def test_the_last_page_ends_with_the_file() -> None:
    it = Bench(behaviours=Behaviours(page_size=512, page_spacing=0)).downloading()
    tsn = it.last.tsn
    for offset in range(0, len(IMAGE), 63):
        it.block(offset=offset, data=IMAGE[offset : offset + 63], tsn=tsn)
    assert it.last.command == END
    assert it.violations == []


def test_a_server_without_page_requests_is_asked_block_by_block() -> None:
    it = Bench(behaviours=Behaviours(page_size=512)).downloading()
    it.default(0x81)
    assert it.last.command == BLOCK
    assert it.violations == []


def test_min_block_period_is_sent_kept_and_changed_by_the_server() -> None:
    it = Bench(behaviours=Behaviours(min_block_period=500)).downloading()
    assert (it.last.payload[0], it.last.payload[14:]) == (2, struct.pack("<H", 500))
    assert it.block() == []
    assert it.wait(0.4) == []
    assert commands(it.wait(0.1)) == [BLOCK]
    it.wait_for_data(0, 0, period=2000)
    it.wait(2)
    assert it.last.payload[14:] == struct.pack("<H", 2000)
    it.block()
    assert it.wait(1.9) == []
    assert commands(it.wait(0.1)) == [BLOCK]


def test_old_clients_count_the_period_in_seconds() -> None:
    it = Bench(behaviours=Behaviours(min_block_period=2, block_period_unit=1.0)).downloading()
    it.block()
    assert it.wait(1.9) == []
    assert commands(it.wait(0.1)) == [BLOCK]


def test_request_node_address() -> None:
    it = Bench(behaviours=Behaviours(request_node_address=True)).downloading()
    assert (it.last.payload[0], it.last.payload[14:]) == (1, struct.pack("<Q", 0x0102030405060708))


def cut(**fields: object) -> Bench:
    it = Bench(behaviours=Behaviours(power_cut_at=(0.5,), **fields)).downloading()  # type: ignore[arg-type]
    while not it.effects:
        it.block()
    assert it.effects == [PowerCut(5.0)]
    assert it.client.download is not None
    assert it.client.download.offset * 2 >= len(IMAGE)
    it.client.power_lost()
    it._note(it.client.power_up(it.now))
    return it


def test_a_power_cut_with_the_offset_kept_goes_on_by_itself() -> None:
    it = cut()
    assert (it.last.command, it.last.offset) == (BLOCK, 252)
    assert it.until_end().last.payload[0] == 0
    assert it.client.received == IMAGE


def test_a_power_cut_with_the_offset_lost_starts_again() -> None:
    it = cut(keeps_offset=False)
    assert (it.last.command, it.last.offset) == (BLOCK, 0)


def test_a_power_cut_may_be_followed_by_a_query() -> None:
    it = cut(queries_after_power_cut=True)
    assert it.last.command == QUERY
    it.offer()
    assert it.last.offset == 252


def test_a_power_cut_may_leave_the_client_silent_until_it_is_notified() -> None:
    it = cut(asks_again=False)
    assert it.client.phase is Phase.IDLE
    assert it.wait(10_000) == []
    it.notify()
    it.offer()
    assert it.last.offset == 252


def test_a_stall_ignores_everything_for_a_while() -> None:
    it = Bench(behaviours=Behaviours(stalls_at=(0.3,), stall_seconds=20)).downloading()
    while it.client.download is not None and it.client.download.offset < 0.3 * len(IMAGE):
        it.block()
    at = it.last.offset
    assert it.wait(19) == []
    assert [sent.offset for sent in it.wait(1)] == [at + 63]


def test_forgets_after_timeout() -> None:
    it = Bench(behaviours=Behaviours(forgets_after_timeout=True)).downloading()
    it.block()
    it.wait(3)
    assert it.last.offset == 0


def test_gives_up_and_goes_on_later() -> None:
    it = Bench(behaviours=Behaviours(gives_up_at=(0.5,))).downloading()
    while it.last.command == BLOCK:
        it.block()
    assert (it.last.command, it.last.payload[0]) == (END, 0x95)
    it.default(0x00)
    it.notify()
    it.offer()
    assert it.last.offset == 252
    assert it.until_end().last.payload[0] == 0
    assert it.violations == []


@pytest.mark.parametrize("status", [0x96, 0x95, 0x99])
def test_a_forced_end_status_is_reported_and_nothing_applied(status: int) -> None:
    it = Bench(behaviours=Behaviours(end_status=status)).until_end()
    assert it.last.payload[0] == status
    it.default(0x00)
    it.wait(10_000)
    assert it.effects == []
    assert it.violations == []


def test_end_without_download_goes_on_until_it_is_refused() -> None:
    it = Bench(behaviours=Behaviours(end_without_download=True))
    assert commands(it.notify()) == [END]
    it.end(version=OLD)
    assert commands(it.wait(5)) == [END]
    it.default(0x95)
    assert it.wait(10_000) == []
    assert it.effects == []
    assert commands(it.notify()) == [QUERY]


def test_lost_end_response() -> None:
    it = Bench(behaviours=Behaviours(lost_end_responses=1)).until_end()
    it.end()
    assert it.effects == []
    assert commands(it.wait(3)) == [END]
    it.end()
    assert it.effects == [Restart(5.0)]
    assert it.violations == []


def test_applies_by_itself() -> None:
    it = Bench(behaviours=Behaviours(applies_by_itself=True)).until_end_or_restart()
    assert it.effects == [Restart(5.0)]
    assert END not in commands(it.sent)


def test_returns_with_old_version() -> None:
    it = Bench(behaviours=Behaviours(returns_with_old_version=True)).until_end()
    it.end()
    assert it.effects == [Restart(5.0)]
    it.client.power_up(it.now)
    assert it.client.file_version == OLD


def test_refuses_offer() -> None:
    it = Bench(behaviours=Behaviours(refuses_offer=True))
    it.notify()
    assert it.offer() == []
    assert it.client.phase is Phase.IDLE


def test_ignores_notify() -> None:
    assert Bench(behaviours=Behaviours(ignores_notify=True)).notify() == []


def test_asks_by_itself_every_day() -> None:
    it = Bench(behaviours=Behaviours(asks_every=86_400.0))
    it.client.power_up(it.now)
    for _ in range(2):
        assert it.wait(86_399) == []
        assert commands(it.wait(1)) == [QUERY]
        it.say(0x02, b"\x98")


def test_query_loop() -> None:
    it = Bench(behaviours=Behaviours(query_loop=True, query_loop_seconds=5))
    it.notify()
    for _ in range(4):
        it.say(0x02, b"\x98")
        assert commands(it.wait(5)) == [QUERY]


def test_answers_are_missed_and_asked_for_again() -> None:
    it = Bench(behaviours=Behaviours(misses=(3,))).downloading()  # the offer was the first
    it.block()
    assert it.block() == []
    (again,) = it.wait(3)
    assert again.offset == 63
    it.block()
    assert it.last.offset == 126


def test_out_of_order() -> None:
    it = Bench(behaviours=Behaviours(out_of_order=True)).until_end()
    assert [sent.offset for sent in it.sent if sent.command == BLOCK][:4] == [63, 0, 189, 126]
    assert it.client.received == IMAGE
    assert it.violations == []


def test_tail_first() -> None:
    it = Bench(behaviours=Behaviours(tail_first=True)).downloading()
    assert it.last.offset == len(IMAGE) - 63
    it.block()
    assert it.last.offset == 0
    it.until_end()
    assert it.client.received == IMAGE
    assert it.violations == []


def test_chokes_above() -> None:
    it = Bench(behaviours=Behaviours(chokes_above=40)).downloading()
    assert it.block(data=IMAGE[:41]) == []
    assert commands(it.wait(3)) == [BLOCK]
    it.block(data=IMAGE[:40])
    assert it.last.offset == 40


def test_refuses_short_blocks_but_for_the_last() -> None:
    it = Bench(behaviours=Behaviours(refuses_short_blocks=True)).downloading()
    it.block(data=IMAGE[:62])
    assert (it.last.command, it.last.payload[0]) == (END, 0x96)
    assert Bench(behaviours=Behaviours(refuses_short_blocks=True)).until_end().last.payload[0] == 0


def test_verify_seconds() -> None:
    it = Bench(behaviours=Behaviours(verify_seconds=30.0)).downloading()
    while it.client.download is not None and not it.client.download.complete:
        it.block()
    assert it.last.command == BLOCK
    assert it.wait(29) == []
    assert commands(it.wait(1)) == [END]


def test_asks_as() -> None:
    it = Bench(behaviours=Behaviours(asks_as=(0x1234, 0x99)))
    (query,) = it.notify()
    assert query.payload == struct.pack("<BHHI", 0, 0x1234, 0x99, OLD)
    it.say(0x02, b"\x98")
    assert (read(it, 0x0007), read(it, 0x0008)) == (MANUFACTURER, IMAGE_TYPE)
    assert it.violations == []


def test_tells_version_whatever_runs() -> None:
    it = Bench(behaviours=Behaviours(tells_version=5))
    (query,) = it.notify()
    assert query.payload == struct.pack("<BHHI", 0, MANUFACTURER, IMAGE_TYPE, 5)
    it.say(0x02, b"\x98")
    assert read(it, 0x0002) == 5
    assert it.client.file_version == OLD


def test_a_device_with_two_processors_asks_for_each_in_turn() -> None:
    it = Bench(more_images=((0x99, 7),))
    it.notify()
    (second,) = it.say(0x02, b"\x98")
    assert second.payload == struct.pack("<BHHI", 0, MANUFACTURER, 0x99, 7)
    assert it.say(0x02, b"\x98") == []
    assert it.wait(10_000) == []
    (again,) = it.notify()
    assert again.payload[3:5] == struct.pack("<H", 0x99)
    assert it.say(0x02, b"\x98")[0].payload[3:5] == struct.pack("<H", IMAGE_TYPE)


@pytest.mark.parametrize("attribute", [0x0002, 0x0007, 0x0008])
def test_without_attributes(attribute: int) -> None:
    (answer,) = Bench(behaviours=Behaviours(without_attributes=True)).give(bytes((0x18, 0x77, 0x00)) + struct.pack("<H", attribute))
    assert answer.payload == struct.pack("<HB", attribute, 0x86)
