"""The errors of pydantic in the words of an operator."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from otagate.config.document import Document
from otagate.config.kinds import secret_of
from otagate.config.problems import Loc, Problem, key_name, nearest, shown
from otagate.config.section import Section, keys_of
from otagate.config.settings import HubSettings

_SECRET = re.compile(r"(?i)(?:^|_)(?:token|secret|password|passphrase|key|pin)$")


def explain(error: ValidationError, document: Document) -> list[Problem]:
    """The errors of pydantic in our words, each at its place in the file."""
    details = error.errors(include_url=False)
    foreign: set[Loc] = {tuple(each["loc"][:-1]) for each in details if each["loc"][-1:] == ("type",) and each["type"] == "literal_error"}
    problems = []
    for each in details:
        loc: Loc = tuple(each["loc"])
        if _inside(loc, document.unreadable) or (_inside(loc, foreign) and loc[-1] != "type"):
            continue  # what else an entry of an unknown type holds cannot be judged
        place = document.place_of_key(loc) if each["type"] == "extra_forbidden" else document.place_of(loc)
        text = _unknown_key(loc) if each["type"] == "extra_forbidden" else _sentence(each)
        problems.append(Problem(place=place, key=key_name(loc), text=text))
    return problems


def _inside(loc: Loc, around: Iterable[Loc]) -> bool:
    return any(loc[: len(each)] == each for each in around)


def section_at(loc: Loc) -> type[Section] | None:
    """The section that this place in the configuration belongs to, or None where there is none."""
    section: type[Section] | None = HubSettings
    for part in loc:
        if isinstance(part, str):
            info = None if section is None else keys_of(section).get(part)
            section = None if info is None else section_in(info.annotation)
    return section


def section_in(annotation: Any) -> type[Section] | None:
    """`ApiSettings` in itself, in `tuple[ApiSettings, ...]`, in `Annotated[…]` of either."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((found for each in get_args(annotation) if (found := section_in(each)) is not None), None)


def _unknown_key(loc: Loc) -> str:
    section, word = section_at(loc[:-1]), str(loc[-1])
    fields = {} if section is None else keys_of(section)
    if _SECRET.search(word):
        kept = (key for key, info in fields.items() if secret_of(info) is not None)
        place = None if word.startswith("network") else next(kept, None)  # the key of a network is never ours to be told
        remedy = f"put it in a file of mode 0600, and its path under {place}" if place else "take it away"
        return f"a secret has no place in this file: {remedy}"
    return f"unknown key{nearest(word, fields)}: known here are {', '.join(fields)}"


def _sentence(error: ErrorDetails) -> str:
    context: dict[str, Any] = error.get("ctx", {})
    say = _SENTENCES.get(error["type"])
    return say(shown(error["input"]), context) if say else f"{shown(error['input'])} is wrong: {error['msg']}"


_Say = Callable[[str, dict[str, Any]], str]


def _not_text(value: str, context: dict[str, Any]) -> str:
    del context
    return f"{value} is not text: put it in quotes" if value not in ("a list", "a section", "nothing") else f"{value} stands where text belongs"


_SENTENCES: Mapping[str, _Say] = {
    "value_error": lambda value, context: str(context["error"]),
    "missing": lambda value, context: "is missing: this key must be given",
    "literal_error": lambda value, context: f"{value} is not known here: write one of {_listed(context['expected'])}",
    "string_type": _not_text,
    "path_type": _not_text,
    "bool_type": lambda value, context: f"{value} is neither true nor false",
    "bool_parsing": lambda value, context: f"{value} is neither true nor false",
    "int_type": lambda value, context: f"{value} is not a whole number: write digits, without quotes",
    "greater_than_equal": lambda value, context: f"{value} is too small: at least {context['ge']}",
    "less_than_equal": lambda value, context: f"{value} is too large: at most {context['le']}",
    "too_short": lambda value, context: "is empty: give at least one",
    "too_long": lambda value, context: f"is too long: {context['actual_length']} entries, at most {context['max_length']}",
    "tuple_type": lambda value, context: f"{value} is not a list: begin each entry on a line of its own with '- '",
    "model_type": lambda value, context: f"{value} is not a section: write its keys below it, each on a line of its own, indented",
    "model_attributes_type": lambda value, context: f"{value} is not a section: write its keys below it, each on a line of its own, indented",
}


def _listed(expected: str) -> str:
    return expected.replace("'", "").replace(" or ", ", ")
