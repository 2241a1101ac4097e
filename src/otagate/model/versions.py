"""Versions: a Zigbee file version is an unsigned 32-bit number and nothing else; elsewhere a version is dotted text, as the device tells it.

Numbers and text never meet in one component, so nothing here compares the one with the other in earnest.
"""

from __future__ import annotations

import re

Version = int | str
"""A Zigbee file version as a number; a Z-Wave firmware version as `1.6` or `1.6.1`."""

_HEX = re.compile(r"0[xX][0-9a-fA-F]{1,8}")
_DECIMAL = re.compile(r"[0-9]{1,10}")
_DOTTED = re.compile(r"[0-9]{1,10}(\.[0-9]{1,10}){0,3}")
MAX_FILE_VERSION = 0xFFFF_FFFE
"""0xFFFFFFFF is the wild card of Image Notify and no version (ZCL 11.11.4)."""


def display_file_version(version: int) -> str:
    """A 32-bit file version for people: `0x01020509`. Makers split it in different ways, so no dots are guessed."""
    return f"0x{version:08x}"


def display_version(version: Version) -> str:
    """Any version for people."""
    return display_file_version(version) if isinstance(version, int) else version


def version_key(version: Version | None) -> tuple[int, ...]:
    """What versions of one component are ordered by: part by part, as numbers; `1.6` and `1.6.0` are the same. An unknown one is the oldest."""
    if version is None:
        return ()
    if isinstance(version, int):
        return (version,)
    parts = [int(part) for part in re.findall(r"[0-9]{1,10}", version)]
    while parts and parts[-1] == 0:
        parts.pop()
    return (0, *parts)  # so that 0.0 is a version, and newer than an unknown one


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


def parse_version(text: str | int) -> Version:
    """Read a version of either kind: what has a dot is dotted text, everything else a file version. Raises ValueError with a sentence."""
    return parse_dotted_version(text) if isinstance(text, str) and "." in text else parse_file_version(text)
