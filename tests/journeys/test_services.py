"""Firmware that comes from an update service, from the question to the device that runs it; and services with every fault they can have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from otagate.config import HubSettings
from otagate.daemon import Pace, running
from otagate_rig.air import AirSettings
from otagate_rig.rig import Rig
from otagate_rig.services.index import IndexService
from otagate_rig.services.ledvance import Firmware, LedvanceService
from otagate_rig.services.server import FakeService
from otagate_rig.spec import DeviceSpec
from tests.journeys.hub import IEEE, PACE, Journey, announced, assert_updated, ended, fact, image_of, told

SERVICES: Mapping[str, str] = {"ledvance": "/v1/zigbee", "z2m-index": "/index.json"}


def service_with(kind: str, image: bytes) -> FakeService:
    if kind == "ledvance":
        return LedvanceService(firmwares=[Firmware(data=image)])
    return IndexService(files={"lamp.ota": image})


def settings(state: Path, rig: Rig, kind: str, url: str) -> HubSettings:
    return HubSettings.model_validate(
        {
            "state_dir": state,
            "api": {"listen": ["127.0.0.1:0"]},
            "radios": [{"name": "zigbee0", "type": rig.stack, "path": rig.path}],
            "policy": {"alive_for": "0d"},
            "sources": [{"type": kind, "url": url + SERVICES[kind]}],
            "http": {"allow_private": ["127.0.0.1"]},
        }
    )


@asynccontextmanager
async def hub_with(tmp_path: Path, kind: str, service: FakeService, image: bytes) -> AsyncIterator[Journey]:
    made = Rig(devices=(DeviceSpec(ieee=IEEE),), images=[image], air=AirSettings(speedup=None), announce_after=None)
    async with made as rig, service.running() as url, running(settings(tmp_path / "state", rig, kind, url), pace=Pace.scaled(PACE)) as hub:
        await announced(hub, rig)
        yield Journey(hub, rig)


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", SERVICES)
async def test_a_device_gets_the_firmware_that_its_service_offers(tmp_path: Path, kind: str) -> None:
    image = image_of(5_000)
    service = service_with(kind, image)
    async with hub_with(tmp_path, kind, service, image) as run:
        await told(run.desk)
        assert (await run.desk.refresh(kind, actor="test")).state == "ok"
        assert not any("download" in path or "images" in path for _, path in service.asked)
        update = await ended(run.desk, await run.order())
        assert update.state == "succeeded", update.error
        assert_updated(run.device(), image)
        assert sum("download" in path or "images" in path for _, path in service.asked) == 1


@pytest.mark.asyncio
async def test_a_service_that_is_away_stops_nothing_and_says_what_is_wrong(tmp_path: Path) -> None:
    image = image_of(5_000)
    service = service_with("ledvance", image)
    async with hub_with(tmp_path, "ledvance", service, image) as run:
        await told(run.desk)
        await run.desk.add_image(image, file_name="lamp.ota", actor="test")
        service.fault = "html"
        view = await run.desk.refresh("ledvance", actor="test")
        assert view.state == "degraded"
        assert "web page" in view.sentence
        update = await ended(run.desk, await run.order())
        assert update.state == "succeeded", update.error


@pytest.mark.asyncio
async def test_bytes_other_than_the_service_promised_never_reach_a_device(tmp_path: Path) -> None:
    image = image_of(5_000)
    service = LedvanceService(firmwares=[Firmware(data=image)], wrong_bytes=True)
    async with hub_with(tmp_path, "ledvance", service, image) as run:
        await told(run.desk)
        await run.desk.refresh("ledvance", actor="test")
        order = await run.order()
        failed = await fact(run.desk, lambda each: each.subject_id == order and each.kind == "fetch_failed")
        assert "sha256" in str(failed.data["detail"])
        assert await run.desk.images() == []
        assert run.device().counters.downloads_completed == 0
