from __future__ import annotations

import struct
import sys
from types import FrameType
from typing import Any

import pytest

from otagate.formats import silabs
from tests.formats.inner import GBL_END, ebl, encrypted_ebl, gbl, gbl_tag, sealed


def outcome(body: bytes, *, whole: bool = True) -> tuple[str, str]:
    kind = silabs.recognise(memoryview(body))
    assert kind is not None
    told = silabs.check(memoryview(body), kind, whole=whole)
    assert told.name == "contents"
    return told.result, told.detail


# --- recognised --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (gbl(), "silabs-gbl"),
        (b"\xeb\x17\xa6\x84" + bytes(30), "silabs-gbl4"),
        (ebl(), "silabs-ebl"),
        (ebl(version=0x0201), "silabs-ebl"),
        (encrypted_ebl(), "silabs-ebl"),
        (b"", None),
        (b"\xeb\x17\xa6\x03", None),
        (b"\xeb\x17\xa6\x03\x09" + bytes(30), None),
        (b"\x00\x00\x00\x8c" + bytes(200), None),
        (ebl(version=0x0302), None),
        (b"\x00\x00\x00\x8c\x02\x02\xe3\x51" + bytes(200), None),
        (b"\xfb\x05\x00\x06\x02\x01\x00\x01\xe3\x51" + bytes(200), None),
        (b"\xfb\x05\x00\x07\x02\x01\x00\x01\xe3\x50" + bytes(200), None),
    ],
)
def test_a_format_is_recognised_by_its_header_and_nothing_less(body: bytes, name: str | None) -> None:
    assert silabs.recognise(memoryview(body)) == name


# --- right -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [gbl(), gbl(b""), gbl(bytes(100_000)), encrypted_ebl()])
def test_a_file_with_the_right_sum_passes(body: bytes) -> None:
    result, detail = outcome(body)
    assert result == "pass"
    assert detail.endswith(f"whose CRC-32 over {len(body)} bytes is right.")


@pytest.mark.parametrize("behind", [b"\xff" * 20, b"\x00", b"another image for another chip", gbl()])
def test_bytes_behind_the_end_tag_are_not_covered_and_that_is_told(behind: bytes) -> None:
    body = gbl()
    detail = f"A Silicon Labs GBL file whose CRC-32 over {len(body)} bytes is right, which does not cover the last {len(behind)} of the sub-element."
    assert outcome(body + behind) == ("pass", detail)


def test_an_older_file_padded_to_its_flash_page_passes() -> None:
    body = ebl()
    assert len(body) % 64 == 0
    assert body.endswith(b"\xff\xff")
    assert outcome(body)[0] == "pass"


def test_a_file_of_the_fourth_version_is_not_verified() -> None:
    assert outcome(b"\xeb\x17\xa6\x84" + bytes(30))[0] == "unknown"


# --- damaged -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("good", [gbl(), ebl(), encrypted_ebl()])
@pytest.mark.parametrize("whole", [True, False])
def test_one_wrong_bit_fails_and_both_sums_are_told(good: bytes, whole: bool) -> None:
    body = bytearray(good)
    body[-80] ^= 0x10
    result, detail = outcome(bytes(body), whole=whole)
    assert result == "fail"
    assert "CRC-32 stored 0x" in detail


def test_the_sums_in_the_sentence_are_the_true_ones() -> None:
    parts = gbl()[:-4]
    (true,) = struct.unpack("<I", gbl()[-4:])
    detail = outcome(parts + struct.pack("<I", 0xDEAD_BEEF))[1]
    assert detail.endswith(f"CRC-32 stored 0xdeadbeef, computed 0x{true:08x}.")


@pytest.mark.parametrize("good", [gbl(), ebl().rstrip(b"\xff"), encrypted_ebl()])
@pytest.mark.parametrize("cut", [1, 4, 5, 9, 12, 13, 100])
def test_a_cut_file_fails_only_where_nothing_of_it_can_lie_elsewhere(good: bytes, cut: int) -> None:
    assert outcome(good[:-cut], whole=True)[0] == "fail"
    assert outcome(good[:-cut], whole=False)[0] == "unknown"


def test_a_tag_past_the_end_is_named_with_its_place() -> None:
    body = gbl_tag(0x03A6_17EB, bytes(8)) + struct.pack("<II", 0xFE01_01FE, 0xFFFF_FFFF) + b"abc"
    assert "its tag 0xfe0101fe at byte 16 says 4294967295 bytes, but 3 are left" in outcome(body)[1]


def test_a_list_without_an_end_is_damaged() -> None:
    body = gbl_tag(0x03A6_17EB, bytes(8)) + gbl_tag(0xFE01_01FE, b"abc")
    assert outcome(body) == ("fail", "The Silicon Labs GBL file inside is damaged: it ends at its byte 27 without an end tag.")


@pytest.mark.parametrize("size", [0, 3, 5])
def test_an_end_tag_that_holds_no_sum_is_damaged(size: int) -> None:
    # The bytes up to the end of that tag have a right sum: only the tag's size is wrong.
    parts = gbl_tag(0x03A6_17EB, bytes(8)) + struct.pack("<II", GBL_END, size)
    assert f"its end tag has {size} bytes" in outcome(sealed(parts + bytes(max(size - 4, 0))))[1]


# --- the cost ----------------------------------------------------------------------------------------------------------------------------


def test_a_file_made_of_tags_alone_is_not_followed_to_its_end() -> None:
    body = gbl_tag(0x03A6_17EB, bytes(8)) + gbl_tag(1, b"") * 200_000
    steps = 0

    def trace(frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal steps
        steps += event == "line" and frame.f_code.co_filename == silabs.__file__
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        told = silabs.check(memoryview(body), silabs.GBL, whole=True)
    finally:
        sys.settrace(before)
    assert (told.result, "very many tags" in told.detail) == ("unknown", True)
    assert steps < len(body) / 4


def test_many_tags_are_followed_where_they_hold_something() -> None:
    body = sealed(gbl_tag(0x03A6_17EB, bytes(8)) + gbl_tag(1, bytes(56)) * 5_000 + struct.pack("<II", GBL_END, 4))
    assert outcome(body)[0] == "pass"
