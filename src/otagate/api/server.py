"""The listening server: addresses and sockets opened, requests served, everything drained and closed."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from otagate.api.auth import Tokens, load_tokens
from otagate.api.desk import Desk
from otagate.api.guard import HEADERS, caller_of, dress, guard, problem_response, speak_in_problems
from otagate.api.openapi import ROUTES
from otagate.api.page import assets, attach_page
from otagate.api.problems import problem
from otagate.api.router import Hub, attach
from otagate.api.settings import ApiSettings, Tcp, Unix, parse_listen
from otagate.model.errors import ConfigError
from otagate.ports import Handouts

PATIENCE = 60.0
"""Seconds for which the other end of a connection may take nothing of what is sent to it."""

MOST_CONNECTIONS = 256
"""A flood of them must not take the descriptors that radios, files and operators at the unix socket need."""

_NOT_OURS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)

_log = structlog.get_logger(__name__)


class Conversation(web.RequestHandler):
    """A connection that speaks in problems even about bytes that are no HTTP. There are only so many, and none to somebody who never reads."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take one more, with a bound of tcp(7) for what its other end does not take; who comes over the unix socket is let in here already."""
        carrier = transport.get_extra_info("socket")
        if carrier.family != socket.AF_UNIX:
            with contextlib.suppress(OSError, AttributeError):  # a system without it
                carrier.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(PATIENCE * 1000))
            if self._manager is not None and len(self._manager.connections) >= MOST_CONNECTIONS:
                transport.close()
        super().connection_made(transport)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer what could not be parsed, and close."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        slug = "malformed-request" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "internal"
        if slug == "internal":
            _log.error("a connection failed unexpectedly", exc_info=exc)
        response = problem_response(problem(slug, "this is no HTTP request that can be read" if slug != "internal" else "see the hub's log"), HEADERS)
        response.force_close()
        return response


class Listener(web.Server):
    """A server whose connections are conversations."""

    def __init__(self, plain: web.Server) -> None:
        super().__init__(plain.request_handler, request_factory=plain.request_factory)

    def __call__(self) -> web.RequestHandler:
        """One connection."""
        options: dict[str, Any] = {"access_log": None, "keepalive_timeout": 75.0, "lingering_time": 2.0}
        return Conversation(self, loop=asyncio.get_running_loop(), **options)


class Runner(web.AppRunner):
    """Runs the application behind a `Listener`."""

    async def _make_server(self) -> web.Server:
        return Listener(await super()._make_server())


@dataclass(slots=True, kw_only=True)
class Server:
    """A server that listens. `addresses` are what it is bound to, as URLs a client may use: `http://127.0.0.1:8377`, `unix:/run/…`."""

    addresses: tuple[str, ...]
    hub: Hub

    def drain(self) -> None:
        """Take no more orders and end every event stream; readings go on until the server closes. Idempotent."""
        self.hub.closing.set()


@contextlib.asynccontextmanager
async def serve(desk: Desk, settings: ApiSettings, handouts: Handouts | None = None) -> AsyncIterator[Server]:
    """Listen for as long as the block lasts. `handouts`: what lies ready for other programs.

    Raises ConfigError before anything listens where a token or an address is unusable. Leaving the block drains, gives requests under way
    `settings.drain` seconds, and closes.
    """
    places = tuple(parse_listen(each) for each in settings.listen)
    tokens = load_tokens(settings.token_file, settings.tokens)
    hub = Hub(desk=desk, settings=settings, handouts=handouts)
    runner = Runner(application(hub, tokens, bound_hosts(places)), handle_signals=False, shutdown_timeout=settings.drain)
    await runner.setup()
    try:
        addresses = [await _listen(runner, place, settings) for place in places]
        server = Server(addresses=tuple(addresses), hub=hub)
        _log.info("the API listens", addresses=addresses)
        try:
            yield server
        finally:
            server.drain()
    finally:
        await runner.cleanup()


def application(hub: Hub, tokens: Tokens, hosts: tuple[str, ...] = ()) -> web.Application:
    """The aiohttp application; `hosts` are names beside loopback that a Host field may carry."""
    page = assets()
    open_paths = frozenset(route.path for route in ROUTES if route.scope is None) | page.keys()
    gate = guard(tokens=tokens, hosts=(*hub.settings.hosts, *hosts), open_paths=open_paths, closing=hub.closing.is_set)
    app = web.Application(middlewares=[speak_in_problems, gate], client_max_size=hub.settings.body_limit)
    app.on_response_prepare.append(dress)
    attach(app, hub, ROUTES, caller_of)
    attach_page(app, page)
    return app


def bound_hosts(places: tuple[Tcp | Unix, ...]) -> tuple[str, ...]:
    """The host names that the settings listen on; an address of every interface names none."""
    return tuple(place.host for place in places if isinstance(place, Tcp) and place.host not in {"0.0.0.0", "::"})  # noqa: S104 a comparison


async def _listen(runner: Runner, place: Tcp | Unix, settings: ApiSettings) -> str:
    try:
        if isinstance(place, Unix):
            return await _listen_unix(runner, place.path, settings.socket_mode)
        return await _listen_tcp(runner, place)
    except OSError as error:
        number = error.errno or 0  # below zero for a name that cannot be resolved
        why = os.strerror(number) if number > 0 else error.strerror or error
        raise ConfigError(f"api.listen: cannot listen on {place}: {why}: name another address or port there") from error


async def _listen_tcp(runner: Runner, place: Tcp) -> str:
    """Bind every address of the host that this machine has, on one port: `localhost` is `::1` too where there is no IPv6. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    port, missing = place.port, list[OSError]()
    addresses = dict.fromkeys(found)
    for family, _, _, _, address in addresses:
        try:
            carrier = socket.create_server((address[0], port), family=family)
        except OSError as error:
            missing.append(error)
            if error.errno not in _NOT_OURS or len(missing) == len(addresses):
                raise
            continue
        port = port or carrier.getsockname()[1]
        await web.SockSite(runner, carrier).start()
    return f"http://[{place.host}]:{port}" if ":" in place.host else f"http://{place.host}:{port}"


async def _listen_unix(runner: Runner, path: Path, mode: int) -> str:
    await web.SockSite(runner, _bind_unix(path, mode)).start()
    return f"unix:{path}"


def _bind_unix(path: Path, mode: int) -> socket.socket:
    carrier = socket.socket(socket.AF_UNIX)
    try:
        _remove_stale(path)
        carrier.bind(str(path))
        path.chmod(mode)  # before it listens
    except OSError:
        carrier.close()
        raise
    return carrier


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody answers on; one that answers is in use, and anything else is not ours to delete."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        if probe.connect_ex(str(path)) == 0:
            raise FileExistsError(None, "another process listens there")
    path.unlink()
