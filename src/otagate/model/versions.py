"""Versions: a Zigbee file version is an unsigned 32-bit number and nothing else; text is for people."""

from __future__ import annotations

import re

_HEX = re.compile(r"0[xX][0-9a-fA-F]{1,8}")
_DECIMAL = re.compile(r"[0-9]{1,10}")
MAX_FILE_VERSION = 0xFFFF_FFFE
"""0xFFFFFFFF is the wild card of Image Notify and no version (ZCL 11.11.4)."""


def display_file_version(version: int) -> str:
    """A 32-bit file version for people: `0x01020509`. Makers split it in different ways, so no dots are guessed."""
    return f"0x{version:08x}"


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
