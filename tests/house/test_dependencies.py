"""What the code imports, it asks for."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COME_WITH = {"pydantic-core": "pydantic"}
"""Distributions that are pinned to the one that brings them."""


def asked_for() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(each for name, extra in project["optional-dependencies"].items() if name != "dev" for each in extra)]
    return {re.split(r"[^A-Za-z0-9_.-]", line, maxsplit=1)[0].lower() for line in lines}


def imported(package: Path) -> set[str]:
    """The top of every absolute import, wherever it stands."""
    found: set[str] = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"otagate", "otagate_rig", "_typeshed"}  # the last is there for type checkers only


def distributions(name: str, known: Mapping[str, Sequence[str]]) -> set[str]:
    found = {each.lower().replace("_", "-") for each in known.get(name, [name])}
    return {COME_WITH.get(each, each) for each in found}


@pytest.mark.parametrize("package", ["otagate", "otagate_rig"])
def test_every_package_that_is_imported_is_a_dependency_of_ours(package: str) -> None:
    known = packages_distributions()
    needed = {name: distributions(name, known) for name in imported(ROOT / "src" / package)}
    assert {name: names for name, names in needed.items() if not names & asked_for()} == {}
