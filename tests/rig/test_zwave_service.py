"""The strict fake of the Z-Wave service: what it refuses and how it answers is held against recorded answers of the real one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from otagate_rig.services.zwave import ZwaveFile, ZwaveService, ZwaveUpdate
from tests.formats.real_images import DATA

PRODUCT = 0x0082
KIND = {"manufacturerId": "0x027a", "productType": "0x0003", "productId": "0x0082"}


def _update(version: str, **more: Any) -> ZwaveUpdate:
    return ZwaveUpdate(version=version, product_id=PRODUCT, files=(ZwaveFile(image=version.encode()),), **more)


@pytest_asyncio.fixture
async def service() -> AsyncIterator[ZwaveService]:
    made = ZwaveService()
    async with made.running():
        yield made


async def _ask(service: ZwaveService, path: str, body: Any, *, agent: str = "otagate/0") -> tuple[int, Any]:
    async with aiohttp.ClientSession(headers={"User-Agent": agent}) as client, client.post(service.url + path, data=json.dumps(body)) as answer:
        return answer.status, await answer.json()


async def _offered(service: ZwaveService, version: str = "v3", running: str = "1.6", **more: Any) -> list[str]:
    _, told = await _ask(service, f"/api/{version}/updates", KIND | {"firmwareVersion": running} | more)
    return [each["normalizedVersion"] for each in told]


@pytest.mark.asyncio
async def test_what_the_real_service_refused_is_refused_in_the_same_words(service: ZwaveService) -> None:
    path = DATA / "zwave-service" / "samples.json"
    if not path.is_file():
        pytest.skip("no recorded answers of the service: set OTAGATE_TEST_DATA")
    for sample in json.loads(path.read_text())["errors"]:
        assert await _ask(service, sample["request"]["path"], sample["request"]["body"]) == (sample["status"], sample["body"])


@pytest.mark.asyncio
async def test_whoever_does_not_say_who_he_is_gets_no_answer(service: ZwaveService) -> None:
    told = await _ask(service, "/api/v4/updates", {"devices": [KIND | {"firmwareVersion": "1.6"}]}, agent=" ")
    assert told == (400, {"status": 400, "error": "User-Agent header is required"})


@pytest.mark.asyncio
async def test_each_version_of_the_service_offers_what_it_knows_of(service: ZwaveService) -> None:
    service.updates = [_update("1.8"), _update("1.8", channel="beta"), _update("1.7", region="usa"), _update("1.7"), _update("1.6"), _update("1.5")]
    assert await _offered(service, "v1") == ["1.8.0", "1.7.0", "1.5.0"]
    assert await _offered(service, "v2") == ["1.8.0", "1.8.0-beta", "1.7.0", "1.5.0"]
    assert await _offered(service, "v3") == ["1.5.0", "1.7.0", "1.8.0-beta", "1.8.0"]
    _, regional = await _ask(service, "/api/v3/updates", KIND | {"firmwareVersion": "1.6", "region": "usa"})
    assert [each.get("region") for each in regional] == [None, "usa", None, None]


@pytest.mark.asyncio
async def test_a_batch_leaves_out_who_it_does_not_know_and_gives_versions_back_padded(service: ZwaveService) -> None:
    service.updates = [_update("1.7", only_from="1.6")]
    stranger = KIND | {"productId": "0x0001", "firmwareVersion": "1.0"}
    dual = KIND | {"firmwareVersion": "1.6", "additionalFirmwareVersions": {"1": "7.18"}}
    status, told = await _ask(service, "/api/v4/updates", {"devices": [stranger, dual, KIND | {"firmwareVersion": "1.5"}]})
    assert status == 200
    assert [(each["firmwareVersion"], len(each["updates"])) for each in told] == [("1.5.0", 0), ("1.6.0", 1)]
    assert told[1]["additionalFirmwareVersions"] == {"1": "7.18"}
