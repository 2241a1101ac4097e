"""A device that tells its new version, watched for as long as it must be alive with it."""

from __future__ import annotations

from dataclasses import dataclass

from otagate.policy.health import Health, Vitals, judge_health
from otagate.policy.settings import PolicySettings


@dataclass(slots=True, kw_only=True)
class Vigil:
    """What was seen of it, by the seconds `spent` in which it could have been heard; `pace`: time passes so much faster.

    `report_due`: see `policy.health.Vitals`.
    """

    settings: PolicySettings
    sleepy: bool
    pace: float = 1.0
    since: float = 0.0
    heard_at: float = 0.0
    restarts: int = 0
    proved: bool = False
    report_due: float | None = None
    reported: bool = False

    def heard(self, spent: float, *, told: bool = False) -> None:
        """A sign of life: of one that sleeps that is all there is to have. `told`: it was the new version."""
        self.heard_at = spent
        self.proved = self.proved or ((self.sleepy or told) and self._lived(spent) >= self.settings.alive_for.total_seconds())

    def restarted(self, spent: float) -> None:
        """It came back to the network, and must live as long again."""
        self.restarts, self.since, self.heard_at, self.proved = self.restarts + 1, spent, spent, False

    def judge(self, spent: float) -> Health:
        """How it does."""
        silent = (spent - self.heard_at) * self.pace
        vitals = Vitals(
            lived=self._lived(spent),
            silent=silent,
            restarts=self.restarts,
            proved=self.proved,
            report_due=self.report_due,
            reported=self.reported,
        )
        return judge_health(vitals, self.settings, sleepy=self.sleepy)

    def rest(self, spent: float) -> float:
        """Seconds until it has lived long enough; 0 where it has."""
        return max(0.0, (self.settings.alive_for.total_seconds() - self._lived(spent)) / self.pace)

    def _lived(self, spent: float) -> float:
        return (spent - self.since) * self.pace
