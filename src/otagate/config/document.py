"""YAML with the place of everything in it.

Bounded before it is built: bytes, depth, nodes. Anchors, aliases, tags and merge keys are refused: they make short files long and their errors
have no place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from otagate.config.problems import Loc, Place, Problem, key_name

MAX_BYTES = 1 << 20
MAX_DEPTH = 20
MAX_NODES = 20_000

_TAG = "tag:yaml.org,2002:"
_TYPED = {f"{_TAG}{each}" for each in ("null", "bool", "int", "float")}
_PLAIN = _TYPED | {f"{_TAG}{each}" for each in ("str", "timestamp", "merge", "value", "map", "seq")}


@dataclass(slots=True, kw_only=True)
class Document:
    """A tree of dictionaries, lists and scalars; where each value and each key stands; and what was wrong already while it was read.

    `unreadable` values stand in the tree as None, and nothing more is to be said of them.
    """

    name: str
    tree: Any = field(default_factory=dict)
    values: dict[Loc, Place] = field(default_factory=dict)
    keys: dict[Loc, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    unreadable: set[Loc] = field(default_factory=set)

    @property
    def readable(self) -> bool:
        """Whether the tree is a section of keys, so that they can be judged."""
        return isinstance(self.tree, dict)

    def at(self, loc: Loc) -> object:
        """What is written here, or None where nothing is."""
        found = self.tree
        for part in loc:
            if isinstance(found, dict):
                found = found.get(part)
            elif isinstance(found, list) and isinstance(part, int) and part < len(found):
                found = found[part]
            else:
                return None
        return found

    def place_of(self, loc: Loc) -> Place:
        """Where this value stands, or the innermost thing around it that stands anywhere."""
        while loc and loc not in self.values:
            loc = loc[:-1]
        return self.values.get(loc, (1, 1, f"{self.name}:1:1"))

    def place_of_key(self, loc: Loc) -> Place:
        """Where this key stands."""
        return self.keys.get(loc) or self.place_of(loc)

    def complain(self, loc: Loc, text: str, *, place: Place | None = None) -> None:
        """Note a problem with this value."""
        self.problems.append(Problem(place=place or self.place_of(loc), key=key_name(loc), text=text))


def read_document(name: str, data: bytes) -> Document:
    """The document in these bytes; what is wrong with it as YAML is among its problems. `name` is how messages call the file."""
    document = Document(name=name)
    try:
        node = _compose(document, data)
    except yaml.MarkedYAMLError as error:
        _note_syntax(document, error)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        document.complain((), f"is not UTF-8 text: {error.reason}: save the file as UTF-8", place=(line, 1, f"{name}:{line}:1"))
    except yaml.reader.ReaderError as error:
        line = data.decode("utf-8-sig").count("\n", 0, error.position) + 1
        document.complain((), "holds a control character: write text only", place=(line, 1, f"{name}:{line}:1"))
    except _Bound as bound:
        document.complain((), bound.text, place=_place(document, bound.mark))
    else:
        if node is not None:
            document.tree = _build(document, node, ())
    if document.problems and not document.tree:
        document.tree = None
    elif document.tree is None:
        document.tree = {}  # a file of comments only: all defaults
    elif not document.readable:
        document.complain((), "the file is not a section of keys: write them as in `state_dir: /var/lib/otagate`, each on a line of its own")
    return document


class _Mark(Protocol):
    """A place as PyYAML and libyaml both tell it; from 0."""

    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


class _Bound(Exception):
    """The file is more than a configuration ever is."""

    def __init__(self, text: str, mark: _Mark | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.mark = mark


def _compose(document: Document, data: bytes) -> Node | None:
    if len(data) > MAX_BYTES:
        raise _Bound(f"is larger than {MAX_BYTES // 1024} KiB, which no configuration is")
    text = data.decode("utf-8-sig")
    depth = nodes = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise _Bound("aliases (*name) are not read here: write the value again", event.start_mark)
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.NodeEvent):
            nodes += 1
            depth += isinstance(event, yaml.CollectionStartEvent)
            if event.anchor is not None:
                raise _Bound("anchors (&name) are not read here: write the value where it is needed", event.start_mark)
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            raise _Bound(f"nests deeper than {MAX_DEPTH} levels, or holds more than {MAX_NODES} values", event.start_mark)
    return yaml.compose(text, Loader=yaml.SafeLoader)


def _note_syntax(document: Document, error: yaml.MarkedYAMLError) -> None:
    mark = error.problem_mark or error.context_mark
    said = ", ".join(part for part in (error.context, error.problem) if part)
    hint = ": write spaces instead of the tab" if "'\\t'" in said else ": look at the indentation, colons and quotes here and on the line before"
    document.complain((), f"is not YAML: {said}{hint}", place=_place(document, mark))


def _build(document: Document, node: Node, loc: Loc) -> object:
    document.values[loc] = _place(document, node.start_mark)
    if node.tag not in _PLAIN:
        document.unreadable.add(loc)
        document.complain(loc, f"tags ({node.tag.replace(_TAG, '!!')}) are not read here: write the plain value")
        return None
    if isinstance(node, MappingNode):
        return dict(_entries(document, node, loc))
    if isinstance(node, SequenceNode):
        return [_build(document, each, (*loc, index)) for index, each in enumerate(node.value)]
    return _scalar(document, node, loc)


def _entries(document: Document, node: MappingNode, loc: Loc) -> Iterator[tuple[str, object]]:
    for key_node, value_node in node.value:
        place = _place(document, key_node.start_mark)
        if not isinstance(key_node, ScalarNode):
            document.complain(loc, "a key is a word, and here stands a list or a section", place=place)
            continue
        inner = (*loc, key_node.value)
        if inner in document.keys:
            document.complain(inner, f"is given twice, first at line {document.keys[inner][0]}: keep one of them", place=place)
            continue
        document.keys[inner] = place
        yield key_node.value, _build(document, value_node, inner)


def _scalar(document: Document, node: Node, loc: Loc) -> object:
    if node.tag not in _TYPED or ":" in node.value:  # 22:30 is a time of day, whatever YAML 1.1 makes of it
        return node.value
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node)
    except (ValueError, yaml.YAMLError):
        document.unreadable.add(loc)
        document.complain(loc, f"{node.value!r} cannot be read as {node.tag.removeprefix(_TAG)}: put it in quotes if it is text")
        return None
    finally:
        loader.dispose()


def _place(document: Document, mark: _Mark | None) -> Place:
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    return (line, column, f"{document.name}:{line}:{column}")
