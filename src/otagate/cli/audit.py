"""Commands about the audit: is the journal what was written, and which updates ended how."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from otagate.cli.past import Since, moment
from otagate.cli.session import Session, command
from otagate.cli.stops import Exit

app = typer.Typer()
audit = typer.Typer(no_args_is_help=True, help="Check the journal, and export which updates ended how.")
app.add_typer(audit, name="audit")


@command(audit, "verify")
async def verify_audit(session: Session) -> Exit:
    """Check the whole journal against its hash chain."""
    answer = await session.client.get("audit", "verify")
    session.tell(answer)
    session.say(f"{answer['sentence']} Fact {answer['last']} has the link {answer['chain'] or '-'}.")
    return Exit.DONE if answer["holds"] else Exit.FAILED


@command(audit, "export")
async def export_audit(
    session: Session,
    form: Annotated[
        Literal["csv", "jsonl"] | None, typer.Option("--format", help="csv or jsonl (one JSON object a line); csv without --json.")
    ] = None,
    since: Since = None,
    until: Annotated[str | None, typer.Option(metavar="WHEN", help="Only what happened until then.")] = None,
    actor: Annotated[str | None, typer.Option(metavar="WHO", help="Only what they ordered or approved.")] = None,
    device_id: Annotated[str | None, typer.Option("--device", metavar="ID", help="Only of this device.")] = None,
) -> Exit:
    """Write every update that ended to standard output, one line each: who, what, when, why, and how it ended."""
    query = {
        "format": form or ("jsonl" if session.as_json else "csv"),
        "since": None if since is None else moment(since).isoformat(),
        "until": None if until is None else moment(until).isoformat(),
        "actor": actor,
        "device": device_id,
    }
    async for chunk in session.client.stream("audit", query=query):
        sys.stdout.buffer.write(chunk)
    sys.stdout.flush()
    return Exit.DONE
