"""Calls about the report of a month, for whoever owns the house."""

from __future__ import annotations

from aiohttp import web

from otagate.api import documents
from otagate.api.requests import ReportFilters
from otagate.api.router import Call, Route
from otagate.reports.forms import FORMS
from otagate.reports.report import parse_month


async def show_report(call: Call, query: ReportFilters) -> web.Response:
    """The report of a month, as HTML to be printed or as CSV: what there is, what is current, every exception, and every update that ended.

    It is sealed: its last line carries an Ed25519 signature over every byte before it, which `otagate verify-report` checks without a network. It
    names the last link of the journal's chain.
    """
    month = parse_month(query.month)
    data = await call.desk.report(month, query.format)
    headers = {"Content-Disposition": f'attachment; filename="otagate-report-{month}.{query.format}"', "Cache-Control": "no-store"}
    return web.Response(body=data, content_type=FORMS[query.format].media, charset="utf-8", headers=headers)


async def show_report_key(call: Call) -> documents.ReportKey:
    """The public key that reports are sealed with: whoever checks one should have it from here, and not from the report."""
    return documents.ReportKey(key=await call.desk.report_key())


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/report",
        run=show_report,
        answers={200: tuple(each.media for each in FORMS.values())},
        problems=("store-unavailable",),
        timeout=300,
    ),
    Route(method="GET", path="/api/v1/report/key", run=show_report_key, answers={200: documents.ReportKey}, problems=("store-unavailable",)),
)
