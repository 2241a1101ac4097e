"""Whether a device that tells its new version lives with it: it stays, does not restart again and again, and reports as before.

Silence alone says little: the lamp may have been switched off at the breaker, a sensor sleeps. So one that is heard no more is given a day and an
hour; only what a device does itself is held against it at once. One that answers, and does not report any more what it reported before, is not well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from otagate.policy.settings import PolicySettings

_SOON = 600.0
"""Seconds: what is reported less often is not waited for."""

_LATE = 2.0
"""So many of the times in which a report is promised may pass without one."""

MOST_RESTARTS = 3
"""So many restarts while it is watched are a loop; one may be a hand at the switch, or a second one of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What is known since the device told its new version; all times in seconds in which it could have been heard.

    `lived`: since then, or since its last restart. `silent`: since it was last heard or answered. `proved`: it was heard (one that sleeps) or
    answered with the new version after it had lived long enough. `report_due`: it reported at least so often before; None where nobody knows.
    `reported`: it has reported since.
    """

    lived: float
    silent: float
    restarts: int = 0
    proved: bool = False
    report_due: float | None = None
    reported: bool = False

    @property
    def mute_for(self) -> float | None:
        """Seconds of its new life after which it should have reported, and has not; None where nothing is to be expected soon."""
        if self.report_due is None or self.reported or self.report_due > _SOON:
            return None
        return _LATE * self.report_due


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
    if vitals.proved and (mute := vitals.mute_for) is not None:
        if vitals.lived - vitals.silent < mute:  # it must be there, too, when its time is over
            action: Literal["wait", "ask"] = "wait" if vitals.lived < mute else "ask"
            return Health(action=action, sentence="It runs the new version; a report of it is waited for, as it sent them before.")
        why = (
            f"it answers, but has reported nothing for {_span(vitals.lived)}; before the update it did at least every {_span(vitals.report_due or 0)}"
        )
        return Health(action="failed", sentence=why, code="device-mute")
    if vitals.proved:
        return Health(action="healthy", sentence=f"was alive with it for {_span(alive_for)}")
    waits = "its next sign of life is waited for" if sleepy else "it does not answer now, and may have been switched off: it is waited for"
    return Health(action="wait" if sleepy else "ask", sentence=f"It told the new version; {waits}, {_span(silent_for)} at most.")


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3600:.0f} h"
