"""Frames of the Monitor and Test API, written from its specification."""

from __future__ import annotations

import struct


def mt(command: int, payload: bytes = b"") -> bytes:
    """One frame: FE, length, command, payload, and the XOR of all but the first."""
    body = bytes((len(payload), command >> 8, command & 0xFF)) + payload
    check = 0
    for octet in body:
        check ^= octet
    return b"\xfe" + body + bytes((check,))


def incoming(
    frame: bytes, *, source: int = 0x1234, cluster: int = 0x0019, endpoint: int = 1, own: int = 1, group: int = 0, broadcast: int = 0
) -> bytes:
    """AF_INCOMING_MSG."""
    head = struct.pack("<HHHBBBBBIBB", group, cluster, source, endpoint, own, broadcast, 200, 0, 0, 0, len(frame))
    return mt(0x4481, head + frame + struct.pack("<HB", source, 30))


def confirm(number: int, status: int = 0) -> bytes:
    """AF_DATA_CONFIRM."""
    return mt(0x4480, bytes((status, 1, number)))


def accepted(status: int = 0) -> bytes:
    """The answer to AF_DATA_REQUEST_EXT."""
    return mt(0x6402, bytes((status,)))


PING_ANSWER = mt(0x6101, b"\x79\x01")
RESET = mt(0x4180, bytes((0, 2, 1, 2, 7, 1)))
ROUTE = mt(0x45C4, b"\x34\x12\x00")
