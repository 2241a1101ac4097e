"""What every fake service needs: a server on loopback, what it was asked, a rate limit, and faults on demand."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime, formatdate, parsedate_to_datetime
from functools import cache, partial

from aiohttp import web

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]
FAULTS: Mapping[str, str] = {
    "hangs": "never answers",
    "slow": "answers a byte at a time",
    "drops": "drops the connection in the middle of the body",
    "truncated": "announces less than it has to say",
    "overlong": "announces more than it says",
    "html": "answers with a login page and 200",
    "portal": "asks for a login on the network (RFC 6585, 6)",
    "elsewhere": "redirects to a private host",
    "away": "redirects to a page of another host",
    "loop": "redirects to itself",
    "empty": "answers 200 with nothing",
    "garbage": "answers with what is no JSON",
    "types": "answers with JSON of other types",
    "altered": "answers with one bit turned over",
    "bomb": "answers with little that becomes much when it is decompressed",
    "endless": "answers with a body that does not end",
    "broken": "answers 500",
    "refuses": "answers 401",
    "spent": "answers 403, the quota being used up",
    "busy": "answers 429 and says for how long",
    "late": "answers 429 and names a moment, by a clock that is an hour slow",
    "early": "answers 429 and names a moment, by a clock that is an hour fast",
}
"""What can be wrong with a service, by name."""

_ENDLESS = 32 << 20
_BOMB = 32 << 20


@dataclass(slots=True, kw_only=True)
class FakeService:
    """A service on loopback. `fault` is one of FAULTS, or None, at the paths that end in `faulty`; `calls_per_minute` is its limit for all calls.

    `unchanged` counts answers 304.
    """

    fault: str | None = None
    faulty: str = ""
    calls_per_minute: int = 1000
    asked: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""
    unchanged: int = 0
    _recent: deque[float] = field(default_factory=deque)
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    def routes(self) -> list[web.RouteDef]:
        """What the service knows."""
        return []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Serve while the block runs; gives the base URL."""

        @web.middleware
        async def watched(request: web.Request, handler: Handle) -> web.StreamResponse:
            return await self._watch(request, handler)

        application = web.Application(middlewares=[watched])
        application.add_routes(self.routes())
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield self.url
        finally:
            self._over.set()
            await runner.cleanup()

    async def _watch(self, request: web.Request, handle: Handle) -> web.StreamResponse:
        self.asked.append((request.method, request.path_qs))
        if self.fault is not None and request.path.endswith(self.faulty):
            return await self._fail(request, handle, self.fault)
        now = time.monotonic()
        while self._recent and now - self._recent[0] > 60:
            self._recent.popleft()
        if len(self._recent) >= self.calls_per_minute:
            return self.slow_down(int(61 - (now - self._recent[0])))
        self._recent.append(now)
        answer = await handle(request)
        self.unchanged += answer.status == 304
        return answer

    def slow_down(self, seconds: int) -> web.Response:
        """How the service says that it was asked too often."""
        return web.Response(status=429, headers={"Retry-After": str(seconds)})

    async def _fail(self, request: web.Request, handle: Handle, fault: str) -> web.StreamResponse:
        if fault == "hangs":
            await self._over.wait()
        if fault == "altered":
            return _altered(await handle(request))
        if fault in ("truncated", "overlong"):
            return await _announced(request, await handle(request), 5 if fault == "truncated" else 1_000_000)
        if fault in ("slow", "drops", "endless"):
            return await self._trickle(request, fault)
        json_of = partial(web.Response, content_type="application/json")
        answers: Mapping[str, Callable[[], web.Response]] = {
            "html": lambda: web.Response(text=_PAGE, content_type="text/html"),
            "portal": lambda: web.Response(text=_PAGE, content_type="text/html", status=511),
            "empty": lambda: json_of(body=b""),
            "garbage": lambda: json_of(body=b'{"firmwares": ['),
            "types": lambda: json_of(body=b'[{"updates": 1, "fileVersion": [], "identity": {"version": 5}}, null, 7, "x", [[]]]'),
            "bomb": lambda: json_of(body=_bomb(), headers={"Content-Encoding": "gzip"}),
            "broken": lambda: web.Response(status=500),
            "refuses": lambda: web.Response(status=401, text="Unauthorized"),
            "spent": lambda: json_of(body=b'{"statusCode": 403, "message": "Out of call volume quota."}', status=403),
            "busy": lambda: self.slow_down(3600),
            "late": lambda: _busy_until(timedelta(hours=-1)),
            "early": lambda: _busy_until(timedelta(hours=1)),
            "elsewhere": lambda: web.Response(status=302, headers={"Location": "http://169.254.169.254/latest"}),
            "away": lambda: web.Response(status=302, headers={"Location": f"{self.url}/login"}),
            "loop": lambda: web.Response(status=302, headers={"Location": request.path_qs}),
        }
        return answers[fault]()

    async def _trickle(self, request: web.Request, fault: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        if fault == "drops":
            response.content_length = 1_000_000
        await response.prepare(request)
        for _ in range(1 if fault == "drops" else _ENDLESS >> 16):
            await response.write(b" " * (1 if fault == "slow" else 1 << 16))
            if fault == "slow":
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await self._over.wait()
                        return response
        if fault == "drops" and request.transport is not None:
            request.transport.close()
        return response


@cache
def _bomb() -> bytes:
    return gzip.compress(bytes(_BOMB), 6)


_PAGE = "<!DOCTYPE html>\n<html>Log in to the network</html>"


def _altered(response: web.StreamResponse) -> web.StreamResponse:
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes) or not response.body:
        return response
    body = response.body[:-1] + bytes([response.body[-1] ^ 1])
    return web.Response(body=body, status=response.status, content_type=response.content_type)


async def _announced(request: web.Request, response: web.StreamResponse, length: int) -> web.StreamResponse:
    """The answer under another Content-Length, written past the server, which would not let that happen."""
    body = response.body if isinstance(response, web.Response) and isinstance(response.body, bytes) else b"[]"
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {response.content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    if request.transport is not None:
        request.transport.write(head.encode() + body)
        request.transport.close()
    return web.Response()


def _busy_until(away: timedelta) -> web.Response:
    moment = format_datetime(parsedate_to_datetime(formatdate(usegmt=True)) + away, usegmt=True)
    return web.Response(status=429, headers={"Retry-After": moment})
