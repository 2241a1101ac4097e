"""What a file is: the one entry to all formats."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from otagate.formats import contents, ikea, integrity, zigbee, zwave, zwave_archive
from otagate.model.errors import Malformed, TooLarge
from otagate.model.images import ImageFacts

CHECKS = 2
"""The edition of the checks: raised with each that is new or says something else, so that images from before it are checked again."""

_SNIFF = 512
"""Only this many bytes are looked at to tell what a file is that we cannot use."""

_STARTS: tuple[tuple[bytes, str], ...] = (
    (zwave_archive.START, "a ZIP archive"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\x1f\x8b", "a gzip archive: unpack it and give the OTA file inside"),
    (b"\x7fELF", "an ELF program, as a linker writes it, before it is made into an OTA file"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG picture"),
)
_HTML = re.compile(rb"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """What a file says of itself, and the view of exactly the bytes that a device is sent."""

    facts: ImageFacts
    view: memoryview


def identify(data: bytes | memoryview, limit: int, file_name: str = "") -> Identified:
    """Tell what firmware file this is, and make every check of it that needs no device; at most `limit` bytes.

    The name of the file counts only where its bytes say nothing: raw images of Z-Wave nodes. A ZIP archive is opened for the one Z-Wave file inside.
    A failed check is no error: the facts tell of it, and `policy.trust` refuses the image. Raises TooLarge for a longer file, SeveralImages for an
    archive of more than one, ImageError for an encrypted one, and Malformed with a sentence that says what the file is, or where it is damaged.
    """
    if len(data) > limit:
        raise TooLarge(f"the file has {len(data)} bytes, and {limit} are allowed")
    if not len(data):
        raise Malformed("the file is empty")
    if bytes(data[: len(zwave_archive.START)]) == zwave_archive.START and not _has_early_header(data):
        return _unpack(data, limit)
    return _tell(data, limit, file_name)


def is_bare(data: bytes | memoryview, file_name: str) -> bool:
    """Whether this is an image for Z-Wave nodes in no container: what is said of the image is said of the file."""
    return zigbee.MAGIC not in bytes(data[: zigbee.PREFIX_LIMIT]) and zwave.is_bare(data, file_name)


def _unpack(data: bytes | memoryview, limit: int) -> Identified:
    """Identify the one file in an archive; an archive within it is opened no more."""
    member = zwave_archive.unpack(data, endings=zwave.ENDINGS, limit=limit)
    if not member.data:
        raise Malformed("this is a ZIP archive with an empty firmware file inside")
    try:
        inside = _tell(member.data, limit, member.name)
    except Malformed as error:
        raise Malformed(f"in a ZIP archive: {error}") from error
    if inside.facts.protocol == "zigbee":
        raise Malformed("this is a ZIP archive with a Zigbee OTA file inside: unpack it and give the OTA file")
    return inside


def _tell(data: bytes | memoryview, limit: int, file_name: str) -> Identified:
    stranger = None if _has_early_header(data) else _recognise(bytes(data[:_SNIFF]))
    if stranger is not None:
        raise Malformed(f"this is {stranger}; it is no firmware file that can be sent to a device")
    if zigbee.MAGIC not in bytes(data[: zigbee.PREFIX_LIMIT]) and zwave.recognise(data, file_name):
        firmware = zwave.decode(data, file_name, limit=limit)
        return Identified(facts=zwave.facts(firmware), view=firmware.view)
    image = zigbee.parse(data, limit=limit)
    return Identified(facts=_examined(image), view=image.payload_view)


def _has_early_header(data: bytes | memoryview) -> bool:
    """Whether an OTA header is within reach: a length before it may look like the start of anything, and the header settles it."""
    return zigbee.MAGIC in (bytes(data[:4]), bytes(data[4:8]))


def _examined(image: zigbee.ZigbeeImage) -> ImageFacts:
    """The facts of the image with every check that can be made before it is sent."""
    facts = zigbee.facts(image)
    inside = contents.survey(image)
    further = [each for each in (inside.check, integrity.check(image), ikea.check(image)) if each is not None]
    return replace(facts, inner_format=inside.inner_format, checks=(*facts.checks, *further))


def _recognise(head: bytes) -> str | None:
    """Name the well-known kinds of file that people give by mistake."""
    for start, name in _STARTS:
        if head.startswith(start):
            return name
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if _HTML.match(text) or (text.startswith((b"<!--", b"<?xml")) and _HTML.search(text)):
        return "a web page (HTML), perhaps an error page saved in place of the download"
    if text.startswith((b"{", b"[")) and _looks_like_json(text):
        return "a JSON document, perhaps an index or an error message in place of the download"
    return None


def _looks_like_json(text: bytes) -> bool:
    """Whether the byte after the bracket can begin JSON and everything seen is text."""
    inner = text[1:].lstrip()
    return inner[:1] in (b'"', b"{", b"[", b"}", b"]") and all(byte >= 0x20 or byte in b"\t\r\n" for byte in text)
