"""The OpenAPI 3.1 document, derived from the routes and the models they name.

`python -m otagate.api.openapi` writes the checked-in copy beside this file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.json_schema import models_json_schema

from otagate import __version__
from otagate.api import audit, devices, events, handouts, health, hub, images, notifiers, plans, radios, report, rollouts, sources, updates
from otagate.api.problems import KINDS, MEDIA_TYPE, Problem
from otagate.api.router import MERGE_PATCH, Call, Reply, Route

COPY = Path(__file__).with_name("openapi.json")
COMMON = ("malformed-request", "invalid-request", "unauthorized", "scope-missing", "host-refused", "origin-refused", "internal", "too-slow")
CHANGING = ("shutting-down", "unsupported-media-type", "body-too-large", "request-timeout")
REFERENCE = "#/components/schemas/{model}"
Json = dict[str, Any]


class OpenApi(BaseModel, extra="allow"):
    """This document."""

    openapi: str


async def show_openapi(_call: Call) -> Reply:
    """This document."""
    return Reply(document=OpenApi.model_validate(document()))


ROUTES: tuple[Route, ...] = (
    Route(method="GET", path="/api/v1/openapi.json", run=show_openapi, answers={200: OpenApi}),
    *health.ROUTES,
    *radios.ROUTES,
    *devices.ROUTES,
    *plans.ROUTES,
    *updates.ROUTES,
    *rollouts.ROUTES,
    *events.ROUTES,
    *images.ROUTES,
    *handouts.ROUTES,
    *sources.ROUTES,
    *notifiers.ROUTES,
    *hub.ROUTES,
    *audit.ROUTES,
    *report.ROUTES,
)
"""Every call of the API."""


def document(routes: Iterable[Route] = ROUTES) -> Json:
    """The whole document."""
    routes = tuple(routes)
    references, schemas = _schemas(routes)
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, references)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "otagate",
            "version": __version__,
            "description": "Brings firmware to Zigbee and Z-Wave devices. Errors are RFC 9457 problems whose `type` ends in a stable slug.",
            "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _schemas(routes: tuple[Route, ...]) -> tuple[Mapping[type[BaseModel], Json], Json]:
    """The schema of each model, by reference, and the components that the references point to."""
    asked: list[type[BaseModel]] = [
        kind for route in routes for name, kind in route.parameters.items() if name == "body" and issubclass(kind, BaseModel)
    ]
    told: list[type[BaseModel]] = [kind for route in routes for kind in route.answers.values() if isinstance(kind, type)]
    modes: list[tuple[type[BaseModel], Any]] = [(kind, "validation") for kind in asked]
    modes += [(kind, "serialization") for kind in _unique([*told, Problem])]
    found, definitions = models_json_schema(modes, ref_template=REFERENCE)
    references = {kind: found[kind, mode] for kind, mode in modes}
    return references, definitions["$defs"]


def _unique(kinds: list[type[BaseModel]]) -> list[type[BaseModel]]:
    return list(dict.fromkeys(kinds))


def _operation(route: Route, references: Mapping[type[BaseModel], Json]) -> Json:
    text = " ".join((route.run.__doc__ or "").split())
    summary, _, rest = text.partition(". ")
    operation: Json = {
        "operationId": route.run.__name__,
        "summary": summary.removesuffix("."),
        "tags": [_tag(route.path)],
        "responses": _responses(route, references),
    }
    if rest:
        operation["description"] = rest
    if parameters := _parameters(route):
        operation["parameters"] = parameters
    if (body := _request_body(route, references)) is not None:
        operation["requestBody"] = body
    if route.scope is None:
        operation["security"] = []
    else:
        operation["x-scope"] = route.scope
    return operation


def _tag(path: str) -> str:
    """The noun of a path: what follows `/api/v1/`; the probes share one."""
    return path.split("/")[3].partition(".")[0] if path.startswith("/api/") else "health"


def _parameters(route: Route) -> list[Json]:
    found: list[Json] = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in re.findall(r"{(\w+)}", route.path)]
    query = route.parameters.get("query")
    if query is not None and issubclass(query, BaseModel):
        schema = query.model_json_schema(ref_template=REFERENCE)
        for name, field in schema["properties"].items():
            found.append({"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": field})
    for each in route.headers:
        schema = {"type": "string", "pattern": f"^{each.pattern}$"}
        found.append({"name": each.name, "in": "header", "required": False, "description": each.about, "schema": schema})
    return found


def _request_body(route: Route, references: Mapping[type[BaseModel], Json]) -> Json | None:
    if route.multipart is not None:
        schema = {
            "type": "object",
            "required": [route.multipart],
            "properties": {route.multipart: {"type": "string", "minLength": 1, "contentMediaType": "application/octet-stream"}},
            "additionalProperties": False,
        }
        return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    body = route.parameters.get("body")
    if body is None or not issubclass(body, BaseModel):
        return None
    required = not _takes_nothing(body)
    kinds = ("application/json", MERGE_PATCH) if route.method == "PATCH" else ("application/json",)
    return {"required": required, "content": {kind: {"schema": references[body]} for kind in kinds}}


def _takes_nothing(body: type[BaseModel]) -> bool:
    """Whether a call may leave it out: no body is read as an empty one."""
    try:
        body.model_validate({})
    except ValidationError:
        return False
    return True


def _responses(route: Route, references: Mapping[type[BaseModel], Json]) -> Json:
    responses: Json = {}
    for status, kind in route.answers.items():
        response: Json = {"description": _describe(kind)}
        if isinstance(kind, str | tuple):
            response["content"] = {media: {"schema": {"type": "string"}} for media in ([kind] if isinstance(kind, str) else kind)}
        elif kind is not None:
            response["content"] = {MEDIA_TYPE if issubclass(kind, Problem) else "application/json": {"schema": references[kind]}}
        responses[str(status)] = response
    if route.scope is not None or route.problems:
        slugs: dict[int, list[str]] = {}
        for slug in (*COMMON, *route.problems, *(CHANGING if route.method != "GET" else ())):
            slugs.setdefault(KINDS[slug].status, []).append(slug)
        for status, words in sorted(slugs.items()):
            content = {MEDIA_TYPE: {"schema": references[Problem]}}
            responses.setdefault(str(status), {"description": "Problem: " + ", ".join(f"`{word}`" for word in words), "content": content})
    return responses


def _describe(kind: type[BaseModel] | str | tuple[str, ...] | None) -> str:
    if kind is None:
        return "Done; there is nothing to answer"
    if isinstance(kind, tuple):
        return " or ".join(kind)
    text = kind if isinstance(kind, str) else " ".join((kind.__doc__ or kind.__name__).split())
    return text.partition(". ")[0]


def render() -> str:
    """The text of the checked-in copy."""
    return json.dumps(document(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    COPY.write_text(render(), encoding="utf-8")
