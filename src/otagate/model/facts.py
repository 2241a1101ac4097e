"""Facts: the lines of the one journal. API, events, history and metrics are readings of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Subject = Literal["update", "device", "radio", "source", "image", "rollout", "hub"]
Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that happened. `number` is 0 until the store has given it one; numbers are gapless and rise.

    `kind` is a word (`created`, a lifecycle cause, `found`, `interrogated`, `state`); `subject` with `subject_id` says of what;
    `data` is flat and small: at most about twenty scalars.
    """

    at: datetime
    subject: Subject
    subject_id: str
    kind: str
    actor: str = "otagate"
    data: Mapping[str, Scalar] = field(default_factory=dict)
    number: int = 0
