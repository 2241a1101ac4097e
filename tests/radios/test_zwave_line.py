"""What answers at the address of a zwave-js-server is told in one plain sentence, and nothing of it ends anything but the connection."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from otagate.model.errors import RadioUnavailable
from otagate.radios.zwave_line import CommandRefused, ZwaveLine

Talk = Callable[[web.WebSocketResponse], Awaitable[None]]
HOME_ID = 0xE1B2C3D4


def version(lowest: int = 0, highest: int = 50, **changes: Any) -> dict[str, Any]:
    told = {"type": "version", "driverVersion": "15.29.0", "serverVersion": "3.10.2", "homeId": HOME_ID}
    return told | {"minSchemaVersion": lowest, "maxSchemaVersion": highest} | changes


COUNTERS = ("messagesTX", "messagesRX", "messagesDroppedRX", "messagesDroppedTX", "NAK", "CAN", "timeoutACK", "timeoutResponse", "timeoutCallback")
CONTROLLER = {"homeId": HOME_ID, "ownNodeId": 1, "statistics": dict.fromkeys(COUNTERS, 0), "inclusionState": 0, "isRebuildingRoutes": False}


async def greeting(line: web.WebSocketResponse, **changes: Any) -> None:
    """Everything up to the picture of a network without nodes, as the server tells it."""
    await line.send_json(version(**changes))
    for result in ({}, {"config": {"enabled": False}}, {"state": {"driver": {}, "controller": CONTROLLER, "nodes": []}}):
        asked = await line.receive_json()
        await line.send_json({"type": "result", "success": True, "messageId": asked["messageId"], "result": result})


@asynccontextmanager
async def server(talk: Talk, *, port: int = 0) -> AsyncIterator[str]:
    """A server at loopback that talks like this to whoever connects."""

    async def accept(request: web.Request) -> web.WebSocketResponse:
        line = web.WebSocketResponse()
        await line.prepare(request)
        await talk(line)
        return line

    app = web.Application()
    app.router.add_get("/", accept)
    runner = web.AppRunner(app, shutdown_timeout=0.1)  # a hub that is still connected would hold it for a minute
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        yield f"ws://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def nobody(_: Mapping[str, Any]) -> None:
    """Nothing is made of an event."""


async def refused(url: str) -> str:
    with pytest.raises(RadioUnavailable) as told:
        async with ZwaveLine(url, nobody):
            pass
    return str(told.value)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("lowest", "highest", "words"),
    [
        (0, 34, "zwave-js-server 1.34.0 speaks schema 34 at most, and 35 is needed: use zwave-js-server 1.35 or newer"),
        (
            36,
            60,
            "zwave-js-server 1.34.0 speaks schema 36 to 60, and this hub speaks 35: use a zwave-js-server that still speaks it, as 1.35 to 3.10 do",
        ),
    ],
)
async def test_a_server_of_a_schema_that_does_not_fit_is_told_with_versions_that_do(lowest: int, highest: int, words: str) -> None:
    async def talk(line: web.WebSocketResponse) -> None:
        await line.send_json(version(lowest, highest, serverVersion="1.34.0"))
        await line.receive()

    async with server(talk) as url:
        assert words in await refused(url)


@pytest.mark.asyncio
async def test_a_port_where_nobody_listens_is_told() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{probe.getsockname()[1]}"
        assert await refused(url) == f"{url}: no zwave-js-server listens there (Connection refused)"


@pytest.mark.asyncio
@pytest.mark.parametrize("hello", ["not json", "{}", "[]", '{"type": "version"}', "null"])
async def test_a_server_that_says_something_else_is_no_zwave_js_server(hello: str) -> None:
    async def talk(line: web.WebSocketResponse) -> None:
        await line.send_str(hello)
        await line.receive()

    async with server(talk) as url:
        assert "what answers there is no zwave-js-server" in await refused(url)


@pytest.mark.asyncio
async def test_a_web_server_is_no_zwave_js_server() -> None:
    async def talk(line: web.WebSocketResponse) -> None:
        await line.receive()

    async with server(talk) as url:
        assert "what answers there is no zwave-js-server" in await refused(f"{url}/elsewhere")


@asynccontextmanager
async def standing(url: str, heard: Callable[[Mapping[str, Any]], None] = nobody) -> AsyncIterator[ZwaveLine]:
    async with ZwaveLine(url, heard) as line, asyncio.TaskGroup() as group:
        listening = group.create_task(line.listen())
        await line.ready()
        yield line
        listening.cancel()


@pytest.mark.asyncio
async def test_events_are_heard_raw_and_what_the_library_does_not_know_ends_nothing() -> None:
    events = [
        {"source": "controller", "event": "an event of tomorrow"},
        {"source": "mars", "event": "x"},
        {"event": "no source"},
        {"source": "node", "event": "firmware update progress", "nodeId": 99, "progress": {"sentFragments": 1}},
    ]

    async def talk(line: web.WebSocketResponse) -> None:
        await greeting(line)
        for event in events:
            await line.send_json({"type": "event", "event": event})
        asked = await line.receive_json()
        await line.send_json({"type": "result", "success": True, "messageId": asked["messageId"], "result": {"fine": True}})
        await line.receive()

    heard: list[Mapping[str, Any]] = []
    async with server(talk) as url, standing(url, heard.append) as line:
        assert await line.command("node.ping", nodeId=2) == {"fine": True}
        assert heard == events
        assert line.highest_schema == 50
        assert line.controller.home_id == HOME_ID
        assert line.sentence == "zwave-js 15.29.0, server 3.10.2"


@pytest.mark.asyncio
async def test_a_command_that_the_driver_refuses_carries_its_number_and_words() -> None:
    async def talk(line: web.WebSocketResponse) -> None:
        await greeting(line)
        for answer in (
            {"errorCode": "zwave_error", "zwaveErrorCode": 1503, "zwaveErrorMessage": "no battery"},
            {"errorCode": "unknown_error", "message": "Error: invalid zip data"},
        ):
            asked = await line.receive_json()
            await line.send_json({"type": "result", "success": False, "messageId": asked["messageId"]} | answer)
        await line.receive()

    async with server(talk) as url, standing(url) as line:
        with pytest.raises(CommandRefused) as told:
            await line.command("node.update_firmware")
        assert (told.value.number, told.value.text) == (1503, "no battery")
        with pytest.raises(CommandRefused, match="invalid zip data") as told:
            await line.command("node.update_firmware")
        assert told.value.number is None


@pytest.mark.asyncio
async def test_a_command_whose_answer_never_comes_is_given_up() -> None:
    async def talk(line: web.WebSocketResponse) -> None:
        await greeting(line)
        await line.receive()
        await line.receive()

    async with server(talk) as url, standing(url) as line:
        with pytest.raises(RadioUnavailable, match=r"no answer to node\.ping within 0 s"):
            await line.command("node.ping", within=0.05)


@pytest.mark.asyncio
async def test_a_command_whose_connection_is_lost_is_told_apart_from_one_that_was_cancelled() -> None:
    async def talk(line: web.WebSocketResponse) -> None:
        await greeting(line)
        await line.receive()
        await line.close()

    async with server(talk) as url, ZwaveLine(url, nobody) as line:
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(_ended(line))
            await line.ready()
            with pytest.raises(RadioUnavailable, match=r"the connection was lost before node\.ping was answered"):
                await line.command("node.ping", within=None)
        assert "the server closed the connection" in listening.result()

    async def hang(line: web.WebSocketResponse) -> None:
        await greeting(line)
        while not (await line.receive()).type.name.startswith("CLOS"):
            pass

    async with server(hang) as url, standing(url) as line, asyncio.TaskGroup() as group:
        asking = group.create_task(line.command("node.ping", within=None))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        assert asking.cancelled()


async def _ended(line: ZwaveLine) -> str:
    try:
        await line.listen()
    except RadioUnavailable as error:
        return str(error)
    raise AssertionError("the connection did not end")


@pytest.mark.asyncio
async def test_a_picture_of_the_network_that_cannot_be_read_ends_the_connection_with_a_sentence() -> None:
    async def talk(line: web.WebSocketResponse) -> None:
        await line.send_json(version())
        for result in ({}, {"config": {}}, {"state": {"nodes": 5}}):
            asked = await line.receive_json()
            await line.send_json({"type": "result", "success": True, "messageId": asked["messageId"], "result": result})
        await line.receive()

    async with server(talk) as url, ZwaveLine(url, nobody) as line:
        assert "the server told what cannot be understood" in await _ended(line)
