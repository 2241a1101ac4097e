"""Verdicts: what policy says, always with a reason word, a sentence for people and the facts that it used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from otagate.model.facts import Scalar

Decision = Literal["allow", "ask", "hold", "refuse"]
Guard = Literal[
    "window_closed",
    "battery_low",
    "battery_unknown",
    "link_weak",
    "load",
    "pinned",
    "skipped",
    "cooldown",
    "awaiting_approval",
    "in_use",
    "interlock",
    "quarantined",
]
"""What an order may override one by one, by the word that an update would wait with; `force` overrides them all but `quarantined`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`allow` it, `ask` an operator, `hold` it for now, or `refuse` it.

    `reason` is one of the words of the API, or None for a plain allow and where the code of a refusal says all (`already-current`).
    """

    decision: Decision
    sentence: str
    reason: str | None = None
    code: str = "policy-refused"
    facts: Mapping[str, Scalar] = field(default_factory=dict)

    @property
    def allowed(self) -> bool:
        """Whether nothing stands in the way."""
        return self.decision == "allow"


def hold(reason: str, sentence: str, **facts: Scalar) -> Verdict:
    """Wait, with this word and sentence."""
    return Verdict(decision="hold", sentence=sentence, reason=reason, facts=facts)
