"""The one call that gives something to whoever has no token: a file, once, by the word that only its order names."""

from __future__ import annotations

import aiohttp
import pytest

from otagate.engine.timers import SystemClock
from otagate.ports import Handout
from otagate.radios.handouts import Counter
from tests.api.conftest import Hall, Open

BODY = bytes(range(256)) * 5_000


@pytest.mark.asyncio
async def test_a_file_is_given_once_to_whoever_knows_its_word_and_has_no_token(open_hall: Open) -> None:
    counter = Counter(SystemClock())
    hall: Hall = await open_hall(handouts=counter)
    counter.address = hall.base
    url = counter.url(counter.lay(Handout(body=memoryview(BODY), media="application/octet-stream"), seconds=60))
    async with aiohttp.ClientSession() as anybody:
        async with anybody.head(url) as asked:
            assert asked.status == 401  # who only looks does not take it away
        async with anybody.get(url) as answer:
            assert (answer.status, answer.content_type, await answer.read()) == (200, "application/octet-stream", BODY)
        async with anybody.get(url) as again:
            assert (again.status, (await again.json(content_type=None))["type"]) == (404, "/problems/not-found")


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/api/v1/handouts/", "/api/v1/handouts/x/y", "/api/v1/handouts", "/api/v1/images"])
async def test_nothing_beside_it_is_open(open_hall: Open, path: str) -> None:
    hall: Hall = await open_hall(handouts=Counter(SystemClock()))
    hall.client.headers.popall("Authorization", None)
    await hall.problem("GET", path, status=401, slug="unauthorized")


@pytest.mark.asyncio
async def test_a_hub_that_lays_nothing_ready_has_nothing_to_give(hall: Hall) -> None:
    await hall.problem("GET", "/api/v1/handouts/anything", status=404, slug="not-found")


@pytest.mark.asyncio
async def test_it_is_given_under_the_hubs_own_names_alone(open_hall: Open) -> None:
    counter = Counter(SystemClock())
    hall: Hall = await open_hall(handouts=counter)
    word = counter.lay(Handout(body=memoryview(BODY), media="application/octet-stream"), seconds=60)
    await hall.problem("GET", f"/api/v1/handouts/{word}", status=421, slug="host-refused", headers={"Host": "evil.example.org"})
    assert counter.take(word).body == BODY
