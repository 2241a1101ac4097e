"""Calls about who is told what happens."""

from __future__ import annotations

from otagate.api import documents, rendering
from otagate.api.router import Call, Route

PATH = "/api/v1/notifiers"


async def list_notifiers(call: Call) -> documents.Page[documents.Notifier]:
    """Every configured receiver of notifications and how it fares."""
    return documents.Page[documents.Notifier](items=tuple(rendering.notifier_document(each) for each in call.desk.notifiers()))


async def test_notifier(call: Call, name: str) -> documents.Notifier:
    """Send a test to a receiver now, in quiet hours too, and once; where it does not arrive the problem says why."""
    return rendering.notifier_document(await call.desk.test_notifier(name, actor=call.actor))


ROUTES = (
    Route(method="GET", path=PATH, run=list_notifiers, answers={200: documents.Page[documents.Notifier]}),
    Route(
        method="POST",
        path=f"{PATH}/{{name}}/test",
        run=test_notifier,
        answers={200: documents.Notifier},
        scope="operate",
        problems=("unknown-notifier", "source-unreachable", "source-refused", "source-unintelligible", "quota"),
        timeout=60,
    ),
)
