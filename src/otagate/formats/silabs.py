"""Silicon Labs upgrade files inside an OTA file: GBL, and EBL of older chips.

Both are a list of tagged parts that ends in an end tag whose value makes the CRC-32 over everything up to there a constant. Encrypted ones keep
the tags and the CRC-32 in clear. The bootloader on the device reads them just so, hence what fails here cannot be installed.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Literal

from otagate.model.images import Check

GBL = "silabs-gbl"
GBL_4 = "silabs-gbl4"
EBL = "silabs-ebl"

_RESIDUE = 0x2144_DF1C
"""The CRC-32 of any bytes with their own CRC-32, little-endian, behind them."""

_MEAN_TAG = 64
_FREE_TAGS = 64
"""The walk follows one tag per 64 bytes and 64 more; the richest known file has 109 tags in all. More is a file made to cost time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dialect:
    """How one of the two lists is written: the head of a tag, and the tag that ends the list."""

    name: str
    head: struct.Struct
    end: int


_GBL = _Dialect(name="GBL", head=struct.Struct("<II"), end=0xFC04_04FC)
_EBL = _Dialect(name="EBL", head=struct.Struct(">HH"), end=0xFC04)
_DIALECTS = {GBL: _GBL, EBL: _EBL}

_GBL_START = b"\xeb\x17\xa6\x03\x08\x00\x00\x00"
_GBL_4_START = b"\xeb\x17\xa6\x84"
_EBL_START = b"\x00\x00\x00\x8c\x02"  # tag 0, 140 bytes, major version 2
_EBL_SIGNATURE = b"\xe3\x50"
_ENCRYPTED_EBL_START = b"\xfb\x05\x00\x06\x02"


def recognise(body: memoryview) -> str | None:
    """Name the Silicon Labs format that begins here, if one does."""
    head = bytes(body[:10])
    if head.startswith(_GBL_START):
        return GBL
    if head.startswith(_GBL_4_START):
        return GBL_4
    if (head.startswith(_EBL_START) and head[6:8] == _EBL_SIGNATURE) or (head.startswith(_ENCRYPTED_EBL_START) and head[8:10] == _EBL_SIGNATURE):
        return EBL
    return None


def check(body: memoryview, inner_format: str, *, whole: bool) -> Check:
    """Whether a GBL or EBL file is whole and its CRC-32 is right; bytes behind its end tag are left alone.

    `whole` says that nothing of the file can lie anywhere else: only then is a missing end a failure.
    """
    dialect = _DIALECTS.get(inner_format)
    if dialect is None:
        return _told("unknown", "A Silicon Labs GBL file of version 4: recognised, but there is no check for it here.")
    position, length = 0, len(body)
    for _ in range(length // _MEAN_TAG + _FREE_TAGS):
        if position + dialect.head.size > length:
            lost = f"it ends at its byte {length} without an end tag"
            return _cut(dialect, lost, whole=whole)
        tag, size = dialect.head.unpack_from(body, position)
        behind = position + dialect.head.size + size
        if behind > length:
            lost = f"its tag 0x{tag:x} at byte {position} says {size} bytes, but {length - position - dialect.head.size} are left"
            return _cut(dialect, lost, whole=whole)
        position = behind
        if tag == dialect.end:
            return _summed(dialect, body, position, size)
    return _told("unknown", f"A Silicon Labs {dialect.name} file of very many tags: not followed to its end.")


def _cut(dialect: _Dialect, lost: str, *, whole: bool) -> Check:
    if whole:
        return _told("fail", f"The Silicon Labs {dialect.name} file inside is damaged: {lost}.")
    return _told("unknown", f"The Silicon Labs {dialect.name} file does not end where its sub-element does: {lost}.")


def _summed(dialect: _Dialect, body: memoryview, end: int, size: int) -> Check:
    if size != 4:
        return _told("fail", f"The Silicon Labs {dialect.name} file inside is damaged: its end tag has {size} bytes in place of a CRC-32.")
    if zlib.crc32(body[:end]) == _RESIDUE:
        left = len(body) - end
        behind = f", which does not cover the last {left} of the sub-element" if left else ""
        return _told("pass", f"A Silicon Labs {dialect.name} file whose CRC-32 over {end} bytes is right{behind}.")
    (stored,) = struct.unpack_from("<I", body, end - 4)
    computed = zlib.crc32(body[: end - 4])
    return _told("fail", f"The Silicon Labs {dialect.name} file inside is damaged: CRC-32 stored 0x{stored:08x}, computed 0x{computed:08x}.")


def _told(result: Literal["pass", "fail", "unknown"], detail: str) -> Check:
    return Check(name="contents", result=result, detail=detail)
