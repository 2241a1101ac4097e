"""Calls about sources."""

from __future__ import annotations

from otagate.api import documents, paging, source_documents
from otagate.api.requests import RecordFilters, RefreshBody
from otagate.api.router import Call, Route

PATH = "/api/v1/sources"
_PROBLEMS = (
    "unknown-source",
    "not-of-this-source",
    "source-unreachable",
    "source-refused",
    "source-unintelligible",
)


async def list_sources(call: Call) -> documents.Page[source_documents.Source]:
    """Every configured source and how it fares."""
    return documents.Page[source_documents.Source](items=tuple(source_documents.source_document(each) for each in await call.desk.sources()))


async def refresh_source(call: Call, name: str, body: RefreshBody) -> source_documents.Source:
    """Ask a source now what it offers; where a room is named, its service is first told to look again at the devices there.

    One that cannot be read is answered as it stands, with its `error`.
    """
    return source_documents.source_document(await call.desk.refresh(name, actor=call.actor, room_id=body.room_id))


async def list_records(call: Call, name: str, query: RecordFilters) -> documents.Page[source_documents.Record]:
    """What the service of a source itself recorded of its updates, a page at a time: asked now, and kept nowhere."""
    page = await call.desk.records(name, query.query())
    items = tuple(source_documents.record_document(each) for each in page.items)
    return documents.Page[source_documents.Record](items=items, next_cursor=paging.RECORDS.write(None if page.after is None else str(page.after)))


ROUTES = (
    Route(method="GET", path=PATH, run=list_sources, answers={200: documents.Page[source_documents.Source]}),
    Route(
        method="POST",
        path=f"{PATH}/{{name}}/refresh",
        run=refresh_source,
        answers={200: source_documents.Source},
        scope="operate",
        problems=_PROBLEMS,
        timeout=120,
    ),
    Route(
        method="GET",
        path=f"{PATH}/{{name}}/records",
        run=list_records,
        answers={200: documents.Page[source_documents.Record]},
        problems=(*_PROBLEMS, "invalid-request"),
        timeout=120,
    ),
)
