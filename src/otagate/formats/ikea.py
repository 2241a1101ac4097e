"""The IKEA container around an OTA file: a head with a list of SHA-256 digests, one per block of the image; a signature behind."""

from __future__ import annotations

import hashlib
import struct
from typing import Literal

from otagate.formats.zigbee import CONTAINER_MAGIC, ZigbeeImage
from otagate.model.images import Check

_PLACES = struct.Struct("<II8xII")
_PLACES_AT = 16
"""Here the image's offset and its length, and behind eight bytes more the block size and the count of blocks."""

_LIST_AT = 40
_DIGEST = 32
_SMALLEST_BLOCK = 256


def check(image: ZigbeeImage) -> Check | None:
    """Compare every block of the image with the container's list; None where there is no such container.

    Reads each byte of the image once. The signature behind the image is not checked: no key for it is at hand.
    """
    head = image.prefix
    if bytes(head[:4]) != CONTAINER_MAGIC:
        return None
    if len(head) < _LIST_AT:
        return _told("unknown", "An IKEA container without room for a list of digests.")
    offset, length, size, count = _PLACES.unpack_from(head, _PLACES_AT)
    blocks = -(-length // max(size, 1))
    if (offset, length, count) != (_LIST_AT + _DIGEST * count, image.total_size, blocks) or size < _SMALLEST_BLOCK:
        return _told("unknown", "An IKEA container whose list of digests is not laid out in the known way: not compared.")
    for index in range(count):
        listed = head[_LIST_AT + _DIGEST * index : _LIST_AT + _DIGEST * (index + 1)]
        if hashlib.sha256(image.payload_view[size * index : size * (index + 1)]).digest() != listed:
            damage = f"its block {index + 1} of {count}, of {size} bytes, has not the SHA-256 that the container lists"
            return _told("fail", f"The image is damaged: {damage}.")
    return _told("pass", f"All {count} blocks have the SHA-256 that the IKEA container lists; its signature is not checked.")


def _told(result: Literal["pass", "fail", "unknown"], detail: str) -> Check:
    return Check(name="container", result=result, detail=detail)
