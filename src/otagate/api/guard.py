"""The guard before every route: which host names are served, which pages may ask, who asks, and what every answer carries.

A web page on the LAN cannot use an operator's browser against the hub: the Host field must be one of ours (DNS rebinding), a foreign Origin is
refused (CSRF), there are no cookies, and a change needs a JSON or multipart body type that no plain form can send unasked.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from otagate.api.auth import Caller, Tokens, peer
from otagate.api.problems import MEDIA_TYPE, Problem, RequestError, headers_of, problem, problem_of
from otagate.model.errors import OtagateError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
SAFE = frozenset({"GET", "HEAD"})
NOBODY = Caller(actor="anonymous", scopes=frozenset())
CALLER = web.RequestKey("caller", Caller)
POLICY = "Content-Security-Policy"
HEADERS = {
    "Server": "otagate",
    "X-Content-Type-Options": "nosniff",
    POLICY: "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
SLUGS = {400: "malformed-request", 404: "not-found", 405: "method-not-allowed", 408: "request-timeout", 413: "body-too-large"}

_log = structlog.get_logger(__name__)


def caller_of(request: web.Request) -> Caller:
    """Who asks; nobody where the call is open to everybody."""
    caller: Caller = request.get(CALLER, NOBODY)
    return caller


def guard(*, tokens: Tokens, hosts: Iterable[str], open_paths: frozenset[str], closing: Callable[[], bool]) -> Middleware:
    """The middleware that lets a request in or raises RequestError."""
    served = frozenset(LOOPBACK) | {_bare(each) for each in hosts}

    @web.middleware
    async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
        local = _unix_socket(request)
        if local is None:
            _check_host(request, served)
        if not _opens_page(request):
            _check_origin(request)
        if _path_of(request) not in open_paths:
            request[CALLER] = _identify(request, tokens) if local is None else peer(local)
        if closing() and request.method not in SAFE:
            raise RequestError("shutting-down", "the hub is stopping and takes no more orders")
        return await handler(request)

    return admit


@web.middleware
async def speak_in_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The outermost middleware: every error leaves as a problem, and an unexpected one tells nothing of the inside."""
    try:
        return await handler(request)
    except OtagateError as error:
        return problem_response(problem_of(error), headers_of(error))
    except web.HTTPException as error:
        return problem_response(_problem_of_http(error), {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {})
    except Exception:  # the last stop before the wire: the caller gets a problem, the journal of the process gets the traceback
        _log.exception("a request failed unexpectedly", method=request.method, path=request.path)
        if request.writer.output_size:
            raise
        return problem_response(problem("internal", "something went wrong in the hub; its log says what"), {})


async def dress(request: web.Request, response: web.StreamResponse) -> None:
    """Give an answer the fields that every answer carries."""
    for name, value in HEADERS.items():
        if name != POLICY or POLICY not in response.headers:  # the page has one of its own
            response.headers[name] = value
    response.headers.setdefault("Cache-Control", "no-store")


def problem_response(document: Problem, headers: dict[str, str]) -> web.Response:
    """The response that carries a problem."""
    return web.Response(body=document.model_dump_json(by_alias=True), status=document.status, content_type=MEDIA_TYPE, headers=headers)


def _problem_of_http(error: web.HTTPException) -> Problem:
    slug = SLUGS.get(error.status, "malformed-request" if error.status < 500 else "internal")
    sentences = {404: "no call has this path", 405: "the path exists, the method does not", 413: "the body is larger than this call takes"}
    return problem(slug, sentences.get(error.status, error.reason))


def _path_of(request: web.Request) -> str:
    """The path as its route is written, where there is one."""
    resource = request.match_info.route.resource
    return request.path if resource is None else resource.canonical


def _unix_socket(request: web.Request) -> socket.socket | None:
    carrier = None if request.transport is None else request.transport.get_extra_info("socket")
    # asyncio wraps the socket; SO_PEERCRED is asked of the wrapper, which forwards getsockopt
    return carrier if carrier is not None and carrier.family == socket.AF_UNIX else None


def _bare(host: str) -> str:
    return host.lower().removeprefix("[").removesuffix("]").rstrip(".")


def _check_host(request: web.Request, served: frozenset[str]) -> None:
    fields = request.headers.getall("Host", [])
    name = _host_name(fields[0]) if len(fields) == 1 else None
    if name is None or (name not in served and not _own_address(request, name)):
        raise RequestError("host-refused", "the Host field names none of this hub's addresses; configure it under api.hosts if it is one")


def _host_name(text: str) -> str | None:
    try:
        return _bare(urlsplit(f"//{text}").hostname or "") if "@" not in text else None
    except ValueError:
        return None


def _own_address(request: web.Request, name: str) -> bool:
    """Whether the name is the very IP address that the connection came in on: bound to every interface, the hub is called by its address."""
    local = None if request.transport is None else request.transport.get_extra_info("sockname")
    if local is None:
        return False
    try:
        return ipaddress.ip_address(name) == ipaddress.ip_address(local[0].partition("%")[0])
    except ValueError:
        return False


def _opens_page(request: web.Request) -> bool:
    """Whether somebody followed a link to the page, which holds nothing of anybody and cannot be framed."""
    return request.method in SAFE and request.path == "/" and request.headers.get("Sec-Fetch-Mode") == "navigate"


def _check_origin(request: web.Request) -> None:
    if request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}:
        raise RequestError("origin-refused", "another web site asked for this")
    origin = request.headers.get("Origin")
    if origin is not None and origin.lower().partition("://")[2] != request.headers.get("Host", "").lower():
        raise RequestError("origin-refused", "another web site asked for this")


def _identify(request: web.Request, tokens: Tokens) -> Caller:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    caller = tokens.caller(token.strip()) if scheme.lower() == "bearer" and token.strip() else None
    if caller is None:
        raise RequestError(
            "unauthorized", "send the token of this hub as Authorization: Bearer TOKEN", headers={"WWW-Authenticate": 'Bearer realm="otagate"'}
        )
    return caller
