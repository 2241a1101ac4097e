"""Interlocks over HTTP, asked by the real client."""

from __future__ import annotations

from pathlib import Path

import pytest

from otagate.net.interlocks import HttpInterlock
from tests.net.test_http import _answer, _Place, _Server

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize(
    ("status", "no"),
    [
        ("200 OK", None),
        ("204 No Content", None),
        ("403 Forbidden", "it answers with status 403"),
        ("404 Not Found", "it answers with status 404"),
        ("503 Service Unavailable", "it cannot be asked"),
    ],
)
async def test_only_a_status_of_success_is_a_yes(tmp_path: Path, status: str, no: str | None) -> None:
    place = _Place(tmp_path)
    async with _Server([_answer(b"", status)]).running() as server, place.client() as http:
        said = await HttpInterlock(name="fire", url=f"{server.url}/allowed", http=http).ask()
    assert said is None if no is None else said is not None and said.startswith(no)


async def test_who_does_not_answer_in_time_says_no(tmp_path: Path) -> None:
    place = _Place(tmp_path)
    async with _Server([None]).running() as server, place.client() as http:
        assert await HttpInterlock(name="fire", url=server.url, http=http, patience=0.05).ask() is not None


async def test_a_private_address_that_is_not_allowed_is_not_asked(tmp_path: Path) -> None:
    place = _Place(tmp_path, allow=())
    async with _Server([_answer(b"")]).running() as server, place.client() as http:
        said = await HttpInterlock(name="fire", url=server.url, http=http).ask()
    assert said is not None
    assert "private" in said or "allow" in said


async def test_what_an_interlock_says_no_with_never_shows_its_address_which_may_hold_a_token(tmp_path: Path) -> None:
    place = _Place(tmp_path)
    said = []
    async with _Server(
        [_answer(b"", "403 Forbidden"), _answer(b"", "302 Found", "location: /hunter2"), b"hunter2 is no HTTP\r\n\r\n"]
    ).running() as server:
        urls = [f"{server.url}/hunter2?key=hunter2"] * 3 + ["http://127.0.0.1:9/hunter2?key=hunter2", "http://h unter2/hunter2"]
        async with place.client() as http:
            for each in urls:
                door = HttpInterlock(name="door", url=each, http=http)
                said += [await door.ask(), repr(door)]
    assert None not in said
    assert "hunter2" not in str(said)
