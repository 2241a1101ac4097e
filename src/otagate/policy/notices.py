"""What people are told without having asked: which facts are news, in which words, how much each matters, and when it must wait."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from otagate.model.facts import Fact
from otagate.policy.window import Window, hours

Severity = Literal["info", "warning", "problem"]
Kind = Literal[
    "approval", "succeeded", "failed", "rollout-paused", "radio-lost", "radio-back", "stick-borrowed", "stick-returned", "stick-kept", "stick-back",
    "devices-unread", "network-changed", "source-misconfigured", "alarm", "test",
]  # fmt: skip

SEVERITY: Mapping[Kind, Severity] = {
    "test": "info",
    "succeeded": "info",
    "stick-borrowed": "info",
    "stick-returned": "info",
    "stick-back": "warning",
    "devices-unread": "warning",
    "approval": "warning",
    "radio-back": "warning",
    "failed": "problem",
    "rollout-paused": "problem",
    "radio-lost": "problem",
    "stick-kept": "problem",
    "network-changed": "problem",
    "source-misconfigured": "problem",
    "alarm": "problem",
}
_RANK: Mapping[Severity, int] = {"info": 0, "warning": 1, "problem": 2}
_LOST = ("retrying", "wrong_network", "in_use")
_LONGEST = 500

STILL_LOST = timedelta(hours=6)
"""A radio that stays lost so long is told of once more, and then no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One piece of news: `text` is a sentence for people, `about` the id of what it is about."""

    kind: Kind
    at: datetime
    about: str
    text: str

    @property
    def severity(self) -> Severity:
        """How much it matters."""
        return SEVERITY[self.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A radio that is lost, and was told of: `again` once more. `kept`: its stick belongs to another program, which cannot be given it back."""

    radio: str
    since: datetime
    sentence: str
    again: bool = False
    kept: bool = False

    def told_again(self, now: datetime) -> tuple[Loss, Notice]:
        """The same, told of once more."""
        text = f"The radio {self.radio} is still not up, since {self.since:%Y-%m-%d %H:%M} UTC: {self.sentence}"
        return replace(self, again=True), Notice(kind="stick-kept" if self.kept else "radio-lost", at=now, about=self.radio, text=_cut(text))


def due_again(losses: Iterable[Loss]) -> datetime | None:
    """When the first of them is told of once more; None where none is."""
    return min((each.since + STILL_LOST for each in losses if not each.again), default=None)


def follow(losses: tuple[Loss, ...], fact: Fact) -> tuple[tuple[Loss, ...], Notice | None]:
    """The radios that are lost after a fact, and the news in it.

    A radio that is tried again and again, with this error or that, is told of once; that it is back only where its loss was told.
    """
    notice = read(fact)
    if fact.subject != "radio" or fact.kind != "state":
        return losses, notice
    known = next((each for each in losses if each.radio == fact.subject_id), None)
    others = tuple(each for each in losses if each != known)
    if notice is not None and notice.severity == "problem":
        kept = notice.kind == "stick-kept"
        if known and (known.kept or not kept):
            return losses, None
        return (*others, Loss(radio=fact.subject_id, since=fact.at, sentence=str(fact.data.get("sentence")), kept=kept)), notice
    if known is None or fact.data.get("state") == "starting":
        return losses, notice
    return others, _back(known, fact) or notice


def _back(lost: Loss, fact: Fact) -> Notice | None:
    """What is told of a radio whose loss was told, where it is well again."""
    match fact.data.get("state"):
        case "up":
            return Notice(kind="radio-back", at=fact.at, about=lost.radio, text=f"The radio {lost.radio} is up again.")
        case "lent" if lost.kept:
            return Notice(kind="stick-back", at=fact.at, about=lost.radio, text=f"{_owner(fact)} has the stick of radio {lost.radio} back.")
    return None


def read(fact: Fact) -> Notice | None:
    """The news in a fact; None where nobody needs to be told."""
    found = _READERS[fact.subject](fact) if fact.subject in _READERS else None
    if found is None:
        return None
    kind, text = found
    return Notice(kind=kind, at=fact.at, about=fact.subject_id, text=_cut(text))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def matters(notice: Notice, least: Severity) -> bool:
    """Whether it matters so much at least."""
    return _RANK[notice.severity] >= _RANK[least]


def gravest(severities: Iterable[Severity]) -> Severity:
    """The severity that matters most."""
    return max(severities, key=_RANK.__getitem__, default="info")


def held_until(notice: Notice, quiet: Window | None, now: datetime) -> datetime | None:
    """When the quiet hours end that keep it back now; None where it may be told. A problem waits for no morning."""
    if quiet is None or notice.severity == "problem":
        return None
    open_now = hours((quiet,), now).open
    return None if open_now is None else open_now.ends


def _of_update(fact: Fact) -> tuple[Kind, str] | None:
    device, detail = fact.data.get("device"), fact.data.get("detail")
    because = f": {detail}" if detail else ""
    match fact.data.get("state"):
        case "planned" if fact.kind == "created":
            return "approval", f"An update of {device} waits for approval."
        case "succeeded":
            return "succeeded", f"The update of {device} succeeded."
        case "failed":
            return "failed", f"The update of {device} failed ({fact.data.get('error') or fact.kind}){because}"
    return None


def _of_rollout(fact: Fact) -> tuple[Kind, str] | None:
    name, detail = fact.data.get("name"), fact.data.get("detail")
    if fact.kind == "paused" and fact.actor == "otagate":
        return "rollout-paused", f"The rollout {name} is paused: {detail or 'too many of its updates failed.'}"
    if fact.kind == "waits":
        return "approval", f"The rollout {name} waits for approval of its next wave."
    return None


def _of_radio(fact: Fact) -> tuple[Kind, str] | None:
    name, sentence = fact.subject_id, fact.data.get("sentence")
    match fact.kind, fact.data.get("state"), fact.data.get("loan"):
        case "adoption_failed", _, _:
            return "devices-unread", f"Radio {name}: {sentence}"
        case "network_changed", _, _:
            return "network-changed", f"Radio {name}: {sentence}"
        case "state", "up", "held":
            return "stick-borrowed", f"The stick of radio {name} is borrowed: {_owner(fact)} cannot control its lamps meanwhile."
        case "state", "lent", "returned":
            return "stick-returned", f"{_owner(fact)} has the stick of radio {name} back."
        case "state", "retrying", "returning":
            return "stick-kept", f"The stick of radio {name} could not be given back: {sentence}"
        case "state", state, _ if state in _LOST:
            return "radio-lost", f"The radio {name} is not up ({state}): {sentence}"
    return None


def _owner(fact: Fact) -> str:
    return str(fact.data.get("owner") or "its program")


def _of_source(fact: Fact) -> tuple[Kind, str] | None:
    if fact.kind == "alarm":
        return "alarm", f"The source {fact.subject_id} serves other bytes under a version that was pinned before: they are quarantined."
    if fact.kind == "state" and fact.data.get("state") == "misconfigured":
        return "source-misconfigured", f"The source {fact.subject_id} is misconfigured: {fact.data.get('sentence')}"
    return None


_READERS = {"update": _of_update, "rollout": _of_rollout, "radio": _of_radio, "source": _of_source}
