"""NXP images inside an OTA file, recognised by how they begin; they carry no checksum that is published."""

from __future__ import annotations

import struct

JN516X = "nxp-jn516x"
JN518X = "nxp-jn518x"

_JN516X_STARTS = (
    b"\x12\x34\x56\x78\x11\x22\x33\x44\x55\x66\x77\x88",
    b"\x78\x56\x34\x12\x44\x33\x22\x11\x88\x77\x66\x55",
)
_VECTORS = struct.Struct("<9I")
_RAM = range(0x0400_0000, 0x0402_6001)
_SIGNATURES = (0x9844_7902, 0x9844_7903)


def recognise(body: memoryview) -> str | None:
    """Name the NXP image that begins here, if one does."""
    if bytes(body[:12]) in _JN516X_STARTS:
        return JN516X
    if len(body) < _VECTORS.size:
        return None
    vectors = _VECTORS.unpack_from(body)
    # The first eight vectors of a JN518x or K32W061 add up to zero, the first is the stack's place in its memory, the ninth a signature.
    if vectors[0] in _RAM and vectors[8] in _SIGNATURES and sum(vectors[:8]) & 0xFFFF_FFFF == 0:
        return JN518X
    return None
