"""Zigbee OTA files (ZCL rev 8 §11.4): a writer, and just enough of a reader for a client to verify what it was sent."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

MAGIC = 0x0BEEF11E
HEADER_VERSION = 0x0100
STACK_ZIGBEE_PRO = 0x0002
TAG_UPGRADE_IMAGE = 0x0000

_FIXED = struct.Struct("<IHHHHHIH32sI")
_HARDWARE_PRESENT = 0x0004
_SECURITY_PRESENT = 0x0001
_DESTINATION_PRESENT = 0x0002


class BadImageError(ValueError):
    """The bytes are not an OTA file that a client could take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageHeader:
    """The fields of an OTA header that a client compares (§11.4.2); `total_size` counts the header too."""

    manufacturer_code: int
    image_type: int
    file_version: int
    total_size: int
    hardware_range: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One sub-element: a tag and its bytes (§11.4.3)."""

    tag: int
    data: bytes


def make_payload(size: int, seed: int = 0) -> bytes:
    """Return `size` bytes that look random and are the same for the same seed on every machine."""
    return hashlib.shake_128(b"otagate-rig payload %d" % seed).digest(size)


def build_image(
    manufacturer_code: int,
    image_type: int,
    file_version: int,
    *,
    payload: bytes,
    header_string: str = "",
    hardware_range: tuple[int, int] | None = None,
    stack_version: int = STACK_ZIGBEE_PRO,
    elements: tuple[Element, ...] = (),
) -> bytes:
    """Write a whole OTA file with `payload` as its upgrade image element and `elements` after it."""
    body = b"".join(_encode_element(part) for part in (Element(tag=TAG_UPGRADE_IMAGE, data=payload), *elements))
    optional = struct.pack("<HH", *hardware_range) if hardware_range is not None else b""
    header_length = _FIXED.size + len(optional)
    fixed = _FIXED.pack(
        MAGIC,
        HEADER_VERSION,
        header_length,
        _HARDWARE_PRESENT if hardware_range is not None else 0,
        manufacturer_code,
        image_type,
        file_version,
        stack_version,
        header_string.encode()[:32],
        header_length + len(body),
    )
    return fixed + optional + body


def read_header(data: bytes) -> ImageHeader:
    """Read the header of an OTA file; raise BadImageError where a client would answer INVALID_IMAGE."""
    if len(data) < _FIXED.size:
        raise BadImageError("shorter than an OTA header")
    magic, _, header_length, control, manufacturer, image_type, version, _, _, total = _FIXED.unpack_from(data)
    if magic != MAGIC:
        raise BadImageError(f"magic 0x{magic:08X}")
    if control & _HARDWARE_PRESENT == 0:
        hardware_range = None
    else:
        at = _FIXED.size + (1 if control & _SECURITY_PRESENT else 0) + (8 if control & _DESTINATION_PRESENT else 0)
        if len(data) < at + 4 or header_length < at + 4:
            raise BadImageError("the header ends before its hardware range")
        low, high = struct.unpack_from("<HH", data, at)
        hardware_range = (low, high)
    return ImageHeader(manufacturer_code=manufacturer, image_type=image_type, file_version=version, total_size=total, hardware_range=hardware_range)


def _encode_element(element: Element) -> bytes:
    return struct.pack("<HI", element.tag, len(element.data)) + element.data
