"""What the project says of itself is true."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from pathlib import Path

import pytest

import otagate
from otagate.api.problems import KINDS
from otagate.cli.words import REASONS
from otagate.model.lifecycle import diagram

ROOT = Path(__file__).parents[2]
ROOMS = sorted(path.parent for path in (ROOT / "src" / "otagate").glob("*/__init__.py"))


def test_the_diagram_in_architecture_is_drawn_from_the_transition_table() -> None:
    drawn = re.search(r"```mermaid\n(.*?)\n```", (ROOT / "ARCHITECTURE.md").read_text(), re.DOTALL)
    assert drawn is not None
    assert drawn[1] == diagram()


def test_the_changelog_begins_with_the_running_version() -> None:
    versions = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == otagate.__version__


@pytest.mark.parametrize("room", ROOMS, ids=lambda path: path.name)
def test_every_room_has_its_page(room: Path) -> None:
    page = ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or ""
    for heading in ("Holds", "Imports", "Never", "Add one"):
        assert re.search(rf"^{heading}\b.*:", page, re.MULTILINE), f"{room.name} lacks {heading!r}"


@pytest.mark.parametrize("room", [room for room in ROOMS if room.name not in ("api", "cli")], ids=lambda path: path.name)
def test_the_page_of_a_room_names_everybody_in_it(room: Path) -> None:
    """Those of `api` and `cli` are called as the resources and commands that they are for."""
    page = ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or ""
    assert {path.stem for path in room.glob("*.py")} - {"__init__"} <= set(re.findall(r"`(\w+)`", page))


def test_every_room_stands_in_the_checked_order_and_in_architecture() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    ordered = {word.strip() for layer in contracts[0]["layers"] for word in layer.split("|")}
    architecture = (ROOT / "ARCHITECTURE.md").read_text()
    for room in ROOMS:
        assert room.name in ordered
        assert f"`{room.name}/`" in architecture


def test_every_relative_link_of_the_documents_leads_somewhere() -> None:
    for document in ("README.md", "ARCHITECTURE.md", "CHANGELOG.md"):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / document).read_text()):
            assert (ROOT / target).exists(), f"{document}: {target}"


def test_every_command_that_the_readme_shows_exists() -> None:
    app = importlib.import_module("otagate.cli.app").app
    from typer.main import get_command

    known = set(get_command(app).commands)  # type: ignore[attr-defined]
    shown = set(re.findall(r"^    (?:~\S*bin/)?otagate ([a-z][a-z-]*)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert shown
    assert shown <= known


def test_the_readme_says_of_every_problem_what_to_do_and_invents_none() -> None:
    tables = re.findall(r"^\| (?:problem|error) \|.*\n\| ---.*\n((?:\|.*\n)+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    rows = [row.split(" | ") for table in tables for row in table.splitlines()]
    named = [slug for row in rows for slug in re.findall(r"`([a-z-]+)`", row[0])]
    assert sorted(named) == sorted(KINDS)
    for row in (each for each in rows if len(each) == 4):
        assert {str(KINDS[slug].status) for slug in re.findall(r"`([a-z-]+)`", row[0])} == set(row[1].split(", ")), row[0]


def test_the_readme_says_of_every_reason_to_wait_what_to_do_and_invents_none() -> None:
    (table,) = re.findall(r"^\| reason \|.*\n\| ---.*\n((?:\|.*\n)+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    rows = [row.split(" | ") for row in table.splitlines()]
    assert {len(row) for row in rows} == {3}
    assert sorted(word for row in rows for word in re.findall(r"`([a-z_]+)`", row[0])) == sorted(REASONS)


def test_no_file_of_the_source_is_longer_than_five_hundred_lines() -> None:
    long = {str(path.relative_to(ROOT)): count for path in ROOT.glob("src/**/*.py") if (count := len(path.read_text().splitlines())) > 500}
    assert not long
