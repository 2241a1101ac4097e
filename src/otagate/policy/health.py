"""Whether a device that tells its new version lives with it: it stays, and does not restart again and again.

Silence alone says little: the lamp may have been switched off at the breaker, a sensor sleeps. So one that is heard no more is given a day and an
hour; only what a device does itself is held against it at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from otagate.policy.settings import PolicySettings

MOST_RESTARTS = 3
"""So many restarts while it is watched are a loop; one may be a hand at the switch, or a second one of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What is known since the device told its new version; all times in seconds in which it could have been heard.

    `lived`: since then, or since its last restart. `silent`: since it was last heard or answered. `proved`: it was heard (one that sleeps) or
    answered with the new version after it had lived long enough.
    """

    lived: float
    silent: float
    restarts: int = 0
    proved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What is to be done with it: go on waiting, ask it, or end its update; `code` names what is wrong."""

    action: Literal["wait", "ask", "healthy", "failed"]
    sentence: str
    code: str | None = None


def judge_health(vitals: Vitals, settings: PolicySettings, *, sleepy: bool) -> Health:
    """How a device does that runs its new version."""
    alive_for, silent_for = settings.alive_for.total_seconds(), settings.silent_for.total_seconds()
    if vitals.restarts >= MOST_RESTARTS:
        why = f"it told the new version and restarts again and again: {vitals.restarts} times while it was watched"
        return Health(action="failed", sentence=why, code="device-restarts")
    if vitals.silent >= max(silent_for, alive_for):
        why = f"it told the new version, and then nothing was heard of it for {_span(vitals.silent)}"
        return Health(action="failed", sentence=why, code="device-silent")
    if vitals.lived < alive_for:
        return Health(action="wait", sentence=f"It runs the new version, and is watched for {_span(alive_for)}.")
    if vitals.proved:
        return Health(action="healthy", sentence=f"was alive with it for {_span(alive_for)}")
    waits = "its next sign of life is waited for" if sleepy else "it does not answer now, and may have been switched off: it is waited for"
    return Health(action="wait" if sleepy else "ask", sentence=f"It told the new version; {waits}, {_span(silent_for)} at most.")


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3600:.0f} h"
