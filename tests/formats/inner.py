"""Self-made files of the formats that lie inside OTA files, right unless a test wants them wrong."""

from __future__ import annotations

import hashlib
import struct
import zlib

from otagate.formats import integrity
from tests.formats.images import build, element

GBL_END = 0xFC04_04FC


def gbl_tag(tag: int, data: bytes) -> bytes:
    return struct.pack("<II", tag, len(data)) + data


def gbl(payload: bytes = b"program" * 20) -> bytes:
    """A GBL file: header, application, program data, end."""
    parts = gbl_tag(0x03A6_17EB, bytes(8)) + gbl_tag(0xF40A_0AF4, bytes(28)) + gbl_tag(0xFE01_01FE, payload)
    return sealed(parts + struct.pack("<II", GBL_END, 4))


def ebl_tag(tag: int, data: bytes) -> bytes:
    return struct.pack(">HH", tag, len(data)) + data


def ebl(payload: bytes = b"program" * 20, *, version: int = 0x0202) -> bytes:
    """An EBL file: header of 140 bytes, program data, end, padding to 64 bytes."""
    parts = ebl_tag(0, struct.pack(">HH", version, 0xE350) + bytes(136)) + ebl_tag(0xFD03, payload)
    whole = sealed(parts + struct.pack(">HH", 0xFC04, 4))
    return whole + b"\xff" * (-len(whole) % 64)


def encrypted_ebl(payload: bytes = b"secret" * 20) -> bytes:
    """An encrypted EBL file: its tags in clear, what they hold is not."""
    parts = ebl_tag(0xFB05, struct.pack(">HHH", 0x0201, 1, 0xE350)) + ebl_tag(0xFA06, bytes(16)) + ebl_tag(0xF907, payload)
    return sealed(parts + struct.pack(">HH", 0xFC04, 4))


def sealed(parts: bytes) -> bytes:
    """The parts with their CRC-32 behind."""
    return parts + struct.pack("<I", zlib.crc32(parts))


def telink(payload: bytes = b"program" * 20, *, mark_at: int = 8, size: int | None = None, flag: bytes = b"\x5d\x02") -> bytes:
    """A Telink image; `size` lies about its size where given."""
    head = bytearray(36)
    head[0:6] = b"\x58\x80\x00\x00\x00\x00"
    head[6:8] = flag
    head[mark_at : mark_at + 4] = b"KNLT"
    struct.pack_into("<I", head, 24, len(head) + len(payload) + 4 if size is None else size)
    parts = bytes(head) + payload
    return parts + struct.pack("<I", zlib.crc32(parts) ^ 0xFFFF_FFFF)


def telink_encrypted(payload: bytes = bytes(range(250))) -> bytes:
    """The sub-element of an encrypted Telink image, with two bytes more than its length says."""
    return element(0xF000, b"\x01\x0c" + payload, length=len(payload))


def jn516x(*, swapped: bool = False) -> bytes:
    words = struct.pack("<3I" if swapped else ">3I", 0x1234_5678, 0x1122_3344, 0x5566_7788)
    return words + b"\x08\x01" + bytes(200)


def jn518x(*, stack: int = 0x0401_5FE0, checksum_off_by: int = 0, signature: int = 0x9844_7902) -> bytes:
    vectors = [stack, 0x201, 0x223, 0x8305, 0x831D, 0x830D, 0x8315]
    vectors.append((checksum_off_by - sum(vectors)) & 0xFFFF_FFFF)
    return struct.pack("<9I", *vectors, signature) + bytes(200)


def with_integrity_code(body: bytes, *, behind_the_head: bool = False, code: bytes | None = None, **header: int) -> bytes:
    """An OTA file whose last sub-element is its AES-MMO hash, or `code`."""
    data = build(body + element(3, bytes(16)), **header)  # type: ignore[arg-type]
    true = integrity.digest(data[: len(data) - (16 if behind_the_head else 22)])
    return data[:-16] + (true if code is None else code)


def ikea(image: bytes, *, size: int = 512, list_size: int | None = None, length: int | None = None, count: int | None = None) -> bytes:
    """An IKEA container whose list of digests is true; its numbers lie where given."""
    digests = b"".join(hashlib.sha256(image[at : at + size]).digest() for at in range(0, len(image), size))
    start = 40 + len(digests)
    numbers = (12, 2010, start - 12, start, len(image) if length is None else length, start + len(image), 11)
    listed = (size if list_size is None else list_size, len(digests) // 32 if count is None else count)
    return b"NGIS" + struct.pack("<9I", *numbers, *listed) + digests + image + b"\xaa" * 512


def inner_samples() -> dict[str, bytes]:
    """One small OTA file per format that is checked from the inside; every one of them passes, or is recognised where nothing can be verified."""
    hue = element(0xF000, b"\x2a" + bytes(17)) + b"".join(element(0xF100 + part, gbl(bytes([part]) * 90) + b"\x00") for part in range(3))
    return {
        "gbl": build(element(0, gbl())),
        "gbl in parts": build(hue),
        "ebl": build(element(0, ebl())),
        "encrypted ebl": build(element(0, encrypted_ebl())),
        "telink": build(element(0, telink())),
        "telink risc-v": build(element(0, telink(mark_at=32))),
        "telink encrypted": build(telink_encrypted()),
        "jn516x": build(element(0, jn516x())),
        "jn518x": build(element(0, jn518x())),
        "integrity": with_integrity_code(element(0, bytes(200)), manufacturer_code=0x10F2),
        "integrity behind": with_integrity_code(element(0, bytes(200)), behind_the_head=True, manufacturer_code=0x128B),
        "ikea": ikea(build(element(0, ebl()))),
    }
