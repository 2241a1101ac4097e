"""MT framing of the Z-Stack Monitor and Test API: SOF, length, two command bytes, payload, XOR checksum.

A command is kept as one number, `cmd0 << 8 | cmd1`, so that a dispatch table is a plain dict.
"""

from __future__ import annotations

SOF = 0xFE
MAX_PAYLOAD = 250
OVERHEAD = 5
"""Bytes of a frame besides its payload: SOF, length, cmd0, cmd1, FCS."""

SREQ = 0x2000
AREQ = 0x4000
SRSP = 0x6000
"""Frame types, in place: the upper three bits of cmd0. An SRSP is its SREQ + 0x4000."""

SRSP_OFFSET = SRSP - SREQ

_SOF_BYTE = bytes((SOF,))


def checksum(body: bytes) -> int:
    """XOR of all bytes of `body` (at most 256): the FCS over length, command and payload."""
    # Folding one big integer is an order of magnitude cheaper than a loop over bytes.
    folded = int.from_bytes(body, "little")
    for width in (1024, 512, 256, 128, 64, 32, 16, 8):
        folded ^= folded >> width
    return folded & 0xFF


def encode(command: int, payload: bytes) -> bytes:
    """One complete frame; raises `ValueError` for a payload above 250 bytes."""
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"an MT payload holds at most {MAX_PAYLOAD} bytes, not {len(payload)}")
    body = bytes((len(payload), command >> 8, command & 0xFF)) + payload
    return b"%c%b%c" % (SOF, body, checksum(body))


def corrupt(frame: bytes) -> bytes:
    """The same frame with a checksum that cannot be right."""
    return frame[:-1] + bytes((frame[-1] ^ 0xFF,))


class FrameParser:
    """Incremental parser; holds at most one incomplete frame, whatever it is fed."""

    __slots__ = ("_buffer", "bad_frames", "skipped_bytes")

    def __init__(self) -> None:
        self._buffer = b""
        self.bad_frames = 0
        self.skipped_bytes = 0

    def reset(self) -> None:
        """Forget an incomplete frame (the line was cut or the NCP restarted)."""
        self._buffer = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Take bytes from the line; returns the complete frames as `(command, payload)`."""
        buffer = self._buffer + data
        size = len(buffer)
        frames: list[tuple[int, bytes]] = []
        at = 0
        while size - at >= OVERHEAD:
            if buffer[at] != SOF or buffer[at + 1] > MAX_PAYLOAD:
                at = self._resynchronise(buffer, at)
                continue
            end = at + OVERHEAD + buffer[at + 1]
            if end > size:
                break
            if checksum(buffer[at + 1 : end - 1]) != buffer[end - 1]:
                self.bad_frames += 1
                at = self._resynchronise(buffer, at)
                continue
            frames.append((buffer[at + 2] << 8 | buffer[at + 3], buffer[at + 4 : end - 1]))
            at = end
        self._buffer = buffer[at:]
        return frames

    def _resynchronise(self, buffer: bytes, at: int) -> int:
        following = buffer.find(_SOF_BYTE, at + 1)
        if following < 0:
            following = len(buffer)
        self.skipped_bytes += following - at
        return following
