"""Versions: a Zigbee file version is an unsigned 32-bit number and nothing else; elsewhere a version is dotted text, as the device tells it.

A cloud's version may have a suffix as in `1.2.3-rc1`: it comes before the version without one, as Semantic Versioning 2.0.0 has it.

Numbers and text never meet in one component, so nothing here compares the one with the other in earnest.
"""

from __future__ import annotations

import re

Version = int | str
"""A Zigbee file version as a number; a Z-Wave firmware version as `1.6` or `1.6.1`, a cloud's with or without a suffix."""

_HEX = re.compile(r"0[xX][0-9a-fA-F]{1,8}")
_DECIMAL = re.compile(r"[0-9]{1,10}")
_DOTTED = re.compile(r"[0-9]{1,10}(\.[0-9]{1,10}){0,3}")
_SUFFIXED = re.compile(_DOTTED.pattern + r"([-+][0-9A-Za-z.+-]{1,40})?")
_NUMBERS = re.compile(r"[^0-9]*([0-9]{1,10}(?:\.[0-9]{1,10})*)")
_PIECES = re.compile(r"([0-9]{1,10})|([^0-9.+_\s-]+)")
_BEFORE, _EXACTLY = -2, -1  # what stands behind the numbers of a version with a suffix, and of one without: both before any further number
_NUMBER, _WORD = 1, 2
MAX_FILE_VERSION = 0xFFFF_FFFE
"""0xFFFFFFFF is the wild card of Image Notify and no version (ZCL 11.11.4)."""


def display_file_version(version: int) -> str:
    """A 32-bit file version for people: `0x01020509`. Makers split it in different ways, so no dots are guessed."""
    return f"0x{version:08x}"


def display_version(version: Version) -> str:
    """Any version for people."""
    return display_file_version(version) if isinstance(version, int) else version


def version_key(version: Version | None) -> tuple[int, ...]:
    """What versions of one component are ordered by: part by part, as numbers; `1.6` and `1.6.0` are the same. An unknown one is the oldest.

    One with a suffix comes before the one without, because nobody knows that it is later: `1.6-beta`, `1.6-rc2`, `1.6-rc10`, `1.6`, `1.6.1`. What
    stands behind a `+` tells builds of one version apart and says nothing of their order (Semantic Versioning 2.0.0, 10 and 11).
    """
    if version is None:
        return ()
    if isinstance(version, int):
        return (version,)
    text = version.partition("+")[0]
    match = _NUMBERS.match(text)
    parts = [] if match is None else [int(part) for part in match[1].split(".")]
    while parts and parts[-1] == 0:
        parts.pop()
    suffix = _suffix_key(text if match is None else text[match.end() :])
    return (0, *parts, _BEFORE, *suffix) if suffix else (0, *parts, _EXACTLY)  # the 0 so that 0.0 is newer than an unknown version


def _suffix_key(suffix: str) -> list[int]:
    """Numbers as numbers and before words, words letter by letter, capitals or not; what is between them separates them and no more."""
    key: list[int] = []
    for number, word in _PIECES.findall(suffix.lower()):
        key += [_NUMBER, int(number)] if number else [_WORD, *map(ord, word), 0]
    return key


def same_version(one: Version | None, other: Version | None) -> bool:
    """Whether two versions are known and the same."""
    return one is not None and other is not None and version_key(one) == version_key(other)


def parse_file_version(text: str | int) -> int:
    """Read a file version from an integer, decimal text, `0x…` or the display text; raises ValueError with a sentence."""
    if isinstance(text, int):
        version = text
    elif _HEX.fullmatch(text.strip()):
        version = int(text, 16)
    elif _DECIMAL.fullmatch(text.strip()):
        version = int(text)
    else:
        raise ValueError(f"{text!r} is not a file version: give an integer or 0x followed by up to eight hex digits")
    if not 0 <= version <= MAX_FILE_VERSION:
        raise ValueError(f"{text!r} is outside the file versions 0 to 0x{MAX_FILE_VERSION:08x}")
    return version


def parse_dotted_version(text: str | int) -> str:
    """Read a version such as `1.6.1`; raises ValueError with a sentence."""
    if isinstance(text, int) or not _DOTTED.fullmatch(text.strip()):
        raise ValueError(f"{text!r} is not a firmware version: give text such as 1.6 or 1.6.1")
    return text.strip()


def parse_cloud_version(text: str | int) -> str:
    """Read a version such as `1.6.1` or `1.6.1-rc1`; raises ValueError with a sentence."""
    if isinstance(text, int) or not _SUFFIXED.fullmatch(text.strip()):
        raise ValueError(f"{text!r} is not a firmware version: give text such as 1.6, 1.6.1 or 1.6.1-rc1")
    return text.strip()


def parse_version(text: str | int) -> Version:
    """Read a version of any kind: what has a dot is dotted text, everything else a file version. Raises ValueError with a sentence."""
    return parse_cloud_version(text) if isinstance(text, str) and "." in text else parse_file_version(text)
