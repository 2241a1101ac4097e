"""What every rule says of a release, one by one: the same that the verdict says, with the facts that each looked at."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from otagate.model.quirks import Quirk
from otagate.model.verdicts import Verdict
from otagate.policy.judge import examine, judge
from otagate.policy.match import keys
from otagate.policy.plan import choose, explain
from otagate.policy.settings import PolicySettings
from otagate.policy.trace import Line, decided, speaker, told
from tests.policy.cases import DIGEST_B, component, device, release
from tests.policy.test_judge import TABLE, Changes

AUTOMATIC = PolicySettings(mode="automatic")


@pytest.mark.parametrize(("decision", "reason", "code", "changes"), TABLE)
def test_the_first_rule_that_speaks_says_what_the_verdict_says(decision: str, reason: str | None, code: str, changes: dict[str, Changes]) -> None:
    case = device(**changes.get("device", {})), component(**changes.get("component", {})), release(**changes.get("release", {}))
    terms: Any = {
        "settings": PolicySettings(**changes.get("settings", {})),
        "quirk": Quirk(**changes.get("quirk", {})),
        **changes.get("order", {}),
    }
    line, verdict = speaker(decided(examine(*case, **terms))), judge(*case, **terms)
    if decision == "allow":
        assert line is None
        return
    assert line is not None
    outcome = {"refuse": "stop", "ask": "ask", "hold": "wait"}[decision]
    assert (line.outcome, line.reason, line.sentence) == (outcome, reason, verdict.sentence)


def said(lines: list[Line], rule: str) -> Line:
    (line,) = [each for each in lines if each.rule == rule]
    return line


@pytest.mark.parametrize(
    ("of_release", "rule", "outcome", "reason", "facts"),
    [
        pytest.param({}, "model", "pass", None, {}, id="it names no model, so that of the device was not looked at"),
        pytest.param({"models": ("Lamp 1",)}, "model", "pass", None, {"model": "Lamp 1"}, id="its model"),
        pytest.param({"models": ("Lamp 2",)}, "model", "stop", "image_mismatch", {"model": "Lamp 1"}, id="another model"),
        pytest.param({"manufacturer_code": 0xFFFF}, "manufacturer_code", "ask", "awaiting_approval", {"manufacturer_code": 0x117C}, id="any maker"),
        pytest.param({"hardware_min": 4}, "hardware_version", "stop", "image_mismatch", {"hardware_version": 3}, id="other hardware"),
    ],
)
def test_every_key_says_what_it_found_and_what_it_looked_at(
    of_release: Changes, rule: str, outcome: str, reason: str | None, facts: dict[str, Any]
) -> None:
    line = said(keys(device(), component(), release(**of_release)), rule)
    assert (line.outcome, line.reason, line.facts) == (outcome, reason, facts)
    assert line.sentence


def test_a_doubt_about_a_key_is_told_with_the_answer_that_an_order_gives() -> None:
    unknown = release(manufacturer_code=0xFFFF)
    asked, ordered = (said(examine(device(), component(), unknown, settings=AUTOMATIC, operator=each), "manufacturer_code") for each in (False, True))
    assert ("An operator's order answers that." in asked.sentence, "An operator's order answers that." in ordered.sentence) == (False, True)
    assert (asked.outcome, ordered.outcome) == ("pass", "pass")
    assert said(examine(device(), component(), unknown, settings=AUTOMATIC), "doubt").outcome == "ask"


@pytest.mark.parametrize(
    ("rule", "facts"),
    [
        ("version", {"version": 10, "file_version": 20}),
        ("floor", {"version": 10, "floor": 5}),
        ("pin", {"pin": 20}),
        ("skip", {}),
        ("mode", {"mode": "automatic"}),
        ("channel", {"channel": "stable", "wanted": "stable"}),
        ("approval", {"mode": "automatic"}),
        ("cooldown", {"released": "2024-03-01T12:00:00+00:00", "cooldown_days": 14}),
    ],
)
def test_a_rule_that_passes_says_what_it_looked_at(rule: str, facts: dict[str, Any]) -> None:
    dated = release(released=datetime(2024, 3, 1, 12, tzinfo=UTC))
    line = said(examine(device(pin=20), component(floor=5), dated, settings=AUTOMATIC), rule)
    assert (line.outcome, line.facts) == ("pass", facts)


def test_a_release_that_has_no_date_is_told_with_none() -> None:
    assert said(examine(device(), component(), release(), settings=AUTOMATIC), "cooldown").facts["released"] is None


def test_a_verdict_is_told_with_its_own_facts_and_those_of_its_rule() -> None:
    refusal = Verdict(decision="refuse", sentence="No.", reason="pinned", facts={"version": 10})
    assert told("pin", refusal, passes="There is none.", facts={"pin": 20}).facts == {"pin": 20, "version": 10}
    assert told("pin", refusal, passes="There is none.").facts == {"version": 10}


def test_a_verdict_that_allows_leaves_its_rule_the_sentence_of_a_pass() -> None:
    for verdict in (None, Verdict(decision="allow", sentence="Well.")):
        line = told("pin", verdict, passes="There is none.", facts={"pin": None})
        assert (line.outcome, line.sentence, line.facts) == ("pass", "There is none.", {"pin": None})


def test_only_the_first_line_that_does_not_pass_decides() -> None:
    lines = [Line(rule=rule, outcome=outcome, sentence="…") for rule, outcome in (("a", "pass"), ("b", "wait"), ("c", "stop"))]  # type: ignore[arg-type]
    assert [each.decides for each in decided(lines)] == [False, True, False]
    assert speaker(decided(lines[:1])) is None


def test_an_explanation_tells_what_is_offered_and_which_files_contradict_each_other() -> None:
    nothing = choose(device(), component(), [], settings=AUTOMATIC)
    (line,) = explain(device(), component(), nothing, settings=AUTOMATIC)
    assert (line.rule, line.outcome, line.sentence) == ("offered", "stop", nothing.verdict.sentence)
    one = choose(device(), component(), [release()], settings=AUTOMATIC)
    lines = explain(device(), component(), one, settings=AUTOMATIC)
    assert (lines[0].rule, lines[0].facts, lines[-1].rule, lines[-1].outcome) == ("offered", {"source": "folder"}, "ambiguity", "pass")
    two = choose(device(), component(), [release(), release(sha256=DIGEST_B)], settings=AUTOMATIC)
    last = explain(device(), component(), two, settings=AUTOMATIC)[-1]
    assert (last.rule, last.outcome, last.reason) == ("ambiguity", "stop", "ambiguous")
    other = choose(device(), component(), [release(hardware_min=9)], settings=AUTOMATIC)
    assert explain(device(), component(), other, settings=AUTOMATIC)[-1].outcome == "pass"
