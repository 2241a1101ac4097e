"""ASH framing (Silicon Labs UG101): control byte, randomised data field, CRC, byte stuffing, and the flag that ends a frame.

A frame is handled as its body: the control byte and the data field, without CRC, stuffing and flag.
"""

from __future__ import annotations

import re
from binascii import crc_hqx
from typing import Final

FLAG: Final = 0x7E
ESCAPE: Final = 0x7D
XON: Final = 0x11
XOFF: Final = 0x13
SUBSTITUTE: Final = 0x18
CANCEL: Final = 0x1A

RST: Final = 0xC0
RSTACK: Final = 0xC1
ERROR: Final = 0xC2
ACK: Final = 0x80
NAK: Final = 0xA0
SHORT_TYPE_MASK: Final = 0xE0
"""Separates ACK and NAK from each other and from the rest."""
NOT_READY: Final = 0x08
"""In an ACK or NAK: the sender wants no callbacks for now."""
RETRANSMITTED: Final = 0x08
"""In the control byte of a DATA frame."""

VERSION: Final = 0x02
MIN_DATA: Final = 3
MAX_DATA: Final = 220
"""Bytes of the data field of a DATA frame: a whole EZSP frame."""

DAMAGED: Final = b""
"""What the parser gives for a frame that cannot be read."""

_FLAG = bytes((FLAG,))
_CANCEL = bytes((CANCEL,))
_SUBSTITUTE = bytes((SUBSTITUTE,))
_FLOW_CONTROL = bytes((XON, XOFF))
_CRC_START = 0xFFFF
_CRC_SIZE = 2
_MAX_STUFFED = 2 * (1 + MAX_DATA + _CRC_SIZE)
_STUFFED_BIT = 0x20
_reserved = re.compile(rb"[\x7e\x7d\x11\x13\x18\x1a]")
_special = re.compile(rb"[\x11\x13\x18\x1a\x7d]")
_escaped = re.compile(rb"\x7d(.?)", re.DOTALL)
_STUFFED = {bytes((byte,)): bytes((ESCAPE, byte ^ _STUFFED_BIT)) for byte in (FLAG, ESCAPE, XON, XOFF, SUBSTITUTE, CANCEL)}
_UNSTUFFED = {stuffed[1:]: byte for byte, stuffed in _STUFFED.items()}


def _random_sequence(length: int) -> bytes:
    """The output of the shift register that hides repetitive data (UG101, data field)."""
    sequence = bytearray()
    value = 0x42
    for _ in range(length):
        sequence.append(value)
        value = value >> 1 ^ 0xB8 if value & 1 else value >> 1
    return bytes(sequence)


_SEQUENCE = _random_sequence(MAX_DATA)
# One big integer for each length: a single exclusive-or instead of a loop over bytes.
_MASKS = tuple(int.from_bytes(_SEQUENCE[:length], "little") for length in range(MAX_DATA + 1))


def randomise(data: bytes) -> bytes:
    """Exclusive-or with the pseudo-random sequence, which is its own inverse; at most 220 bytes."""
    size = len(data)
    return (int.from_bytes(data, "little") ^ _MASKS[size]).to_bytes(size, "little")


def encode(body: bytes) -> bytes:
    """The bytes on the line for one frame."""
    framed = body + crc_hqx(body, _CRC_START).to_bytes(_CRC_SIZE, "big")
    return _reserved.sub(_stuff, framed) + _FLAG


def corrupt(frame: bytes) -> bytes:
    """The same encoded frame with a CRC that cannot be right."""
    framed = _escaped.sub(_unstuff, frame[:-1])
    return _reserved.sub(_stuff, framed[:-1] + bytes((framed[-1] ^ 0xFF,))) + _FLAG


def _stuff(found: re.Match[bytes]) -> bytes:
    return _STUFFED[found[0]]


def _unstuff(found: re.Match[bytes]) -> bytes:
    # An escape before anything that needs none is a damaged frame: a flag can never be part of one and spoils the CRC for certain.
    return _UNSTUFFED.get(found[1], _FLAG)


class FrameParser:
    """Incremental parser; holds at most one incomplete frame of bounded length, whatever it is fed."""

    __slots__ = ("_overlong", "_partial", "bad_frames")

    def __init__(self) -> None:
        self._partial = b""
        self._overlong = False
        self.bad_frames = 0

    def reset(self) -> None:
        """Forget an incomplete frame (the line was cut or the NCP restarted)."""
        self._partial = b""
        self._overlong = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes from the line; returns the bodies of the complete frames, `DAMAGED` in place of those that cannot be read."""
        pieces = (self._partial + data).split(_FLAG)
        partial = pieces.pop()
        bodies: list[bytes] = []
        for piece in pieces:
            body = self._open(piece)
            if body is not None:
                bodies.append(body)
        self._partial = self._bounded(partial) if len(partial) > _MAX_STUFFED else partial
        return bodies

    def _bounded(self, partial: bytes) -> bytes:
        after = partial.rpartition(_CANCEL)[2]
        if len(after) <= _MAX_STUFFED:
            return _CANCEL + after
        self._overlong = True
        return b""

    def _open(self, piece: bytes) -> bytes | None:
        """The body of what stood between two flags; None where that was nothing, or cancelled."""
        overlong, self._overlong = self._overlong, False
        if _special.search(piece) is not None:
            if _CANCEL in piece:
                piece = piece.rpartition(_CANCEL)[2]
                overlong = False
            if _SUBSTITUTE in piece:
                overlong = True
            piece = _escaped.sub(_unstuff, piece.translate(None, _FLOW_CONTROL))
        if not overlong:
            if not piece:
                return None
            size = len(piece) - _CRC_SIZE
            if 0 < size <= 1 + MAX_DATA and crc_hqx(piece, _CRC_START) == 0:
                return piece[:size]
        self.bad_frames += 1
        return DAMAGED
