"""The Zigbee OTA upgrade file (ZCL 8, 11.4): header, sub-elements, and the wrappers that vendors put around it.

Two rules for this file: what is sent to a device is a view of the bytes as they came, `total image size` of them, never a re-made file; and the
walk over the sub-elements informs people but decides nothing, because real images of several vendors do not follow 11.4.3 behind the header.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType

from otagate.model.errors import Malformed, TooLarge
from otagate.model.images import Check, ImageFacts
from otagate.model.versions import MAX_FILE_VERSION

FORMAT = "zigbee-ota"
MAGIC = b"\x1e\xf1\xee\x0b"
"""The OTA upgrade file identifier 0x0BEEF11E as it lies in the file, little-endian (11.4.2.1)."""

PREFIX_LIMIT = 1024
"""The header is looked for in this many bytes, to tell what a file is that we cannot use."""

CONTAINER_MAGIC = b"NGIS"
CONTAINER_LIMIT = 40 + 32 * 1024
"""An IKEA container may put at most this many bytes before the header: digests for 16 MiB in blocks of 16 KiB; the longest known has 712."""

ELEMENT_HEAD = 6
"""Bytes of a sub-element before its data: tag and length."""

ELEMENT_LIMIT = 4096
"""The survey for people counts no further than this; the richest known image has 175 sub-elements."""

FIELD_OFFSETS = MappingProxyType(
    {
        "OTA upgrade file identifier": 0,
        "header version": 4,
        "header length": 6,
        "field control": 8,
        "manufacturer code": 10,
        "image type": 12,
        "file version": 14,
        "Zigbee stack version": 18,
        "OTA header string": 20,
        "total image size": 52,
    }
)
"""Where the mandatory fields of the header begin, in bytes (11.4.2, table of header fields)."""

_HEADER = struct.Struct("<4sHHHHHIH32sI")
_ELEMENT = struct.Struct("<HI")
_CONTAINER_OFFSET = struct.Struct("<I")
_CONTAINER_OFFSET_AT = 16
_LENGTH_PREFIX = 4

_HAS_CREDENTIAL = 0b001
_HAS_DESTINATION = 0b010
_HAS_HARDWARE = 0b100


@dataclass(frozen=True, slots=True, kw_only=True)
class SubElement:
    """One sub-element (11.4.3): `offset` is that of its tag in the bytes as sent, `length` what it says of itself, `data` a view of what is there."""

    tag: int
    offset: int
    length: int
    data: memoryview

    @property
    def overruns(self) -> bool:
        """Whether it says that it is longer than the image."""
        return self.length > len(self.data)

    @property
    def end(self) -> int:
        """Where what is there of it ends, in the bytes as sent."""
        return self.offset + ELEMENT_HEAD + len(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZigbeeImage:
    """A parsed OTA upgrade file; the views share the memory that was given to `parse`.

    `payload_view` is exactly what a device is sent: `total_size` bytes, header included. `prefix` and `trailing` are what lies around it in the
    file. `header_string` is made fit for people. Hardware bounds are inclusive; `destination` is a 64-bit IEEE address.
    """

    header_version: int
    header_length: int
    field_control: int
    manufacturer_code: int
    image_type: int
    file_version: int
    stack_version: int
    header_string: str
    total_size: int
    security_credential_version: int | None
    destination: int | None
    hardware_min: int | None
    hardware_max: int | None
    payload_view: memoryview
    prefix: memoryview
    trailing: memoryview

    def elements(self) -> Iterator[SubElement]:
        """The sub-elements, lazily and without copying; ends after one that overruns, or where less than an element's head is left."""
        position = self.header_length
        while position + ELEMENT_HEAD <= self.total_size:
            tag, length = _ELEMENT.unpack_from(self.payload_view, position)
            start = position + ELEMENT_HEAD
            element = SubElement(tag=tag, offset=position, length=length, data=self.payload_view[start : start + length])
            yield element
            if element.overruns:
                return
            position = start + length


def parse(data: bytes | memoryview, *, limit: int) -> ZigbeeImage:
    """Read an OTA upgrade file of at most `limit` bytes; costs the same for every size of file.

    Raises TooLarge for a longer file, and Malformed, naming the field and its byte offset in the file, for one that is no OTA upgrade file, is
    truncated, or contradicts itself.
    """
    if len(data) > limit:
        raise TooLarge(f"the file has {len(data)} bytes, and {limit} are allowed")
    view = memoryview(data).toreadonly().cast("B")
    at = _header_offset(view)
    (_, version, header_length, control, maker, image_type, file_version, stack, text, total) = _unpack_header(view, at)
    _check_sizes(view, at, header_version=version, header_length=header_length, total_size=total)
    if file_version > MAX_FILE_VERSION:
        raise Malformed(f"{_field('file version', at)} is 0xffffffff, which is the wild card and no version")
    credential, destination, hardware = _optional_fields(view, at, control, header_length)
    end = at + total
    return ZigbeeImage(
        header_version=version,
        header_length=header_length,
        field_control=control,
        manufacturer_code=maker,
        image_type=image_type,
        file_version=file_version,
        stack_version=stack,
        header_string=_readable(text),
        total_size=total,
        security_credential_version=credential,
        destination=destination,
        hardware_min=hardware[0] if hardware else None,
        hardware_max=hardware[1] if hardware else None,
        payload_view=view[at:end],
        prefix=view[:at],
        trailing=view[end:],
    )


def facts(image: ZigbeeImage) -> ImageFacts:
    """What the image says of itself, with the checks that hold for every vendor: header, length and sub-elements."""
    return ImageFacts(
        format=FORMAT,
        size=image.total_size,
        manufacturer_code=image.manufacturer_code,
        image_type=image.image_type,
        file_version=image.file_version,
        stack_version=image.stack_version,
        header_string=image.header_string,
        hardware_min=image.hardware_min,
        hardware_max=image.hardware_max,
        security_credential_version=image.security_credential_version,
        destination=image.destination,
        checks=(_header_check(image), _length_check(image), _elements_check(image)),
    )


# --- reading the header ----------------------------------------------------------------------------------------------------------------


def _field(name: str, at: int) -> str:
    """Name a header field with its byte offset in the file."""
    return f"{name} at byte {at + FIELD_OFFSETS[name]}"


def _header_offset(view: memoryview) -> int:
    """Find the OTA header: at byte 0, or behind one of the wrappers that are known."""
    head = bytes(view[: PREFIX_LIMIT + len(MAGIC)])
    found = head.find(MAGIC)
    if found == 0:
        return 0
    if head.startswith(CONTAINER_MAGIC):
        return _offset_in_container(view)
    if found == _LENGTH_PREFIX:
        _check_length_prefix(view)
        return _LENGTH_PREFIX
    if found > 0:
        raise Malformed(f"the OTA upgrade file identifier stands at byte {found}, behind a wrapper that is not known")
    raise Malformed(f"there is no OTA upgrade file identifier (1e f1 ee 0b) in the first {PREFIX_LIMIT} bytes: this is not a Zigbee OTA file")


def _offset_in_container(view: memoryview) -> int:
    """The header's place in an IKEA container: a little-endian offset at byte 16; a block list before it, a signature behind."""
    if len(view) < _CONTAINER_OFFSET_AT + _CONTAINER_OFFSET.size:
        raise Malformed(f"the NGIS container ends at byte {len(view)}, before the image offset at byte {_CONTAINER_OFFSET_AT}")
    (offset,) = _CONTAINER_OFFSET.unpack_from(view, _CONTAINER_OFFSET_AT)
    if offset > CONTAINER_LIMIT:
        raise Malformed(f"the NGIS container's image offset at byte {_CONTAINER_OFFSET_AT} is {offset}, more than {CONTAINER_LIMIT}")
    if bytes(view[offset : offset + 4]) != MAGIC:
        raise Malformed(f"the NGIS container's image offset at byte {_CONTAINER_OFFSET_AT} is {offset}, but no OTA header begins there")
    return int(offset)


def _check_length_prefix(view: memoryview) -> None:
    """Legrand puts the total image size once more before the header; any other four bytes are not a wrapper we know."""
    at = _LENGTH_PREFIX + FIELD_OFFSETS["total image size"]
    total = bytes(view[at : at + 4])
    if len(total) == 4 and total != bytes(view[:4]):
        raise Malformed(f"the OTA header begins at byte 4, but the four bytes before it do not repeat the total image size at byte {at}")


def _unpack_header(view: memoryview, at: int) -> tuple[bytes, int, int, int, int, int, int, int, bytes, int]:
    available = len(view) - at
    if available < _HEADER.size:
        cut = [name for name, offset in FIELD_OFFSETS.items() if offset <= available][-1]
        raise Malformed(f"the file is truncated: it ends at byte {len(view)}, in the OTA header's {_field(cut, at)}")
    magic, version, length, control, maker, image_type, file_version, stack, text, total = _HEADER.unpack_from(view, at)
    return magic, version, length, control, maker, image_type, file_version, stack, text, total


def _check_sizes(view: memoryview, at: int, *, header_version: int, header_length: int, total_size: int) -> None:
    """The header's version and lengths must agree with each other and with the file."""
    if header_version >> 8 != 1:
        # 11.4.2.2: a new minor version is backward compatible, a new major version is not.
        raise Malformed(f"{_field('header version', at)} is 0x{header_version:04x}, and only major version 1 is known")
    if header_length < _HEADER.size:
        raise Malformed(f"{_field('header length', at)} is {header_length}, less than the {_HEADER.size} bytes of the mandatory fields")
    if total_size < header_length:
        raise Malformed(f"{_field('total image size', at)} is {total_size}, less than the header length {header_length}")
    available = len(view) - at
    if available < total_size:
        raise Malformed(f"the file is truncated: {_field('total image size', at)} is {total_size}, but only {available} bytes are there")


def _optional_fields(view: memoryview, at: int, control: int, header_length: int) -> tuple[int | None, int | None, tuple[int, int] | None]:
    """The fields that the field control announces (11.4.2.4), in their fixed order; what lies behind them in the header is not read."""
    wanted = _HEADER.size
    wanted += (1 if control & _HAS_CREDENTIAL else 0) + (8 if control & _HAS_DESTINATION else 0) + (4 if control & _HAS_HARDWARE else 0)
    if wanted > header_length:
        raise Malformed(
            f"{_field('field control', at)} is 0x{control:04x}, whose fields need a header of {wanted} bytes,"
            f" but {_field('header length', at)} is {header_length}"
        )
    position = at + _HEADER.size
    credential: int | None = None
    destination: int | None = None
    hardware: tuple[int, int] | None = None
    if control & _HAS_CREDENTIAL:
        credential = view[position]
        position += 1
    if control & _HAS_DESTINATION:
        (destination,) = struct.unpack_from("<Q", view, position)
        position += 8
    if control & _HAS_HARDWARE:
        low, high = struct.unpack_from("<HH", view, position)
        hardware = (low, high)
        if low > high:
            raise Malformed(f"minimum hardware version at byte {position} is {low}, above the maximum {high} at byte {position + 2}")
    return credential, destination, hardware


def _readable(text: bytes) -> str:
    """The header string for people: cut at padding; what is not printable becomes a replacement character (it is untrusted text)."""
    decoded = text.rstrip(b"\x00\xff \t").decode("utf-8", errors="replace")
    return "".join(character if character.isprintable() else "\ufffd" for character in decoded)


# --- checks ----------------------------------------------------------------------------------------------------------------------------


def _header_check(image: ZigbeeImage) -> Check:
    extra = image.header_length - _HEADER.size - _optional_size(image)
    behind = f", {extra} bytes of it unknown" if extra else ""
    return Check(name="header", result="pass", detail=f"Header version 0x{image.header_version:04x}, {image.header_length} bytes{behind}.")


def _optional_size(image: ZigbeeImage) -> int:
    sizes = ((image.security_credential_version, 1), (image.destination, 8), (image.hardware_min, 4))
    return sum(size for value, size in sizes if value is not None)


def _length_check(image: ZigbeeImage) -> Check:
    detail = f"All {image.total_size} bytes that the header announces are there"
    around = [f"{len(view)} {where}" for view, where in ((image.prefix, "before"), (image.trailing, "behind")) if len(view)]
    cut = f"; {' and '.join(around)} them belong to a wrapper and are cut off" if around else ""
    return Check(name="length", result="pass", detail=f"{detail}{cut}.")


def _elements_check(image: ZigbeeImage) -> Check:
    """Survey the sub-elements. Never a failure: several vendors' good images do not follow 11.4.3."""
    count, end = 0, image.header_length
    for element in image.elements():
        if element.overruns:
            detail = f"Sub-element 0x{element.tag:04x} at byte {element.offset} says {element.length} bytes, but {len(element.data)} are left."
            return Check(name="elements", result="unknown", detail=detail)
        count, end = count + 1, element.end
        if count > ELEMENT_LIMIT:
            return Check(name="elements", result="unknown", detail=f"More than {ELEMENT_LIMIT} sub-elements; not counted further.")
    left = image.total_size - end
    if left:
        whole = f"{count} sub-element{'' if count == 1 else 's'}"
        return Check(name="elements", result="unknown", detail=f"{whole}, then {left} bytes that are no sub-element.")
    if not count:
        return Check(name="elements", result="unknown", detail="There is nothing behind the header.")
    return Check(name="elements", result="pass", detail=f"{count} {'sub-element fills' if count == 1 else 'sub-elements fill'} the image exactly.")
