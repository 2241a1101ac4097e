"""Whose window has closed: running updates that stand still until it opens again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from otagate.engine.outlook import Outlook
from otagate.model.ids import UpdateId
from otagate.model.lifecycle import State
from otagate.model.updates import Update
from otagate.model.verdicts import Verdict
from otagate.policy.guards import stands_still

WINDOW_CLOSED = "window_closed"


@dataclass(slots=True)
class Curfew:
    """Nothing of it is kept: after a restart clock, configuration and the reasons of the rows say the same again."""

    verdicts: dict[UpdateId, Verdict] = field(default_factory=dict)

    def holds(self, update: UpdateId) -> bool:
        """Whether an update stands still because its window has closed."""
        return update in self.verdicts

    def look(self, running: Iterable[tuple[Update, bool]], outlook: Outlook) -> tuple[list[Update], list[Update]]:
        """Decide anew for what runs, each with whether its radio can make a transfer wait; returns who stops now and who goes on."""
        watch = outlook.watch()
        before, self.verdicts = self.verdicts, {}
        stops: list[Update] = []
        goes_on: list[Update] = []
        for update, pauses in running:
            verdict = None
            if update.state in (State.FETCHING, State.OFFERING) or (_moves(update) and pauses):
                moving = _moves(update) and update.id not in before and update.reason != WINDOW_CLOSED
                verdict = stands_still(update, outlook.settings_of(update), watch, moving=moving)
            if verdict is not None:
                self.verdicts[update.id] = verdict
                stops += [update] if update.id not in before else []
            elif update.id in before:
                goes_on.append(update)
        return stops, goes_on


def _moves(update: Update) -> bool:
    return update.state is State.TRANSFERRING or (update.state is State.STAGED and update.activation_owed)
