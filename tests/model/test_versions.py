from __future__ import annotations

import pytest

from otagate.model.versions import MAX_FILE_VERSION, display_file_version, parse_file_version


@pytest.mark.parametrize(
    ("given", "version"),
    [
        (0, 0),
        (16909577, 0x01020509),
        ("16909577", 0x01020509),
        ("0x01020509", 0x01020509),
        ("0X1020509", 0x01020509),
        (" 0x1 ", 1),
        ("0xfffffffe", MAX_FILE_VERSION),
        (MAX_FILE_VERSION, MAX_FILE_VERSION),
        ("4294967294", MAX_FILE_VERSION),
    ],
)
def test_a_version_is_read_as_people_and_programs_write_it(given: str | int, version: int) -> None:
    assert parse_file_version(given) == version


@pytest.mark.parametrize("version", [0, 1, 0x01020509, MAX_FILE_VERSION])
def test_what_is_shown_can_be_given_back(version: int) -> None:
    assert parse_file_version(display_file_version(version)) == version


@pytest.mark.parametrize("text", ["", "x", "0x", "1.2.3", "-1", "0x123456789", "12345678901", "0b11", "1_000", "１２", "0x 1", "1e3"])
def test_text_that_is_no_version_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="is not a file version"):
        parse_file_version(text)


@pytest.mark.parametrize("given", [-1, 0xFFFF_FFFF, 1 << 32, "0xffffffff", "4294967295", "9999999999"])
def test_the_wild_card_and_numbers_beyond_32_bits_are_no_versions(given: str | int) -> None:
    with pytest.raises(ValueError, match="outside the file versions"):
        parse_file_version(given)
