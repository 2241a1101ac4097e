"""The integrity code of an OTA file (ZCL 8, 11.4.3, sub-element 0x0003): AES-MMO-128 over the file up to there."""

from __future__ import annotations

from itertools import islice
from typing import Literal

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from otagate.formats.zigbee import ELEMENT_HEAD, ELEMENT_LIMIT, ZigbeeImage
from otagate.model.images import Check

TAG = 0x0003
SIZE_LIMIT = 2 << 20
"""Larger images are not hashed: each 16 bytes are the key of the next, so it takes half a second for two MiB; the largest known has 0.3."""

KEEPERS = frozenset({0x10F2, 0x1166, 0x1209, 0x128B})
"""Manufacturer codes whose every known image keeps the standard (91 files of Ubisys, Innr, Bosch and NodOn): there another code is damage.

Others put something of their own into this sub-element (Develco, 14 files of 14), so a mismatch of a maker that is not listed tells nothing.
"""

_BLOCK = 16
_MODE = ECB()  # noqa: S305 - the building block of AES-MMO, one block under each key; nothing is kept secret by it


def digest(data: bytes | memoryview) -> bytes:
    """The AES-MMO-128 hash (Zigbee specification, B.6) of less than 512 MiB: 16 bytes."""
    view = memoryview(data).cast("B")
    full = len(view) - len(view) % _BLOCK
    return _finish(_chain(bytes(_BLOCK), view[:full]), bytes(view[full:]), len(view))


def check(image: ZigbeeImage) -> Check | None:
    """Compare the image's integrity code; None where it has none.

    Makers differ in whether the hash ends before the sub-element or behind its head of six bytes: either is right.
    """
    codes = [element for element in islice(image.elements(), ELEMENT_LIMIT) if element.tag == TAG]
    if not codes:
        return None
    if len(codes) > 1 or codes[0].length != _BLOCK or codes[0].overruns:
        return _told("unknown", "There is an integrity code, but not as one hash of 16 bytes.")
    if image.total_size > SIZE_LIMIT:
        return _told("unknown", f"There is an integrity code; it is not computed for images above {SIZE_LIMIT} bytes.")
    view, before = image.payload_view, codes[0].offset
    full = before - before % _BLOCK
    state = _chain(bytes(_BLOCK), view[:full])
    for end in (before, before + ELEMENT_HEAD):
        # The two ends may lie in different blocks: `_finish` takes as many as are left.
        if _finish(state, bytes(view[full:end]), end) == codes[0].data:
            return _told("pass", f"The integrity code is the AES-MMO hash of the first {end} bytes.")
    stored = bytes(codes[0].data).hex()
    if image.manufacturer_code in KEEPERS:
        return _told("fail", f"The image is damaged: its integrity code {stored} is not the AES-MMO hash of the bytes before it.")
    return _told("unknown", f"The integrity code {stored} is not the AES-MMO hash of the bytes before it; some makers put something else there.")


def _chain(state: bytes, blocks: bytes | memoryview) -> bytes:
    """Matyas-Meyer-Oseas over whole blocks: each is encrypted under the state so far and added to the outcome."""
    for position in range(0, len(blocks), _BLOCK):
        block = bytes(blocks[position : position + _BLOCK])
        mixed = Cipher(AES(state), _MODE).encryptor().update(block)
        state = (int.from_bytes(mixed, "big") ^ int.from_bytes(block, "big")).to_bytes(_BLOCK, "big")
    return state


def _finish(state: bytes, rest: bytes, length: int) -> bytes:
    """The last blocks: what is left, a one bit, zeros, and the length of everything in bits: 16 bits of it, or 32 and two more zeros."""
    bits = length * 8
    tail = bits.to_bytes(2, "big") if bits < 1 << 16 else bits.to_bytes(4, "big") + b"\x00\x00"
    zeros = -(len(rest) + 1 + len(tail)) % _BLOCK
    return _chain(state, rest + b"\x80" + bytes(zeros) + tail)


def _told(result: Literal["pass", "fail", "unknown"], detail: str) -> Check:
    return Check(name="integrity", result=result, detail=detail)
