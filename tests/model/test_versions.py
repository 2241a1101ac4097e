from __future__ import annotations

import pytest

from otagate.model.versions import (
    MAX_FILE_VERSION,
    Version,
    display_file_version,
    display_version,
    parse_cloud_version,
    parse_dotted_version,
    parse_file_version,
    parse_version,
    same_version,
    version_key,
)


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


@pytest.mark.parametrize(("older", "newer"), [("1.6", "1.10"), ("1.6", "1.6.1"), ("1.9.9", "2.0"), (None, "0.0"), (None, 0), (1, 2), ("0.9", "1")])
def test_versions_are_ordered_part_by_part_as_numbers(older: Version | None, newer: Version) -> None:
    assert version_key(older) < version_key(newer)
    assert not same_version(older, newer)


def test_a_version_with_a_suffix_comes_before_the_one_without_and_after_all_that_are_older() -> None:
    rising = [
        "1.2.2",
        "1.2.3-1",
        "1.2.3-alpha",
        "1.2.3-alpha.1",
        "1.2.3-beta",
        "1.2.3-rc1",
        "1.2.3-RC2",
        "1.2.3-rc10",
        "1.2.3",
        "1.2.3.1",
        "1.2.4-rc1",
    ]
    assert sorted(set(rising), key=version_key) == rising
    assert not any(same_version(one, other) for one in rising for other in rising if one is not other)


@pytest.mark.parametrize(("one", "other"), [("V100R001C00", "V100R002C00"), ("1.2_20230101", "1.2_20240101"), ("unknown", "0.1"), ("beta", "rc")])
def test_versions_of_no_known_form_are_ordered_too(one: str, other: str) -> None:
    assert version_key(one) < version_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("1.6", "1.6.0"), ("01.06", "1.6"), (7, 7), ("0.0", "0"), ("1.0-rc1", "1.0.0-RC.1"), ("1.6+build5", "1.6"), ("v1.6", "1.6")],
)
def test_versions_that_mean_the_same_are_the_same(one: Version, other: Version) -> None:
    assert same_version(one, other)
    assert version_key(one) == version_key(other)


def test_an_unknown_version_is_the_same_as_none() -> None:
    assert not same_version(None, None)


@pytest.mark.parametrize(("given", "version"), [("1.6", "1.6"), (" 10.32.1 ", "10.32.1"), ("7", "7"), ("1.2.3.4", "1.2.3.4")])
def test_a_dotted_version_is_kept_as_it_is_written(given: str, version: str) -> None:
    assert parse_dotted_version(given) == version
    assert display_version(version) == version


@pytest.mark.parametrize("given", ["", "v1.6", "1.", ".6", "1.6-beta", "1.2.3.4.5", "1,6", "0x0106", 6, "1" * 11])
def test_text_that_is_no_dotted_version_is_refused_with_a_sentence(given: str | int) -> None:
    with pytest.raises(ValueError, match="is not a firmware version"):
        parse_dotted_version(given)


@pytest.mark.parametrize("given", ["1.6.1-rc1", " 1.6+build.5 ", "1.6.1"])
def test_a_version_of_a_cloud_may_have_a_suffix(given: str) -> None:
    assert parse_cloud_version(given) == given.strip()


@pytest.mark.parametrize("given", ["1.6-", "1.6rc1", "rc1", "1.6-" + "x" * 41, "1.6-a b", 6])
def test_text_that_is_no_version_of_a_cloud_is_refused_with_a_sentence(given: str | int) -> None:
    with pytest.raises(ValueError, match="is not a firmware version"):
        parse_cloud_version(given)


@pytest.mark.parametrize(("given", "version"), [("1.6", "1.6"), ("1.6-rc1", "1.6-rc1"), ("0x01020509", 0x01020509), (7, 7), ("7", 7)])
def test_an_order_may_name_a_version_of_either_kind(given: str | int, version: Version) -> None:
    assert parse_version(given) == version
