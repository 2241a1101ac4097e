"""A real server on a loopback port, its counter, and a client with the admin's token."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest_asyncio

from otagate.api.server import Server, serve
from otagate.api.settings import ApiSettings
from tests.api.counter import Counterfoil


@dataclass(kw_only=True)
class Hall:
    """Everything a test of the API touches."""

    desk: Counterfoil
    server: Server
    client: aiohttp.ClientSession
    token: str
    settings: ApiSettings

    @property
    def base(self) -> str:
        return next(each for each in self.server.addresses if each.startswith("http"))

    async def json(self, method: str, path: str, *, status: int = 200, **options: Any) -> Any:
        """One call; its status is asserted, its body returned."""
        async with self.client.request(method, self.base + path, **options) as response:
            assert response.status == status, await response.text()
            return await response.json(content_type=None) if status != 204 else None

    async def problem(self, method: str, path: str, *, status: int, slug: str, **options: Any) -> dict[str, Any]:
        """One call that must fail with this problem."""
        async with self.client.request(method, self.base + path, **options) as response:
            document = await response.json(content_type="application/problem+json")
            assert (response.status, document["type"]) == (status, f"/problems/{slug}"), document
            assert document["status"] == status
            assert document["title"]
            assert document["detail"]
            return document | {"_headers": dict(response.headers)}


Open = Callable[..., Any]


@asynccontextmanager
async def opener(folder: Path) -> AsyncIterator[Open]:
    """What opens halls, for as long as the block lasts."""
    async with AsyncExitStack() as stack:

        async def build(**settings: Any) -> Hall:
            handouts = settings.pop("handouts", None)
            chosen = ApiSettings(**({"token_file": folder / "api-token", "listen": ("127.0.0.1:0",)} | settings))
            desk = Counterfoil(folder)
            server = await stack.enter_async_context(serve(desk, chosen, handouts))
            token = chosen.token_file.read_text().strip()
            client = await stack.enter_async_context(aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}))
            return Hall(desk=desk, server=server, client=client, token=token, settings=chosen)

        yield build


@pytest_asyncio.fixture
async def open_hall(tmp_path: Path) -> AsyncIterator[Open]:
    async with opener(tmp_path) as build:
        yield build


@pytest_asyncio.fixture
async def hall(open_hall: Open) -> Hall:
    return await open_hall()
