"""The peer: zwave-js-server's own Python client, one raw command, and the version asked for when the driver has interviewed the node anew."""

from __future__ import annotations

import asyncio
import base64
import io
import sys
import time
import zipfile
from typing import Any

import aiohttp
from zwave_js_server.client import Client
from zwave_js_server.const import CommandClass

from hil.bench.host import READY_BOUND, Caller
from hil.bench.zwave_errand import ZwaveErrand, tell_done


def packed(image: bytes) -> dict[str, Any]:
    """An upload that every server from schema 47 on takes."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("image.bin", image)
    return {"filename": "image.zip", "file": base64.b64encode(archive.getvalue()).decode(), "firmwareTarget": 0}


async def version(client: Client, node: int) -> str:
    """What the node says that it runs, now."""
    question = {"endpoint": 0, "commandClass": int(CommandClass.VERSION), "methodName": "get", "args": []}
    answer = await client.async_send_command({"command": "endpoint.invoke_cc_api", "nodeId": node, **question})
    return str(answer["response"]["firmwareVersions"][0])


async def update(client: Client, node: int, errand: ZwaveErrand) -> None:
    """The driver's own way, to its end. Raises RuntimeError where the node does not run the new version then."""
    if client.driver is None:
        raise RuntimeError("the connection is lost")
    interviewed = asyncio.Event()
    client.driver.controller.nodes[node].on("interview completed", lambda _: interviewed.set())
    answer = await client.async_send_command({"command": "node.update_firmware", "nodeId": node, "updates": [packed(errand.image)]})
    if not answer["result"]["success"]:
        raise RuntimeError(f"the driver says {answer}")
    await interviewed.wait()
    runs = await version(client, node)
    if runs != errand.version:
        raise RuntimeError(f"node {node} runs {runs}")


async def run(errand: ZwaveErrand) -> None:
    """Connect, know the nodes, update when told to."""
    caller = await Caller.connect()
    async with aiohttp.ClientSession() as session:
        client = Client(errand.url, session)
        await client.connect()
        ready = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(client.listen(ready))
            async with asyncio.timeout(READY_BOUND):
                await ready.wait()
            await caller.told_to_begin()
            began = time.monotonic()
            async with asyncio.TaskGroup() as updates:
                for node in errand.nodes:
                    updates.create_task(update(client, node, errand))
            tell_done(time.monotonic() - began)
            await caller.gone()
            listening.cancel()


if __name__ == "__main__":
    asyncio.run(run(ZwaveErrand.from_arguments(sys.argv[1:])))
