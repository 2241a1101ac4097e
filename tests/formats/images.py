"""Self-made OTA upgrade files, built field by field from the specification, right or wrong as a test wants them."""

from __future__ import annotations

import struct
from collections.abc import Sequence

MAGIC = 0x0BEEF11E


def element(tag: int, data: bytes, *, length: int | None = None) -> bytes:
    """One sub-element; `length` lies about the data where given."""
    return struct.pack("<HI", tag, len(data) if length is None else length) + data


def build(
    body: bytes | None = None,
    *,
    header_version: int = 0x0100,
    header_length: int | None = None,
    field_control: int | None = None,
    manufacturer_code: int = 0x117C,
    image_type: int = 0x1409,
    file_version: int = 0x0102_0509,
    stack_version: int = 2,
    header_string: bytes = b"test image",
    total_size: int | None = None,
    credential: int | None = None,
    destination: int | None = None,
    hardware: tuple[int, int] | None = None,
    header_tail: bytes = b"",
) -> bytes:
    """An OTA upgrade file; every length is true unless it is given."""
    body = element(0x0000, bytes(range(256)) * 4) if body is None else body
    optional = b"" if credential is None else bytes([credential])
    optional += b"" if destination is None else struct.pack("<Q", destination)
    optional += b"" if hardware is None else struct.pack("<HH", *hardware)
    control = (credential is not None) | (destination is not None) << 1 | (hardware is not None) << 2
    length = 56 + len(optional) + len(header_tail)
    header = struct.pack(
        "<IHHHHHIH32sI",
        MAGIC,
        header_version,
        length if header_length is None else header_length,
        control if field_control is None else field_control,
        manufacturer_code,
        image_type,
        file_version,
        stack_version,
        header_string,
        length + len(body) if total_size is None else total_size,
    )
    return header + optional + header_tail + body


def ikea_container(image: bytes, *, blocks: int = 14, offset: int | None = None, signature: bytes = b"\xaa" * 512) -> bytes:
    """An NGIS container: a head with offsets, a list of block digests, the image, a signature."""
    start = 40 + 32 * blocks
    head = b"NGIS" + struct.pack("<9I", 12, 2010, 476, start if offset is None else offset, len(image), start + len(image), 11, 0x4000, blocks)
    return head + b"\x55" * (32 * blocks) + image + signature


def legrand(image: bytes, *, length: int | None = None, tail: bytes = b"\x00" * 17) -> bytes:
    """A length before the image and a tail behind it."""
    return struct.pack("<I", len(image) if length is None else length) + image + tail


def samples() -> Sequence[bytes]:
    """A few small files, each with another feature of the format."""
    plain = build()
    return (
        plain,
        build(hardware=(0, 257)),
        build(credential=2, destination=0x000D_6F00_0A90_69E7, hardware=(1, 1)),
        build(header_tail=b"\x01\x02\x03"),
        build(b"".join(element(0xF100 + n, bytes([n]) * n) for n in range(40))),
        build(element(0, b"x" * 90) + element(5, b"", length=500)),
        ikea_container(plain),
        legrand(plain),
        plain + b"\xff" * 16,
    )
