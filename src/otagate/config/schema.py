"""The JSON Schema of the configuration, for editors: what a key is for, which values it takes, what it is without one.

`python -m otagate.config.schema` refreshes the checked-in copy, and the page for people. The daemon never reads it: what editors cannot know is
judged by `load`.
"""

from __future__ import annotations

import ast
import inspect
import json
from pathlib import Path
from typing import Any, cast

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from otagate.config.explain import section_in
from otagate.config.kinds import OneOrMore
from otagate.config.section import Section, keys_of
from otagate.config.settings import HubSettings

COPY: Path = Path(__file__).parents[3] / "config" / "otagate.schema.json"
_NOTHING = {"type": "null"}


def document() -> dict[str, Any]:
    """The schema, draft 2020-12."""
    schema = HubSettings.model_json_schema()
    _complete(HubSettings, schema, schema["$defs"], done=set())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "The configuration of otagate"}


def render() -> str:
    """The text of the checked-in copy."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def _complete(section: type[Section], schema: dict[str, Any], definitions: dict[str, Any], *, done: set[str]) -> None:
    """Rewrite the properties of a section and of every section in it."""
    schema.pop("title", None)
    schema.pop("description", None)  # of the class, for those who read the code
    told = _told(section)
    for key, info in keys_of(section).items():
        schema["properties"][key] = {"description": told[key], **_value(info, schema["properties"][key]), **_default(info)}
        inner = section_in(info.annotation)
        if inner is not None and inner.__name__ not in done:
            done.add(inner.__name__)
            _complete(inner, definitions[inner.__name__], definitions, done=done)


def _value(info: FieldInfo, schema: dict[str, Any]) -> dict[str, Any]:
    """What `load` takes: also nothing for a section or a list, one entry for a list of one; but never null for a scalar."""
    schema = _in_words_of_the_standard({key: each for key, each in schema.items() if key not in ("title", "default")})
    if OneOrMore in info.metadata:
        return {"anyOf": [schema["items"], schema]}
    if schema.get("type") == "array" or ("$ref" in schema and not info.is_required()):
        return {"anyOf": [schema, _NOTHING]}
    choices = [each for each in schema.get("anyOf", ()) if each != _NOTHING]
    return _in_words_of_the_standard(choices[0]) if len(choices) == 1 else schema


def _in_words_of_the_standard(schema: dict[str, Any]) -> dict[str, Any]:
    """Bounds that stand behind a validator of ours keep pydantic's names for them."""
    words = {"ge": "minimum", "le": "maximum"} | ({"minLength": "minItems", "maxLength": "maxItems"} if schema.get("type") == "array" else {})
    return {words.get(key, key): each for key, each in schema.items()}


def _default(info: FieldInfo) -> dict[str, Any]:
    """The default as it would be written, where that tells anything."""
    default = None if info.is_required() else info.get_default(call_default_factory=True)
    if default in (None, "", ()) or isinstance(default, Section):
        return {}
    return {"default": TypeAdapter(info.rebuild_annotation()).dump_python(default, mode="json")}


def _told(section: type[Section]) -> dict[str, str]:
    """The sentence below each field."""
    body = cast(ast.ClassDef, ast.parse(inspect.getsource(section)).body[0])
    found = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            found[field.target.id.rstrip("_")] = str(ast.literal_eval(below.value))
    return found


if __name__ == "__main__":
    from otagate.config import reference  # the page for people is made from the same document

    COPY.write_text(render(), encoding="utf-8")
    reference.COPY.write_text(reference.render(), encoding="utf-8")
