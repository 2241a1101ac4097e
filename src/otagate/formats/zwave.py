"""Firmware files for Z-Wave nodes: containers to the very bytes that a node is sent.

A Z-Wave image says nothing of itself: no manufacturer, no product, no version. What can be told is the container, by its first bytes or, for raw
bytes, by nothing but the name of the file. What an update service promises of an image, its digest too, is said of the bytes that come out here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath

from otagate.formats import silabs, zwave_updater
from otagate.formats.zwave_hex import begins_like_hex, parse_hex
from otagate.model.errors import ImageError, Malformed
from otagate.model.images import Check, ImageFacts

GBL = b"\xeb\x17\xa6\x03"
ENCRYPTED_HEX = b"HSENC2"

RAW = frozenset({".bin", ".ota", ".otz"})
"""Endings of files whose bytes are the image, where they are not Intel HEX. Zigbee files end in .ota too, and are told by their bytes."""

UPDATERS = frozenset({".exe", ".ex_"})
ENDINGS = RAW | UPDATERS | {".gbl", ".hec", ".hex"}
"""Endings of the files that makers give for Z-Wave nodes."""

_TEXT = re.compile(rb"[\t\r\n\x20-\x7e]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedFirmware:
    """An image as a node is sent it. `target`: the firmware target, where the container names it."""

    format: str
    view: memoryview
    target: int | None = None
    checks: tuple[Check, ...] = ()


def recognise(data: bytes | memoryview, file_name: str) -> bool:
    """Whether this is a Z-Wave firmware file: told by its first bytes, or by its name where they tell nothing."""
    view, ending = memoryview(data), _ending(file_name)
    return _container(view, ending) is not None or _is_raw(view, ending) or ending in ENDINGS - {".ota"}


def is_bare(data: bytes | memoryview, file_name: str) -> bool:
    """Whether the bytes of the file are those that a node is sent."""
    view, ending = memoryview(data), _ending(file_name)
    container = _container(view, ending)
    return container is _gbl or (container is None and _is_raw(view, ending))


def decode(data: bytes | memoryview, file_name: str, *, limit: int) -> DecodedFirmware:
    """Take the image out of its container; at most `limit` bytes come out.

    Intel HEX that is damaged is never taken for raw bytes, whatever its name. Raises Malformed; TooLarge; ImageError for encrypted Intel HEX.
    """
    view, ending = memoryview(data).toreadonly(), _ending(file_name)
    container = _container(view, ending)
    if container is not None:
        return container(view, limit)
    if _is_raw(view, ending):
        return DecodedFirmware(format=ending[1:], view=view, checks=(_contents(view),))
    if ending in RAW:
        raise Malformed("this is plain text, and no Intel HEX: it is no firmware file")
    if ending == ".gbl":
        raise Malformed("this is no GBL file, though its name says so: it does not begin with EB 17 A6 03")
    if ending == ".hec":
        raise Malformed("this is no encrypted Intel HEX, though its name says so: it does not begin with HSENC2")
    raise Malformed("this is no Z-Wave firmware file that is known here")


def facts(firmware: DecodedFirmware) -> ImageFacts:
    """What is known of an image: next to nothing."""
    return ImageFacts(format=f"zwave-{firmware.format}", protocol="zwave", size=len(firmware.view), target=firmware.target, checks=firmware.checks)


def _container(view: memoryview, ending: str) -> Callable[[memoryview, int], DecodedFirmware] | None:
    """How to open what this is: by its first bytes, which say more than a name; else by the name."""
    if view[: len(GBL)] == GBL:
        return _gbl
    if view[: len(ENCRYPTED_HEX)] == ENCRYPTED_HEX:
        return _encrypted_hex
    if begins_like_hex(view) or ending == ".hex":
        return _hex
    if zwave_updater.is_program(view) or ending in UPDATERS:
        return _updater
    return None


def _is_raw(view: memoryview, ending: str) -> bool:
    """Whether the bytes are the image, by the name. Where makers give Intel HEX and raw bytes under one ending, other text is neither."""
    return ending in RAW and (ending == ".bin" or _TEXT.fullmatch(view) is None)


def _gbl(view: memoryview, _: int) -> DecodedFirmware:
    return DecodedFirmware(format="gbl", view=view, checks=(_contents(view),))


def _encrypted_hex(_: memoryview, __: int) -> DecodedFirmware:
    raise ImageError("this is encrypted Intel HEX (HSENC2), which is not opened here: give the same firmware as .gbl, .otz, .hex or .bin")


def _hex(view: memoryview, limit: int) -> DecodedFirmware:
    image = memoryview(parse_hex(bytes(view), limit=limit))
    sound = Check(name="container", result="pass", detail="Intel HEX whose lines all have the right checksum, up to its end record.")
    return DecodedFirmware(format="hex", view=image, checks=(_contents(image), sound))


def _updater(view: memoryview, _: int) -> DecodedFirmware:
    updater = zwave_updater.cut_out(view)
    return DecodedFirmware(format="exe", view=updater.image, target=updater.target, checks=(_contents(updater.image), updater.check))


def _contents(image: memoryview) -> Check:
    """What the image itself can be held to: a GBL file to its CRC-32, anything else to nothing."""
    if image[: len(GBL)] == GBL:
        return silabs.check(image, silabs.GBL, whole=True)
    return Check(name="contents", result="unknown", detail="Raw bytes: nothing in them can be checked.")


def _ending(file_name: str) -> str:
    return PurePath(file_name).suffix.lower()
