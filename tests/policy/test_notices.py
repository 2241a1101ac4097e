"""What is news, how much it matters, and what waits for the morning."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from otagate.model.facts import Fact, Scalar, Subject
from otagate.policy.notices import Severity, held_until, matters, read
from otagate.policy.window import Window

NIGHT = datetime(2026, 5, 1, 23, tzinfo=UTC)
QUIET = Window(name="quiet", zone=ZoneInfo("Europe/Berlin"), start=22 * 60, end=7 * 60)
LAMP: dict[str, Scalar] = {"device": "zigbee-1", "detail": None, "error": None}


def fact(subject: Subject, kind: str, actor: str = "otagate", **data: Scalar) -> Fact:
    return Fact(at=NIGHT, subject=subject, subject_id="x", kind=kind, actor=actor, data=data)


NEWS = [
    (fact("update", "created", **LAMP, state="planned"), "approval", "warning", "An update of zigbee-1 waits for approval."),
    (fact("update", "version_matches", **LAMP, state="succeeded"), "succeeded", "info", "The update of zigbee-1 succeeded."),
    (
        fact("update", "declined", device="zigbee-1", detail="it said no", error="declined", state="failed"),
        "failed",
        "problem",
        "The update of zigbee-1 failed (declined): it said no",
    ),
    (fact("rollout", "paused", name="r", detail="3 failed."), "rollout-paused", "problem", "The rollout r is paused: 3 failed."),
    (fact("rollout", "waits", name="r"), "approval", "warning", "The rollout r waits for approval of its next wave."),
    (fact("radio", "state", state="retrying", sentence="gone"), "radio-lost", "problem", "The radio x is not up (retrying): gone"),
    (fact("source", "state", state="misconfigured", sentence="401"), "source-misconfigured", "problem", "The source x is misconfigured: 401"),
    (
        fact("source", "alarm", version="1"),
        "alarm",
        "problem",
        "The source x serves other bytes under a version that was pinned before: they are quarantined.",
    ),
]
NO_NEWS = [
    fact("update", "created", **LAMP, state="queued"),
    fact("update", "accepted", **LAMP, state="transferring"),
    fact("update", "cancelled", "anna", **LAMP, state="cancelled"),
    fact("rollout", "paused", "anna", name="r", detail="An operator paused it."),
    fact("radio", "state", state="up", sentence="fine"),
    fact("radio", "state", state="starting", sentence="wait"),
    fact("source", "state", state="degraded", sentence="slow"),
    fact("hub", "halted"),
    fact("device", "found"),
]


@pytest.mark.parametrize(("told", "kind", "severity", "text"), NEWS)
def test_news_has_a_kind_a_severity_and_a_sentence(told: Fact, kind: str, severity: str, text: str) -> None:
    notice = read(told)
    assert notice is not None
    assert (notice.kind, notice.severity, notice.text, notice.about, notice.at) == (kind, severity, text, "x", NIGHT)


@pytest.mark.parametrize("told", NO_NEWS)
def test_what_somebody_did_or_what_goes_well_on_its_way_is_no_news(told: Fact) -> None:
    assert read(told) is None


@pytest.mark.parametrize(("least", "count"), [("info", 8), ("warning", 7), ("problem", 5)])
def test_a_receiver_is_told_what_matters_so_much_at_least(least: Severity, count: int) -> None:
    assert sum(matters(notice, least) for told, *_ in NEWS if (notice := read(told))) == count


def test_at_night_only_problems_are_told_and_the_rest_in_the_morning() -> None:
    for told, _, severity, _ in NEWS:
        notice = read(told)
        assert notice is not None
        morning = datetime(2026, 5, 2, 5, tzinfo=UTC)
        assert held_until(notice, QUIET, NIGHT) == (None if severity == "problem" else morning)
        assert held_until(notice, QUIET, NIGHT + timedelta(hours=12)) is None
        assert held_until(notice, None, NIGHT) is None


def test_a_long_sentence_is_cut() -> None:
    notice = read(fact("radio", "state", state="in_use", sentence="a" * 5000))
    assert notice is not None
    assert len(notice.text) == 500
