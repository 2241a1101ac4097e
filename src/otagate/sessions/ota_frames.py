"""Bytes of the OTA Upgrade cluster 0x0019, server side (ZCL 8, chapter 11.13; all integers little-endian).

Requests are read by position from the whole ZCL frame; responses are built whole. Nothing here knows a state.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from otagate.model.errors import RemoteProtocolError

CLUSTER = 0x0019

IMAGE_NOTIFY = 0x00
QUERY_NEXT_IMAGE = 0x01
IMAGE_BLOCK = 0x03
IMAGE_PAGE = 0x04
UPGRADE_END = 0x06
UPGRADE_END_RESPONSE = 0x07
QUERY_DEVICE_SPECIFIC_FILE = 0x08
REQUESTS = frozenset({QUERY_NEXT_IMAGE, IMAGE_BLOCK, IMAGE_PAGE, UPGRADE_END, QUERY_DEVICE_SPECIFIC_FILE})

SUCCESS = 0x00
NOT_AUTHORIZED = 0x7E
MALFORMED_COMMAND = 0x80
ABORT = 0x95
INVALID_IMAGE = 0x96
WAIT_FOR_DATA = 0x97
NO_IMAGE_AVAILABLE = 0x98
REQUIRE_MORE_IMAGE = 0x99

STATUS_WORDS = {
    SUCCESS: "SUCCESS",
    NOT_AUTHORIZED: "NOT_AUTHORIZED",
    MALFORMED_COMMAND: "MALFORMED_COMMAND",
    ABORT: "ABORT",
    INVALID_IMAGE: "INVALID_IMAGE",
    WAIT_FOR_DATA: "WAIT_FOR_DATA",
    NO_IMAGE_AVAILABLE: "NO_IMAGE_AVAILABLE",
    REQUIRE_MORE_IMAGE: "REQUIRE_MORE_IMAGE",
}

WAIT_FOR_COMMAND = 0xFFFF_FFFF
"""Upgrade time of an Upgrade End Response: hold the image until told otherwise."""

UNKNOWN_VERSION = 0xFFFF_FFFF
"""The file version of a device that does not know its own (11.10.3); no file has it."""

WILD_CARD = 0xFFFF
"""Of manufacturer codes and of image types: every one of them (11.11, 11.13.3), so no device's own."""

_ANSWER = 0x19  # cluster-specific, server to client, no default response wanted
_GLOBAL = 0x18  # the same for a global command
_DEFAULT_RESPONSE = 0x0B
_KIND = 0x0F  # frame type, manufacturer-specific and direction bits of the frame control
_REQUEST_KIND = 0x01  # cluster-specific, standard, client to server

_QUERY = struct.Struct("<BHHI")
_BLOCK = struct.Struct("<BHHIIB")
_PAGE = struct.Struct("<BHHIIBHH")
_END = struct.Struct("<BHHI")
_FILE = struct.Struct("<QHHIH")
_U16 = struct.Struct("<H")
_BLOCK_RESPONSE = struct.Struct("<BBBBHHIIB")
_WAIT_RESPONSE = struct.Struct("<BBBBIIH")
_STATUS_RESPONSE = struct.Struct("<BBBB")
_QUERY_RESPONSE = struct.Struct("<BBBBHHII")
_END_RESPONSE = struct.Struct("<BBBHHIII")
_DEFAULT = struct.Struct("<BBBBB")


class BlockRequest(NamedTuple):
    """Image Block Request (11.13.6). `minimum_block_period` in milliseconds where the client sent it."""

    manufacturer_code: int
    image_type: int
    file_version: int
    offset: int
    max_size: int
    minimum_block_period: int | None


class PageRequest(NamedTuple):
    """Image Page Request (11.13.7). `spacing` in milliseconds between responses."""

    manufacturer_code: int
    image_type: int
    file_version: int
    offset: int
    max_size: int
    page_size: int
    spacing: int


class QueryRequest(NamedTuple):
    """Query Next Image Request (11.13.4). `file_version` is None where the device does not know what it runs."""

    manufacturer_code: int
    image_type: int
    file_version: int | None
    hardware_version: int | None


class EndRequest(NamedTuple):
    """Upgrade End Request (11.13.9)."""

    status: int
    manufacturer_code: int
    image_type: int
    file_version: int


class FileRequest(NamedTuple):
    """Query Device Specific File Request (11.13.10)."""

    node: int
    manufacturer_code: int
    image_type: int
    file_version: int
    stack_version: int


def is_request(frame: bytes) -> bool:
    """Whether a ZCL frame on cluster 0x0019 is a standard client-to-server request that an OTA server answers."""
    return len(frame) >= 3 and frame[0] & _KIND == _REQUEST_KIND and frame[2] in REQUESTS


def image_type_in(frame: bytes) -> int | None:
    """The image type that a request, or an Image Block Response with data, names behind one octet and the manufacturer code; else None."""
    if len(frame) < 8 or frame[2] == QUERY_DEVICE_SPECIFIC_FILE:
        return None
    return int.from_bytes(frame[6:8], "little")


def manufacturer_code_in(frame: bytes) -> int | None:
    """The manufacturer code that the same frames name, else None."""
    return int.from_bytes(frame[4:6], "little") if image_type_in(frame) is not None else None


def default_response_in(frame: bytes) -> tuple[int, int] | None:
    """(command, status) where the frame is a Default Response from the client, else None."""
    if len(frame) >= 5 and frame[0] & _KIND == 0x00 and frame[2] == _DEFAULT_RESPONSE:
        return frame[3], frame[4]
    return None


def read_block(frame: bytes) -> BlockRequest:
    """Read an Image Block Request; raises RemoteProtocolError where it is too short."""
    try:
        control, manufacturer_code, image_type, version, offset, max_size = _BLOCK.unpack_from(frame, 3)
        period = None
        if control & 0x02:
            (period,) = _U16.unpack_from(frame, 3 + _BLOCK.size + (8 if control & 0x01 else 0))
    except struct.error:
        raise RemoteProtocolError(f"Image Block Request of {len(frame)} octets is too short") from None
    return BlockRequest(manufacturer_code, image_type, version, offset, max_size, period)


def read_page(frame: bytes) -> PageRequest:
    """Read an Image Page Request; raises RemoteProtocolError where it is too short."""
    try:
        _, manufacturer_code, image_type, version, offset, max_size, page_size, spacing = _PAGE.unpack_from(frame, 3)
    except struct.error:
        raise RemoteProtocolError(f"Image Page Request of {len(frame)} octets is too short") from None
    return PageRequest(manufacturer_code, image_type, version, offset, max_size, page_size, spacing)


def read_query(frame: bytes) -> QueryRequest:
    """Read a Query Next Image Request; raises RemoteProtocolError where it is too short."""
    try:
        control, manufacturer_code, image_type, version = _QUERY.unpack_from(frame, 3)
        hardware = _U16.unpack_from(frame, 3 + _QUERY.size)[0] if control & 0x01 else None
    except struct.error:
        raise RemoteProtocolError(f"Query Next Image Request of {len(frame)} octets is too short") from None
    return QueryRequest(manufacturer_code, image_type, None if version == UNKNOWN_VERSION else version, hardware)


def read_end(frame: bytes) -> EndRequest:
    """Read an Upgrade End Request; raises RemoteProtocolError where it is too short."""
    try:
        return EndRequest(*_END.unpack_from(frame, 3))
    except struct.error:
        raise RemoteProtocolError(f"Upgrade End Request of {len(frame)} octets is too short") from None


def read_device_specific(frame: bytes) -> FileRequest:
    """Read a Query Device Specific File Request; raises RemoteProtocolError where it is too short."""
    try:
        return FileRequest(*_FILE.unpack_from(frame, 3))
    except struct.error:
        raise RemoteProtocolError(f"Query Device Specific File Request of {len(frame)} octets is too short") from None


def block_response(tsn: int, request: BlockRequest | PageRequest, offset: int, data: memoryview) -> bytes:
    """Image Block Response with data (11.13.8)."""
    head = _BLOCK_RESPONSE.pack(_ANSWER, tsn, 0x05, SUCCESS, request.manufacturer_code, request.image_type, request.file_version, offset, len(data))
    return head + data


def block_wait(tsn: int, *, seconds: int, minimum_block_period: int) -> bytes:
    """Image Block Response WAIT_FOR_DATA, as an offset for clients without a clock: current time 0, request time in seconds."""
    return _WAIT_RESPONSE.pack(_ANSWER, tsn, 0x05, WAIT_FOR_DATA, 0, seconds, minimum_block_period)


def block_abort(tsn: int) -> bytes:
    """Image Block Response ABORT."""
    return _STATUS_RESPONSE.pack(_ANSWER, tsn, 0x05, ABORT)


def query_response(tsn: int, request: QueryRequest, *, file_version: int, size: int) -> bytes:
    """Query Next Image Response that offers an image (11.13.5); `size` in octets."""
    return _QUERY_RESPONSE.pack(_ANSWER, tsn, 0x02, SUCCESS, request.manufacturer_code, request.image_type, file_version, size)


def query_refusal(tsn: int, status: int) -> bytes:
    """Query Next Image Response that offers nothing."""
    return _STATUS_RESPONSE.pack(_ANSWER, tsn, 0x02, status)


def end_response(tsn: int, *, manufacturer_code: int, image_type: int, file_version: int, upgrade_time: int) -> bytes:
    """Upgrade End Response (11.13.9.6) with current time 0: `upgrade_time` is seconds from now, or WAIT_FOR_COMMAND."""
    return _END_RESPONSE.pack(_ANSWER, tsn, UPGRADE_END_RESPONSE, manufacturer_code, image_type, file_version, 0, upgrade_time)


def device_specific_refusal(tsn: int) -> bytes:
    """Query Device Specific File Response that has none (11.13.11)."""
    return _STATUS_RESPONSE.pack(_ANSWER, tsn, 0x09, NO_IMAGE_AVAILABLE)


def default_response(tsn: int, command: int, status: int) -> bytes:
    """Default Response to the client (2.5.12)."""
    return _DEFAULT.pack(_GLOBAL, tsn, _DEFAULT_RESPONSE, command, status)


def image_notify(
    tsn: int,
    *,
    jitter: int = 100,
    manufacturer_code: int | None = None,
    image_type: int | None = None,
    file_version: int | None = None,
) -> bytes:
    """Image Notify (11.13.3). The payload type follows from what is given: 0 jitter, 1 and manufacturer, 2 and type, 3 and version."""
    fields = [(manufacturer_code, "<H"), (image_type, "<H"), (file_version, "<I")]
    body = b""
    payload_type = 0
    for value, form in fields:
        if value is None:
            break
        body += struct.pack(form, value)
        payload_type += 1
    return bytes((_ANSWER, tsn, IMAGE_NOTIFY, payload_type, jitter)) + body
