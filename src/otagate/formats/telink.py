"""Telink images inside an OTA file: in clear with a CRC-32 behind, or encrypted for the device alone."""

from __future__ import annotations

import struct
import zlib
from typing import Literal

from otagate.model.images import Check

TELINK = "telink"
ENCRYPTED = "telink-encrypted"

ENCRYPTED_TAG = 0xF000
ENCRYPTED_EXTRA = 2
"""The encrypted sub-element carries two bytes of information that its length does not count."""

_ENCRYPTED_INFO = b"\x01\x0c"
_MARK = b"KNLT"
_MARK_PLACES = (8, 32)  # 32 on the RISC-V chips
_HAS_CRC_AT = 6
_HAS_CRC = b"\x5d\x02"
_SIZE_AT = 24
_HEAD = 36


def recognise(body: memoryview) -> str | None:
    """Name the Telink image that begins here, if one does."""
    return TELINK if any(bytes(body[place : place + 4]) == _MARK for place in _MARK_PLACES) else None


def is_encrypted(tag: int, body: memoryview, *, left: int) -> bool:
    """Whether the only sub-element of an image is an encrypted Telink image; `left` bytes lie behind it."""
    return tag == ENCRYPTED_TAG and left == ENCRYPTED_EXTRA and bytes(body[:2]) == _ENCRYPTED_INFO


def check(body: memoryview, *, whole: bool) -> Check:
    """Whether the CRC-32 behind the image, over all before it and without the final inversion, is right.

    The image says its own size, and devices look for the CRC-32 at that end. `whole` says that nothing of the image can lie anywhere else: only
    then is a size beyond the sub-element a failure.
    """
    if len(body) < _HEAD or bytes(body[_HAS_CRC_AT : _HAS_CRC_AT + 2]) != _HAS_CRC:
        return _told("unknown", "A Telink image without the mark of a CRC-32: nothing in it can be verified.")
    (size,) = struct.unpack_from("<I", body, _SIZE_AT)
    length = len(body)
    if not _HEAD + 4 <= size <= length:
        lost = f"it says that it has {size} bytes, and the sub-element has {length}"
        if whole:
            return _told("fail", f"The Telink image inside is damaged: {lost}.")
        return _told("unknown", f"A Telink image that is not all here: {lost}.")
    (stored,) = struct.unpack_from("<I", body, size - 4)
    computed = zlib.crc32(body[: size - 4]) ^ 0xFFFF_FFFF
    if stored != computed:
        return _told("fail", f"The Telink image inside is damaged: CRC-32 stored 0x{stored:08x}, computed 0x{computed:08x}.")
    behind = f", which does not cover the last {length - size} of the sub-element" if length > size else ""
    return _told("pass", f"A Telink image whose CRC-32 over {size} bytes is right{behind}.")


def _told(result: Literal["pass", "fail", "unknown"], detail: str) -> Check:
    return Check(name="contents", result=result, detail=detail)
