from __future__ import annotations

import struct
import zlib

import pytest

from otagate.formats import telink as format_
from tests.formats.inner import telink


def outcome(body: bytes, *, whole: bool = True) -> tuple[str, str]:
    told = format_.check(memoryview(body), whole=whole)
    assert told.name == "contents"
    return told.result, told.detail


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (telink(), "telink"),
        (telink(mark_at=32), "telink"),
        (telink(mark_at=16), None),
        (telink()[:11], None),
        (b"KNLT" + bytes(100), None),
        (b"", None),
    ],
)
def test_an_image_is_recognised_by_its_mark_in_a_known_place(body: bytes, name: str | None) -> None:
    assert format_.recognise(memoryview(body)) == name


@pytest.mark.parametrize("mark_at", [8, 32])
@pytest.mark.parametrize("whole", [True, False])
def test_an_image_with_the_right_sum_passes(mark_at: int, whole: bool) -> None:
    body = telink(mark_at=mark_at)
    assert outcome(body, whole=whole) == ("pass", f"A Telink image whose CRC-32 over {len(body)} bytes is right.")


def test_bytes_behind_the_size_that_it_says_are_not_covered_and_that_is_told() -> None:
    body = telink()
    assert outcome(body + bytes(12))[1].endswith(f"over {len(body)} bytes is right, which does not cover the last 12 of the sub-element.")


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("place", [0, 7 * 16, -1])
def test_one_wrong_bit_fails(place: int, whole: bool) -> None:
    body = bytearray(telink())
    body[place] ^= 0x01
    assert outcome(bytes(body), whole=whole)[0] == "fail"


def test_both_sums_are_told() -> None:
    body = bytearray(telink())
    (true,) = struct.unpack("<I", body[-4:])
    body[-4:] = struct.pack("<I", 0xDEAD_BEEF)
    assert outcome(bytes(body))[1] == f"The Telink image inside is damaged: CRC-32 stored 0xdeadbeef, computed 0x{true:08x}."


def test_the_sum_is_the_one_without_the_final_inversion() -> None:
    body = telink()
    assert outcome(body[:-4] + struct.pack("<I", zlib.crc32(body[:-4])))[0] == "fail"


@pytest.mark.parametrize("size", [0, 39, 181, 0xFFFF_FFFF])
def test_a_size_that_cannot_be_fails_only_where_nothing_of_the_image_can_lie_elsewhere(size: int) -> None:
    body = telink(size=size)
    assert len(body) == 180
    assert outcome(body, whole=True) == (
        "fail",
        f"The Telink image inside is damaged: it says that it has {size} bytes, and the sub-element has 180.",
    )
    assert outcome(body, whole=False)[0] == "unknown"


@pytest.mark.parametrize("body", [telink(flag=b"\x00\x00"), telink(flag=b"\x5d\x01"), telink()[:35]])
def test_an_image_that_does_not_say_it_has_a_sum_is_not_verified(body: bytes) -> None:
    assert outcome(body)[0] == "unknown"


@pytest.mark.parametrize(
    ("tag", "start", "left", "encrypted"),
    [(0xF000, b"\x01\x0c", 2, True), (0xF001, b"\x01\x0c", 2, False), (0xF000, b"\x2a\x00", 2, False), (0xF000, b"\x01\x0c", 0, False)],
)
def test_an_encrypted_image_is_told_by_its_tag_its_start_and_the_two_bytes_more(tag: int, start: bytes, left: int, encrypted: bool) -> None:
    assert format_.is_encrypted(tag, memoryview(start + bytes(100)), left=left) is encrypted
