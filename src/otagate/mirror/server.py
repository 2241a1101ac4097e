"""Serves the indexes and the files that they name, and nothing else: read only, without a token, for programs that can give none."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiohttp import web

from otagate.mirror.dialects import DIALECTS, Digests
from otagate.mirror.selection import Offered, select

FRESH = 30.0
"""Seconds for which a selection counts: so long, at most, a file is offered after policy has taken it back."""

_MOST_DIGESTS = 4_096
_NAME = re.compile(r"([0-9a-f]{64})\.ota")


class Unreachable(Exception):
    """The hub cannot be asked; the message says why."""


class Hub(Protocol):
    """The hub's API. Every call raises Unreachable."""

    async def documents(self, kind: str) -> list[dict[str, Any]]:
        """All `devices`, `images` or `updates`."""

    async def releases(self, device: str) -> list[dict[str, Any]]:
        """What is offered for a device, with what policy says of it."""

    def content(self, sha256: str) -> AsyncIterator[bytes]:
        """The bytes of an image."""


@dataclass(slots=True, kw_only=True)
class Mirror:
    """What is offered now. `address` is where others reach this server, as in http://hub.local:8380; `clock` tells monotonic seconds."""

    hub: Hub
    address: str
    clock: Callable[[], float] = time.monotonic
    _offers: tuple[Offered, ...] = ()
    _selected_at: float = float("-inf")
    _digests: dict[str, Digests] = field(default_factory=dict)
    _selecting: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def offers(self) -> tuple[Offered, ...]:
        """What policy allows; asked anew when that is old. Raises Unreachable."""
        async with self._selecting:
            if self.clock() - self._selected_at >= FRESH:
                self._offers = await self._select()
                self._selected_at = self.clock()
        return self._offers

    async def index(self, dialect: str) -> object:
        """The index in one of the dialects. Raises Unreachable."""
        found = [(each, await self._digests_of(each.sha256), f"{self.address}/images/{each.sha256}.ota") for each in await self.offers()]
        return DIALECTS[dialect](found)

    async def _select(self) -> tuple[Offered, ...]:
        hub = self.hub
        devices = await hub.documents("devices")
        offers = {each["id"]: await hub.releases(each["id"]) for each in devices}
        return select(devices, offers, await hub.documents("images"), await hub.documents("updates"))

    async def _digests_of(self, sha256: str) -> Digests:
        if sha256 not in self._digests:
            sha512, sha3 = hashlib.sha512(), hashlib.sha3_256()
            async for chunk in self.hub.content(sha256):
                sha512.update(chunk)
                sha3.update(chunk)
            if len(self._digests) >= _MOST_DIGESTS:
                self._digests.clear()
            self._digests[sha256] = Digests(sha512=sha512.hexdigest(), sha3_256=sha3.hexdigest())
        return self._digests[sha256]


class Desk:
    """Answers requests."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    async def index(self, request: web.Request) -> web.Response:
        """`/DIALECT/index.json`."""
        dialect = request.match_info["dialect"]
        if dialect not in DIALECTS:
            raise web.HTTPNotFound(text=f"there are {', '.join(f'/{each}/index.json' for each in DIALECTS)}\n")
        with _told():
            return web.json_response(await self._mirror.index(dialect))

    async def image(self, request: web.Request) -> web.StreamResponse:
        """`/images/SHA256.ota`, of what is offered now."""
        name = _NAME.fullmatch(request.match_info["name"])
        with _told():
            offered = {each.sha256: each for each in await self._mirror.offers()}
        found = None if name is None else offered.get(name.group(1))
        if found is None:
            raise web.HTTPNotFound(text="policy offers no such file now\n")
        answer = web.StreamResponse(headers={"Content-Type": "application/octet-stream", "Content-Length": str(found.size)})
        await answer.prepare(request)
        async for chunk in self._mirror.hub.content(found.sha256):
            await answer.write(chunk)
        await answer.write_eof()
        return answer


@contextmanager
def _told() -> Iterator[None]:
    """The hub is away: that is no reason to serve what policy may have taken back meanwhile."""
    try:
        yield
    except Unreachable as error:
        raise web.HTTPServiceUnavailable(text=f"{error}\n", headers={"Retry-After": "60"}) from None


@asynccontextmanager
async def serving(mirror: Mirror, *, host: str, port: int) -> AsyncIterator[str]:
    """Serve while the block lasts; yields host:port. Raises OSError where that cannot be listened on."""
    desk = Desk(mirror)
    app = web.Application()
    app.router.add_get("/{dialect}/index.json", desk.index)
    app.router.add_get("/images/{name}", desk.image)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        bound = runner.addresses[0]
        yield f"[{bound[0]}]:{bound[1]}" if ":" in bound[0] else f"{bound[0]}:{bound[1]}"
    finally:
        await runner.cleanup()
