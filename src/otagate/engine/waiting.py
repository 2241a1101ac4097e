"""For what updates wait: always known as of the last look at the queue, written down only when that is worth a line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from otagate.engine.roster import Roster
from otagate.model.ids import UpdateId
from otagate.model.lifecycle import State
from otagate.model.verdicts import Verdict

_TOLD_EVERY = 300.0
"""Seconds between two facts about one update: a device that sleeps and wakes is not worth a line each time."""


@dataclass(slots=True, kw_only=True)
class WaitingList:
    """`pace` shortens what is waited for before the next fact."""

    pace: float
    verdicts: Mapping[UpdateId, Verdict] = field(default_factory=dict)
    _told_at: dict[UpdateId, float] = field(default_factory=dict)

    def news(self, rows: Roster, now: float) -> dict[UpdateId, Verdict]:
        """What belongs on disk: at once where a row says nothing yet, later where it says something else."""
        news: dict[UpdateId, Verdict] = {}
        for update_id, verdict in self.verdicts.items():
            row = rows.get(update_id)
            if row is None or row.state is not State.QUEUED or row.reason == verdict.reason:
                continue
            if row.reason is None or now - self._told_at.get(update_id, float("-inf")) >= _TOLD_EVERY / self.pace:
                news[update_id] = verdict
        return news

    def told(self, news: Mapping[UpdateId, Verdict], now: float) -> None:
        """These are on disk."""
        self._told_at |= dict.fromkeys(news, now)

    def forget(self, update: UpdateId) -> None:
        """It has ended."""
        self._told_at.pop(update, None)
