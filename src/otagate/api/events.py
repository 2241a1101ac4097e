"""Server-Sent Events: the journal as it grows, and live progress in between.

`id` is the number of the fact; `Last-Event-ID` continues after it. `event` is the subject (`device`, `update`, `radio`, `source`, `image`,
`rollout`, `hub`) and
`data` the object as a GET answers it, with the fact under `fact`; where the object is gone, only its `id`. An update shows the state that the fact
tells; everything else is as it is now. Live progress is an `update` without an id. A reader that does not keep up is disconnected and comes back
with `Last-Event-ID`: nothing is kept for it here. Where the journal has forgotten what follows that number, a `hub` event whose fact is `forgotten`
says so: the reader should read anew what it shows.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import structlog
from aiohttp import web
from pydantic import BaseModel

from otagate.api import documents, radio_documents, rendering, source_documents
from otagate.api.desk import Desk
from otagate.api.problems import RequestError
from otagate.api.rollout_documents import rollout_document
from otagate.api.router import Call, Header, Hub, Route
from otagate.model.errors import NotFound, StoreError
from otagate.model.facts import Fact
from otagate.model.ids import DeviceId, Sha256, UpdateId
from otagate.model.rollouts import RolloutId

_log = structlog.get_logger(__name__)

BACKLOG = 64
"""Facts that may wait for one reader; the journal itself holds the rest."""

HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
LIVE_BACKLOG = 256
"""Updates whose newest progress may wait for one reader."""

PATIENCE = 30.0
"""Seconds that one reader may take to accept what is sent."""

LAST_EVENT_ID = Header(name="Last-Event-ID", pattern="[0-9]{1,18}", about="the number of an event of this hub")


class Mailbox:
    """What waits for one reader: facts in order, and of live progress only the newest of each update."""

    def __init__(self) -> None:
        self._facts: asyncio.Queue[Fact | None] = asyncio.Queue(BACKLOG)
        self._live: dict[str, documents.Update] = {}
        self._ring = asyncio.Event()

    async def fill(self, facts: AsyncIterator[Fact]) -> None:
        """Take facts as fast as the reader empties the box; their end is the stream's end."""
        async for fact in facts:
            await self._facts.put(fact)
            self._ring.set()
        await self._facts.put(None)
        self._ring.set()

    async def overhear(self, views: AsyncIterator[documents.Update]) -> None:
        """Keep the newest progress of each update; more updates than the box holds are left for the facts to tell."""
        async for update in views:
            if update.id in self._live or len(self._live) < LIVE_BACKLOG:
                self._live[update.id] = update
                self._ring.set()

    async def take(self) -> tuple[list[Fact | None], list[documents.Update]]:
        """Everything that waits, at least one thing; a None among the facts is their end."""
        await self._ring.wait()
        self._ring.clear()
        facts = [self._facts.get_nowait() for _ in range(self._facts.qsize())]
        live, self._live = list(self._live.values()), {}
        return facts, live


async def stream_events(call: Call) -> web.StreamResponse:
    """Events as they happen, until either side hangs up.

    `event` is `device`, `update`, `radio`, `source`, `image`, `rollout` or `hub`; `data` is a JSON object: what a GET answers of it, or its `id`
    alone where it is gone, with the line of the journal under `fact`. `id` is the number of that line, and `Last-Event-ID` goes on after it without
    a gap; without it the stream begins now. Progress comes as `update` without an `id`. A `hub` whose fact is `forgotten` says that lines after
    that number are kept no more: read anew. A comment comes where nothing happens; whoever does not keep up is disconnected.
    """
    after = _last_event_id(call.request)
    hub = call.hub
    if hub.streams >= hub.settings.max_streams:
        raise RequestError("too-many-streams", f"{hub.streams} event streams are open, and the hub keeps no more")
    hub.streams += 1
    try:
        return await _serve(call, after)
    finally:
        hub.streams -= 1


def _last_event_id(request: web.Request) -> int | None:
    text = LAST_EVENT_ID.read(request)
    return None if text is None else int(text)


async def _serve(call: Call, after: int | None) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
    box = Mailbox()
    # the journal is subscribed to before the first byte leaves: what a client orders once it sees the stream open is not missed
    facts = call.desk.events(after=after)
    live = call.desk.live()
    try:
        async with asyncio.TaskGroup() as group:
            pumps = [group.create_task(box.fill(facts)), group.create_task(box.overhear(_documents(live)))]
            await asyncio.sleep(0)
            await response.prepare(call.request)
            await response.write(b"retry: 3000\n: open\n\n")
            writer = group.create_task(_write(response, box, call.hub))
            stop = group.create_task(call.hub.closing.wait())
            await asyncio.wait({writer, stop}, return_when=asyncio.FIRST_COMPLETED)
            for task in (*pumps, writer, stop):
                task.cancel()
    except* (ConnectionError, TimeoutError):
        pass  # the reader hung up or fell asleep: it comes back with Last-Event-ID
    except* StoreError as errors:
        _log.warning("a reader of events is sent away", error=str(errors.exceptions[0]))
    return response


async def _documents(views: AsyncIterator[Any]) -> AsyncIterator[documents.Update]:
    async for view in views:
        yield rendering.update_document(view)


async def _write(response: web.StreamResponse, box: Mailbox, hub: Hub) -> None:
    while True:
        try:
            async with asyncio.timeout(hub.settings.heartbeat):
                facts, live = await box.take()
        except TimeoutError:
            await _send(response, b": still here\n\n")
            continue
        for fact in facts:
            if fact is None:
                return
            await _send(response, await _event(hub.desk, fact))
        for update in live:
            await _send(response, _frame("update", update.model_dump_json(by_alias=True)))


async def _send(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(PATIENCE):
        await response.write(data)


async def _event(desk: Desk, fact: Fact) -> bytes:
    try:
        found = await _subject(desk, fact)
    except NotFound:
        found = None
    body: dict[str, Any] = {"id": fact.subject_id} if found is None else found.model_dump(mode="json", by_alias=True)
    body["fact"] = rendering.fact_document(fact).model_dump(mode="json")
    return _frame(fact.subject, json.dumps(body, separators=(",", ":")), number=fact.number)


async def _subject(desk: Desk, fact: Fact) -> BaseModel | None:
    match fact.subject:
        case "update":
            return rendering.update_as_told(await desk.update(UpdateId(fact.subject_id)), fact)
        case "device":
            return rendering.device_document(await desk.device(DeviceId(fact.subject_id)))
        case "image":
            return source_documents.image_document(await desk.image(Sha256(fact.subject_id)))
        case "radio":
            return next((radio_documents.radio_document(each) for each in desk.radios() if each.name == fact.subject_id), None)
        case "source":
            return next((source_documents.source_document(each) for each in await desk.sources() if each.name == fact.subject_id), None)
        case "rollout":
            return rollout_document(desk.rollout(RolloutId(fact.subject_id)))
        case "hub":
            return None


def _frame(event: str, data: str, *, number: int | None = None) -> bytes:
    head = "" if number is None else f"id: {number}\n"
    return f"{head}event: {event}\ndata: {data}\n\n".encode()


ROUTES = (
    Route(
        method="GET",
        path="/api/v1/events",
        run=stream_events,
        answers={200: "text/event-stream"},
        problems=("too-many-streams",),
        timeout=0,
        headers=(LAST_EVENT_ID,),
    ),
)
