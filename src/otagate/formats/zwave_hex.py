"""Intel HEX: text whose lines lay bytes at addresses (Intel, Hexadecimal Object File Format Specification, revision A)."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from otagate.model.errors import Malformed, TooLarge

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_START = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*:[0-9A-Fa-f]{8}")
_LINE = re.compile(rb"([^\r\n]*)(?:\r\n|\r|\n|\Z)")
_SNIFF = 512

_DATA, _END, _SEGMENT, _START_SEGMENT, _LINEAR, _START_LINEAR = range(6)
_SIZES = {_END: 0, _SEGMENT: 2, _START_SEGMENT: 4, _LINEAR: 2, _START_LINEAR: 4}
"""How many bytes a record of each type carries; data records carry any number."""

_FILL = b"\xff"


def begins_like_hex(data: bytes | memoryview) -> bool:
    """Whether the file begins with the head of a record."""
    return _START.match(bytes(data[:_SNIFF])) is not None


def parse_hex(text: bytes, *, limit: int) -> bytes:
    """Intel HEX to bytes from address 0 on, gaps filled with 0xFF as drivers do; at most `limit` bytes. Raises Malformed with the line, TooLarge."""
    image, laid = bytearray(), bytearray()  # `laid` has a 1 where a record has laid a byte
    base, ended = 0, False
    for number, record in _records(text):
        if ended:
            raise Malformed(f"line {number} of the Intel HEX file stands behind its end record")
        kind, address, payload = _read(record, number)
        if kind == _DATA:
            _lay(image, laid, base + address, payload, number, limit)
        elif kind in (_SEGMENT, _LINEAR):
            base = int.from_bytes(payload, "big") << (4 if kind == _SEGMENT else 16)
        ended = kind == _END
    if not ended:
        raise Malformed("the Intel HEX file ends without an end record: it is cut off")
    if not image:
        raise Malformed("the Intel HEX file holds no data")
    return bytes(image)


def _records(text: bytes) -> Iterator[tuple[int, bytes]]:
    """Each line that is not empty, with its number; one at a time, since a large file has a million of them."""
    start = len(_BYTE_ORDER_MARK) if text.startswith(_BYTE_ORDER_MARK) else 0
    for number, found in enumerate(_LINE.finditer(text, start), 1):
        record = found[1].strip()
        if record:
            yield number, record


def _read(record: bytes, number: int) -> tuple[int, int, bytes]:
    """Type, address and payload of a record."""
    try:
        raw = binascii.unhexlify(record[1:]) if record[:1] == b":" else b""
    except binascii.Error:
        raw = b""
    if len(raw) < 5 or len(raw) != raw[0] + 5:
        raise Malformed(f"line {number} is no record of an Intel HEX file")
    if sum(raw) & 0xFF:
        raise Malformed(f"line {number} of the Intel HEX file has a wrong checksum")
    kind, payload = raw[3], raw[4:-1]
    if kind != _DATA and kind not in _SIZES:
        raise Malformed(f"line {number} of the Intel HEX file is a record of the unknown type {kind}")
    if kind != _DATA and len(payload) != _SIZES[kind]:
        raise Malformed(f"line {number} of the Intel HEX file is a record of type {kind} with {len(payload)} bytes in place of {_SIZES[kind]}")
    return kind, int.from_bytes(raw[1:3], "big"), payload


def _lay(image: bytearray, laid: bytearray, address: int, payload: bytes, number: int, limit: int) -> None:
    end = address + len(payload)
    if end > limit:
        raise TooLarge(f"line {number} of the Intel HEX file lies at address 0x{address:x}: the image would have more than {limit} bytes")
    if payload and len(image) < end:
        image.extend(_FILL * (end - len(image)))
        laid.extend(bytes(end - len(laid)))
    if laid.find(1, address, end) >= 0:
        raise Malformed(f"line {number} of the Intel HEX file lies over what an earlier line laid at address 0x{address:x}")
    image[address:end] = payload
    laid[address:end] = b"\x01" * len(payload)
