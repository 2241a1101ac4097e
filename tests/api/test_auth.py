"""Tokens: how they are made, read, refused and compared."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from otagate.api.auth import TokenFile, load_tokens
from otagate.api.openapi import ROUTES
from otagate.model.errors import ConfigError
from tests.api.conftest import Hall, Open
from tests.api.counter import LAMP

CLOSED = [route for route in ROUTES if route.scope is not None]


def test_the_admin_token_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "api-token"
    load_tokens(file)
    first = file.read_text()
    load_tokens(file)
    assert file.read_text() == first
    assert len(first.strip()) >= 43
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]


def test_two_hubs_do_not_share_a_token(tmp_path: Path) -> None:
    for name in ("a", "b"):
        load_tokens(tmp_path / name)
    assert (tmp_path / "a").read_text() != (tmp_path / "b").read_text()


def test_a_token_names_its_caller_and_nothing_else_does(tmp_path: Path) -> None:
    tokens = load_tokens(tmp_path / "api-token")
    token = (tmp_path / "api-token").read_text().strip()
    caller = tokens.caller(token)
    assert caller is not None
    assert caller.actor == "token:admin"
    for wrong in ("", token[:-1], token + "x", token.swapcase(), "\udcff" * 43):
        assert tokens.caller(wrong) is None


@pytest.mark.parametrize(
    ("content", "mode", "word"),
    [
        (b"", 0o600, "plain text"),
        (b"short\n", 0o600, "plain text"),
        (b"x" * 5000, 0o600, "plain text"),
        (b"\xff" * 40, 0o600, "plain text"),
        (b"two lines are\nnot one token!", 0o600, "plain text"),
        (b"x" * 40, 0o644, "0600"),
        (b"x" * 40, 0o620, "0600"),
    ],
)
def test_an_unusable_token_file_is_a_configuration_error(tmp_path: Path, content: bytes, mode: int, word: str) -> None:
    file = tmp_path / "api-token"
    file.write_bytes(content)
    file.chmod(mode)
    with pytest.raises(ConfigError, match=word):
        load_tokens(file)


def test_a_token_file_that_cannot_be_made_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_tokens(tmp_path / "missing" / "api-token")


def test_a_further_token_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_tokens(tmp_path / "api-token", [TokenFile(name="panel", file=tmp_path / "none", scopes=frozenset({"read"}))])


@pytest.mark.asyncio
@pytest.mark.parametrize("route", CLOSED, ids=lambda route: f"{route.method} {route.path}")
@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic YWRtaW46YWRtaW4=", "{token}", "Bearer {token}x"])
async def test_without_the_token_nothing_is_told_or_done(hall: Hall, route: object, header: str | None) -> None:
    path = route.path.replace("{device_id}", LAMP).replace("{update_id}", "u1").replace("{sha256}", "ab" * 32).replace("{name}", "zigbee0")
    headers = {} if header is None else {"Authorization": header.format(token=hall.token)}
    hall.client.headers.popall("Authorization", None)
    document = await hall.problem(route.method, path, status=401, slug="unauthorized", headers=headers)
    assert document["_headers"]["WWW-Authenticate"].startswith("Bearer")
    assert hall.token not in str(document)
    assert hall.desk.orders == []


@pytest.mark.asyncio
async def test_even_what_does_not_exist_is_told_to_token_holders_only(hall: Hall) -> None:
    await hall.problem("GET", "/api/v1/nothing", status=401, slug="unauthorized", headers={"Authorization": "none"})
    await hall.problem("GET", "/api/v1/nothing", status=404, slug="not-found")


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_the_probes_need_no_token(hall: Hall, path: str) -> None:
    await hall.json("GET", path, headers={"Authorization": "none"})


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/healthz/", "//healthz", "/healthz/../api/v1/devices", "/healthz;/api/v1/devices", "/%68ealthz/x"])
async def test_nothing_beside_the_probes_is_open(hall: Hall, path: str) -> None:
    from yarl import URL

    async with hall.client.get(URL(hall.base + path, encoded=True), headers={"Authorization": "none"}) as response:
        assert response.status == 401


@pytest.mark.asyncio
async def test_the_scheme_is_read_in_any_case(hall: Hall) -> None:
    await hall.json("GET", "/api/v1/devices", headers={"Authorization": f"bearer {hall.token}"})


async def _with_scopes(open_hall: Open, tmp_path: Path, *scopes: str) -> Hall:
    file = tmp_path / "panel"
    file.write_text("panel-token-of-the-hall\n")
    file.chmod(0o600)
    hall: Hall = await open_hall(tokens=(TokenFile(name="panel", file=file, scopes=frozenset(scopes)),))
    hall.client.headers["Authorization"] = "Bearer panel-token-of-the-hall"
    return hall


@pytest.mark.asyncio
async def test_a_reading_token_reads_and_orders_nothing(open_hall: Open, tmp_path: Path) -> None:
    hall = await _with_scopes(open_hall, tmp_path, "read")
    for route in ROUTES:
        path = route.path.replace("{device_id}", LAMP).replace("{update_id}", "u1").replace("{sha256}", "ab" * 32).replace("{name}", "zigbee0")
        if route.method != "GET":
            await hall.problem(route.method, path, status=403, slug="scope-missing")
    assert hall.desk.orders == []
    await hall.json("GET", "/api/v1/devices")


@pytest.mark.asyncio
async def test_an_operating_token_neither_forces_nor_downgrades(open_hall: Open, tmp_path: Path) -> None:
    hall = await _with_scopes(open_hall, tmp_path, "read", "operate")
    await hall.problem("POST", "/api/v1/updates", status=403, slug="scope-missing", json={"devices": [LAMP], "force": True})
    await hall.problem("POST", "/api/v1/updates", status=403, slug="scope-missing", json={"devices": [LAMP], "allow_downgrade": True})
    await hall.problem("POST", "/api/v1/radios/zigbee0/permit-join", status=403, slug="scope-missing")
    await hall.json("POST", "/api/v1/updates", status=202, json={"devices": [LAMP]})
    assert [actor for _, _, actor in hall.desk.orders] == ["token:panel"]
