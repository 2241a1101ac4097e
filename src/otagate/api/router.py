"""The router: a route is a coroutine whose signature says what it takes, so that what runs and what OpenAPI tells cannot part.

A route's coroutine takes a `Call` first. Of its keyword parameters, `query` is read from the query string and `body` from the JSON body, both by
their annotated model; every other one is a part of the path. A body whose model has only defaults may be left out.
"""

from __future__ import annotations

import asyncio
import inspect
import re
import typing
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from otagate.api.auth import Caller, Scope
from otagate.api.desk import Desk
from otagate.api.problems import RequestError, field_error, invalid
from otagate.api.settings import ApiSettings
from otagate.ports import Handouts

Method = Literal["GET", "POST", "PATCH", "DELETE"]
MERGE_PATCH = "application/merge-patch+json"
MAX_ERRORS = 20


@dataclass(slots=True, kw_only=True)
class Hub:
    """What every route can reach. `closing` is set when the hub stops: streams end and changes are refused."""

    desk: Desk
    settings: ApiSettings
    handouts: Handouts | None = None
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    uploads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    streams: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request on its way through a route."""

    hub: Hub
    caller: Caller
    request: web.Request

    @property
    def desk(self) -> Desk:
        """The hub's counter."""
        return self.hub.desk

    @property
    def actor(self) -> str:
        """Who asks."""
        return self.caller.actor

    def require(self, scope: Scope) -> None:
        """Raise RequestError `scope-missing` unless the caller holds the scope."""
        if not self.caller.may(scope):
            raise RequestError("scope-missing", f"this call needs the scope {scope!r}, which the token does not have")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer with a status of its own."""

    document: BaseModel | None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    media: str = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A request header field that a call reads: `pattern` (a regular expression of ECMA 262 and Python alike) is all that it may be."""

    name: str
    pattern: str
    about: str

    def read(self, request: web.Request) -> str | None:
        """Its value, or None where it is absent. Raises RequestError `invalid-request`."""
        values = request.headers.getall(self.name, [])
        if not values:
            return None
        if len(values) > 1 or not re.fullmatch(self.pattern, values[0]):
            raise invalid(self.name, "header", f"it should be {self.about}")
        return values[0]


class Nothing(BaseModel):
    """The body of a call that takes none: absent, or an empty object."""

    model_config = ConfigDict(extra="forbid")


Result = BaseModel | Reply | web.StreamResponse | None
Run = Callable[..., Awaitable[Result]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One call. `answers` says what each status carries: a model, the media type or types of anything else, or None for an empty body.

    `scope` is what the caller must hold; None leaves the call open to everybody. `problems` are the slugs to expect beside the common ones.
    `timeout` None means the settings' own; 0 means no bound, for streams and uploads that bound themselves. `multipart` names the one file field.
    `headers` are those that the coroutine reads.
    """

    method: Method
    path: str
    run: Run
    answers: Mapping[int, type[BaseModel] | str | tuple[str, ...] | None]
    scope: Scope | None = "read"
    problems: tuple[str, ...] = ()
    timeout: float | None = None
    multipart: str | None = None
    headers: tuple[Header, ...] = ()

    @property
    def parameters(self) -> Mapping[str, type]:
        """The coroutine's own parameters after the call, by name."""
        hints = typing.get_type_hints(self.run)
        names = list(inspect.signature(self.run).parameters)[1:]
        return {name: hints[name] for name in names}


def attach(app: web.Application, hub: Hub, routes: tuple[Route, ...], caller_of: Callable[[web.Request], Caller]) -> None:
    """Register the routes with the application; `caller_of` says who asks, once the guard has let them in."""
    for route in routes:
        handler = _handler(route, hub, caller_of)
        if route.method == "GET":
            app.router.add_get(route.path, handler, allow_head=route.timeout != 0)
        else:
            app.router.add_route(route.method, route.path, handler)


def _handler(route: Route, hub: Hub, caller_of: Callable[[web.Request], Caller]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    parameters = route.parameters
    bound = hub.settings.request_timeout if route.timeout is None else route.timeout
    takes_nothing = route.method != "GET" and route.multipart is None and "body" not in parameters

    async def handle(request: web.Request) -> web.StreamResponse:
        call = Call(hub=hub, caller=caller_of(request), request=request)
        if route.scope is not None:
            call.require(route.scope)
        arguments = await _arguments(parameters, request, hub.settings.request_timeout)
        if takes_nothing:
            await _body(Nothing, request, hub.settings.request_timeout)
        try:
            async with asyncio.timeout(bound or None) as scope:
                return respond(await route.run(call, **arguments))
        except TimeoutError:
            if not scope.expired():
                raise
            raise RequestError("too-slow", f"no answer within {bound:g} seconds; what was ordered may still happen") from None

    return handle


def respond(result: Result) -> web.StreamResponse:
    """The response of a route's result."""
    if isinstance(result, web.StreamResponse):
        return result
    reply = result if isinstance(result, Reply) else Reply(document=result, status=204 if result is None else 200)
    if reply.document is None:
        return web.Response(status=reply.status, headers=reply.headers)
    return web.Response(body=reply.document.model_dump_json(by_alias=True), status=reply.status, content_type=reply.media, headers=reply.headers)


async def _arguments(parameters: Mapping[str, type], request: web.Request, patience: float) -> dict[str, object]:
    arguments: dict[str, object] = {}
    for name, kind in parameters.items():
        if name == "query":
            arguments[name] = _query(kind, request)
        elif name == "body":
            arguments[name] = await _body(kind, request, patience)
        else:
            arguments[name] = request.match_info[name]
    if "query" not in parameters and request.query:
        raise invalid(next(iter(request.query))[:80], "query", "this call takes no query string")
    return arguments


def _query(kind: type, request: web.Request) -> BaseModel:
    if repeated := next((key for key in request.query if len(request.query.getall(key)) > 1), None):
        raise invalid(repeated[:80], "query", "given more than once")
    try:
        return _model(kind).model_validate(dict(request.query))
    except ValidationError as error:
        raise _refusal(error, _model(kind), "query") from None


async def _body(kind: type, request: web.Request, patience: float) -> BaseModel:
    try:
        async with asyncio.timeout(patience):
            data = await request.read()
    except TimeoutError:
        raise RequestError("request-timeout", f"the body did not arrive within {patience:g} seconds", headers={"Connection": "close"}) from None
    if data and request.content_type not in (("application/json", MERGE_PATCH) if request.method == "PATCH" else ("application/json",)):
        raise RequestError("unsupported-media-type", f"the body must be application/json, not {request.content_type[:80]!r}")
    try:
        return _model(kind).model_validate_json(data or b"{}")
    except ValidationError as error:
        if any(each["type"] == "json_invalid" for each in error.errors(include_url=False, include_context=False, include_input=False)):
            raise RequestError("malformed-request", "the body is not JSON") from None
        raise _refusal(error, _model(kind), "body") from None


def _model(kind: type) -> type[BaseModel]:
    if not issubclass(kind, BaseModel):
        raise TypeError(f"{kind!r} is no model of a query or body")
    return kind


_UNKNOWN = "there is no such field here: the OpenAPI document lists those that there are"


def _refusal(error: ValidationError, kind: type[BaseModel], location: Literal["body", "query"]) -> RequestError:
    """One error for each field, in words for whoever wrote the request: of a field that may be several things, what it is not is told once."""
    words: dict[str, list[str]] = {}
    for each in error.errors(include_url=False, include_context=False, include_input=False)[:MAX_ERRORS]:
        place = ".".join(_place(kind, each["loc"], known=each["type"] != "extra_forbidden"))
        words.setdefault(place, []).append(_UNKNOWN if each["type"] == "extra_forbidden" else each["msg"].removeprefix("Value error, "))
    innermost = {place: said for place, said in words.items() if not any(other.startswith(f"{place}.") for other in words)}
    errors = [field_error(place, location, " or ".join(dict.fromkeys(said))) for place, said in innermost.items()]
    first = errors[0]
    return RequestError("invalid-request", f"{first.field or location}: {first.detail}", errors=errors)


def _place(kind: type[BaseModel] | None, path: tuple[int | str, ...], *, known: bool) -> list[str]:
    """The part of an error's path that the request itself has; behind it come the branches that the validator tried."""
    place: list[str] = []
    for part in path:
        if isinstance(part, str) and known and (kind is None or part not in kind.model_fields):
            break
        place.append(str(part))
        if isinstance(part, str) and kind is not None and part in kind.model_fields:
            kind = _model_in(kind.model_fields[part].annotation)
    return place


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The first model that an annotation speaks of, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in typing.get_args(annotation) if (found := _model_in(each)) is not None), None)
