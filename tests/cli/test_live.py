"""The live view."""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from rich.console import Console
from rich.text import Text

from otagate.cli.client import Client
from otagate.cli.live import Board, LineView, TableView, follow, tally
from otagate.cli.stops import Exit, Stop
from otagate.model.lifecycle import State
from tests.api.conftest import Hall, Open
from tests.api.counter import LAMP, PLUG, device, failed, update, view
from tests.cli.test_terminals import HOSTILE


@asynccontextmanager
async def client_of(hall: Hall) -> AsyncIterator[Client]:
    async with Client(hall.base, hall.token) as client:
        yield client


def paper(*, terminal: bool = False, width: int = 200) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=width, height=30, markup=False, emoji=False, highlight=False)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


async def listened(hall: Hall, *, reads: int = 1) -> None:
    """Until somebody listens and has read where the updates stand."""
    async with asyncio.timeout(60):
        while not hall.desk.readers or hall.desk.reads < reads:
            await asyncio.sleep(0.005)


async def move(hall: Hall, key: str, state: State, *, sent: int = 0, reason: str | None = None) -> None:
    hall.desk.jobs[key] = replace(hall.desk.jobs[key], state=state, bytes_sent=sent, reason=reason)
    await hall.desk.record("update", key, "moved", data={"state": str(state), "bytes_sent": sent, "reason": reason})


@pytest.mark.asyncio
async def test_updates_that_ended_already_are_answered_at_once(hall: Hall) -> None:
    for each in (update(1, state=State.SUCCEEDED), failed(2)):
        hall.desk.jobs[each.id] = each
    console = paper()
    async with client_of(hall) as client:
        finals = await follow(client, ["u0001", "u0002"], console)
    assert [each["state"] for each in finals] == ["succeeded", "failed"]
    assert "1 succeeded, 1 failed" in written(console)


@pytest.mark.asyncio
async def test_nothing_to_follow_is_nothing_to_wait_for(hall: Hall) -> None:
    async with client_of(hall) as client:
        assert await follow(client, [], paper()) == []


@pytest.mark.asyncio
async def test_without_a_terminal_there_is_a_line_for_each_step(hall: Hall) -> None:
    hall.desk.jobs["u0001"] = update(1, reason="asleep")
    console = paper()

    async def story() -> None:
        await listened(hall)
        for sent in range(0, 2001, 50):
            await move(hall, "u0001", State.TRANSFERRING, sent=sent)
        await move(hall, "u0001", State.SUCCEEDED, sent=2000)

    async with client_of(hall) as client, asyncio.TaskGroup() as group:
        group.create_task(story())
        await follow(client, ["u0001"], console)
    lines = written(console).splitlines()
    assert lines[0] == "u0001 Lamp 0x1409 to 0x01020600: queued - asleep: starts when the device wakes"
    assert lines[-2:] == ["u0001 Lamp 0x1409 to 0x01020600: succeeded", "1 succeeded"]
    assert len([line for line in lines if "transferring" in line]) == 11


@pytest.mark.asyncio
async def test_on_a_terminal_there_is_a_table_with_bars(hall: Hall) -> None:
    hall.desk.known[LAMP] = device(LAMP, "\x1b[31mHall")
    hall.desk.jobs["u0001"] = update(1, state=State.TRANSFERRING)
    console = paper(terminal=True)

    async def story() -> None:
        await listened(hall)
        hall.desk.live_views.put_nowait(view(hall.desk.jobs["u0001"], sent=500, rate=100.0))
        async with asyncio.timeout(60):
            while "15 s" not in written(console):
                await asyncio.sleep(0.02)
        await move(hall, "u0001", State.SUCCEEDED, sent=2000)

    async with client_of(hall) as client, asyncio.TaskGroup() as group:
        group.create_task(story())
        await follow(client, ["u0001"], console)
    text = written(console)
    for shown in ("Hall", "25", "100 B/s", "15 s", "0x01020600", "1 running"):
        assert shown in text
    assert "\x1b[31mHall" not in text


@pytest.mark.asyncio
async def test_as_json_each_change_is_a_line(hall: Hall) -> None:
    hall.desk.jobs["u0001"] = update(1, state=State.SUCCEEDED)
    console = paper()
    async with client_of(hall) as client:
        await follow(client, ["u0001"], console, as_json=True)
    assert [json.loads(line)["state"] for line in written(console).splitlines()] == ["succeeded"]


@pytest.mark.asyncio
async def test_a_stream_that_breaks_is_taken_up_again(hall: Hall) -> None:
    hall.desk.jobs["u0001"] = update(1)

    async def story() -> None:
        await listened(hall)
        hall.desk.stopped = True
        await hall.desk.record("radio", "zigbee0")
        async with asyncio.timeout(60):
            while hall.desk.readers:
                await asyncio.sleep(0.005)
        hall.desk.stopped = False
        await listened(hall, reads=2)
        await move(hall, "u0001", State.SUCCEEDED)

    async with client_of(hall) as client, asyncio.TaskGroup() as group:
        group.create_task(story())
        finals = await follow(client, ["u0001"], paper())
    assert [each["state"] for each in finals] == ["succeeded"]


@pytest.mark.asyncio
async def test_a_daemon_that_stays_away_is_unreachable(open_hall: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otagate.cli.live.BACKOFF", (0.0, 0.0))
    async with Client("http://127.0.0.1:1", None) as client:
        with pytest.raises(Stop) as caught:
            await follow(client, ["u0001"], paper())
    assert caught.value.code is Exit.UNREACHABLE


@pytest.mark.asyncio
async def test_an_unknown_update_is_not_waited_for(hall: Hall) -> None:
    async with client_of(hall) as client:
        with pytest.raises(Stop) as caught:
            await follow(client, ["nonsense"], paper())
    assert caught.value.code is Exit.USAGE


@pytest.mark.asyncio
async def test_watching_shows_what_comes(hall: Hall) -> None:
    hall.desk.jobs["u0001"] = update(1)
    console = paper()
    async with client_of(hall) as client, asyncio.TaskGroup() as group:
        watching = group.create_task(follow(client, None, console))
        await listened(hall, reads=0)
        hall.desk.jobs["u0002"] = update(2, PLUG)
        await move(hall, "u0002", State.TRANSFERRING)
        async with asyncio.timeout(60):
            while "u0002 Plug" not in written(console):
                await asyncio.sleep(0.005)
        watching.cancel()
    assert "u0001 Lamp" in written(console)


def document(key: str, state: str, *, percent: float = 0.0) -> dict[str, object]:
    progress = {"percent": percent, "bytes_per_second": None, "eta_seconds": None}
    versions = {"from_display_version": "0x00000001", "to_display_version": "0x00000002"}
    return {"id": key, "device": "d", "component": "0x1409", "state": state, "reason": None, "error": None, "progress": progress, **versions}


def test_late_progress_does_not_reopen_what_ended() -> None:
    board = Board(["u1"])
    assert board.take(document("u1", "succeeded"))
    assert not board.take(document("u1", "transferring"))
    assert board.complete()


def test_what_others_do_is_not_followed() -> None:
    board = Board(["u1"])
    assert not board.take(document("u2", "failed"))
    assert not board.complete()


def test_more_updates_than_the_screen_has_lines_are_counted() -> None:
    board = Board(None)
    for number in range(300):
        board.take(document(f"u{number:03d}", "queued"))
    board.take(document("u999", "transferring"))
    console = paper(terminal=True)
    console.print(TableView(board, console)._draw())
    text = written(console)
    assert "… and 277 more" in text
    assert "1 running, 300 waiting" in text
    assert "transferring" in text, "what moves is on top"


def test_a_tally_of_nothing_says_so() -> None:
    assert tally([]) == "no updates"


@pytest.mark.parametrize("width", [60, 80, 100, 144, 145, 200])
def test_the_table_fits_the_terminal(width: int) -> None:
    board = Board(None)
    board.take(document("u1", "transferring", percent=42.0) | {"reason": "asleep", "device": "zigbee-000d6f000a9069e7"})
    console = paper(terminal=True, width=width)
    console.print(TableView(board, console)._draw())
    text = Text.from_ansi(written(console)).plain
    assert max(len(line) for line in text.splitlines()) <= width
    assert "transferring" in text
    assert "42" in text


@pytest.mark.parametrize("view", [TableView, LineView])
def test_what_devices_and_sources_say_is_harmless_while_it_is_watched(view: type[TableView] | type[LineView]) -> None:
    board, console = Board(None), paper(terminal=view is TableView, width=100)
    update = document("u1", "queued") | {"sentence": HOSTILE, "component": HOSTILE, "to_display_version": HOSTILE, "from_display_version": HOSTILE}
    board.name({"id": update["device"], "name": HOSTILE})
    board.take(update)
    shown = view(board, console)
    if isinstance(shown, TableView):
        console.print(shown._draw())
    else:
        shown.show(update)
    text = Text.from_ansi(written(console)).plain
    assert "queued" in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200f\u202e]", text)
    assert not re.search(r"\x1b(?!\[[\d;]*m)", written(console))


def test_a_version_that_its_source_does_not_name_is_said_to_be_unnamed() -> None:
    board = Board(None)
    board.take(document("u1", "transferring") | {"to_display_version": None})
    console = paper(terminal=True)
    console.print(TableView(board, console)._draw())
    assert "0x00000001 not named transferring" in " ".join(Text.from_ansi(written(console)).plain.split())


@pytest.mark.asyncio
async def test_what_is_known_already_is_not_shown_as_it_was_before(hall: Hall) -> None:
    """The stream is opened before the present state is read: what happened in between is in both, and is shown once."""
    hall.desk.jobs["u0001"] = update(1)
    original = hall.desk.log

    async def busy(update_id: str, **page: int) -> object:
        if hall.desk.reads == 0:
            await move(hall, "u0001", State.FETCHING)
            await move(hall, "u0001", State.OFFERING)
            await move(hall, "u0001", State.TRANSFERRING)
        return await original(update_id, **page)

    hall.desk.log = busy
    console = paper()

    async def story() -> None:
        async with asyncio.timeout(60):
            while "transferring" not in written(console):
                await asyncio.sleep(0.005)
        await move(hall, "u0001", State.SUCCEEDED)

    async with client_of(hall) as client, asyncio.TaskGroup() as group:
        group.create_task(story())
        await follow(client, ["u0001"], console)
    assert [line.rpartition(": ")[2] for line in written(console).splitlines()] == ["transferring 0 %", "succeeded", "1 succeeded"]
