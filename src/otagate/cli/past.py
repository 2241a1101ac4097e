"""Commands about what happened: the updates that ended, the log of one, the journal of the hub."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from otagate.cli import tables
from otagate.cli.session import Session, command
from otagate.cli.stops import Exit, Stop

ENDED = "succeeded,failed,cancelled,superseded"

app = typer.Typer()

Since = Annotated[str | None, typer.Option(metavar="WHEN", help="Only what happened since: a date, a time, or a span such as 90m, 24h or 7d.")]
_SPAN = re.compile(r"(\d{1,5})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@command(app)
async def log(session: Session, update_id: Annotated[str, typer.Argument(metavar="UPDATE", help="The update's id.")]) -> Exit:
    """Show everything that happened to an update."""
    items = await session.client.items("updates", update_id, "log", query={})
    session.tell({"items": items, "next_cursor": None})
    session.say(tables.facts(session.console, items))
    return Exit.DONE


@command(app)
async def history(
    session: Session,
    device_id: Annotated[str | None, typer.Option("--device", metavar="ID", help="Only of this device.")] = None,
    state: Annotated[str, typer.Option(help="Only those that ended so, separated by commas.")] = ENDED,
    actor: Annotated[str | None, typer.Option(metavar="WHO", help="Only what they did: token:NAME, uid:NUMBER, policy, otagate.")] = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many, the newest.")] = 100,
    journal: Annotated[bool, typer.Option("--journal", help="Everything that happened to the hub, not the updates that ended.")] = False,
) -> Exit:
    """Show which updates ended, when, and on whose order.

    With --journal: everything that happened to the hub.
    """
    begin = None if since is None else moment(since)
    if journal:
        query = {"actor": actor, "since": None if begin is None else begin.isoformat(), "id": device_id}
        items = await session.client.items("journal", query=query, most=limit)
    else:
        items = await _ended(session, {"device": device_id, "state": state}, actor=actor, since=begin, most=limit)
    session.tell({"items": items, "next_cursor": None})
    if not session.as_json:
        session.say(tables.journal(session.console, items) if journal else tables.history(session.console, items, await _names(session, items)))
    return Exit.DONE


async def _ended(session: Session, query: Mapping[str, str | None], *, actor: str | None, since: datetime | None, most: int) -> list[dict[str, Any]]:
    """The newest updates that fit, read page by page until there are enough."""
    found: list[dict[str, Any]] = []
    async for each in session.client.each("updates", query=query):
        finished = each["finished"]
        late = since is None or (finished is not None and datetime.fromisoformat(finished) >= since)
        if late and actor in (None, each["actor"]):
            found.append(each)
            if len(found) == most:
                break
    return sorted(found, key=lambda each: each["finished"] or each["created"], reverse=True)


async def _names(session: Session, items: list[dict[str, Any]]) -> dict[str, str]:
    """What the devices are called, as far as there are devices to name."""
    if not items:
        return {}
    return {each["id"]: each["name"] async for each in session.client.each("devices", query={})}


def moment(text: str) -> datetime:
    """A date, a time (without a zone: this machine's), or a span back from now. Raises Stop."""
    span = _SPAN.fullmatch(text)
    if span is not None:
        from otagate.engine.timers import SystemClock

        return SystemClock().now() - timedelta(**{_UNITS[span[2]]: int(span[1])})
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise Stop(f"{text!r} is no time: write 2026-05-01, 2026-05-01T03:00, or a span such as 90m, 24h or 7d", Exit.USAGE) from None
