"""Errors as lines for the person who wrote the file: where, which key, what is wrong, what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Loc = tuple[int | str, ...]
Place = tuple[int, int, str]
"""Line and column from 1 (0 where there is none, after all others), and the text that names the place."""

MAX_LINES = 100
_SHOWN = 60
_USERINFO = re.compile(r"(?<=//)[^/\s]*@")
_MAY_BE_USERINFO = re.compile(r"(?<=//).*@", re.DOTALL)
"""What a wrong address may have of it, though a password should not have such characters."""

_WITHIN_HOST = re.compile(r"\b((?:https?|wss?|mqtts?)://[^\s/?#]*)([/?#]).+", re.DOTALL)
"""An address of a service, and where what is below its host begins: that may be a token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong. `key` is empty where the whole file is meant."""

    place: Place
    key: str
    text: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.place[2], self.key, self.text) if part)


def render(problems: Iterable[Problem]) -> str:
    """One line per problem: the file from top to bottom, then the environment by name."""
    lines = [str(each) for each in sorted(problems, key=lambda each: (each.place[0] == 0, each.place, each.key))]
    if len(lines) > MAX_LINES:
        lines[MAX_LINES:] = [f"… and {len(lines) - MAX_LINES} more"]
    return "\n".join(lines)


def key_name(loc: Loc) -> str:
    """`radios[0].path`."""
    return "".join(f"[{each}]" if isinstance(each, int) else f".{short(each)}" for each in loc).removeprefix(".")


def masked(text: str) -> str:
    """The text without the user and password of an URL in it."""
    return _USERINFO.sub("***@", text)


def shown(value: object) -> str:
    """A wrong value as its author would recognise it, short, on one line, without secrets."""
    if isinstance(value, Mapping):
        return "a section"
    if isinstance(value, (list, tuple)):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    return short(repr(_WITHIN_HOST.sub(r"\1\2…", _MAY_BE_USERINFO.sub("***@", value)))) if isinstance(value, str) else short(repr(value))


def nearest(word: str, known: Iterable[str]) -> str:
    """` (do you mean …?)`, or nothing."""
    close = difflib.get_close_matches(word[:_SHOWN], list(known), n=1, cutoff=0.7)
    return f" (do you mean {close[0]}?)" if close else ""


def short(text: str) -> str:
    """The text on one line, printable, cut where it is long."""
    flat = text if text.isprintable() else ascii(text)[1:-1]
    return flat if len(flat) <= _SHOWN else f"{flat[: _SHOWN - 1]}…"
