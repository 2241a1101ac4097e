"""What is news, how much it matters, and what waits for the morning."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from otagate.model.facts import Fact, Scalar, Subject
from otagate.policy.notices import STILL_LOST, Loss, Severity, due_again, follow, gravest, held_until, matters, read
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
    (
        fact("radio", "state", state="up", sentence="fine", owner="z2m", loan="held"),
        "stick-borrowed",
        "info",
        "The stick of radio x is borrowed: z2m cannot control its lamps meanwhile.",
    ),
    (
        fact("radio", "state", state="lent", sentence="z2m has it", owner="z2m", loan="returned"),
        "stick-returned",
        "info",
        "z2m has the stick of radio x back.",
    ),
    (
        fact("radio", "state", state="retrying", sentence="z2m has not got it back: status 1", owner="z2m", loan="returning"),
        "stick-kept",
        "problem",
        "The stick of radio x could not be given back: z2m has not got it back: status 1",
    ),
    (fact("radio", "adoption_failed", sentence="z2m's files are gone"), "devices-unread", "warning", "Radio x: z2m's files are gone"),
    (fact("radio", "network_changed", sentence="the channel is 20"), "network-changed", "problem", "Radio x: the channel is 20"),
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


@pytest.mark.parametrize(("least", "count"), [("info", 13), ("warning", 10), ("problem", 7)])
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


def test_a_stick_that_cannot_be_given_back_is_told_of_whatever_was_told_before_and_when_it_is_back() -> None:
    losses: tuple[Loss, ...] = ()
    told: list[tuple[str, str]] = []
    kept = {"state": "retrying", "loan": "returning", "owner": "z2m", "sentence": "status 1"}
    away = {"state": "retrying", "loan": "held", "owner": "z2m", "sentence": "no answer"}
    for data in (away, away, {"state": "starting", "loan": "returning"}, kept, kept, {"state": "lent", "loan": "returned", "owner": "z2m"}):
        losses, notice = follow(losses, fact("radio", "state", **data))
        told += [] if notice is None else [(notice.kind, notice.severity)]
        for each in losses:
            assert each.told_again(NIGHT)[1].kind == ("stick-kept" if each.kept else "radio-lost")
    assert told == [("radio-lost", "problem"), ("stick-kept", "problem"), ("stick-back", "warning")]
    assert losses == ()


def told_of(*states: tuple[str, str]) -> tuple[list[str], tuple[Loss, ...]]:
    """The sentences that the states of one radio make, and whether it is lost at the end."""
    losses: tuple[Loss, ...] = ()
    texts = []
    for state, sentence in states:
        losses, notice = follow(losses, fact("radio", "state", state=state, sentence=sentence))
        texts += [] if notice is None else [notice.text]
    return texts, losses


def test_a_radio_that_is_tried_again_and_again_is_told_of_once_and_when_it_is_back() -> None:
    away = [("retrying", "no such path"), ("starting", "…"), ("retrying", "no answer"), ("in_use", "by zigbee2mqtt")]
    lost = "The radio x is not up (retrying): no such path"
    assert told_of(*away) == ([lost], (Loss(radio="x", since=NIGHT, sentence="no such path"),))
    assert told_of(*away, ("up", "fine"), ("up", "fine"), *away) == ([lost, "The radio x is up again.", lost], told_of(*away)[1])
    assert told_of(*away, ("lent", "to a person")) == ([lost], ())
    assert told_of(("starting", "…"), ("up", "fine")) == ([], ())


def test_a_radio_that_stays_lost_is_told_of_once_more_and_no_more() -> None:
    _, (loss,) = told_of(("retrying", "no such path"))
    assert due_again([loss]) == NIGHT + STILL_LOST
    again, notice = loss.told_again(NIGHT + STILL_LOST)
    assert notice.text == "The radio x is still not up, since 2026-05-01 23:00 UTC: no such path"
    assert (notice.severity, due_again([again])) == ("problem", None)
    later, repeated = follow((again,), fact("radio", "state", state="retrying", sentence="other"))
    assert (later, repeated) == ((again,), None)


def test_the_gravest_of_many_counts() -> None:
    assert gravest(["info", "problem", "warning"]) == "problem"
    assert gravest(["info"]) == "info"
