"""Values out of documents that somebody else wrote: each is what it should be, or it is None."""

from __future__ import annotations

import json
import re
from typing import Any

from otagate.model.errors import AdoptionError
from otagate.model.text import readable

MAX_TEXT = 64
"""Characters of a name, a room, a model: as many as the API lets an operator write."""

_IEEE = re.compile(r"0x[0-9a-f]{16}", re.IGNORECASE)


def read_json(data: bytes, shown: str) -> Any:
    """Whatever this JSON text says; raises AdoptionError that names the place where it cannot be read."""
    try:
        return json.loads(data.decode())
    except UnicodeDecodeError as error:
        raise AdoptionError(f"{shown} is no text: byte {error.start} is no UTF-8") from None
    except json.JSONDecodeError as error:
        raise AdoptionError(f"{shown} is cut off or damaged: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except (ValueError, RecursionError):
        raise AdoptionError(f"{shown} is damaged: a number without end, or nested without end") from None


def mapping(value: object) -> dict[str, Any]:
    """The object, or an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: object) -> list[Any]:
    """The list, or an empty one."""
    return value if isinstance(value, list) else []


def whole(value: object, among: range) -> int | None:
    """An integer of that range; true and false are none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value in among else None


def number_in(text: object, among: range) -> int | None:
    """An integer of that range from its digits, decimal or `0x…`, as a key of YAML or JSON."""
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        return None
    try:
        return whole(int(text, 0), among)
    except ValueError:
        return None


def ieee_address(text: object) -> int | None:
    """`0x000d6f000a9069e7` as a number."""
    return int(text, 16) if isinstance(text, str) and _IEEE.fullmatch(text) else None


def hex_bytes(text: object, length: int) -> bytes | None:
    """So many bytes, written in hexadecimal, most significant first."""
    try:
        found = bytes.fromhex(text) if isinstance(text, str) and len(text) <= 4 * length else b""
    except ValueError:
        return None
    return found if len(found) == length else None


def label(value: object) -> str:
    """A name fit for one line of any terminal; empty where it is none."""
    return readable(value, longest=MAX_TEXT) or ""
