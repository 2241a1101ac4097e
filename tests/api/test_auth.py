"""Tokens: how they are made, read, refused and compared."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from otagate.api.auth import TokenFile, load_tokens
from otagate.model.errors import ConfigError
from tests.api.conftest import Hall


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
