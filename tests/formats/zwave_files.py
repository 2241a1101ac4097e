"""Z-Wave firmware files in every container, written from the specifications of the containers and without the formats under test."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

IMAGE = bytes(range(256)) * 3 + b"\x80the end"
UPDATER_STUB = b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + bytes(60)


def record(address: int, payload: bytes, kind: int = 0) -> bytes:
    raw = bytes([len(payload), address >> 8, address & 0xFF, kind]) + payload
    return b":" + (raw + bytes([-sum(raw) & 0xFF])).hex().upper().encode()


END = record(0, b"", 1)


def hex_file(*records: bytes, newline: bytes = b"\r\n") -> bytes:
    return newline.join((*records, END, b""))


def as_hex(image: bytes) -> bytes:
    return hex_file(*(record(at, image[at : at + 16]) for at in range(0, len(image), 16)))


def gbl(payload: bytes = IMAGE) -> bytes:
    """A GBL file of a header tag, a program tag and an end tag with the right CRC-32."""
    body = struct.pack("<II", 0x03A617EB, 8) + bytes(8) + struct.pack("<II", 0xFD0303FD, len(payload)) + payload + struct.pack("<II", 0xFC0404FC, 4)
    return body + struct.pack("<I", zlib.crc32(body))


def crc16(data: bytes, value: int) -> int:
    """CRC-16 of polynomial 0x1021, bit by bit."""
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1 ^ (0x1021 if value & 0x8000 else 0)) & 0xFFFF
    return value


def updater(image: bytes = IMAGE, *, name: bytes = b"lamp_ZW111", with_sum: bool = True) -> bytes:
    """A Windows program with an image behind it, its name, a CRC-16, its place and its length."""
    block = name.ljust(256, b"\0")
    sum_ = struct.pack(">H", crc16(image + block, 0xFE95)) if with_sum else b""
    return UPDATER_STUB + image + block + sum_ + struct.pack(">II", len(UPDATER_STUB), len(image))


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return buffer.getvalue()
