"""README.md as its reader meets it: its tables of what can go wrong, and the tests that a table refers to."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def table(first_column: str) -> list[list[str]]:
    """The rows of the table whose first column has this title."""
    found = re.search(rf"^\| {re.escape(first_column)} \|.*\n\| ---.*\n((?:\|.*\n)+)", README, re.MULTILINE)
    assert found is not None, first_column
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in found[1].splitlines()]


def words(cell: str) -> list[str]:
    """The words of a cell that stand in code."""
    return re.findall(r"`([a-z][a-z_-]*)`", cell)


def block(heading: str, number: int = 0) -> list[str]:
    """The lines of an indented block under a heading, without what is remarked at their ends."""
    section = re.search(rf"^#+ {re.escape(heading)}$\n(.*?)(?=^#+ |\Z)", README, re.MULTILINE | re.DOTALL)
    assert section is not None, heading
    blocks = re.findall(r"(?:^    .*\n)+", section[1], re.MULTILINE)
    return [re.sub(r"\s{2,}# .*", "", line[4:]).rstrip() for line in blocks[number].splitlines()]


def sections() -> list[list[str]]:
    """The lines of every indented block, without what is remarked at their ends."""
    blocks = re.findall(r"(?:^    .*\n)+", README, re.MULTILINE)
    return [[re.sub(r"\s{2,}# .*", "", line[4:]).rstrip() for line in each.splitlines()] for each in blocks]


@cache
def _functions(path: Path) -> frozenset[str]:
    return frozenset(node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def exists(test: str) -> bool:
    """Whether there is such a test: `room/test_file.py::test_that_says_something`."""
    path, _, name = test.partition("::")
    file = ROOT / "tests" / path
    return file.is_file() and name.startswith("test_") and name in _functions(file)
