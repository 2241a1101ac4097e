"""Bytes of a device and of its server on cluster 0x0019, packed from the specification alone: nothing here comes from the code under test.

The lamp has manufacturer code 0x117C and image type 0x1409, runs version 10 and is offered version 20.
"""

from __future__ import annotations

import struct

MANUFACTURER = 0x117C
IMAGE_TYPE = 0x1409
OLD = 10
NEW = 20
TSN = 0x42

SUCCESS = 0x00
ABORT = 0x95
INVALID_IMAGE = 0x96
NO_IMAGE = 0x98
REQUIRE_MORE_IMAGE = 0x99

HOLD = 0xFFFF_FFFF


def picture(size: int, *, seed: int = 1) -> bytes:
    """An image in which no two stretches of 16 bytes are equal, so that bytes from a wrong place are seen."""
    return b"".join(struct.pack("<II", seed, at) for at in range(0, size + 8, 8))[:size]


# --- what a device sends ----------------------------------------------------------------------------------------------------------------


def query(
    version: int = OLD, *, tsn: int = TSN, manufacturer: int = MANUFACTURER, image_type: int = IMAGE_TYPE, hardware: int | None = None
) -> bytes:
    body = struct.pack("<BHHI", 0 if hardware is None else 1, manufacturer, image_type, version)
    return bytes((0x01, tsn, 0x01)) + body + (b"" if hardware is None else struct.pack("<H", hardware))


def ask(
    offset: int,
    size: int = 64,
    *,
    tsn: int = TSN,
    version: int = NEW,
    manufacturer: int = MANUFACTURER,
    image_type: int = IMAGE_TYPE,
    node: int | None = None,
    period: int | None = None,
) -> bytes:
    """Image Block Request."""
    control = (0 if node is None else 1) | (0 if period is None else 2)
    frame = bytes((0x01, tsn, 0x03)) + struct.pack("<BHHIIB", control, manufacturer, image_type, version, offset, size)
    if node is not None:
        frame += struct.pack("<Q", node)
    if period is not None:
        frame += struct.pack("<H", period)
    return frame


def ask_page(
    offset: int, size: int = 50, *, page: int = 500, spacing: int = 50, tsn: int = TSN, version: int = NEW, image_type: int = IMAGE_TYPE
) -> bytes:
    """Image Page Request; `spacing` in milliseconds."""
    return bytes((0x01, tsn, 0x04)) + struct.pack("<BHHIIBHH", 0, MANUFACTURER, image_type, version, offset, size, page, spacing)


def end(status: int = SUCCESS, *, tsn: int = TSN, version: int = NEW, manufacturer: int = MANUFACTURER, image_type: int = IMAGE_TYPE) -> bytes:
    """Upgrade End Request."""
    return bytes((0x01, tsn, 0x06)) + struct.pack("<BHHI", status, manufacturer, image_type, version)


def ask_file(*, tsn: int = TSN) -> bytes:
    """Query Device Specific File Request."""
    return bytes((0x01, tsn, 0x08)) + struct.pack("<QHHIH", 0x000D_6F00_0A90_69E7, MANUFACTURER, 0xFFC0, 1, 2)


# --- what a server answers --------------------------------------------------------------------------------------------------------------


def offered(size: int, version: int = NEW, *, tsn: int = TSN, image_type: int = IMAGE_TYPE) -> bytes:
    """Query Next Image Response SUCCESS."""
    return bytes((0x19, tsn, 0x02, 0x00)) + struct.pack("<HHII", MANUFACTURER, image_type, version, size)


def no_image(status: int = NO_IMAGE, *, tsn: int = TSN) -> bytes:
    """Query Next Image Response that offers nothing."""
    return bytes((0x19, tsn, 0x02, status))


def block(data: bytes, offset: int, *, tsn: int = TSN, version: int = NEW, image_type: int = IMAGE_TYPE) -> bytes:
    """Image Block Response SUCCESS."""
    return bytes((0x19, tsn, 0x05, 0x00)) + struct.pack("<HHIIB", MANUFACTURER, image_type, version, offset, len(data)) + data


def wait(seconds: int, *, period: int = 0, tsn: int = TSN) -> bytes:
    """Image Block Response WAIT_FOR_DATA, as seconds from now."""
    return bytes((0x19, tsn, 0x05, 0x97)) + struct.pack("<IIH", 0, seconds, period)


def stop(*, tsn: int = TSN) -> bytes:
    """Image Block Response ABORT."""
    return bytes((0x19, tsn, 0x05, 0x95))


def upgrade(at: int = 0, *, tsn: int = TSN, version: int = NEW, image_type: int = IMAGE_TYPE) -> bytes:
    """Upgrade End Response; `at` in seconds from now."""
    return bytes((0x19, tsn, 0x07)) + struct.pack("<HHIII", MANUFACTURER, image_type, version, 0, at)


def default(command: int, status: int, *, tsn: int = TSN) -> bytes:
    """Default Response of the server."""
    return bytes((0x18, tsn, 0x0B, command, status))


def no_file(*, tsn: int = TSN) -> bytes:
    """Query Device Specific File Response NO_IMAGE_AVAILABLE."""
    return bytes((0x19, tsn, 0x09, 0x98))


def notify(*, tsn: int) -> bytes:
    """Image Notify with jitter 100 and nothing else, as a unicast should be."""
    return bytes((0x19, tsn, 0x00, 0x00, 100))
