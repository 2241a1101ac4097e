"""Another program at the same zwave-js-server, speaking its protocol in raw messages."""

from __future__ import annotations

import asyncio
import base64
import io
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import aiohttp

WITHIN = 240.0
"""Seconds for whatever is asked; a machine may have other things to do."""


class Program:
    """It keeps the events that come between its answers."""

    def __init__(self, line: aiohttp.ClientWebSocketResponse) -> None:
        self.line = line
        self.events: list[dict[str, Any]] = []
        self._numbers = count(1)

    async def send(self, command: str, **fields: Any) -> str:
        """Ask without waiting; returns the number of the question."""
        number = f"t{next(self._numbers)}"
        await self.line.send_json({"command": command, "messageId": number, **fields})
        return number

    async def answer(self, number: str) -> dict[str, Any]:
        """The answer to a question."""
        async with asyncio.timeout(WITHIN):
            while True:
                answer: dict[str, Any] = await self.line.receive_json()
                if answer.get("messageId") == number:
                    return answer
                if answer.get("type") == "event":
                    self.events.append(answer["event"])

    async def ask(self, command: str, **fields: Any) -> dict[str, Any]:
        """Ask and wait."""
        return await self.answer(await self.send(command, **fields))

    async def ready(self, *nodes: int) -> None:
        """Wait until the driver has interviewed these nodes."""
        async with asyncio.timeout(WITHIN):
            for node in nodes:
                while not (await self.ask("node.get_state", nodeId=node))["result"]["state"]["ready"]:
                    await asyncio.sleep(0.2)

    async def begin(self, node: int, image: bytes, target: int = 0) -> str:
        """Have an image sent, as servers of today want it; returns the number of the question, which is answered at the end."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("image.bin", image)
        firmware = {"filename": "image.zip", "file": base64.b64encode(archive.getvalue()).decode(), "firmwareTarget": target}
        return await self.send("node.update_firmware", nodeId=node, updates=[firmware])

    async def update(self, node: int, image: bytes, target: int = 0) -> dict[str, Any]:
        """Have an image sent, and wait for the end."""
        return await self.answer(await self.begin(node, image, target))


@asynccontextmanager
async def program_at(url: str) -> AsyncIterator[Program]:
    """A program, connected while the block lasts."""
    async with aiohttp.ClientSession() as session, session.ws_connect(url, max_msg_size=1 << 26) as line:
        program = Program(line)
        await line.receive_json(timeout=WITHIN)
        await program.ask("set_api_schema", schemaVersion=35)
        await program.ask("start_listening")
        yield program
