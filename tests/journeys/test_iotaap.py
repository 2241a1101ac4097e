"""A device bound to one of IoTaaP's gets its firmware from there; tokens are shown nowhere; the same version with other bytes is an alarm."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from otagate.api.requests import RecordFilters
from otagate.api.source_documents import source_document
from otagate.config import HubSettings
from otagate.daemon import Pace, running
from otagate.engine.views import OrderRequest
from otagate.model.ids import DeviceId
from otagate_rig.air import AirSettings
from otagate_rig.rig import Rig
from otagate_rig.services.iotaap import IotaapService
from otagate_rig.spec import DeviceSpec
from tests.journeys.hub import IEEE, OTHER_IEEE, PACE, Journey, announced, assert_updated, device_id, ended, fact, image_of, ordered_of, told

DEVICE = "5e1b57808711f904f5df4bad"
TOKEN = "k3tC9xQ2m1Za"
SECRETS = (TOKEN, "not-a-secret")


def settings(state: Path, rig: Rig, url: str) -> HubSettings:
    for name, secret in (("token", TOKEN), ("password", "not-a-secret")):
        (state.parent / name).write_text(secret)
        (state.parent / name).chmod(0o600)
    binding = {"iotaap_device": DEVICE, "token_file": state.parent / "token", "device": device_id(IEEE)}
    return HubSettings.model_validate(
        {
            "state_dir": state,
            "api": {"listen": ["127.0.0.1:0"]},
            "radios": [{"name": "zigbee0", "type": rig.stack, "path": rig.path}],
            "policy": {"alive_for": "0d"},
            "sources": [
                {
                    "type": "iotaap",
                    "api_url": f"{url}/v1",
                    "ota_url": f"{url}/v1",
                    "email": "operator@example.org",
                    "password_file": state.parent / "password",
                    "bindings": [binding],
                }
            ],
            "http": {"allow_private": ["127.0.0.1"]},
        }
    )


@asynccontextmanager
async def hub_with(tmp_path: Path, service: IotaapService, image: bytes) -> AsyncIterator[Journey]:
    specs = (DeviceSpec(ieee=IEEE), DeviceSpec(ieee=OTHER_IEEE))
    made = Rig(devices=specs, images=[image], air=AirSettings(speedup=None), announce_after=None)
    async with made as rig, service.running() as url, running(settings(tmp_path / "state", rig, url), pace=Pace.scaled(PACE)) as hub:
        await announced(hub, rig)
        yield Journey(hub, rig)


@pytest.mark.asyncio
async def test_a_bound_device_and_no_other_gets_what_lies_there_for_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    image = image_of(5_000)
    service = IotaapService(devices={DEVICE: TOKEN})
    service.deploy(DEVICE, "1.0.1", image)
    async with hub_with(tmp_path, service, image) as run:
        await told(run.desk)
        await told(run.desk, OTHER_IEEE)
        view = await run.desk.refresh("iotaap", actor="test")
        assert (view.state, view.releases) == ("ok", 1)
        assert (await run.desk.refresh("iotaap", actor="test")).state == "ok"
        assert sum("download" in path for _, path in service.asked) == 1  # nothing is fetched twice
        assert [each.release.source for each in await run.desk.offers(device_id(IEEE))] == ["iotaap"]
        assert list(await run.desk.offers(device_id(OTHER_IEEE))) == []
        update = await ended(run.desk, await run.order())
        assert (update.state, update.source) == ("succeeded", "iotaap"), update.error
        assert_updated(run.device(), image)
        facts = await run.hub.store.facts.after(0, limit=10_000)
    logged = [each.getMessage() for each in caplog.records if each.name != "aiohttp.access"]  # that is the log of the fake itself
    shown = repr((logged, facts, view, update))
    assert not any(secret in shown for secret in SECRETS)


@pytest.mark.asyncio
async def test_the_same_version_with_other_bytes_is_an_alarm_and_is_offered_to_nobody(tmp_path: Path) -> None:
    image, other = image_of(5_000), image_of(6_000)
    service = IotaapService(devices={DEVICE: TOKEN})
    service.deploy(DEVICE, "1.0.1", image)
    async with hub_with(tmp_path, service, image) as run:
        await told(run.desk)
        await run.desk.refresh("iotaap", actor="test")
        service.deploy(DEVICE, "1.0.1", other)
        for _ in range(2):
            view = await run.desk.refresh("iotaap", actor="test")
            assert view.state == "degraded"
            assert "quarantined" in view.sentence
            assert "sha256" in view.sentence
        assert sum("download" in path for _, path in service.asked) == 2  # what is known to be wrong is not fetched again and again
        (offer,) = await run.desk.offers(device_id(IEEE))
        assert (offer.verdict.decision, offer.verdict.reason) == ("refuse", "quarantined")
        alarms = [each for each in await run.hub.store.facts.after(0, limit=10_000) if each.kind == "alarm"]
        assert [(each.subject, each.data["version"]) for each in alarms] == [("source", "1.0.1")]
        service.deploy(DEVICE, "1.0.2", image_of(5_000, version=0x01000002))
        assert (await run.desk.refresh("iotaap", actor="test")).state == "ok"
        (offer,) = await run.desk.offers(device_id(IEEE))
        assert offer.release.file_version == 0x01000002
        assert not any(secret in json.dumps(source_document(each).model_dump(mode="json")) for each in await run.desk.sources() for secret in SECRETS)


@pytest.mark.asyncio
async def test_a_wrong_password_is_told_to_the_operator_and_the_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    image = image_of(5_000)
    service = IotaapService(devices={DEVICE: TOKEN}, password="another")
    service.deploy(DEVICE, "1.0.1", b"no image at all")
    async with hub_with(tmp_path, service, image) as run:
        await told(run.desk)
        view = await run.desk.refresh("iotaap", actor="test")
        assert view.state == "misconfigured"
        assert "password_file" in view.sentence
        service.password = "not-a-secret"
        for _ in range(2):
            view = await run.desk.refresh("iotaap", actor="test")
            assert (view.state, view.releases) == ("degraded", 0)
            assert f"version 1.0.1 for device {DEVICE} is no image" in view.sentence
        assert sum("download" in path for _, path in service.asked) == 1


NATIVE = DeviceId(f"iotaap-{DEVICE}")


async def known(run: Journey) -> None:
    """Wait until the hub knows of the service's device."""
    await run.desk.refresh("iotaap", actor="test")
    await fact(run.desk, lambda each: each.subject_id == NATIVE and each.kind == "found")


@pytest.mark.asyncio
async def test_an_operator_publishes_an_image_to_a_device_that_then_takes_it_by_itself(tmp_path: Path) -> None:
    image = image_of(5_000)
    service = IotaapService(devices={DEVICE: TOKEN})
    async with hub_with(tmp_path, service, image) as run:
        await known(run)
        stored = await run.desk.add_image(image, file_name="firmware.ota", actor="test")
        update = await ended(run.desk, await ordered_of(run.desk, NATIVE, image=stored.sha256, version="1.0.1"))
        assert (update.state, update.source) == ("succeeded", "iotaap"), update.error
        assert service.published == [(DEVICE, "1.0.1", image)]
        view = await run.desk.device(NATIVE)
        assert (view.device.protocol, view.components[0].component.version) == ("cloud", "1.0.1")
        log = await run.desk.log(update.id)
        assert [each.kind for each in log.items] == ["created", "delegated", "accepted", "rebooted", "version_matches"]
        records = await run.desk.records("iotaap", RecordFilters(device=DEVICE, order="desc").query())
        assert [(each.device, each.version) for each in records.items] == [(NATIVE, "1.0.1")]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({}, "no-release"),
        ({"version": "1.0.0"}, "downgrade-refused"),
        ({"version": "1.0.5-rc1"}, "downgrade-refused"),
        ({"image": None}, "no-release"),
    ],
)
async def test_nothing_is_published_without_image_and_version_nor_backwards(tmp_path: Path, wanted: dict[str, Any], code: str) -> None:
    image = image_of(5_000)
    service = IotaapService(devices={DEVICE: TOKEN})
    service.deploy(DEVICE, "1.0.5", image)
    async with hub_with(tmp_path, service, image) as run:
        await known(run)
        stored = await run.desk.add_image(image, file_name="firmware.ota", actor="test")
        result = await run.desk.order(OrderRequest(**{"devices": (NATIVE,), "image": stored.sha256} | wanted), actor="test")
        assert [each.error.code for each in result.refused] == [code]
        assert service.published == []


@pytest.mark.asyncio
@pytest.mark.parametrize("lost", [True, False])
async def test_a_publication_whose_answer_is_lost_is_never_sent_again(tmp_path: Path, lost: bool) -> None:
    image = image_of(5_000)
    service = IotaapService(devices={DEVICE: TOKEN}, loses="the answer" if lost else "the order")
    async with hub_with(tmp_path, service, image) as run:
        await known(run)
        stored = await run.desk.add_image(image, file_name="firmware.ota", actor="test")
        update = await ended(run.desk, await ordered_of(run.desk, NATIVE, image=stored.sha256, version="1.0.1"))
        assert sum(asked == ("POST", "/v1/ota/device") for asked in service.asked) == 1
        assert update.state == ("succeeded" if lost else "failed")
        assert update.error is None or "not given again by itself" in update.error.detail
