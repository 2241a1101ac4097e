"""Updaters: Windows programs of one maker that carry the image of a Z-Wave node behind their own bytes.

The end of such a file: the image, 256 bytes with its name, in newer ones a CRC-16 over both, and two big-endian 32-bit numbers, the place of the
image and its length. The name may tell the firmware target, by a first byte below 0x20 or by the words `__TargetZwave__` and `__TargetMcuN__`.
"""

from __future__ import annotations

import binascii
import re
import struct
from dataclasses import dataclass

from otagate.model.errors import Malformed
from otagate.model.images import Check

PROGRAM = b"MZ"

_PE_POINTER = 0x3C
_PE = b"PE\0\0"

_PLACE = struct.Struct(">II")
_NAME = 256
_CRC = struct.Struct(">H")
_CRC_SEED = 0xFE95
_NAME_FORM = re.compile(rb"([\x00-\x1f]?)([A-Za-z0-9_ -]+)\x00")
_TARGET = re.compile(rb"__Target(?:Zwave|Mcu([0-9]))__")


@dataclass(frozen=True, slots=True, kw_only=True)
class Updater:
    """What an updater carries. `target`: the firmware target, where the name of the image tells it."""

    image: memoryview
    target: int | None
    check: Check


def is_program(data: memoryview) -> bool:
    """Whether this is a Windows program (Microsoft, PE Format: the signature that the word at 0x3c points to)."""
    if data[: len(PROGRAM)] != PROGRAM or len(data) < _PE_POINTER + 4:
        return False
    (at,) = struct.unpack_from("<I", data, _PE_POINTER)
    return data[at : at + len(_PE)] == _PE


def cut_out(data: memoryview) -> Updater:
    """The image that an updater carries. Raises Malformed where this is no program, or its last 8 bytes do not say where the image lies."""
    if data[: len(PROGRAM)] != PROGRAM:
        raise Malformed("this is no Windows program, though its name says so: it does not begin with MZ")
    if len(data) < len(PROGRAM) + _PLACE.size:
        raise Malformed(f"this updater is cut off: it has only {len(data)} bytes")
    start, length = _PLACE.unpack_from(data, len(data) - _PLACE.size)
    behind = start + length
    if start < len(PROGRAM) or not length or behind > len(data) - _PLACE.size:
        said = f"its last 8 bytes name {length} bytes at {start}, it has {len(data)}"
        raise Malformed(f"this Windows program carries no image of a Z-Wave node, or is cut off: {said}")
    end = data[behind : -_PLACE.size]
    name = bytes(end[:_NAME]) if len(end) in (_NAME, _NAME + _CRC.size) else b""
    return Updater(image=data[start:behind], target=_target(name), check=_check(data[start:behind], end))


def _target(name: bytes) -> int | None:
    form = _NAME_FORM.match(name)
    if form is None:
        return None
    told = _TARGET.search(form[2])
    if told is not None:
        return int(told[1] or 0)
    return form[1][0] if form[1] else None


def _check(image: memoryview, end: memoryview) -> Check:
    if len(end) != _NAME + _CRC.size:
        return Check(name="container", result="unknown", detail="An updater for Windows without a sum over the image that it carries.")
    (stored,) = _CRC.unpack_from(end, _NAME)
    computed = binascii.crc_hqx(end[:_NAME], binascii.crc_hqx(image, _CRC_SEED))
    if stored == computed:
        return Check(name="container", result="pass", detail="An updater for Windows whose CRC-16 over the image and its name is right.")
    return Check(
        name="container", result="fail", detail=f"The updater for Windows is damaged: CRC-16 stored 0x{stored:04x}, computed 0x{computed:04x}."
    )
