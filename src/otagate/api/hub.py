"""Calls about the hub as a whole: its journal, its windows, its settings, and the halt of everything."""

from __future__ import annotations

from otagate.api import documents, paging, rendering
from otagate.api.requests import HaltBody, JournalFilters
from otagate.api.router import Call, Route
from otagate.engine.views import JournalFilter

HALT = "/api/v1/halt"


async def list_facts(call: Call, query: JournalFilters) -> documents.Page[documents.Fact]:
    """The journal of the hub, a page at a time, newest first: what happened, and who did it.

    A page may hold less than its limit though more follows; the list ends where `next_cursor` is null.
    """
    last = paging.JOURNAL.read(query.cursor)
    wanted = JournalFilter(subject=query.subject, subject_id=query.id, kind=query.kind, actor=query.actor, since=query.since, until=query.until)
    page = await call.desk.journal(wanted, limit=query.limit, before=None if last is None else int(last))
    items = tuple(rendering.fact_document(each) for each in page.items)
    return documents.Page[documents.Fact](items=items, next_cursor=paging.JOURNAL.write(page.last))


async def list_windows(call: Call) -> documents.Page[documents.Window]:
    """When updates may use the air: every window with its openings to come, the one that is open first."""
    return documents.Page[documents.Window](items=tuple(rendering.window_document(each) for each in call.desk.windows()))


async def show_settings(call: Call) -> documents.Settings:
    """The configuration in force, secrets masked."""
    return documents.Settings(settings=call.hub.settings.effective)


async def show_caller(call: Call) -> documents.Caller:
    """Who asks, and what they may do here."""
    return documents.Caller(actor=call.actor, scopes=tuple(sorted(call.caller.scopes)))


async def show_halt(call: Call) -> documents.Halt:
    """Whether everything is halted, and by whom."""
    return rendering.halt_document(call.desk.halted())


async def halt(call: Call, body: HaltBody) -> documents.Halt:
    """Halt everything: nothing moves on any radio until the halt is lifted, over restarts too. Halting again changes nothing."""
    return rendering.halt_document(await call.desk.halt(actor=call.actor, because=body.because))


async def lift_halt(call: Call) -> None:
    """Lift the halt: everything goes on where it was. Where nothing is halted nothing happens."""
    await call.desk.lift_halt(actor=call.actor)


ROUTES = (
    Route(method="GET", path="/api/v1/journal", run=list_facts, answers={200: documents.Page[documents.Fact]}),
    Route(method="GET", path="/api/v1/windows", run=list_windows, answers={200: documents.Page[documents.Window]}),
    Route(method="GET", path="/api/v1/settings", run=show_settings, answers={200: documents.Settings}),
    Route(method="GET", path="/api/v1/caller", run=show_caller, answers={200: documents.Caller}),
    Route(method="GET", path=HALT, run=show_halt, answers={200: documents.Halt}),
    Route(method="POST", path=HALT, run=halt, answers={200: documents.Halt}, scope="operate", problems=("store-unavailable",)),
    Route(method="DELETE", path=HALT, run=lift_halt, answers={204: None}, scope="operate", problems=("store-unavailable",)),
)
