"""The commands of the OTA Upgrade cluster as a client writes and reads them (ZCL rev 8 §11.13)."""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

from otagate_rig.zcl import MalformedError, Status

OTA_CLUSTER = 0x0019
ANY_MANUFACTURER = 0xFFFF
ANY_IMAGE_TYPE = 0xFFFF
ANY_VERSION = 0xFFFFFFFF
WAIT_FOREVER = 0xFFFFFFFF


class Command(enum.IntEnum):
    """Command ids; the even ones of an exchange come from the server."""

    IMAGE_NOTIFY = 0x00
    QUERY_NEXT_IMAGE_REQUEST = 0x01
    QUERY_NEXT_IMAGE_RESPONSE = 0x02
    IMAGE_BLOCK_REQUEST = 0x03
    IMAGE_PAGE_REQUEST = 0x04
    IMAGE_BLOCK_RESPONSE = 0x05
    UPGRADE_END_REQUEST = 0x06
    UPGRADE_END_RESPONSE = 0x07
    QUERY_SPECIFIC_FILE_REQUEST = 0x08
    QUERY_SPECIFIC_FILE_RESPONSE = 0x09


@dataclass(frozen=True, slots=True)
class ImageId:
    """What names one image on the wire."""

    manufacturer_code: int
    image_type: int
    file_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageNotify:
    """Image Notify (§11.13.3); fields that the payload type leaves out are wild cards."""

    jitter: int
    manufacturer_code: int = ANY_MANUFACTURER
    image_type: int = ANY_IMAGE_TYPE
    file_version: int = ANY_VERSION


@dataclass(frozen=True, slots=True)
class QueryResponse:
    """Query Next Image Response (§11.13.5); image and size only with SUCCESS."""

    status: int
    image: ImageId | None = None
    size: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """Image Block Response with SUCCESS (§11.13.8)."""

    image: ImageId
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """Image Block Response with WAIT_FOR_DATA: times in seconds, block period in milliseconds."""

    current_time: int
    request_time: int
    block_period: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Image Block Response with any other status."""

    status: int


@dataclass(frozen=True, slots=True)
class EndResponse:
    """Upgrade End Response (§11.13.9.6), times in seconds."""

    image: ImageId
    current_time: int
    upgrade_time: int


_IDS = struct.Struct("<HHI")
_BLOCK_HEAD = struct.Struct("<HHIIB")
_BLOCK_REQUEST = struct.Struct("<BHHIIB")
_NOTIFY_LENGTHS = (2, 4, 6, 10)


def query_request(image: ImageId, hardware_version: int | None) -> bytes:
    """Payload of a Query Next Image Request; `image` is what runs now."""
    head = bytes((hardware_version is not None,)) + _IDS.pack(image.manufacturer_code, image.image_type, image.file_version)
    return head if hardware_version is None else head + struct.pack("<H", hardware_version)


def block_request(image: ImageId, offset: int, size: int, node: int | None = None, period: int | None = None) -> bytes:
    """Payload of an Image Block Request; `node` is the requester's IEEE address, `period` its minimum block period."""
    control = (node is not None) | (period is not None) << 1
    head = _BLOCK_REQUEST.pack(control, image.manufacturer_code, image.image_type, image.file_version, offset, size)
    if not control:
        return head
    return head + (b"" if node is None else struct.pack("<Q", node)) + (b"" if period is None else struct.pack("<H", period))


def page_request(image: ImageId, offset: int, size: int, page: int, spacing: int, node: int | None = None) -> bytes:
    """Payload of an Image Page Request; `page` in bytes, `spacing` in milliseconds."""
    head = _BLOCK_REQUEST.pack(node is not None, image.manufacturer_code, image.image_type, image.file_version, offset, size)
    return head + struct.pack("<HH", page, spacing) + (b"" if node is None else struct.pack("<Q", node))


def end_request(status: int, image: ImageId) -> bytes:
    """Payload of an Upgrade End Request."""
    return bytes((status,)) + _IDS.pack(image.manufacturer_code, image.image_type, image.file_version)


def read_notify(payload: bytes) -> ImageNotify:
    """Read an Image Notify."""
    if not payload or payload[0] > 3 or len(payload) != _NOTIFY_LENGTHS[payload[0]]:
        raise MalformedError("an Image Notify whose length does not fit its payload type")
    if not 1 <= payload[1] <= 100:
        raise MalformedError(f"query jitter {payload[1]}")
    fields = payload[2:] + b"\xff" * (10 - len(payload))
    manufacturer, image_type, version = _IDS.unpack(fields)
    return ImageNotify(jitter=payload[1], manufacturer_code=manufacturer, image_type=image_type, file_version=version)


def read_query_response(payload: bytes) -> QueryResponse:
    """Read a Query Next Image Response."""
    if not payload or len(payload) != (13 if payload[0] == Status.SUCCESS else 1):
        raise MalformedError("a Query Next Image Response of the wrong length")
    if payload[0] != Status.SUCCESS:
        return QueryResponse(payload[0])
    manufacturer, image_type, version, size = struct.unpack("<HHII", payload[1:])
    return QueryResponse(Status.SUCCESS, ImageId(manufacturer, image_type, version), size)


def read_block_response(payload: bytes) -> Block | Wait | Refusal:
    """Read an Image Block Response of any status."""
    status = payload[0] if payload else None
    if status == Status.SUCCESS:
        if len(payload) < 14:
            raise MalformedError("an Image Block Response that ends too early")
        manufacturer, image_type, version, offset, size = _BLOCK_HEAD.unpack_from(payload, 1)
        if len(payload) != 14 + size:
            raise MalformedError(f"data size {size} with {len(payload) - 14} bytes of data")
        return Block(ImageId(manufacturer, image_type, version), offset, payload[14:])
    if status == Status.WAIT_FOR_DATA:
        # The block period came with OTA 1.1 (095264r23); servers before it send the two times only.
        if len(payload) not in (9, 11):
            raise MalformedError("a WAIT_FOR_DATA of the wrong length")
        current, request = struct.unpack_from("<II", payload, 1)
        return Wait(current, request, int.from_bytes(payload[9:], "little"))
    if status is None or len(payload) != 1:
        raise MalformedError("an Image Block Response of the wrong length")
    return Refusal(status)


def read_end_response(payload: bytes) -> EndResponse:
    """Read an Upgrade End Response."""
    if len(payload) != 16:
        raise MalformedError("an Upgrade End Response of the wrong length")
    manufacturer, image_type, version, current, upgrade = struct.unpack("<HHIII", payload)
    return EndResponse(ImageId(manufacturer, image_type, version), current, upgrade)
