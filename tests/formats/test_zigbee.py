from __future__ import annotations

import hashlib
import struct
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from otagate.formats import zigbee
from otagate.model.errors import Malformed, TooLarge
from tests.formats.images import build, element, ikea_container, legrand
from tests.formats.real_images import RealImage, real_images

LIMIT = 16 << 20


def parse(data: bytes) -> zigbee.ZigbeeImage:
    return zigbee.parse(data, limit=LIMIT)


def check(data: bytes, name: str) -> tuple[str, str]:
    [found] = [each for each in zigbee.facts(parse(data)).checks if each.name == name]
    return found.result, found.detail


# --- what a good file says ---------------------------------------------------------------------------------------------------------------


def test_the_mandatory_header_fields_are_read() -> None:
    image = parse(build(manufacturer_code=0x100B, image_type=0x0119, file_version=0xFFFF_FFFE, stack_version=3, header_string=b"a lamp"))
    assert (image.manufacturer_code, image.image_type, image.file_version) == (0x100B, 0x0119, 0xFFFF_FFFE)
    assert (image.header_version, image.header_length, image.field_control, image.stack_version) == (0x0100, 56, 0, 3)
    assert image.header_string == "a lamp"
    assert (image.security_credential_version, image.destination, image.hardware_min, image.hardware_max) == (None, None, None, None)


@pytest.mark.parametrize("credential", [None, 0, 3])
@pytest.mark.parametrize("destination", [None, 0x000D_6F00_0A90_69E7])
@pytest.mark.parametrize("hardware", [None, (0, 0), (1, 0xFFF0)])
def test_every_combination_of_optional_fields_is_read(credential: int | None, destination: int | None, hardware: tuple[int, int] | None) -> None:
    image = parse(build(credential=credential, destination=destination, hardware=hardware))
    assert image.security_credential_version == credential
    assert image.destination == destination
    assert (image.hardware_min, image.hardware_max) == (hardware or (None, None))
    assert [bytes(each.data) for each in image.elements()] == [bytes(range(256)) * 4]


def test_facts_carry_what_the_header_says() -> None:
    facts = zigbee.facts(parse(build(hardware=(1, 2), credential=0, destination=7)))
    assert (facts.format, facts.size, facts.manufacturer_code, facts.image_type) == ("zigbee-ota", 56 + 13 + 1030, 0x117C, 0x1409)
    assert (facts.hardware_min, facts.hardware_max, facts.security_credential_version, facts.destination) == (1, 2, 0, 7)
    assert [(each.name, each.result) for each in facts.checks] == [("header", "pass"), ("length", "pass"), ("elements", "pass")]


def test_a_header_longer_than_its_known_fields_is_accepted_and_told() -> None:
    data = build(header_tail=b"\x01\x02\x03", hardware=(4, 5))
    image = parse(data)
    assert (image.header_length, image.hardware_min, image.hardware_max) == (63, 4, 5)
    assert [each.tag for each in image.elements()] == [0]
    assert check(data, "header") == ("pass", "Header version 0x0100, 63 bytes, 3 bytes of it unknown.")


def test_unknown_bits_of_the_field_control_are_tolerated() -> None:
    assert parse(build(field_control=0xFFF8)).field_control == 0xFFF8


def test_a_newer_minor_header_version_is_accepted() -> None:
    assert parse(build(header_version=0x0101)).header_version == 0x0101


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"", ""),
        (b" " * 32, ""),
        (b"lamp\x00\x00", "lamp"),
        (b"one\x00two", "one\ufffdtwo"),
        (b"\xff" * 32, ""),
        (b"caf\xc3\xa9", "café"),
        (b"\x80\x1b[31mred", "\ufffd\ufffd[31mred"),
        (b"x" * 32, "x" * 32),
    ],
)
def test_the_header_string_is_made_fit_for_people(raw: bytes, shown: str) -> None:
    assert parse(build(header_string=raw)).header_string == shown


# --- exactly which bytes are sent --------------------------------------------------------------------------------------------------------


def test_the_bytes_as_sent_are_a_view_of_what_was_given() -> None:
    data = build()
    image = parse(data)
    assert image.payload_view.obj is data
    assert image.payload_view == data
    assert image.payload_view.readonly
    assert all(each.data.obj is data for each in image.elements())


def test_a_writable_buffer_cannot_be_written_through_the_view() -> None:
    image = zigbee.parse(memoryview(bytearray(build())), limit=LIMIT)
    with pytest.raises(TypeError):
        image.payload_view[0] = 0


def test_bytes_behind_the_image_are_cut_off() -> None:
    data = build()
    image = parse(data + b"\xee" * 12)
    assert image.payload_view == data
    assert image.trailing == b"\xee" * 12
    assert check(data + b"\xee" * 12, "length")[1].endswith("12 behind them belong to a wrapper and are cut off.")


@pytest.mark.parametrize("blocks", [12, 14, 21, 30, 31, 1024])
def test_an_ikea_container_gives_the_image_inside(blocks: int) -> None:
    data = build()
    image = parse(ikea_container(data, blocks=blocks))
    assert image.payload_view == data
    assert len(image.prefix) == 40 + 32 * blocks
    assert len(image.trailing) == 512


def test_a_length_before_the_header_is_cut_off() -> None:
    data = build()
    image = parse(legrand(data))
    assert image.payload_view == data
    assert (bytes(image.prefix), len(image.trailing)) == (struct.pack("<I", len(data)), 17)


# --- what is refused, and where it is wrong ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        pytest.param(build()[:-1], "total image size at byte 52 is 1086, but only 1085 bytes are there", id="one byte short"),
        pytest.param(ikea_container(build(), signature=b"")[:-5], "total image size at byte 540 is 1086, but only 1081", id="short in a container"),
        pytest.param(build()[:55], "ends at byte 55, in the OTA header's total image size at byte 52", id="cut in the last field"),
        pytest.param(build()[:12], "ends at byte 12, in the OTA header's image type at byte 12", id="cut between fields"),
        pytest.param(build()[:4], "ends at byte 4, in the OTA header's header version at byte 4", id="only the identifier"),
        pytest.param(build()[:3], "no OTA upgrade file identifier", id="not even that"),
        pytest.param(b"", "no OTA upgrade file identifier", id="nothing"),
        pytest.param(build(header_version=0x0200), "header version at byte 4 is 0x0200", id="major version"),
        pytest.param(build(header_length=55), "header length at byte 6 is 55", id="header too short"),
        pytest.param(build(total_size=55), "total image size at byte 52 is 55, less than the header length 56", id="total below header"),
        pytest.param(build(header_length=0xFFFF), "less than the header length 65535", id="header beyond the image"),
        pytest.param(build(total_size=0xFFFF_FFFF), "is 4294967295, but only 1086 bytes are there", id="largest total"),
        pytest.param(
            build(field_control=0b100), "field control at byte 8 is 0x0004, whose fields need a header of 60 bytes", id="no room for hardware"
        ),
        pytest.param(
            build(field_control=0b111, hardware=(0, 1)), "need a header of 69 bytes, but header length at byte 6 is 60", id="no room for all"
        ),
        pytest.param(build(hardware=(2, 1)), "minimum hardware version at byte 56 is 2, above the maximum 1 at byte 58", id="range upside down"),
        pytest.param(build(destination=1, hardware=(2, 1)), "minimum hardware version at byte 64 is 2", id="range upside down behind an address"),
        pytest.param(build(file_version=0xFFFF_FFFF), "file version at byte 14 is 0xffffffff", id="wild card version"),
        pytest.param(legrand(build(), length=7), "four bytes before it do not repeat the total image size at byte 56", id="other four bytes"),
        pytest.param(b"\x00" * 17 + build(), "identifier stands at byte 17, behind a wrapper that is not known", id="unknown wrapper"),
        pytest.param(b"\x00" * 1024 + build(), "identifier stands at byte 1024, behind", id="last place looked at"),
        pytest.param(b"\x00" * 1025 + build(), "no OTA upgrade file identifier (1e f1 ee 0b) in the first 1024 bytes", id="too deep"),
        pytest.param(b"NGIS" + bytes(15), "container ends at byte 19, before the image offset at byte 16", id="container cut"),
        pytest.param(ikea_container(build(), offset=489), "image offset at byte 16 is 489, but no OTA header begins there", id="offset beside"),
        pytest.param(ikea_container(build(), offset=0xFFFF_FFFF), "image offset at byte 16 is 4294967295, more than 32808", id="offset far away"),
        pytest.param(ikea_container(build(), blocks=1025), "image offset at byte 16 is 32840, more than 32808", id="container head too long"),
    ],
)
def test_a_damaged_file_is_malformed_and_the_sentence_says_where(data: bytes, sentence: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse(data)
    assert sentence in str(caught.value)


def test_a_file_at_the_limit_is_read_and_one_byte_more_is_too_large() -> None:
    data = build()
    assert zigbee.parse(data, limit=len(data)).total_size == len(data)
    with pytest.raises(TooLarge, match=f"{len(data)} bytes, and {len(data) - 1} are allowed"):
        zigbee.parse(data, limit=len(data) - 1)


# --- sub-elements: told, never a reason to refuse ----------------------------------------------------------------------------------------


def test_sub_elements_are_given_in_order_with_their_places() -> None:
    image = parse(build(element(0x0000, b"abc") + element(0xF000, b"") + element(0x0003, b"0123456789abcdef")))
    assert [(each.tag, each.offset, each.length, bytes(each.data)) for each in image.elements()] == [
        (0x0000, 56, 3, b"abc"),
        (0xF000, 65, 0, b""),
        (0x0003, 71, 16, b"0123456789abcdef"),
    ]


def test_a_sub_element_past_the_end_is_reported_and_ends_the_walk() -> None:
    data = build(element(0, b"abc") + element(7, b"de", length=200) + element(8, b""))
    image = parse(data)
    assert [(each.tag, each.overruns) for each in image.elements()] == [(0, False), (7, True)]
    assert image.payload_view == data
    assert check(data, "elements") == ("unknown", "Sub-element 0x0007 at byte 65 says 200 bytes, but 8 are left.")


@pytest.mark.parametrize(
    ("body", "result", "detail"),
    [
        (element(0, b"abc"), "pass", "1 sub-element fills the image exactly."),
        (element(0, b"abc") * 2, "pass", "2 sub-elements fill the image exactly."),
        (element(0, b"abc") + b"\x01\x0c", "unknown", "1 sub-element, then 2 bytes that are no sub-element."),
        (b"", "unknown", "There is nothing behind the header."),
        (b"\x00" * 5, "unknown", "0 sub-elements, then 5 bytes that are no sub-element."),
        (element(1, b"") * 4096, "pass", "4096 sub-elements fill the image exactly."),
        (element(1, b"") * 4097, "unknown", "More than 4096 sub-elements; not counted further."),
    ],
)
def test_the_survey_of_the_sub_elements_never_fails_an_image(body: bytes, result: str, detail: str) -> None:
    assert check(build(body), "elements") == (result, detail)


# --- the cost ----------------------------------------------------------------------------------------------------------------------------


def lines_run(work: Callable[[], Any]) -> int:
    """How many lines of the parser run: a measure of work that no other load on the machine moves."""
    count = 0

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal count
        if frame.f_code.co_filename != zigbee.__file__:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def test_parsing_costs_the_same_for_every_size_of_file() -> None:
    small, large = build(element(0, b"x")), build(element(0, bytes(8 << 20)))
    assert lines_run(lambda: parse(small)) == lines_run(lambda: parse(large))


def test_walking_the_sub_elements_costs_the_same_for_each_of_them() -> None:
    few, many = parse(build(element(1, b"") * 100)), parse(build(element(1, b"") * 10_000))
    per_element = lines_run(lambda: list(few.elements())) / 100
    assert lines_run(lambda: list(many.elements())) <= per_element * 10_000


def test_the_facts_of_a_hostile_file_are_bounded_work() -> None:
    hostile, worse = parse(build(element(1, b"") * 5_000)), parse(build(element(1, b"") * 500_000))
    assert lines_run(lambda: zigbee.facts(worse)) == lines_run(lambda: zigbee.facts(hostile))


# --- real files --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("real", real_images("zigbee-images", "zigbee-images-odd"))
def test_real_files_give_the_true_header_and_the_true_bytes(real: RealImage) -> None:
    if real.sha256_as_sent is None:
        with pytest.raises(Malformed, match=f"truncated: .* is {real.truth['total_image_size']}, but only {real.truth['bytes']} bytes"):
            parse(real.bytes)
        return
    image = parse(real.bytes)
    assert hashlib.sha256(image.payload_view).hexdigest() == real.sha256_as_sent
    assert len(image.prefix) == real.truth["header_offset"]
    assert len(image.prefix) + image.total_size + len(image.trailing) == real.truth["bytes"]
    for name in ("header_length", "field_control", "manufacturer_code", "image_type", "file_version"):
        assert getattr(image, name) == real.truth[name], name
    assert zigbee.facts(image).size == real.truth["total_image_size"]
    assert not [each for each in zigbee.facts(image).checks if each.result == "fail"]
