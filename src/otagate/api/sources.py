"""Calls about sources."""

from __future__ import annotations

from otagate.api import documents, rendering
from otagate.api.router import Call, Route

PATH = "/api/v1/sources"


async def list_sources(call: Call) -> documents.Page[documents.Source]:
    """Every configured source and how it fares."""
    return documents.Page[documents.Source](items=tuple(rendering.source_document(each) for each in await call.desk.sources()))


async def refresh_source(call: Call, name: str) -> documents.Source:
    """Ask a source now what it offers."""
    return rendering.source_document(await call.desk.refresh(name, actor=call.actor))


ROUTES = (
    Route(method="GET", path=PATH, run=list_sources, answers={200: documents.Page[documents.Source]}),
    Route(
        method="POST",
        path=f"{PATH}/{{name}}/refresh",
        run=refresh_source,
        answers={200: documents.Source},
        scope="operate",
        problems=("unknown-source", "source-unreachable", "source-refused", "source-unintelligible"),
        timeout=120,
    ),
)
