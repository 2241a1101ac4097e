"""Whatever a session tells reaches the engine."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from otagate.model.ids import UpdateId
from otagate.model.lifecycle import Cause
from otagate.radios.advances import as_event
from otagate.sessions.effects import Advance


def test_nothing_of_what_a_session_tells_is_lost_on_its_way() -> None:
    told = Advance(
        update=UpdateId("u1"),
        causes=(Cause.ACCEPTED, Cause.STALLED),
        detail="the device stopped asking",
        token=7,
        offset=40,
        held=True,
        wants_more=True,
        code="transfer-stalled",
        until=datetime(2026, 5, 1, tzinfo=UTC),
    )
    assert asdict(as_event(told)) == asdict(told)
