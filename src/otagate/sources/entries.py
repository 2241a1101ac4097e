"""Values out of somebody else's JSON: each is read as what it must be, or the entry is told to be wrong, by its field."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeGuard, TypeVar
from urllib.parse import urlsplit

from otagate.sources.source import Skipped

T = TypeVar("T")
_FILES = ("fileName", "name", "url", "binary_url", "fw_binary_url")
_DECIMAL = re.compile(r"-?[0-9]{1,18}")
_SHOWN = 10**18
_LONGEST_HEADER = 4096
_HEX = re.compile(r"[0-9a-f]+")


class BadEntry(Exception):
    """An entry of an answer cannot be used; the text is a sentence that names the field."""


def whole(entry: Mapping[str, Any], key: str, *, least: int = 0, most: int) -> int:
    """An integer in a range, also where it is written as decimal text. Raises BadEntry."""
    value = entry.get(key)
    if isinstance(value, str) and _DECIMAL.fullmatch(value.strip()):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadEntry(f"{key} is no whole number")
    if not least <= value <= most:
        shown = str(value) if abs(value) < _SHOWN else "a number of more than 18 digits"
        raise BadEntry(f"{key} is {shown}, outside {least} to {most}")
    return value


def maybe_whole(entry: Mapping[str, Any], key: str, *, least: int = 0, most: int) -> int | None:
    """The same, or None where the field is absent or null. Raises BadEntry."""
    return None if entry.get(key) is None else whole(entry, key, least=least, most=most)


def flag(entry: Mapping[str, Any], key: str) -> bool:
    """True or false, also where it is written as text. Raises BadEntry."""
    value = entry.get(key)
    if isinstance(value, str):
        value = {"true": True, "false": False}.get(value.strip().lower())
    if not isinstance(value, bool):
        raise BadEntry(f"{key} is neither true nor false")
    return value


def maybe_flag(entry: Mapping[str, Any], key: str) -> bool | None:
    """The same, or None where the field is absent or null. Raises BadEntry."""
    return None if entry.get(key) is None else flag(entry, key)


def text(entry: Mapping[str, Any], key: str, *, longest: int = 500) -> str:
    """Text that is not empty. Raises BadEntry."""
    value = entry.get(key)
    if not isinstance(value, str) or not value.strip():
        raise BadEntry(f"{key} is no text")
    if len(value) > longest:
        raise BadEntry(f"{key} is longer than {longest} characters")
    return value


def maybe_text(entry: Mapping[str, Any], key: str, *, longest: int = 500) -> str | None:
    """Text, cut at `longest`; None for anything else: for what is only shown."""
    value = entry.get(key)
    return value[:longest] if isinstance(value, str) and value.strip() else None


def moment(value: Any) -> datetime | None:
    """An ISO 8601 time in UTC, which is also meant where no offset is named; None for anything else: for what is only shown."""
    try:
        read = datetime.fromisoformat(value) if isinstance(value, str) else None
        if read is None:
            return None
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def words(message: Any) -> str:
    """What a service says of itself, for people: printable, of bounded length, without addresses, which may hold what signs them."""
    if not isinstance(message, str):
        return "no reason"
    shown = "".join(char for char in message[:_LONGEST_HEADER] if char.isprintable())
    return " ".join("(an address)" if "://" in each else each for each in shown.split(" "))[:160] or "no reason"


def is_header_value(value: Any) -> TypeGuard[str]:
    """Whether it can stand in a header of a request: printable ASCII of bounded length."""
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_HEADER and value.isascii() and value.isprintable()


def is_http_address(url: str) -> bool:
    """Whether it is an http or https URL with a host, and with a port that there is."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def digest(entry: Mapping[str, Any], key: str, *, digits: int) -> str:
    """So many hex digits, made lower case. Raises BadEntry."""
    value = text(entry, key, longest=200).strip().lower()
    if len(value) != digits or _HEX.fullmatch(value) is None:
        raise BadEntry(f"{key} is not {digits} hex digits")
    return value


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """A JSON object. Raises BadEntry."""
    if not isinstance(value, dict):
        raise BadEntry(f"{what} is no object")
    return value


def read_each(entries: Iterable[Any], read: Callable[[Mapping[str, Any]], T], *, what: str) -> tuple[list[T], list[Skipped]]:
    """Read every entry; one that is wrong is skipped and named by its place and its file, and the rest serve."""
    good: list[T] = []
    skipped: list[Skipped] = []
    for number, entry in enumerate(entries, 1):
        try:
            good.append(read(mapping(entry, what)))
        except BadEntry as error:
            skipped.append(Skipped(what=f"{what} {number}{_file(entry)}", why=str(error)))
    return good, skipped


def _file(entry: Any) -> str:
    """The name of the file that an entry is about, in brackets: without the address, which may be more than a name."""
    if not isinstance(entry, dict):
        return ""
    named = next((value for key in _FILES if isinstance(value := entry.get(key), str) and value.strip()), "")
    name = "".join(char for char in named.partition("?")[0].rpartition("/")[2] if char.isprintable())[:80]
    return f" ({name})" if name else ""
