"""Who may call what: every route of the table against every scope, over TCP and over the unix socket."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from otagate.api.auth import SCOPES, Scope, TokenFile
from otagate.api.openapi import ROUTES
from otagate.api.router import Route
from otagate.model.lifecycle import State
from tests.api.calls import PROMISED, address, anonymous, title
from tests.api.conftest import Hall, Open
from tests.api.counter import LAMP, update

CLOSED = [route for route in ROUTES if route.scope is not None]
HEADERS = [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic YWRtaW46YWRtaW4=", "{token}", "Bearer {token}x"]


def test_every_route_wants_the_scope_that_is_written_down() -> None:
    assert {(route.method, anonymous(route.path)): route.scope for route in ROUTES} == PROMISED


def test_only_the_probes_and_what_has_a_key_in_its_path_are_open_and_no_change_is_a_reading() -> None:
    assert [route.path for route in ROUTES if route.scope is None] == ["/healthz", "/readyz", "/api/v1/handouts/{word}"]
    assert [title(route) for route in ROUTES if route.method != "GET" and route.scope == "read"] == []


async def with_scopes(open_hall: Open, tmp_path: Path, *scopes: Scope) -> Hall:
    """A hall whose client holds a token named panel with these scopes."""
    file = tmp_path / "panel"
    file.write_text("panel-token-of-the-hall\n")
    file.chmod(0o600)
    hall: Hall = await open_hall(tokens=(TokenFile(name="panel", file=file, scopes=frozenset(scopes)),))
    hall.client.headers["Authorization"] = "Bearer panel-token-of-the-hall"
    return hall


async def call(hall: Hall, route: Route) -> tuple[int, dict[str, Any]]:
    """One call with a body that is right; its status and, where it is a problem, the problem."""
    body = {"devices": [LAMP]} if route.path == "/api/v1/updates" else {}
    options = {"json": body} if route.method in {"POST", "PATCH"} and route.multipart is None else {}
    async with hall.client.request(route.method, hall.base + address(route), **options) as response:
        return response.status, await response.json() if response.content_type == "application/problem+json" else {}


@pytest.mark.asyncio
@pytest.mark.parametrize("scope", sorted(SCOPES))
@pytest.mark.parametrize("route", ROUTES, ids=title)
async def test_a_token_does_what_its_one_scope_says_and_nothing_else(open_hall: Open, tmp_path: Path, route: Route, scope: Scope) -> None:
    hall = await with_scopes(open_hall, tmp_path, scope)
    hall.desk.jobs["u0001"] = update(1, state=State.FAILED)
    wanted = PROMISED[route.method, anonymous(route.path)]
    status, problem = await call(hall, route)
    if wanted in {None, scope} or scope == "admin":
        assert status not in {401, 403}, problem
        assert {actor for _, _, actor in hall.desk.orders} <= {"token:panel"}
    else:
        assert (status, problem["type"]) == (403, "/problems/scope-missing")
        assert repr(wanted) in problem["detail"]
        assert hall.desk.orders == []


@pytest.mark.asyncio
@pytest.mark.parametrize("route", CLOSED, ids=title)
async def test_without_the_token_nothing_is_told_or_done(hall: Hall, route: Route) -> None:
    hall.client.headers.popall("Authorization", None)
    for header in HEADERS:
        headers = {} if header is None else {"Authorization": header.format(token=hall.token)}
        document = await hall.problem(route.method, address(route), status=401, slug="unauthorized", headers=headers)
        assert document["_headers"]["WWW-Authenticate"].startswith("Bearer")
        assert hall.token not in str(document)
    assert hall.desk.orders == []


@pytest.mark.asyncio
async def test_whoever_asks_is_told_who_they_are_and_what_they_may_do(open_hall: Open, tmp_path: Path) -> None:
    hall = await with_scopes(open_hall, tmp_path, "read", "operate")
    assert await hall.json("GET", "/api/v1/caller") == {"actor": "token:panel", "scopes": ["operate", "read"]}


@pytest.mark.asyncio
async def test_over_the_unix_socket_everything_is_allowed_and_the_user_is_who_did_it(open_hall: Open, tmp_path: Path) -> None:
    hall = await open_hall(listen=("127.0.0.1:0", f"unix:{tmp_path}/hub.sock"))
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(tmp_path / "hub.sock"))) as client:
        hall.client = client
        for route in ROUTES:
            hall.desk.jobs["u0001"] = update(1, state=State.FAILED)
            status, problem = await call(hall, route)
            assert status not in {401, 403}, problem
    assert {actor for _, _, actor in hall.desk.orders} == {f"uid:{os.getuid()}"}
    assert len({what for what, _, _ in hall.desk.orders}) >= 15


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("wish", "scope"),
    [
        ({"force": True}, "approve"),
        ({"override": ["pinned"], "because": "the shop is closed"}, "approve"),
        ({"allow_downgrade": True}, "downgrade"),
        ({"rollback": True}, "downgrade"),
    ],
)
async def test_an_operating_token_neither_overrules_nor_downgrades_without_the_scope(
    open_hall: Open, tmp_path: Path, wish: dict[str, Any], scope: Scope
) -> None:
    (tmp_path / "less").mkdir()
    body = {"devices": [LAMP]} | wish
    less = await with_scopes(open_hall, tmp_path / "less", "read", "operate")
    document = await less.problem("POST", "/api/v1/updates", status=403, slug="scope-missing", json=body)
    assert repr(scope) in document["detail"]
    await less.json("POST", "/api/v1/updates", status=200, json=body | {"dry_run": True})
    assert [each.dry_run for _, each, _ in less.desk.orders] == [True]
    more = await with_scopes(open_hall, tmp_path, "operate", scope)
    await more.json("POST", "/api/v1/updates", status=202, json=body)


@pytest.mark.asyncio
async def test_a_word_to_use_images_overrules_what_spares_a_device_only_with_the_scope(open_hall: Open, tmp_path: Path) -> None:
    hall = await with_scopes(open_hall, tmp_path, "read", "operate")
    overruling = {"updates": ["u0001"], "override": ["in_use"], "because": "the hall is empty"}
    document = await hall.problem("POST", "/api/v1/activations", status=403, slug="scope-missing", json=overruling)
    assert "'approve'" in document["detail"]
    assert hall.desk.orders == []
    await hall.json("POST", "/api/v1/activations", json={"updates": ["u0001"]})


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("wish", "scope"), [({"force": True}, "approve"), ({"override": ("pinned",)}, "approve"), ({"allow_downgrade": True}, "downgrade")]
)
async def test_what_a_token_may_not_order_it_may_not_repeat(open_hall: Open, tmp_path: Path, wish: dict[str, Any], scope: Scope) -> None:
    hall = await with_scopes(open_hall, tmp_path, "read", "operate")
    hall.desk.jobs["u0001"] = update(1, state=State.FAILED, **wish)
    document = await hall.problem("POST", "/api/v1/updates/u0001/retry", status=403, slug="scope-missing")
    assert repr(scope) in document["detail"]
    assert hall.desk.orders == []
    hall.desk.jobs["u0001"] = update(1, state=State.FAILED)
    await hall.json("POST", "/api/v1/updates/u0001/retry", status=202)
