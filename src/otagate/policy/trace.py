"""Explanations: every rule in the order in which it is judged, with what it says of one case."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, Literal, TypeVar

from otagate.model.facts import Scalar
from otagate.model.verdicts import Decision, Verdict

Outcome = Literal["pass", "wait", "ask", "stop"]
"""What a rule says: nothing against it, not now, an operator must say so, or no."""

OUTCOMES: Mapping[Decision, Outcome] = {"allow": "pass", "hold": "wait", "ask": "ask", "refuse": "stop"}

CaseT = TypeVar("CaseT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What one rule says. `decides`: it is the first that speaks, so its word and its sentence are the verdict."""

    rule: str
    outcome: Outcome
    sentence: str
    reason: str | None = None
    facts: Mapping[str, Scalar] = field(default_factory=dict)
    decides: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(Generic[CaseT]):
    """A rule with its name. `passes` is the sentence for a case that it leaves alone, and `uses` tells the facts that it looked at."""

    name: str
    judge: Callable[[CaseT], Verdict | None]
    passes: str
    uses: Callable[[CaseT], Mapping[str, Scalar]] | None = None

    def line(self, case: CaseT) -> Line:
        """What it says of a case."""
        return told(self.name, self.judge(case), passes=self.passes, facts={} if self.uses is None else self.uses(case))


def told(rule: str, verdict: Verdict | None, *, passes: str, facts: Mapping[str, Scalar] | None = None) -> Line:
    """A verdict as a line; one that leaves the case alone is a pass with the sentence `passes`."""
    if verdict is None or verdict.allowed:
        return Line(rule=rule, outcome="pass", sentence=passes, facts=dict(facts or {}))
    return Line(
        rule=rule, outcome=OUTCOMES[verdict.decision], sentence=verdict.sentence, reason=verdict.reason, facts=dict(facts or {}) | dict(verdict.facts)
    )


def decided(lines: Sequence[Line]) -> tuple[Line, ...]:
    """The lines with the first that does not pass marked as the one that decides."""
    first = next((at for at, line in enumerate(lines) if line.outcome != "pass"), None)
    return tuple(replace(line, decides=at == first) for at, line in enumerate(lines))


def speaker(lines: Sequence[Line]) -> Line | None:
    """The line that decides; None where every rule passes."""
    return next((line for line in lines if line.decides), None)
