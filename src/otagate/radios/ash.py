"""ASH frames (Silicon Labs UG101): a few operations on whole frames, where bellows takes one for every octet.

Between two flags stand a control byte, a data field that is randomised in DATA frames, and a CRC; octets with a meaning of their own are escaped.
"""

from __future__ import annotations

from binascii import crc_hqx

FLAG = b"\x7e"
ACK = 0x80
SHORT_TYPE = 0xE0
"""Separates ACK from NAK and from the rest of what is no DATA."""
NUMBERS = 0x07
"""Frame numbers have three bits."""
RETRANSMITTED = 0x08

_ESCAPE = 0x7D
_RESERVED = (0x7E, 0x11, 0x13, 0x18, 0x1A, _ESCAPE)  # the escape itself is the last to be undone
_UNSTUFFING = tuple((bytes((_ESCAPE, octet ^ 0x20)), bytes((octet,))) for octet in _RESERVED)
_STUFFING = tuple((octet, stuffed) for stuffed, octet in reversed(_UNSTUFFING))
_CRC_START = 0xFFFF
_CRC_SIZE = 2
_MOST_DATA = 256


def _random_octets() -> bytes:
    """The output of the shift register that hides repetitive data (UG101, data randomization)."""
    octets, value = bytearray(), 0x42
    for _ in range(_MOST_DATA):
        octets.append(value)
        value = value >> 1 ^ 0xB8 if value & 1 else value >> 1
    return bytes(octets)


_MASKS = tuple(int.from_bytes(_random_octets()[:size], "little") for size in range(_MOST_DATA + 1))
"""By length: one exclusive-or of big integers instead of a loop."""


def randomise(data: bytes) -> bytes:
    """A data field of at most 256 octets, randomised; the same again gives it back. Raises IndexError where it is longer."""
    size = len(data)
    return (int.from_bytes(data, "little") ^ _MASKS[size]).to_bytes(size, "little")


def unpack(piece: bytes) -> bytes | None:
    """The control byte and the data field of what stood between two flags; None where the CRC does not fit, as when it was cancelled or damaged."""
    if _ESCAPE in piece:
        for stuffed, octet in _UNSTUFFING:
            piece = piece.replace(stuffed, octet)
    if not _CRC_SIZE < len(piece) <= 1 + _MOST_DATA + _CRC_SIZE or crc_hqx(piece, _CRC_START):
        return None
    return piece[:-_CRC_SIZE]


def pack(control: int, data: bytes = b"") -> bytes:
    """The octets on the line for one frame, its flag included."""
    body = bytes((control,)) + randomise(data)
    framed = body + crc_hqx(body, _CRC_START).to_bytes(_CRC_SIZE, "big")
    for octet, stuffed in _STUFFING:
        framed = framed.replace(octet, stuffed)
    return framed + FLAG


ACKS = tuple(pack(ACK | number) for number in range(NUMBERS + 1))
"""By the number of the frame that is expected next."""
