"""Calls about the audit: whether the journal is as it was written, and the updates that ended as a file, one line each.

The export is a view of the updates and of the journal, not a log of its own: `fact` and `chain` name the line of the journal that tells the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import structlog
from aiohttp import web

from otagate.api import documents, rendering
from otagate.api.problems import RequestError
from otagate.api.requests import AuditFilters
from otagate.api.router import Call, Route
from otagate.engine.views import AuditEntry, AuditFilter
from otagate.model.errors import StoreError
from otagate.model.ids import DeviceId
from otagate.reports.cells import csv_line

LOG = structlog.get_logger("otagate.api")

PATIENCE = 30.0
"""Seconds that the reader may take to accept what is sent."""

_MEDIA = {"csv": "text/csv; charset=utf-8; header=present", "jsonl": "application/jsonl; charset=utf-8"}
_COLUMNS = tuple(documents.AuditLine.model_fields)


async def verify_audit(call: Call) -> documents.Chain:
    """Check the whole journal against its hash chain. `broken` is the number of the first fact that is not what was written.

    Keep `last` and `chain` elsewhere: a journal that was cut off behind, or written anew as a whole, does not have that link at that number any more.
    """
    view = await call.desk.verify_chain()
    return documents.Chain(holds=view.holds, sentence=view.sentence, first=view.first, last=view.last, chain=view.chain, broken=view.broken)


async def export_audit(call: Call, query: AuditFilters) -> web.StreamResponse:
    """Every update that ended, newest first, one line each, as CSV or as JSON lines.

    It is sent as it is read; an answer that could not be read to its end is broken off, never ended.
    """
    hub = call.hub
    if hub.streams >= hub.settings.max_streams:
        raise RequestError("too-many-streams", f"{hub.streams} streams are open, and the hub keeps no more")
    hub.streams += 1
    try:
        return await _send(call, query)
    finally:
        hub.streams -= 1


async def _send(call: Call, query: AuditFilters) -> web.StreamResponse:
    wanted = AuditFilter(device=None if query.device is None else DeviceId(query.device), actor=query.actor, since=query.since, until=query.until)
    entries = call.desk.audit(wanted)
    first = await anext(entries, None)  # a store that cannot be read at all is a problem, and no broken answer
    response = web.StreamResponse(
        headers={
            "Content-Type": _MEDIA[query.format],
            "Content-Disposition": f'attachment; filename="otagate-audit.{query.format}"',
            "Cache-Control": "no-store",
        }
    )
    try:
        async with asyncio.timeout(PATIENCE):
            await response.prepare(call.request)
        if query.format == "csv":
            await _write(response, csv_line(_COLUMNS))
        if first is not None:
            await _write(response, _line(first, query.format))
            await _write_rest(response, entries, query.format)
    except (ConnectionError, TimeoutError):
        _break_off(call)  # nobody reads, or too slowly
    except StoreError as error:
        LOG.warning("an audit export is broken off", error=str(error))
        _break_off(call)
    return response


async def _write_rest(response: web.StreamResponse, entries: AsyncIterator[AuditEntry], form: str) -> None:
    async for entry in entries:
        await _write(response, _line(entry, form))


async def _write(response: web.StreamResponse, text: str) -> None:
    async with asyncio.timeout(PATIENCE):
        await response.write(text.encode())


def _break_off(call: Call) -> None:
    if call.request.transport is not None:
        call.request.transport.abort()


def _line(entry: AuditEntry, form: str) -> str:
    line = rendering.audit_line(entry)
    if form == "jsonl":
        return line.model_dump_json(by_alias=True) + "\n"
    values = line.model_dump(mode="json")
    return csv_line([values[name] for name in _COLUMNS])


ROUTES = (
    Route(method="GET", path="/api/v1/audit/verify", run=verify_audit, answers={200: documents.Chain}, timeout=300),
    Route(
        method="GET",
        path="/api/v1/audit",
        run=export_audit,
        answers={200: ("application/jsonl", "text/csv")},
        problems=("too-many-streams",),
        timeout=0,
    ),
)
