"""Overrides from the environment: `OTAGATE_SECTION__KEY`, lists by index as in `OTAGATE_RADIOS__0__PATH`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from otagate.config.document import Document
from otagate.config.kinds import EnvironmentText
from otagate.config.problems import Loc, Place
from otagate.config.section import Section
from otagate.config.settings import ApiSettings, HubSettings

PREFIX = "OTAGATE_"
SOCKET = "OTAGATE_SOCKET"
"""The variable by which the unit of systemd adds the path of its unix socket to `api.listen`, whatever the file says there."""

MAX_PARTS = 8
MAX_VALUE = 4096
_PART = re.compile(r"[A-Z][A-Z0-9_]*|\d{1,3}")


def overlay(document: Document, environ: Mapping[str, str]) -> None:
    """Put the overrides into the tree, each with its variable as its place; empty variables count as unset.

    A variable with `__` in its name is always meant for the configuration, so a wrong one is an error; one without is, where it names a
    scalar at the top (`OTAGATE_STATE_DIR`), and else belongs to somebody else.
    """
    if not document.readable:
        return
    for name in sorted((each for each in environ if each.startswith(PREFIX) and environ[each]), key=_natural):
        parts = name.removeprefix(PREFIX).split("__")
        if len(parts) == 1 and not _is_top_scalar(parts[0]):
            continue
        place: Place = (0, 0, f"environment {name}")
        if len(parts) > MAX_PARTS or not all(_PART.fullmatch(each) for each in parts):
            document.complain((), "names no key: write OTAGATE_SECTION__KEY, and lists by index as in OTAGATE_RADIOS__0__PATH", place=place)
            continue
        if len(environ[name]) > MAX_VALUE:
            document.complain((), f"is longer than {MAX_VALUE} characters, which no value is", place=place)
            continue
        loc = tuple(int(each) if each.isdigit() else each.lower() for each in parts)
        document.tree = _put(document, document.tree, loc, 0, EnvironmentText(environ[name]), place)
    if environ.get(SOCKET):
        _add_socket(document, f"unix:{environ[SOCKET]}")


def _add_socket(document: Document, listen: str) -> None:
    """One more address behind those of the file, or behind the default; what is wrong with those is told as ever."""
    api = document.tree.get("api")
    given = api.get("listen") if isinstance(api, dict) else None
    addresses = [given] if isinstance(given, str) else list(ApiSettings().listen) if given is None else given
    if isinstance(api, dict | None) and isinstance(addresses, list) and addresses and listen not in addresses:
        document.tree["api"] = {**(api or {}), "listen": [*addresses, EnvironmentText(listen)]}
        document.values["api", "listen", len(addresses)] = (0, 0, f"environment {SOCKET}")


def _natural(name: str) -> list[tuple[int, str]]:
    """Index 2 before index 10, so that lists grow one by one."""
    return [(int(each), "") if each.isdigit() else (-1, each) for each in name.split("__")]


def _is_top_scalar(part: str) -> bool:
    info = HubSettings.model_fields.get(part.lower())
    return info is not None and not isinstance(info.get_default(call_default_factory=True), (Section, tuple))


def _put(document: Document, current: object, loc: Loc, done: int, value: EnvironmentText, place: Place) -> object:
    """What stands at `loc[:done]` once `value` is at `loc`; sections and lists on the way are made where they are missing."""
    here = loc[:done]
    if done == len(loc):
        for stale in [each for each in document.values if each[:done] == here]:
            del document.values[stale]
        document.values[here] = place
        return value
    document.values.setdefault(here, place)
    part = loc[done]
    if isinstance(part, str):
        return _put_in_section(document, {} if current is None else current, loc, done, value, place)
    items = [] if current is None else current if isinstance(current, list) else [current]
    if isinstance(current, dict):
        document.complain(here, "is a section, and is given by index", place=place)
    elif part > len(items):
        document.complain(loc[: done + 1], f"leaves a gap: the next entry of this list is {len(items)}", place=place)
    else:
        items[part:] = [_put(document, items[part] if part < len(items) else None, loc, done + 1, value, place), *items[part + 1 :]]
        return items
    return current


def _put_in_section(document: Document, section: object, loc: Loc, done: int, value: EnvironmentText, place: Place) -> object:
    part = str(loc[done])
    if isinstance(section, dict):
        document.keys.setdefault(loc[: done + 1], place)
        section[part] = _put(document, section.get(part), loc, done + 1, value, place)
    else:
        document.complain(loc[:done], f"is no section, so it has no key {part}: give the index of an entry, or the value itself", place=place)
    return section
