"""ZIP archives that makers put around one firmware file of a Z-Wave node.

Nothing is written anywhere, so the names inside can do no harm; sizes can, and are bounded before anything is unpacked.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Set
from dataclasses import dataclass
from pathlib import PurePosixPath

from otagate.model.errors import Malformed, SeveralImages, TooLarge

START = b"PK\x03\x04"

_ENTRY = b"PK\x01\x02"
_MOST_ENTRIES = 256
_MOST_RATIO = 250
"""Deflate makes at most 1032 bytes of one; firmware, padding and Intel HEX text included, stays far below this."""
_FREE_OF_RATIO = 64 << 10
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 0x1
_SHOWN = 5

_BROKEN = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, EOFError, OSError, OverflowError, RuntimeError, ValueError)
"""What the library raises for archives that are not what they say, over the Pythons that are supported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file out of an archive; `name` without folders."""

    name: str
    data: bytes


def unpack(data: bytes | memoryview, *, endings: Set[str], limit: int) -> Member:
    """The one file of the archive whose name has one of the `endings` (with dot, lower case); at most `limit` bytes.

    Raises SeveralImages for more than one such file; TooLarge for more bytes, entries or a ratio than firmware has; Malformed for none, and for an
    archive that is damaged, encrypted or packed in an unusual way.
    """
    packed = bytes(data)
    entries = packed.count(_ENTRY)  # at least as many as the library will make objects of
    if entries > _MOST_ENTRIES:
        raise TooLarge(f"the ZIP archive has {entries} entries, and {_MOST_ENTRIES} are allowed: give the firmware file inside")
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            chosen = _choose(archive.infolist(), endings)
            _bound(chosen, limit)
            with archive.open(chosen) as member:
                content = member.read(chosen.file_size + 1)
    except _BROKEN as error:
        raise Malformed(f"this is a ZIP archive that cannot be read, damaged or cut off: {error!s:.100}") from error
    if len(content) != chosen.file_size:
        raise Malformed(f"the ZIP archive is damaged: its file {_shown(chosen)} has {len(content)} bytes in place of {chosen.file_size}")
    return Member(name=PurePosixPath(chosen.filename).name, data=content)


def _choose(entries: list[zipfile.ZipInfo], endings: Set[str]) -> zipfile.ZipInfo:
    found = [entry for entry in entries if _is_firmware(entry, endings)]
    if not found:
        known = ", ".join(sorted(endings))
        raise Malformed(f"this is a ZIP archive without a firmware file of a Z-Wave node inside ({known}): unpack it, and give what is inside")
    if len(found) > 1:
        names = ", ".join(_shown(entry) for entry in found[:_SHOWN]) + (" and more" if len(found) > _SHOWN else "")
        raise SeveralImages(f"this is a ZIP archive with {len(found)} firmware files: unpack it, and give the one that is meant ({names})")
    return found[0]


def _is_firmware(entry: zipfile.ZipInfo, endings: Set[str]) -> bool:
    path = PurePosixPath(entry.filename)
    apple = path.name.startswith("._") or "__MACOSX" in path.parts  # what macOS keeps beside every file
    return not entry.filename.endswith("/") and not apple and path.suffix.lower() in endings


def _bound(entry: zipfile.ZipInfo, limit: int) -> None:
    """Refuse what is too large, or cannot be unpacked, by what the archive says of it: what it says is held to when it is read."""
    if entry.file_size > limit:
        raise TooLarge(f"the file {_shown(entry)} in the ZIP archive has {entry.file_size} bytes, and {limit} are allowed")
    if entry.file_size > _FREE_OF_RATIO and entry.file_size > _MOST_RATIO * entry.compress_size:
        raise TooLarge(f"the file {_shown(entry)} in the ZIP archive is packed more than {_MOST_RATIO} to 1: no firmware is")
    if entry.flag_bits & _ENCRYPTED:
        raise Malformed(f"the file {_shown(entry)} in the ZIP archive is encrypted: unpack it, and give the file inside")
    if entry.compress_type not in _METHODS:
        raise Malformed(f"the file {_shown(entry)} in the ZIP archive is packed by the unusual method {entry.compress_type}: unpack it, and give it")


def _shown(entry: zipfile.ZipInfo) -> str:
    return f"{PurePosixPath(entry.filename).name!r:.80}"
