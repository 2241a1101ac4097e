"""Z-Wave containers: what comes out is what a node is sent."""

from __future__ import annotations

import hashlib

import pytest

from otagate.formats.identify import identify
from otagate.formats.zwave import parse_hex
from otagate.model.errors import Malformed, TooLarge

LIMIT = 1 << 20


def record(address: int, payload: bytes, kind: int = 0) -> bytes:
    raw = bytes([len(payload), address >> 8, address & 0xFF, kind]) + payload
    return b":" + (raw + bytes([-sum(raw) & 0xFF])).hex().upper().encode()


END = record(0, b"", 1)


def hex_file(*records: bytes, newline: bytes = b"\r\n") -> bytes:
    return newline.join((*records, END, b""))


def test_raw_bytes_are_known_by_their_name_alone() -> None:
    data = bytes(range(256)) * 8
    told = identify(data, LIMIT, "Firmware.BIN")
    assert (told.facts.format, told.facts.protocol, told.facts.size, bytes(told.view)) == ("zwave-bin", "zwave", len(data), data)
    assert (told.facts.manufacturer_code, told.facts.image_type, told.facts.file_version) == (None, None, None)
    with pytest.raises(Malformed, match="this is not a Zigbee OTA file"):
        identify(data, LIMIT, "firmware.dat")


@pytest.mark.parametrize("data", [b"PK\x03\x04" + bytes(100), b"<html><body>no</body></html>", b'{"error": "gone"}', b"\x7fELF" + bytes(100)])
def test_what_is_plainly_something_else_is_no_raw_image_whatever_its_name(data: bytes) -> None:
    with pytest.raises(Malformed):
        identify(data, LIMIT, "firmware.bin")


def test_an_intel_hex_file_becomes_its_bytes_with_gaps_filled() -> None:
    text = hex_file(record(0x0004, b"\x01\x02"), record(0x0000, b"\x0a"), newline=b"\n")
    told = identify(text, LIMIT, "firmware.hex")
    assert bytes(told.view) == b"\x0a\xff\xff\xff\x01\x02"
    assert told.facts.size == 6


def test_addresses_go_on_in_segments_and_in_the_upper_half() -> None:
    assert parse_hex(hex_file(record(0, b"\x00\x01", 4), record(0, b"\x07")), limit=LIMIT) == b"\xff" * 0x10000 + b"\x07"
    assert parse_hex(hex_file(record(0, b"\x00\x01", 2), record(0, b"\x07")), limit=LIMIT) == b"\xff" * 0x10 + b"\x07"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (hex_file(record(0, b"\x01")).replace(b":01000000", b":01000001"), "line 1 of the Intel HEX file has a wrong checksum"),
        (record(0, b"\x01") + b"\n", "ends without an end record"),
        (hex_file(record(0, b"\x01")) + record(1, b"\x02"), "line 3 of the Intel HEX file stands behind its end record"),
        (hex_file(record(0, b"\x01"), b":00zz"), "line 2 is no record"),
        (hex_file(record(0, b"\x01", 9)), "unknown type 9"),
        (hex_file(), "holds no data"),
    ],
)
def test_a_damaged_intel_hex_file_is_told_by_its_line(text: bytes, sentence: str) -> None:
    with pytest.raises(Malformed, match=sentence):
        parse_hex(text, limit=LIMIT)


def test_an_intel_hex_file_that_would_fill_the_memory_is_too_large() -> None:
    with pytest.raises(TooLarge, match="line 2 of the Intel HEX file lies at address 0xfff00000"):
        parse_hex(hex_file(record(0, b"\xff\xf0", 4), record(0, b"\x01")), limit=LIMIT)


def test_a_gbl_file_is_sent_as_it_is_and_checked_inside() -> None:
    data = b"\xeb\x17\xa6\x03\x08\x00\x00\x00" + bytes(200)
    told = identify(data, LIMIT, "anything")
    assert (told.facts.format, hashlib.sha256(told.view).digest()) == ("zwave-gbl", hashlib.sha256(data).digest())
    assert told.facts.checks[0].result == "fail"
