"""What every fake service needs: a server on loopback, what it was asked, a rate limit, and faults on demand."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]
FAULTS: Mapping[str, str] = {
    "hangs": "never answers",
    "drops": "drops the connection in the middle of the body",
    "html": "answers with a login page and 200",
    "empty": "answers 200 with nothing",
    "garbage": "answers with what is no JSON",
    "broken": "answers 500",
    "busy": "answers 429 and says for how long",
    "endless": "answers with a body that does not end",
    "elsewhere": "redirects to a private host",
    "loop": "redirects to itself",
}
"""What can be wrong with a service, by name."""

_ENDLESS = 64 << 20


@dataclass(slots=True, kw_only=True)
class FakeService:
    """A service on loopback. `fault` is one of FAULTS, or None; `calls_per_minute` is its limit for all calls."""

    fault: str | None = None
    calls_per_minute: int = 1000
    asked: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""
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
        if self.fault is not None:
            return await self._fail(request, self.fault)
        now = time.monotonic()
        while self._recent and now - self._recent[0] > 60:
            self._recent.popleft()
        if len(self._recent) >= self.calls_per_minute:
            return self.slow_down(int(61 - (now - self._recent[0])))
        self._recent.append(now)
        return await handle(request)

    def slow_down(self, seconds: int) -> web.Response:
        """How the service says that it was asked too often."""
        return web.Response(status=429, headers={"Retry-After": str(seconds)})

    async def _fail(self, request: web.Request, fault: str) -> web.StreamResponse:
        if fault == "hangs":
            await self._over.wait()
        answers: Mapping[str, Callable[[], web.Response]] = {
            "html": lambda: web.Response(text="<html>Log in to the network</html>", content_type="text/html"),
            "empty": lambda: web.Response(body=b"", content_type="application/json"),
            "garbage": lambda: web.Response(body=b'{"firmwares": [', content_type="application/json"),
            "broken": lambda: web.Response(status=500),
            "busy": lambda: self.slow_down(3600),
            "elsewhere": lambda: web.Response(status=302, headers={"Location": "http://169.254.169.254/latest"}),
            "loop": lambda: web.Response(status=302, headers={"Location": request.path_qs}),
        }
        if fault in answers:
            return answers[fault]()
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        if fault == "drops":
            response.content_length = 1_000_000
        await response.prepare(request)
        for _ in range(1 if fault == "drops" else _ENDLESS >> 16):
            await response.write(b" " * (1 << 16))
        if fault == "drops" and request.transport is not None:
            request.transport.close()
        return response
