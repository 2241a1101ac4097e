"""Facts: the lines of the one journal. API, events, history and metrics are readings of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

Subject = Literal["update", "device", "radio", "source", "image", "rollout", "hub"]
Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that happened. `number` is 0 until the store has given it one; numbers are gapless and rise.

    `kind` is a word (`created`, a lifecycle cause, `found`, `interrogated`, `state`); `subject` with `subject_id` says of what;
    `data` is flat and small: at most about twenty scalars. `chain` is its link in the chain of the journal, given with the number; it is empty in
    facts that were stored before there was a chain.
    """

    at: datetime
    subject: Subject
    subject_id: str
    kind: str
    actor: str = "otagate"
    data: Mapping[str, Scalar] = field(default_factory=dict)
    number: int = 0
    chain: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A place in the chain of the journal: the number of a fact and its `chain`. The facts behind it can be checked without those before."""

    number: int = 0
    chain: str = ""


def link(before: Link, fact: Fact) -> Link:
    """The link of a fact that stands behind another: SHA-256, in lower-case hex, over the link before and the fact's canonical form.

    What is hashed is ASCII: `before.chain`, a line feed, and a JSON array without spaces of number, time (ISO 8601 in UTC with microseconds),
    subject, subject id, kind, actor and data, whose keys are sorted; what is not ASCII is escaped. The number is the one after `before.number`.
    So nobody changes, removes, adds or moves a fact without changing every link behind it.
    """
    number = before.number + 1
    at = fact.at.astimezone(UTC).isoformat(timespec="microseconds")
    parts = (number, at, fact.subject, fact.subject_id, fact.kind, fact.actor, dict(fact.data))
    canonical = json.dumps(parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return Link(number=number, chain=hashlib.sha256(f"{before.chain}\n{canonical}".encode("ascii")).hexdigest())


def follow(before: Link, facts: Iterable[Fact]) -> tuple[Link, int | None]:
    """How far a chain holds: its last good link, and the number of the first fact that is not what the chain says (None where all are).

    `facts` are in order and stand behind `before`; where one is missing, the number is its own.
    """
    for fact in facts:
        expected = link(before, fact)
        if (fact.number, fact.chain) != (expected.number, expected.chain):
            return before, expected.number
        before = expected
    return before, None
