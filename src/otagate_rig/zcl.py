"""ZCL frames, attribute values and the general commands of a device (ZCL rev 8 chapter 2)."""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CLUSTER_SPECIFIC = 0x01
MANUFACTURER_SPECIFIC = 0x04
FROM_SERVER = 0x08
NO_DEFAULT_RESPONSE = 0x10

READ_ATTRIBUTES = 0x00
READ_ATTRIBUTES_RESPONSE = 0x01
WRITE_ATTRIBUTES = 0x02
WRITE_ATTRIBUTES_UNDIVIDED = 0x03
WRITE_ATTRIBUTES_RESPONSE = 0x04
WRITE_ATTRIBUTES_NO_RESPONSE = 0x05
CONFIGURE_REPORTING = 0x06
CONFIGURE_REPORTING_RESPONSE = 0x07
READ_REPORTING = 0x08
READ_REPORTING_RESPONSE = 0x09
REPORT_ATTRIBUTES = 0x0A
DEFAULT_RESPONSE = 0x0B
DISCOVER_ATTRIBUTES = 0x0C
DISCOVER_ATTRIBUTES_RESPONSE = 0x0D

# The largest ASDU that fits one frame without a source route; a response that would be longer is cut at a record.
MAX_ASDU = 82


class Status(enum.IntEnum):
    """ZCL status codes (§2.6.3) that the rig uses."""

    SUCCESS = 0x00
    FAILURE = 0x01
    NOT_AUTHORIZED = 0x7E
    MALFORMED_COMMAND = 0x80
    UNSUP_COMMAND = 0x81
    INVALID_FIELD = 0x85
    UNSUPPORTED_ATTRIBUTE = 0x86
    INVALID_VALUE = 0x87
    READ_ONLY = 0x88
    INSUFFICIENT_SPACE = 0x89
    NOT_FOUND = 0x8B
    UNREPORTABLE_ATTRIBUTE = 0x8C
    INVALID_DATA_TYPE = 0x8D
    ABORT = 0x95
    INVALID_IMAGE = 0x96
    WAIT_FOR_DATA = 0x97
    NO_IMAGE_AVAILABLE = 0x98
    REQUIRE_MORE_IMAGE = 0x99
    UNSUPPORTED_CLUSTER = 0xC3


class DataType(enum.IntEnum):
    """ZCL data types (§2.6.2) that the rig's attributes have."""

    BOOLEAN = 0x10
    BITMAP8 = 0x18
    UINT8 = 0x20
    UINT16 = 0x21
    UINT24 = 0x22
    UINT32 = 0x23
    INT16 = 0x29
    ENUM8 = 0x30
    STRING = 0x42
    EUI64 = 0xF0


_SIZES = {
    DataType.BOOLEAN: 1,
    DataType.BITMAP8: 1,
    DataType.UINT8: 1,
    DataType.UINT16: 2,
    DataType.UINT24: 3,
    DataType.UINT32: 4,
    DataType.INT16: 2,
    DataType.ENUM8: 1,
    DataType.EUI64: 8,
}


def size_of(kind: DataType) -> int:
    """The octets of a value of a type of fixed size."""
    return _SIZES[kind]


class MalformedError(ValueError):
    """The bytes are shorter or longer than the command that they claim to be."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One ZCL frame (§2.4.1)."""

    control: int
    tsn: int
    command: int
    payload: bytes
    manufacturer: int | None = None

    @property
    def cluster_specific(self) -> bool:
        """Whether the command belongs to the cluster rather than to the foundation."""
        return self.control & 0x03 == CLUSTER_SPECIFIC

    @property
    def from_server(self) -> bool:
        """Whether the frame goes from the server side of the cluster to the client side."""
        return bool(self.control & FROM_SERVER)


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of a cluster with its present value."""

    id: int
    type: DataType
    value: int | str
    writable: bool = False


def decode(data: bytes) -> Frame:
    """Split a ZCL frame into header and payload; raise MalformedError where the header is cut short."""
    if len(data) < 3:
        raise MalformedError("shorter than a ZCL header")
    control = data[0]
    if control & MANUFACTURER_SPECIFIC:
        if len(data) < 5:
            raise MalformedError("shorter than a manufacturer specific ZCL header")
        return Frame(control, data[3], data[4], data[5:], data[1] | data[2] << 8)
    return Frame(control, data[1], data[2], data[3:])


def encode(control: int, tsn: int, command: int, payload: bytes = b"", manufacturer: int | None = None) -> bytes:
    """Write a ZCL frame; the manufacturer bit follows from `manufacturer`."""
    if manufacturer is None:
        return bytes((control, tsn, command)) + payload
    return struct.pack("<BHBB", control | MANUFACTURER_SPECIFIC, manufacturer, tsn, command) + payload


def default_response(frame: Frame, status: int) -> bytes:
    """Write the Default Response to `frame` (§2.5.12), in the opposite direction and with the same sequence number."""
    control = (frame.control & FROM_SERVER ^ FROM_SERVER) | NO_DEFAULT_RESPONSE
    return encode(control, frame.tsn, DEFAULT_RESPONSE, bytes((frame.command, status)), frame.manufacturer)


def wants_default_response(frame: Frame, status: int) -> bool:
    """Tell whether a unicast `frame` that ended with `status` and had no other answer gets a Default Response (§2.5.12.2)."""
    if not frame.cluster_specific and frame.command == DEFAULT_RESPONSE:
        return False
    return status != Status.SUCCESS or not frame.control & NO_DEFAULT_RESPONSE


def encode_value(attribute: Attribute) -> bytes:
    """Write the value of an attribute without its type."""
    if isinstance(attribute.value, str):
        text = attribute.value.encode()[:254]
        return bytes((len(text),)) + text
    return attribute.value.to_bytes(_SIZES[attribute.type], "little", signed=attribute.type is DataType.INT16)


def decode_value(kind: int, data: bytes) -> tuple[int | str, int]:
    """Read a value of data type `kind` from the start of `data`; return it with the number of bytes it took."""
    if kind == DataType.STRING:
        if not data or len(data) < 1 + data[0]:
            raise MalformedError("a string that ends too early")
        return data[1 : 1 + data[0]].decode("utf-8", "replace"), 1 + data[0]
    if kind not in _SIZES:
        raise MalformedError(f"unknown data type 0x{kind:02X}")
    size = _SIZES[DataType(kind)]
    if len(data) < size:
        raise MalformedError("a value that ends too early")
    return int.from_bytes(data[:size], "little", signed=kind == DataType.INT16), size


@dataclass(frozen=True, slots=True)
class Answer:
    """What a general command leads to: a response frame, or only a status, and the values and reports (attribute, record) that it set."""

    status: Status = Status.SUCCESS
    response: bytes | None = None
    written: tuple[Attribute, ...] = ()
    reported: tuple[tuple[int, bytes], ...] = ()


def answer_general(frame: Frame, attributes: Mapping[int, Attribute], reports: Mapping[int, bytes] = MappingProxyType({})) -> Answer:
    """Answer a general command about the `attributes` of one side of a cluster (§2.5), and about its `reports`: records from the data type on."""
    try:
        if frame.command == READ_ATTRIBUTES:
            return _respond(frame, READ_ATTRIBUTES_RESPONSE, _read_records(frame.payload, attributes))
        if frame.command in (WRITE_ATTRIBUTES, WRITE_ATTRIBUTES_UNDIVIDED, WRITE_ATTRIBUTES_NO_RESPONSE):
            return _answer_write(frame, attributes)
        if frame.command == CONFIGURE_REPORTING:
            return _answer_reporting(frame, attributes)
        if frame.command == READ_REPORTING:
            return _respond(frame, READ_REPORTING_RESPONSE, _reporting_records(frame.payload, attributes, reports))
        if frame.command == DISCOVER_ATTRIBUTES:
            return _answer_discovery(frame, attributes)
    except MalformedError:
        return Answer(Status.MALFORMED_COMMAND)
    if frame.command in (DEFAULT_RESPONSE, READ_ATTRIBUTES_RESPONSE, REPORT_ATTRIBUTES, WRITE_ATTRIBUTES_RESPONSE):
        return Answer()
    return Answer(Status.UNSUP_COMMAND)


def _respond(
    frame: Frame, command: int, records: Iterable[bytes], written: tuple[Attribute, ...] = (), reported: tuple[tuple[int, bytes], ...] = ()
) -> Answer:
    room = MAX_ASDU - (3 if frame.manufacturer is None else 5)
    payload = b""
    for record in records:
        if len(payload) + len(record) > room:
            break
        payload += record
    control = (frame.control & FROM_SERVER ^ FROM_SERVER) | NO_DEFAULT_RESPONSE
    return Answer(response=encode(control, frame.tsn, command, payload, frame.manufacturer), written=written, reported=reported)


def _read_records(payload: bytes, attributes: Mapping[int, Attribute]) -> Iterable[bytes]:
    if len(payload) % 2:
        raise MalformedError("half an attribute id")
    for (attribute_id,) in struct.iter_unpack("<H", payload):
        attribute = attributes.get(attribute_id)
        if attribute is None:
            yield struct.pack("<HB", attribute_id, Status.UNSUPPORTED_ATTRIBUTE)
        else:
            yield struct.pack("<HBB", attribute_id, Status.SUCCESS, attribute.type) + encode_value(attribute)


def _answer_write(frame: Frame, attributes: Mapping[int, Attribute]) -> Answer:
    written: list[Attribute] = []
    failures: list[bytes] = []
    rest = frame.payload
    while rest:
        if len(rest) < 3:
            raise MalformedError("a write record that ends too early")
        attribute_id, kind = struct.unpack_from("<HB", rest)
        value, size = decode_value(kind, rest[3:])
        rest = rest[3 + size :]
        status = _write_status(attributes.get(attribute_id), kind)
        if status is Status.SUCCESS:
            written.append(Attribute(attribute_id, DataType(kind), value, writable=True))
        else:
            failures.append(struct.pack("<BH", status, attribute_id))
    if frame.command == WRITE_ATTRIBUTES_UNDIVIDED and failures:
        written.clear()
    if frame.command == WRITE_ATTRIBUTES_NO_RESPONSE:
        return Answer(response=b"", written=tuple(written))
    return _respond(frame, WRITE_ATTRIBUTES_RESPONSE, failures or [bytes((Status.SUCCESS,))], tuple(written))


def _write_status(attribute: Attribute | None, kind: int) -> Status:
    if attribute is None:
        return Status.UNSUPPORTED_ATTRIBUTE
    if not attribute.writable:
        return Status.READ_ONLY
    return Status.SUCCESS if attribute.type == kind else Status.INVALID_DATA_TYPE


def _answer_reporting(frame: Frame, attributes: Mapping[int, Attribute]) -> Answer:
    """Keep every report configuration of a known attribute; the rig's devices never report by themselves."""
    failures: list[bytes] = []
    reported: list[tuple[int, bytes]] = []
    rest = frame.payload
    while rest:
        if len(rest) < 5:
            raise MalformedError("a reporting record that ends too early")
        direction, attribute_id, kind = struct.unpack_from("<BHB", rest)
        # Analogue types carry a reportable change of their own size, discrete ones (boolean, bitmap, enumeration, string) none.
        change = _SIZES[DataType(kind)] if not direction and kind in (0x20, 0x21, 0x22, 0x23, 0x29) else 0
        record, rest = (b"", rest[5:]) if direction else (rest[3 : 8 + change], rest[8 + change :])
        if attribute_id not in attributes:
            failures.append(struct.pack("<BBH", Status.UNSUPPORTED_ATTRIBUTE, direction, attribute_id))
        elif record:
            reported.append((attribute_id, record))
    return _respond(frame, CONFIGURE_REPORTING_RESPONSE, failures or [bytes((Status.SUCCESS,))], reported=tuple(reported))


def _reporting_records(payload: bytes, attributes: Mapping[int, Attribute], reports: Mapping[int, bytes]) -> Iterable[bytes]:
    if len(payload) % 3:
        raise MalformedError("half a record")
    for direction, attribute_id in struct.iter_unpack("<BH", payload):
        known = attribute_id in attributes
        status = Status.SUCCESS if attribute_id in reports else Status.NOT_FOUND if known else Status.UNSUPPORTED_ATTRIBUTE
        yield struct.pack("<BBH", status, direction, attribute_id) + reports.get(attribute_id, b"")


def _answer_discovery(frame: Frame, attributes: Mapping[int, Attribute]) -> Answer:
    if len(frame.payload) != 3:
        raise MalformedError("a discovery of the wrong length")
    start, most = struct.unpack("<HB", frame.payload)
    known = [attributes[key] for key in sorted(attributes) if key >= start]
    chosen = known[: min(most, 25)]
    complete = bytes((len(chosen) == len(known),))
    return _respond(frame, DISCOVER_ATTRIBUTES_RESPONSE, [complete, *(struct.pack("<HB", a.id, a.type) for a in chosen)])
