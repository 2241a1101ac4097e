"""Server-Sent Events over a real connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from otagate.model.errors import StoreUnavailable
from otagate.model.facts import Fact
from otagate.model.lifecycle import State
from tests.api.conftest import Hall, Open
from tests.api.counter import IMAGE_MAGIC, LAMP, NOON, update, view

pytestmark = pytest.mark.asyncio
PATH = "/api/v1/events"


@dataclass(frozen=True, kw_only=True)
class Event:
    id: str | None
    event: str
    data: Any


class Stream:
    """Reads frames; comments are kept apart."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.comments: list[str] = []

    async def next(self) -> Event | None:
        """The next event, or None at the end of the stream."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(60):
            while line := (await self.response.content.readline()).decode():
                line = line.removesuffix("\n")
                if not line and "data" in fields:
                    return Event(id=fields.get("id"), event=fields["event"], data=json.loads(fields["data"]))
                name, _, value = line.partition(": ")
                if name:
                    fields[name] = value
                elif value:
                    self.comments.append(value)
        return None

    async def comment(self, text: str) -> None:
        async with asyncio.timeout(60):
            while (line := await self.response.content.readline()) and line != f": {text}\n".encode():
                pass
        assert line


@asynccontextmanager
async def listening(hall: Hall, *, after: int | str | None = None) -> AsyncIterator[Stream]:
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    async with hall.client.get(hall.base + PATH, headers=headers) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        stream = Stream(response)
        await stream.comment("open")
        yield stream


async def test_a_change_arrives_with_the_object_as_it_is_now(hall: Hall) -> None:
    hall.desk.jobs["u0001"] = update(1, state=State.TRANSFERRING)
    async with listening(hall) as stream:
        await hall.desk.record("update", "u0001", "accepted")
        event = await stream.next()
    assert event is not None
    assert (event.id, event.event) == ("1", "update")
    fact = event.data.pop("fact")
    assert event.data == await hall.json("GET", "/api/v1/updates/u0001")
    assert (fact["number"], fact["kind"], fact["actor"], fact["at"]) == (1, "accepted", "otagate", "2026-05-01T12:00:00Z")


@pytest.mark.parametrize(
    ("subject", "name", "path"),
    [("device", LAMP, f"/api/v1/devices/{LAMP}"), ("radio", "zigbee0", None), ("source", "directory", None)],
)
async def test_every_subject_has_its_event(hall: Hall, subject: str, name: str, path: str | None) -> None:
    async with listening(hall) as stream:
        await hall.desk.record(subject, name)
        event = await stream.next()
    assert event is not None
    assert event.event == subject
    del event.data["fact"]
    listed = await hall.json("GET", path or f"/api/v1/{subject}s")
    assert event.data == (listed if path else listed["items"][0])


async def test_what_is_gone_keeps_its_id(hall: Hall) -> None:
    async with listening(hall) as stream:
        await hall.desk.record("device", "zigbee-0000000000000001", "gone")
        event = await stream.next()
    assert event is not None
    assert (event.data["id"], set(event.data)) == ("zigbee-0000000000000001", {"id", "fact"})


async def test_a_new_reader_hears_only_what_happens_from_now_on(hall: Hall) -> None:
    await hall.desk.record("device", LAMP)
    async with listening(hall) as stream:
        await hall.desk.record("radio", "zigbee0")
        event = await stream.next()
    assert event is not None
    assert event.id == "2"


async def test_a_reader_that_comes_back_misses_nothing(hall: Hall) -> None:
    for _ in range(300):
        await hall.desk.record("device", LAMP)
    async with listening(hall, after=7) as stream:
        await hall.desk.record("radio", "zigbee0")
        events = [await stream.next() for _ in range(294)]
    assert [each.id for each in events if each] == [str(number) for number in range(8, 302)]


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "9" * 19])
async def test_a_last_event_id_that_is_no_number_is_refused(hall: Hall, after: str) -> None:
    document = await hall.problem("GET", PATH, status=422, slug="invalid-request", headers={"Last-Event-ID": after})
    assert document["detail"] == "Last-Event-ID: it should be the number of an event of this hub"


async def test_live_progress_comes_without_an_id(hall: Hall) -> None:
    async with listening(hall) as stream:
        hall.desk.live_views.put_nowait(view(update(1, state=State.TRANSFERRING), sent=500, rate=100.0))
        event = await stream.next()
    assert event is not None
    assert (event.id, event.event) == (None, "update")
    progress = {key: value for key, value in event.data["progress"].items() if value is not None}
    assert progress == {"bytes_sent": 500, "bytes_total": 2000, "percent": 25.0, "bytes_per_second": 100.0, "eta_seconds": 15.0}


async def test_a_silent_stream_has_a_heartbeat(open_hall: Open) -> None:
    hall = await open_hall(heartbeat=0.05)
    async with listening(hall) as stream:
        await stream.comment("still here")


async def test_streams_end_when_the_hub_stops(hall: Hall) -> None:
    async with listening(hall) as stream:
        hall.server.drain()
        assert await stream.next() is None


async def test_a_stream_ends_with_the_journal(hall: Hall) -> None:
    async with listening(hall) as stream:
        hall.desk.stopped = True
        await hall.desk.record("radio", "zigbee0")
        assert await stream.next() is not None
        assert await stream.next() is None


async def test_a_reader_that_hangs_up_is_forgotten(open_hall: Open) -> None:
    hall = await open_hall(heartbeat=0.02)
    async with listening(hall):
        assert hall.desk.readers == 1
    async with asyncio.timeout(60):
        while hall.desk.readers or hall.server.hub.streams:
            await asyncio.sleep(0.01)


async def test_one_stream_too_many_is_told_to_come_back(open_hall: Open) -> None:
    hall = await open_hall(max_streams=1)
    async with listening(hall):
        document = await hall.problem("GET", PATH, status=503, slug="too-many-streams")
    assert int(document["_headers"]["Retry-After"]) > 0


async def test_a_reader_that_never_reads_holds_back_only_a_bounded_backlog(hall: Hall) -> None:
    """The journal's iterator is not drained into memory for a reader whose connection is full."""
    hall.desk.jobs["u0001"] = update(1, source="s" * 100_000)
    hall.desk.facts = [Fact(at=update(1).created, subject="update", subject_id="u0001", kind="state", number=n + 1) for n in range(2000)]
    pulled = 0
    original = hall.desk.update

    async def counted(update_id: Any) -> Any:
        nonlocal pulled
        pulled += 1
        return await original(update_id)

    hall.desk.update = counted
    async with listening(hall, after=0):
        seen = -1
        while pulled != seen:
            seen = pulled
            for _ in range(50):
                await asyncio.sleep(0.002)
        assert pulled < 500


async def test_a_replay_shows_every_state_in_its_turn(hall: Hall) -> None:
    done = update(1, state=State.SUCCEEDED, finished=NOON, bytes_sent=2000)
    hall.desk.jobs["u0001"] = done
    for state, sent in (("queued", 0), ("transferring", 500), ("succeeded", 2000)):
        await hall.desk.record("update", "u0001", "moved", data={"state": state, "bytes_sent": sent, "reason": None})
    async with listening(hall, after=0) as stream:
        events = [await stream.next() for _ in range(3)]
    shown = [(each.data["state"], each.data["progress"]["percent"], each.data["finished"] is None) for each in events if each]
    assert shown == [("queued", 0.0, True), ("transferring", 25.0, True), ("succeeded", 100.0, False)]


async def test_an_image_that_comes_is_an_event(hall: Hall) -> None:
    image = await hall.desk.add_image(IMAGE_MAGIC + b"x", file_name="a.ota", actor="test")
    async with listening(hall) as stream:
        await hall.desk.record("image", image.sha256, "added")
        event = await stream.next()
    assert event is not None
    assert (event.event, event.data["file_name"]) == ("image", "a.ota")


async def test_a_stream_whose_hub_fails_is_cut_and_the_others_go_on(hall: Hall) -> None:
    hall.desk.jobs["u0001"] = update(1)
    original = hall.desk.update
    failures = iter([RuntimeError("inside")])

    async def fail_once(update_id: Any) -> Any:
        for error in failures:
            raise error
        return await original(update_id)

    hall.desk.update = fail_once
    async with listening(hall) as stream:
        await hall.desk.record("update", "u0001")
        with contextlib.suppress(aiohttp.ClientError):
            assert await stream.next() is None
    async with listening(hall, after=0) as stream:
        assert await stream.next() is not None


async def test_while_the_store_cannot_be_read_a_reader_is_sent_away_and_misses_nothing_when_it_is_back(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    hall.desk.jobs["u0001"] = update(1)

    async def unreadable(update_id: Any) -> Any:
        raise StoreUnavailable("the disk does not answer")

    with capture_logs() as logs, monkeypatch.context() as patched:
        patched.setattr(hall.desk, "update", unreadable)
        async with listening(hall) as stream:
            await hall.desk.record("update", "u0001")
            assert await stream.next() is None
    assert [(each["log_level"], each["event"]) for each in logs] == [("warning", "a reader of events is sent away")]
    async with listening(hall, after=0) as stream:
        event = await stream.next()
    assert event is not None
    assert event.id == "1"
