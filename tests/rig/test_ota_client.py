"""The OTA client by itself: what the specification has it do, and each way in which real ones depart from it."""

from __future__ import annotations

import hashlib
import struct

import pytest

from otagate_rig.image import build_image, make_payload
from otagate_rig.ota_wire import Phase, Restart
from tests.rig.client_bench import IMAGE, IMAGE_TYPE, MANUFACTURER, NEW, NOTIFY, OLD, Bench

QUERY, BLOCK, PAGE, END, DEFAULT = 0x01, 0x03, 0x04, 0x06, 0x0B


def commands(sent: list) -> list[int]:
    return [it.command for it in sent]


# Notify


def test_a_unicast_notify_is_answered_by_a_query_with_what_runs_now() -> None:
    it = Bench()
    (query,) = it.notify()
    assert (query.control, query.command) == (0x01, QUERY)
    assert query.payload == struct.pack("<BHHI", 0, MANUFACTURER, IMAGE_TYPE, OLD)


def test_a_known_hardware_version_is_in_the_query() -> None:
    (query,) = Bench(hardware_version=7).notify()
    assert query.payload == struct.pack("<BHHIH", 1, MANUFACTURER, IMAGE_TYPE, OLD, 7)


def test_a_notify_that_does_not_disable_it_also_gets_a_default_response() -> None:
    assert commands(Bench().notify(control=NOTIFY)) == [QUERY, DEFAULT]


@pytest.mark.parametrize(
    ("fields", "asks"),
    [
        (b"", True),
        (struct.pack("<H", MANUFACTURER), True),
        (struct.pack("<H", 0xFFFF), True),
        (struct.pack("<H", 0x1234), False),
        (struct.pack("<HH", MANUFACTURER, IMAGE_TYPE), True),
        (struct.pack("<HH", MANUFACTURER, 0xFFFF), True),
        (struct.pack("<HH", MANUFACTURER, 0x99), False),
        (struct.pack("<HHI", MANUFACTURER, IMAGE_TYPE, NEW), True),
        (struct.pack("<HHI", MANUFACTURER, IMAGE_TYPE, 0xFFFFFFFF), True),
        (struct.pack("<HHI", MANUFACTURER, IMAGE_TYPE, OLD), False),
    ],
)
def test_a_broadcast_notify_wakes_only_those_whom_it_names(fields: bytes, asks: bool) -> None:
    assert bool(Bench().notify(fields=fields, unicast=False)) is asks


def test_a_broadcast_notify_is_heeded_by_the_share_that_its_jitter_says() -> None:
    it = Bench()
    heeded = 0
    for _ in range(1000):
        heeded += bool(it.notify(jitter=20, unicast=False))
        it.client.wire.phase = Phase.IDLE
    assert 150 < heeded < 250


def test_the_server_is_the_endpoint_that_sent_the_notify() -> None:
    it = Bench()
    it.give(bytes((0x19, 1, 0, 0, 100)), src_ep=10)
    assert it.client.wire.server_endpoint == 10
    it.say(0x02, b"\x98", src_ep=1)
    assert it.violations == ["wrong_endpoint"]


# Query


@pytest.mark.parametrize("status", [0x98, 0x7E])
def test_no_image_sends_the_client_back_to_rest(status: int) -> None:
    it = Bench()
    it.notify()
    it.say(0x02, bytes((status,)))
    assert it.client.phase is Phase.IDLE
    assert it.client.deadline is None
    assert it.violations == []


def test_an_unanswered_query_is_repeated_with_new_numbers_and_then_dropped() -> None:
    it = Bench(request_retries=3)
    it.notify()
    again = it.wait(60)
    assert commands(again) == [QUERY] * 3
    assert len({sent.tsn for sent in it.sent}) == 4
    assert it.client.phase is Phase.IDLE
    assert it.client.oracle.counters.timeouts == 4


# Blocks


def test_an_image_is_fetched_verified_and_applied() -> None:
    it = Bench()
    it.downloading()
    assert struct.unpack_from("<BHHIIB", it.last.payload) == (0, MANUFACTURER, IMAGE_TYPE, NEW, 0, 63)
    it.until_end()
    assert it.last.payload == struct.pack("<BHHI", 0, MANUFACTURER, IMAGE_TYPE, NEW)
    it.end()
    assert it.effects == [Restart(5.0)]
    it.client.power_lost()
    it.client.power_up(it.now)
    assert it.client.file_version == NEW
    assert it.client.received == IMAGE
    assert it.violations == []


def test_smaller_blocks_than_asked_for_are_taken() -> None:
    it = Bench().downloading()
    it.block(data=IMAGE[:20])
    assert it.last.offset == 20


def test_an_unanswered_block_request_is_repeated_ten_times_and_then_given_up_with_the_bytes_kept() -> None:
    it = Bench().downloading()
    it.block()
    again = it.wait(100)
    assert [sent.offset for sent in again] == [63] * 10
    assert len({sent.tsn for sent in again}) == 10
    assert it.client.phase is Phase.IDLE
    it.notify()
    it.offer()
    assert it.last.offset == 63


def test_a_newer_image_starts_at_its_beginning() -> None:
    it = Bench(known=False).downloading()
    it.block()
    it.wait(100)
    it.notify()
    it.offer(version=3)
    assert it.last.offset == 0


def test_an_abort_ends_the_download() -> None:
    it = Bench().downloading()
    assert it.abort() == []
    assert it.client.phase is Phase.IDLE
    assert it.client.deadline is None
    assert it.client.oracle.counters.aborts == 1


@pytest.mark.parametrize(("current", "request_time", "delay"), [(0, 60, 60.0), (1000, 1060, 60.0), (1000, 1000, 0.0), (0, 0, 0.0)])
def test_wait_for_data_is_kept_to(current: int, request_time: int, delay: float) -> None:
    it = Bench().downloading()
    began = it.now
    it.wait_for_data(current, request_time)
    assert it.client.phase is Phase.WAITING
    it.wait(delay)
    assert it.last.command == BLOCK
    assert it.now - began == pytest.approx(delay)
    assert it.client.oracle.counters.waits == 1
    assert it.violations == []


def test_the_seconds_of_a_server_may_be_longer_than_those_of_the_device() -> None:
    it = Bench(server_second=10.0).downloading()
    it.wait_for_data(0, 60)
    assert it.wait(599) == []
    assert commands(it.wait(1)) == [BLOCK]


def test_waiting_does_not_spend_the_retries() -> None:
    it = Bench(request_retries=1).downloading()
    for _ in range(5):
        it.wait(3)
        it.wait_for_data(0, 1)
        it.wait(1)
    assert it.client.phase is Phase.DOWNLOADING


def test_a_default_response_with_an_error_is_a_failed_attempt() -> None:
    it = Bench().downloading()
    assert it.default(0x01) == []
    assert commands(it.wait(3)) == [BLOCK]


# Verification and end


@pytest.mark.parametrize(
    "image",
    [
        build_image(MANUFACTURER, 0x99, NEW, payload=make_payload(100)),
        build_image(0x1234, IMAGE_TYPE, NEW, payload=make_payload(100)),
        build_image(MANUFACTURER, IMAGE_TYPE, 3, payload=make_payload(100)),
        build_image(MANUFACTURER, IMAGE_TYPE, NEW, payload=make_payload(100)) + b"tail",
        build_image(MANUFACTURER, IMAGE_TYPE, NEW, payload=make_payload(100), hardware_range=(8, 9)),
        make_payload(200),
        b"short",
    ],
    ids=["type", "manufacturer", "version", "size", "hardware", "magic", "length"],
)
def test_a_file_that_is_not_what_it_was_offered_as_is_an_invalid_image(image: bytes) -> None:
    it = Bench(image=image, hardware_version=7).until_end()
    assert it.last.payload[0] == 0x96
    it.default(0x00)
    assert it.client.phase is Phase.IDLE
    assert it.client.download is None
    assert it.effects == []
    assert it.violations == []


def test_a_file_with_another_digest_than_the_device_knows_is_an_invalid_image() -> None:
    right = hashlib.sha256(IMAGE).hexdigest()
    assert Bench(digests=((NEW, right),)).until_end().last.payload[0] == 0x00
    assert Bench(digests=((NEW, "0" * 64),)).until_end().last.payload[0] == 0x96


def test_the_upgrade_waits_for_its_time() -> None:
    it = Bench().until_end()
    it.end(1000, 1060)
    assert it.client.phase is Phase.COUNTDOWN
    it.wait(59)
    assert it.effects == []
    it.wait(1)
    assert it.effects == [Restart(5.0)]


def test_the_longest_wait_is_asked_about_every_hour_until_the_server_releases_it() -> None:
    it = Bench().until_end()
    it.end(0, 0xFFFFFFFF)
    assert it.client.phase is Phase.HOLDING
    assert it.wait(3599) == []
    assert commands(it.wait(1)) == [END]
    it.end(0, 0xFFFFFFFF)
    it.end(0, 0, tsn=0x99)
    assert it.effects == [Restart(5.0)]
    assert it.violations == []


def test_an_unsolicited_end_response_may_have_the_number_of_a_request_long_answered() -> None:
    it = Bench().until_end()
    it.end(0, 0xFFFFFFFF)
    it.end(0, 0, tsn=next(sent.tsn for sent in it.sent if sent.command == BLOCK))
    assert it.effects == [Restart(5.0)]
    assert it.violations == []


def test_an_unsolicited_end_response_with_wild_cards_releases_too() -> None:
    it = Bench().until_end()
    it.end(0, 0xFFFFFFFF)
    it.say(0x07, struct.pack("<HHIII", 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0, 0), tsn=0x99)
    assert it.effects == [Restart(5.0)]
    assert it.violations == []


def test_an_unanswered_end_request_is_repeated_and_then_the_image_applied_anyway() -> None:
    it = Bench(request_retries=2).until_end()
    assert commands(it.wait(8)) == [END, END]
    it.wait(2)
    assert it.effects == [Restart(5.0)]


def test_an_end_request_that_the_server_refuses_is_not_applied() -> None:
    it = Bench().until_end()
    it.default(0x95)
    it.wait(10_000)
    assert it.effects == []


def test_a_device_with_two_processors_asks_for_both_images_before_it_upgrades() -> None:
    second = build_image(MANUFACTURER, 0x99, 8, payload=make_payload(100))
    it = Bench(more_images=((0x99, 7),)).until_end()
    assert it.last.payload[0] == 0x99
    (query,) = it.default(0x00)
    assert query.payload == struct.pack("<BHHI", 0, MANUFACTURER, 0x99, 7)
    it.image = second
    it.say(0x02, b"\x00" + struct.pack("<HHII", MANUFACTURER, 0x99, 8, len(second)))
    while it.last.command == BLOCK:
        it.block(ids=(MANUFACTURER, 0x99, 8))
    assert it.last.payload == struct.pack("<BHHI", 0, MANUFACTURER, 0x99, 8)
    it.say(0x07, struct.pack("<HHIII", MANUFACTURER, 0x99, 8, 0, 0))
    assert it.effects == [Restart(5.0)]
    it.client.power_up(it.now)
    assert it.client.versions == {IMAGE_TYPE: NEW, 0x99: 8}
    assert it.client.images == {IMAGE_TYPE: IMAGE, 0x99: second}
    assert it.violations == []


# Attributes


def read(it: Bench, attribute: int) -> int:
    (answer,) = it.give(bytes((0x18, 0x77, 0x00)) + struct.pack("<H", attribute))
    assert (answer.control, answer.tsn, answer.command) == (0x10, 0x77, 0x01)
    assert struct.unpack_from("<HB", answer.payload) == (attribute, 0)
    return int.from_bytes(answer.payload[4:], "little")


def test_the_attributes_tell_the_progress() -> None:
    it = Bench()
    assert (read(it, 0x0002), read(it, 0x0007), read(it, 0x0008)) == (OLD, MANUFACTURER, IMAGE_TYPE)
    assert (read(it, 0x0001), read(it, 0x0004), read(it, 0x0006)) == (0xFFFFFFFF, 0xFFFFFFFF, 0)
    it.notify()
    it.offer()
    it.block()
    assert (read(it, 0x0001), read(it, 0x0004), read(it, 0x0006)) == (63, 0xFFFFFFFF, 1)
    it = Bench().until_end()
    assert (read(it, 0x0004), read(it, 0x0006)) == (NEW, 2)
    it.end(0, 0xFFFFFFFF)
    assert read(it, 0x0006) == 3
    it.end(0, 60, tsn=0x99)
    assert read(it, 0x0006) == 4
    assert it.violations == []


def test_an_attribute_that_the_client_lacks_is_unsupported() -> None:
    (answer,) = Bench().give(bytes((0x18, 0x77, 0x00)) + struct.pack("<H", 0x0003))
    assert answer.payload == struct.pack("<HB", 0x0003, 0x86)


def test_an_unknown_command_gets_a_default_response() -> None:
    it = Bench()
    (answer,) = it.give(bytes((0x09, 0x42, 0x30)))
    assert (answer.control, answer.tsn, answer.command, answer.payload) == (0x10, 0x42, 0x0B, b"\x30\x81")


def test_a_broadcast_is_never_answered_by_a_default_response() -> None:
    assert Bench().give(bytes((0x09, 0x42, 0x30)), unicast=False) == []
