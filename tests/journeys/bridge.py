"""A network bridge that does not keep a second host out, before the coordinator of a rig.

It stands for what serves a serial line over TCP in many houses: `shared` lets every host write and sends every host everything, `newest` hangs up on
the host that it has when another one comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal
from urllib.parse import urlsplit

from tests.journeys.hub import WITHIN

Manners = Literal["shared", "newest"]


class Bridge:
    """`visits` counts the connections that were ever made; `hosts` are those that are open."""

    def __init__(self, upstream: asyncio.StreamWriter, manners: Manners) -> None:
        self._upstream = upstream
        self._manners = manners
        self.hosts: list[asyncio.StreamWriter] = []
        self.visits = 0
        self.path = ""
        self._changed = asyncio.Condition()

    async def visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One host."""
        self.visits += 1
        if self._manners == "newest":
            for each in self.hosts:
                each.close()
            self.hosts.clear()
        self.hosts.append(writer)
        await self._tell()
        try:
            while data := await reader.read(4_096):
                if writer in self.hosts:
                    self._upstream.write(data)
        except ConnectionError:
            pass
        finally:
            if writer in self.hosts:
                self.hosts.remove(writer)
            writer.close()
            await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until_hosts(self, count: int) -> None:
        """Wait until so many are connected."""
        async with asyncio.timeout(WITHIN), self._changed:
            await self._changed.wait_for(lambda: len(self.hosts) == count)

    async def deliver(self, reader: asyncio.StreamReader) -> None:
        """What the coordinator says."""
        while data := await reader.read(4_096):
            for each in self.hosts:
                each.write(data)


@asynccontextmanager
async def bridged(path: str, manners: Manners) -> AsyncIterator[Bridge]:
    """A bridge before `socket://host:port`."""
    address = urlsplit(path)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    bridge = Bridge(writer, manners)
    server = await asyncio.start_server(bridge.visit, "127.0.0.1", 0)
    bridge.path = f"socket://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with asyncio.TaskGroup() as group:
        delivering = group.create_task(bridge.deliver(reader))
        try:
            yield bridge
        finally:
            for each in bridge.hosts:
                each.close()
            server.close()
            writer.close()
            delivering.cancel()
