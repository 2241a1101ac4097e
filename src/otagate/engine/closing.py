"""What becomes of running updates when their window closes, and when it opens again."""

from __future__ import annotations

from collections.abc import Mapping

from otagate.engine.course import Course
from otagate.engine.curfew import WINDOW_CLOSED
from otagate.engine.mailbox import Changed
from otagate.engine.tools import Tools
from otagate.model.clouds import THE_CLOUD
from otagate.model.errors import NotInState
from otagate.model.ids import UpdateId
from otagate.model.orders import Pause, Resume
from otagate.model.updates import Update


async def heed_windows(courses: Mapping[UpdateId, Course], tools: Tools) -> None:
    """Stop what runs where its window has closed, let it go on where it has opened: devices are told first, the journal after.

    Raises StoreUnavailable, and NotInState where an update has just moved on; at the next look the journal is told what it was not.
    """
    running = [(course.update, course.radio.pauses) for course in courses.values() if not _elsewhere(course.update)]
    stops, goes_on = tools.curfew.look(running, tools.outlook)
    for update in stops:
        courses[update.id].radio.command(Pause(update=update.id))
    for update in goes_on:
        if not tools.held(update):
            courses[update.id].radio.command(Resume(update=update.id))
        courses[update.id].mailbox.put(Changed())
    for update, _ in running:
        verdict = tools.curfew.verdicts.get(update.id)
        if verdict is not None and update.reason is None:
            await _note(tools, update, WINDOW_CLOSED, verdict.sentence, reason=WINDOW_CLOSED)
        elif verdict is None and update.reason == WINDOW_CLOSED and update.state.running:
            await _note(tools, update, "window_opened", "its window is open", reason=None)


async def _note(tools: Tools, update: Update, kind: str, detail: str, *, reason: str | None) -> None:
    def same(row: Update) -> None:
        if row.state is not update.state:
            raise NotInState(f"update {row.id} has moved on")

    await tools.ledger.amend(update.id, kind, check=same, detail=detail, reason=reason)


def _elsewhere(update: Update) -> bool:
    """Another program or a cloud carries it out: it cannot be made to wait."""
    return update.foreign or update.radio == THE_CLOUD
