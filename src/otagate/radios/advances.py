"""What sessions tell of updates, as radios tell it to the engine."""

from __future__ import annotations

from otagate.ports import TransferAdvanced
from otagate.sessions.effects import Advance


def as_event(told: Advance) -> TransferAdvanced:
    """The same, as an event."""
    return TransferAdvanced(
        update=told.update,
        causes=told.causes,
        detail=told.detail,
        token=told.token,
        offset=told.offset,
        held=told.held,
        wants_more=told.wants_more,
        code=told.code,
        until=told.until,
        rest=told.rest,
    )
