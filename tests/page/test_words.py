"""The catalogue of sentences: it has every one that the page asks for, none that nobody asks for, and one for every word that the hub may say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from otagate.api.auth import SCOPES
from otagate.api.page import FOLDER
from otagate.cli.words import REASONS
from otagate.engine.foresight import Outcome
from otagate.engine.views import UpdateStatus
from otagate.model.facts import Subject
from otagate.model.lifecycle import Cause, State
from otagate.model.rollouts import Gate, RolloutState, WaveState
from otagate.model.verdicts import Decision, Guard
from otagate.policy import pace, trace
from otagate.policy.window import AtEnd
from otagate.ports import RadioNews, RadioState

README = Path(__file__).parent.parent.parent / "README.md"
CATALOGUE = "words.js"
WORDS = frozenset(re.findall(r'^  "([^"]+)": ', (FOLDER / CATALOGUE).read_text(), re.MULTILINE))
CODE = "\n".join(each.read_text() for each in sorted(FOLDER.rglob("*.js")) if each.name != CATALOGUE)
ASKED = frozenset(re.findall(r'\bt\("([^"]+)"', CODE))
_MADE = r"`([a-z][\w.-]*\.)\$\{[^}]*\}([\w.-]*)`"
MADE = frozenset(re.findall(_MADE, CODE))
"""Keys that are put together: what stands before and behind the word in them."""


def test_every_sentence_that_the_page_asks_for_is_in_the_catalogue() -> None:
    assert sorted(ASKED - WORDS) == []
    assert [
        before
        for before, behind in re.findall(rf"\bt\({_MADE}", CODE)
        if not any(each.startswith(before) and each.endswith(behind) for each in WORDS)
    ] == []


def test_no_sentence_is_left_that_nobody_asks_for() -> None:
    literal = {each for each in WORDS if f'"{each}"' in CODE}
    made = {each for each in WORDS for before, behind in MADE if each.startswith(before) and each.endswith(behind)}
    assert sorted(WORDS - literal - made) == []


def test_no_line_of_the_page_is_longer_than_one_of_the_program() -> None:
    files = (each for each in FOLDER.rglob("*") if each.is_file())
    assert [f"{each.name}: {line}" for each in files for line in each.read_text().splitlines() if len(line) > 150] == []


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("state.{}", list(State)),
        ("state.{}.more", list(State)),
        ("status.{}", get_args(UpdateStatus)),
        ("reason.{}", list(REASONS)),
        ("reason.{}.more", list(REASONS)),
        ("reason.{}", get_args(Guard)),
        ("verdict.{}", get_args(Decision)),
        ("plan.group.{}", set(get_args(Outcome)) - {"nothing"}),
        ("plan.sum.{}", set(get_args(Outcome)) - {"nothing"}),
        ("outcome.{}", set(get_args(Outcome)) - {"nothing"}),
        ("rule.{}", get_args(trace.Outcome)),
        ("known.{}", get_args(pace.Known)),
        ("plan.end.{}", get_args(AtEnd)),
        ("rollout.{}", list(RolloutState)),
        ("wave.{}", get_args(WaveState)),
        ("wave.gate.{}", get_args(Gate)),
        ("subject.{}", get_args(Subject)),
        ("kind.{}", list(Cause)),
        ("kind.{}", get_args(RadioNews)),
        ("radio.state.{}", get_args(RadioState)),
        ("radio.help.{}", set(get_args(RadioState)) - {"up", "starting"}),
        ("scope.{}", SCOPES),
    ],
)
def test_there_is_a_sentence_for_every_word_of_the_hub(key: str, words: list[str]) -> None:
    assert [each for each in words if key.format(each) not in WORDS] == []


def test_every_guard_but_the_approval_that_an_order_is_by_itself_can_be_overruled() -> None:
    (guards,) = re.findall(r"const GUARDS = new Set\((\[.*?\])\)", CODE, re.DOTALL)
    assert set(json.loads(guards)) == set(get_args(Guard)) - {"awaiting_approval"}


def test_what_helps_is_said_for_every_failure_that_the_readme_names() -> None:
    rows = re.findall(r"^\| (`retries-spent`.*?)\n\n", README.read_text(), re.MULTILINE | re.DOTALL)[0].splitlines()
    codes = [code for row in rows for code in re.findall(r"`([a-z-]+)`", row.split("|")[0 if row.startswith("`") else 1])]
    assert len(codes) > 10
    assert [code for code in codes if f"error.{code}" not in WORDS] == []
