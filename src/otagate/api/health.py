"""Probes and metrics."""

from __future__ import annotations

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from otagate.api import documents
from otagate.api.problems import MEDIA_TYPE, problem
from otagate.api.router import Call, Reply, Route


async def healthz(_call: Call) -> documents.Alive:
    """The process answers."""
    return documents.Alive()


async def readyz(call: Call) -> Reply:
    """Whether the store is open and every radio is up or being tried again; the body says which is not."""
    health = await call.desk.health()
    radios = tuple(documents.RadioHealth(name=each.name, state=each.state, sentence=each.sentence) for each in health.radios)
    if health.ready:
        return Reply(document=documents.Ready(ready=True, store=health.store, radios=radios))
    said = problem("not-ready", "the store or a radio is not working; the other members say which", retry="later")
    return Reply(document=documents.NotReady(**dict(said), store=health.store, radios=radios), status=503, media=MEDIA_TYPE)


async def metrics(call: Call) -> web.StreamResponse:
    """Counters and gauges as Prometheus text."""
    return web.Response(body=generate_latest(call.desk.metrics), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


ROUTES = (
    Route(method="GET", path="/healthz", run=healthz, answers={200: documents.Alive}, scope=None),
    Route(method="GET", path="/readyz", run=readyz, answers={200: documents.Ready, 503: documents.NotReady}, scope=None),
    Route(method="GET", path="/metrics", run=metrics, answers={200: "text/plain"}),
)
