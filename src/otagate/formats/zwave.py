"""Firmware files for Z-Wave nodes: containers to the very bytes that a node is sent.

A Z-Wave image says nothing of itself: no manufacturer, no product, no version. What can be told is the container, by its first bytes or, for raw
bytes, by nothing but the name of the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath

from otagate.formats import silabs
from otagate.model.errors import Malformed, TooLarge
from otagate.model.images import Check, ImageFacts

GBL = b"\xeb\x17\xa6\x03"
RAW = frozenset({".bin"})
"""Endings of files whose bytes are the image."""

_RECORD_HEAD = 9
_DATA, _END, _SEGMENT, _START_SEGMENT, _LINEAR, _START_LINEAR = range(6)
_FILL = 0xFF


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedFirmware:
    """An image as a node is sent it. `target`: the firmware target, where the container names it."""

    format: str
    view: memoryview
    target: int | None = None
    checks: tuple[Check, ...] = ()


def recognise(data: bytes | memoryview, file_name: str) -> bool:
    """Whether this is a Z-Wave firmware file: told by its first bytes, or by its name where raw bytes tell nothing."""
    head = bytes(data[:16])
    return head.startswith(GBL) or _is_hex(head) or PurePath(file_name).suffix.lower() in RAW


def decode(data: bytes | memoryview, file_name: str, *, limit: int) -> DecodedFirmware:
    """Take the image out of its container; at most `limit` bytes come out. Raises Malformed, TooLarge."""
    head = bytes(data[:16])
    if head.startswith(GBL):
        view = memoryview(data).toreadonly()
        return DecodedFirmware(format="gbl", view=view, checks=(silabs.check(view, silabs.GBL, whole=True),))
    if _is_hex(head):
        return DecodedFirmware(format="hex", view=memoryview(parse_hex(bytes(data), limit=limit)))
    if PurePath(file_name).suffix.lower() in RAW:
        unknown = Check(name="contents", result="unknown", detail="Raw bytes: nothing in them can be checked.")
        return DecodedFirmware(format="bin", view=memoryview(data).toreadonly(), checks=(unknown,))
    raise Malformed("this is no Z-Wave firmware file that is known here")


def facts(firmware: DecodedFirmware) -> ImageFacts:
    """What is known of an image: next to nothing."""
    return ImageFacts(format=f"zwave-{firmware.format}", protocol="zwave", size=len(firmware.view), target=firmware.target, checks=firmware.checks)


def parse_hex(text: bytes, *, limit: int) -> bytes:
    """Intel HEX to bytes from address 0 on, gaps filled with 0xFF as drivers do. Raises Malformed with the line, TooLarge."""
    image = bytearray()
    base, ended = 0, False
    for number, line in enumerate(text.splitlines(), 1):
        record = line.strip()
        if not record:
            continue
        if ended:
            raise Malformed(f"line {number} of the Intel HEX file stands behind its end record")
        kind, address, payload = _record(record, number)
        if kind == _DATA:
            _lay(image, base + address, payload, number, limit)
        elif kind == _END:
            ended = True
        elif kind in (_SEGMENT, _LINEAR):
            base = int.from_bytes(payload, "big") << (4 if kind == _SEGMENT else 16)
        elif kind not in (_START_SEGMENT, _START_LINEAR):
            raise Malformed(f"line {number} of the Intel HEX file is a record of the unknown type {kind}")
    if not ended:
        raise Malformed("the Intel HEX file ends without an end record: it is cut off")
    if not image:
        raise Malformed("the Intel HEX file holds no data")
    return bytes(image)


def _record(record: bytes, number: int) -> tuple[int, int, bytes]:
    try:
        raw = bytes.fromhex(record[1:].decode("ascii")) if record[:1] == b":" else b""
    except ValueError:
        raw = b""
    if len(raw) < 5 or len(raw) != raw[0] + 5:
        raise Malformed(f"line {number} is no record of an Intel HEX file")
    if sum(raw) & 0xFF:
        raise Malformed(f"line {number} of the Intel HEX file has a wrong checksum")
    return raw[3], int.from_bytes(raw[1:3], "big"), raw[4:-1]


def _lay(image: bytearray, address: int, payload: bytes, number: int, limit: int) -> None:
    end = address + len(payload)
    if end > limit:
        raise TooLarge(f"line {number} of the Intel HEX file lies at address 0x{address:x}: the image would have more than {limit} bytes")
    if len(image) < end:
        image.extend(bytes([_FILL]) * (end - len(image)))
    image[address:end] = payload


def _is_hex(head: bytes) -> bool:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return text[:1] == b":" and len(text) >= _RECORD_HEAD and all(byte in b"0123456789abcdefABCDEF" for byte in text[1:_RECORD_HEAD])
