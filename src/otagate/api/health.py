"""Probes and metrics."""

from __future__ import annotations

from typing import Literal

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from pydantic import Field

from otagate.api.documents import Document
from otagate.api.problems import MEDIA_TYPE, Problem, problem
from otagate.api.router import Call, Reply, Route
from otagate.ports import RadioState


class Alive(Document):
    """The process answers."""

    status: Literal["alive"] = "alive"


class RadioHealth(Document):
    """A radio, for the readiness probe."""

    name: str
    state: RadioState
    sentence: str


class Ready(Document):
    """Whether the hub can work, and what its parts say."""

    ready: bool
    store: str
    radios: tuple[RadioHealth, ...]
    mqtt: str | None = Field(default=None, description="how the line to the MQTT broker is, where there is one; the hub works without it")


class NotReady(Problem):
    """The same, where it cannot."""

    ready: bool = False
    store: str
    radios: tuple[RadioHealth, ...]
    mqtt: str | None = Field(default=None, description="how the line to the MQTT broker is, where there is one; the hub works without it")


async def healthz(_call: Call) -> Alive:
    """The process answers."""
    return Alive()


async def readyz(call: Call) -> Reply:
    """Whether the store is open and every radio is up or being tried again; the body says which is not."""
    health = await call.desk.health()
    radios = tuple(RadioHealth(name=each.name, state=each.state, sentence=each.sentence) for each in health.radios)
    if health.ready:
        return Reply(document=Ready(ready=True, store=health.store, radios=radios, mqtt=health.broker))
    said = problem("not-ready", "the store or a radio is not working; the other members say which", retry="later")
    return Reply(document=NotReady(**dict(said), store=health.store, radios=radios, mqtt=health.broker), status=503, media=MEDIA_TYPE)


async def metrics(call: Call) -> web.StreamResponse:
    """Counters and gauges as Prometheus text."""
    return web.Response(body=generate_latest(call.desk.metrics), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


ROUTES = (
    Route(method="GET", path="/healthz", run=healthz, answers={200: Alive}, scope=None),
    Route(method="GET", path="/readyz", run=readyz, answers={200: Ready, 503: NotReady}, scope=None),
    Route(method="GET", path="/metrics", run=metrics, answers={200: "text/plain"}),
)
