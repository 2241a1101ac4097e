"""Every key of the configuration as a table for people, from the JSON Schema: `python -m otagate.config.schema` refreshes both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from otagate.config.schema import document

COPY: Path = Path(__file__).parents[3] / "config" / "README.md"
_HEAD = """# Every setting

`otagate.yaml` beside this page explains the same in its comments. `otagate check-config FILE` says what is in force, and every error with its line
and column. `name[]` is an entry of a list. Each scalar can be set from the environment too: `policy.channel` is `OTAGATE_POLICY__CHANNEL`. A key
without a default may be left out unless it says *needed*.

"""


def render() -> str:
    """The text of the page."""
    schema = document()
    parts: list[str] = [_HEAD]
    sections = {key: each for key, each in schema["properties"].items() if _section(each, schema) is not None}
    scalars = {key: each for key, each in schema["properties"].items() if key not in sections}
    parts.append(_table(_rows({"properties": scalars}, schema, "")))
    for key, each in sections.items():
        parts.append(f"\n## `{key}`\n\n{each['description']}\n\n")
        parts.append(_table(_rows(_section(each, schema) or {}, schema, _path(key, each))))
    return "".join(parts)


def _rows(section: dict[str, Any], schema: dict[str, Any], path: str) -> Iterator[tuple[str, str, str]]:
    """Key, what it is for, and what it is without being given; the keys of a section below it follow it."""
    for key, each in section["properties"].items():
        here, inner = f"{path}{key}", _section(each, schema)
        needed = "*needed*" if key in section.get("required", ()) else ""
        default = f"`{json.dumps(each['default'], ensure_ascii=False)}`" if "default" in each else needed
        yield here, f"{each['description']}{_choices(each)}", default
        if inner is not None:
            yield from _rows(inner, schema, _path(here, each))


def _section(value: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any] | None:
    """The section that a value is, or a list of them; None where it is a scalar or a list of scalars."""
    for each in (value, *value.get("anyOf", ())):
        reference = each.get("$ref") or each.get("items", {}).get("$ref")
        if reference is not None:
            found: dict[str, Any] = schema["$defs"][reference.rpartition("/")[2]]
            return found
    return None


def _choices(value: dict[str, Any]) -> str:
    """The words that a key takes, where it takes no others."""
    words = next((found for each in (value, *value.get("anyOf", ())) if (found := each.get("enum") or each.get("items", {}).get("enum"))), ())
    return f" One of {', '.join(f'`{each}`' for each in words)}." if words else ""


def _path(key: str, value: dict[str, Any]) -> str:
    listed = any("items" in each for each in (value, *value.get("anyOf", ())))
    return f"{key}[]." if listed else f"{key}."


def _table(rows: Iterator[tuple[str, str, str]]) -> str:
    lines = [f"| `{key}` | {' '.join(what.split())} | {default} |" for key, what, default in rows]
    return "\n".join(["| key | what it is for | without it |", "| --- | --- | --- |", *lines]) + "\n"
