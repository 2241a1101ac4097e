"""Devices that their own cloud updates: ordered by us, carried out by the cloud, and never ordered twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from otagate.config import HubSettings
from otagate.daemon import Hub, Pace, running
from otagate.engine.patches import DevicePatch
from otagate.engine.timers import SystemClock
from otagate.engine.views import OrderRequest
from otagate.model.errors import NotCancellable
from otagate.model.ids import DeviceId, UpdateId
from otagate.sources.records import RecordQuery
from otagate_rig.services.tuya import TuyaService
from otagate_rig.services.tuya_devices import FAILED, TuyaDevice, TuyaFirmware
from tests.journeys.hub import PACE, WITHIN, ended, fact, ordered_of, state_is
from tests.journeys.process import Daemon, assert_gapless, assert_legal

pytestmark = pytest.mark.asyncio
LAMP = DeviceId("tuya-vdev1")
KINDS = ("tuya-illume", "tuya-thing")


def source(kind: str, service: TuyaService, secret: Path) -> dict[str, Any]:
    secret.write_text(service.secret)
    secret.chmod(0o600)
    of_kind = {"project_id": service.project_id} if kind == "tuya-illume" else {"device_ids": [each.device_id for each in service.devices]}
    return {"type": kind, "url": service.url, "client_id": service.client_id, "client_secret_file": str(secret)} | of_kind


def settings(folder: Path, service: TuyaService, *kinds: str, **more: Any) -> dict[str, Any]:
    return {
        "state_dir": str(folder / "state"),
        "api": {"listen": ["127.0.0.1:0"]},
        "sources": [source(each, service, folder / "tuya.secret") for each in kinds],
        "http": {"allow_private": ["127.0.0.1"]},
    } | more


@asynccontextmanager
async def hub_over(folder: Path, service: TuyaService, *kinds: str, pace: float = PACE, **more: Any) -> AsyncIterator[Hub]:
    """A hub that has read its cloud and heard of the lamp's version."""
    async with (
        service.running(),
        running(HubSettings.model_validate(settings(folder, service, *kinds, **more)), pace=Pace.scaled(pace)) as hub,
    ):
        await fact(hub.desk, lambda each: each.subject_id == LAMP and each.kind in ("interrogated", "asked") and bool(each.data.get("versions")))
        yield hub


@pytest.mark.parametrize("kind", KINDS)
async def test_a_cloud_updates_its_device_at_our_word_and_tells_the_new_version(tmp_path: Path, kind: str) -> None:
    service = TuyaService()
    async with hub_over(tmp_path, service, kind) as hub:
        view = await hub.desk.device(LAMP)
        assert (view.device.protocol, view.update_status) == ("cloud", "available")
        assert [(each.component.id, each.component.version) for each in view.components] == [("0", "1.0.0")]
        assert hub.desk.radios() == []
        update = await ended(hub.desk, await ordered_of(hub.desk, LAMP))
        assert update.state == "succeeded", update.error
        assert service.orders == ["vdev1"]
        assert service.device().main.current == "1.0.1"
        after = await hub.desk.device(LAMP)
        assert (after.components[0].component.version, after.update_status) == ("1.0.1", "updated")
        log = await hub.desk.log(update.id)
        assert [each.kind for each in log.items] == ["created", "delegated", "accepted", "rebooted", "version_matches"]


async def test_a_device_that_two_sources_see_is_one_device(tmp_path: Path) -> None:
    service = TuyaService(devices=[TuyaDevice(device_id="vdev1", firmwares={0: TuyaFirmware(offered="1.0.1"), 9: TuyaFirmware(current="7.0")})])
    async with hub_over(tmp_path, service, *KINDS) as hub:
        for kind in KINDS:
            await hub.desk.refresh(kind, actor="test")
        (view,) = (await hub.desk.devices()).items
        assert view.device.name == "Lamp"
        offers = await hub.desk.offers(LAMP)
        assert {each.release.source for each in offers} == set(KINDS)
        assert sum("grant_type" in path for _, path in service.asked) == 1, "one account, one token"


async def test_what_was_ordered_of_a_cloud_cannot_be_cancelled_and_the_answer_says_so(tmp_path: Path) -> None:
    service = TuyaService()
    service.device().main.steps = 1_000_000
    async with hub_over(tmp_path, service, "tuya-thing") as hub:
        order = await ordered_of(hub.desk, LAMP)
        await state_is(hub.desk, order, "transferring")
        with pytest.raises(NotCancellable, match="no way to call an order back"):
            await hub.desk.cancel(order, actor="test")
        assert (await hub.desk.update(order)).update.state == "transferring"
        service.device().main.steps = 1
        assert (await ended(hub.desk, order)).state == "succeeded"


async def test_progress_is_what_the_cloud_says(tmp_path: Path) -> None:
    service = TuyaService()
    service.device().main.steps = 1_000_000
    async with hub_over(tmp_path, service, "tuya-thing") as hub:
        order = await ordered_of(hub.desk, LAMP)
        await state_is(hub.desk, order, "transferring")
        service.device().main.asked = 400_000
        async for view in hub.desk.live():
            if view.update.id == order and view.fragments == (40, 100):
                break
        service.device().main.steps = 1
        assert (await ended(hub.desk, order)).state == "succeeded"


async def test_an_update_that_the_cloud_says_failed_has_failed_and_is_not_begun_again(tmp_path: Path) -> None:
    service = TuyaService()
    service.device().main.ends = FAILED
    async with hub_over(tmp_path, service, "tuya-illume") as hub:
        update = await ended(hub.desk, await ordered_of(hub.desk, LAMP))
        assert update.state == "failed"
        assert update.error is not None
        assert update.error.code == "cloud-update-failed"
        assert service.orders == ["vdev1"]


async def test_an_order_whose_answer_was_lost_is_found_again_and_not_repeated(tmp_path: Path) -> None:
    service = TuyaService(order="dropped")
    async with hub_over(tmp_path, service, "tuya-illume") as hub:
        update = await ended(hub.desk, await ordered_of(hub.desk, LAMP))
        assert update.state == "succeeded", update.error
        assert service.orders == ["vdev1"]


async def test_an_order_that_never_arrived_ends_as_unknown_and_is_not_repeated(tmp_path: Path) -> None:
    service = TuyaService(order="lost")
    async with hub_over(tmp_path, service, "tuya-illume") as hub:
        update = await ended(hub.desk, await ordered_of(hub.desk, LAMP))
        assert update.state == "failed"
        assert update.error is not None
        assert "not given again by itself" in update.error.detail
        assert service.orders == ["vdev1"]


async def test_what_somebody_begins_in_the_app_is_shown_as_theirs(tmp_path: Path) -> None:
    service = TuyaService()
    service.device().main.steps = 1_000_000
    async with hub_over(tmp_path, service, "tuya-illume") as hub:
        service.device().main.begin()
        await hub.desk.refresh("tuya-illume", actor="test")
        made = await fact(hub.desk, lambda each: each.kind == "created" and each.actor == "foreign")
        order = UpdateId(made.subject_id)
        assert (await hub.desk.update(order)).update.foreign
        with pytest.raises(NotCancellable, match="somebody else began this update"):
            await hub.desk.cancel(order, actor="test")
        service.device().main.steps = 1
        assert (await ended(hub.desk, order)).state == "succeeded"
        assert service.orders == []


async def test_pins_skips_and_modes_hold_before_the_cloud_is_told(tmp_path: Path) -> None:
    service = TuyaService()
    async with hub_over(tmp_path, service, "tuya-illume", policy={"default": "automatic", "rules": [RULE]}) as hub:
        await hub.desk.refresh("tuya-illume", actor="test")
        (offer,) = await hub.desk.offers(LAMP)
        assert offer.verdict.decision == "refuse"
        await hub.desk.amend(LAMP, DevicePatch(pin="1.0.0"), actor="test")
        refused = await hub.desk.order(OrderRequest(devices=(LAMP,)), actor="test")
        assert [each.reason for each in refused.refused] == ["pinned"]
        await hub.desk.amend(LAMP, DevicePatch(pin=None, skipped=("1.0.1",)), actor="test")
        refused = await hub.desk.order(OrderRequest(devices=(LAMP,)), actor="test")
        assert [each.reason for each in refused.refused] == ["skipped"]
        await hub.desk.halt(actor="test")
        await hub.desk.amend(LAMP, DevicePatch(skipped=()), actor="test")
        order = await ordered_of(hub.desk, LAMP)
        await state_is(hub.desk, order, "queued")
        assert service.orders == []
        await hub.desk.lift_halt(actor="test")
        assert (await ended(hub.desk, order)).state == "succeeded"


RULE = {"match": {"device": LAMP}, "use": {"default": "never"}}


async def test_a_release_is_taken_by_itself_where_policy_says_so(tmp_path: Path) -> None:
    service = TuyaService()
    async with hub_over(tmp_path, service, "tuya-thing", policy={"default": "automatic", "cooldown": "0d"}) as hub:
        done = await fact(hub.desk, lambda each: each.kind == "version_matches")
        assert (await hub.desk.update(UpdateId(done.subject_id))).update.actor == "policy"
        assert service.orders == ["vdev1"]


async def test_the_cloud_is_told_nothing_while_the_window_is_closed(tmp_path: Path) -> None:
    service = TuyaService()
    other_day = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[(SystemClock().now().weekday() + 3) % 7]
    window = {"name": "later", "days": [other_day], "from": "11:00", "to": "12:00", "zone": "UTC"}
    rule = {"match": {"device": LAMP}, "use": {"default": "automatic", "cooldown": "0d", "window": "later"}}
    async with hub_over(tmp_path, service, "tuya-thing", windows=[window], policy={"rules": [rule]}) as hub:
        held = await fact(hub.desk, lambda each: each.kind == "waits" and each.data.get("reason") == "window_closed")
        assert (await hub.desk.update(UpdateId(held.subject_id))).update.state == "queued"
        assert service.orders == []


async def test_a_device_that_is_offline_waits_and_the_cloud_is_told_nothing(tmp_path: Path) -> None:
    service = TuyaService()
    async with hub_over(tmp_path, service, "tuya-illume") as hub:
        service.device().online = False
        await hub.desk.check(LAMP, actor="test")
        assert not (await hub.desk.device(LAMP)).device.online
        order = await ordered_of(hub.desk, LAMP)
        await fact(hub.desk, lambda each: each.subject_id == order and each.kind == "waits" and each.data.get("reason") == "offline")
        assert service.orders == []


async def test_rooms_are_synced_and_records_are_read(tmp_path: Path) -> None:
    service = TuyaService()
    async with hub_over(tmp_path, service, "tuya-illume") as hub:
        await hub.desk.refresh("tuya-illume", actor="test", room_id="r1")
        assert service.synced == ["r1"]
        page = await hub.desk.records("tuya-illume", RecordQuery(filters={"list": "to-be-updated", "room_id": "r1"}))
        assert [each.device for each in page.items] == [LAMP]
        assert (await hub.desk.records("tuya-illume", RecordQuery(filters={"list": "to-be-updated", "room_id": "r2"}))).items == ()


async def test_a_cloud_that_knows_us_no_more_is_left_alone_until_an_operator_has_it_asked_again(tmp_path: Path) -> None:
    service = TuyaService()
    async with hub_over(tmp_path, service, "tuya-illume", pace=200.0) as hub:
        secret, service.secret = service.secret, "changed"
        service.revoke()
        view = await hub.desk.refresh("tuya-illume", actor="test")
        assert view.state == "misconfigured"
        assert "check client_id" in view.sentence
        asked = len(service.asked)
        order = await ordered_of(hub.desk, LAMP)

        waits = await fact(hub.desk, lambda each: each.subject_id == order and each.data.get("reason") == "source_unreachable")
        assert (waits.kind, "check client_id" in str(waits.data["detail"])) == ("waits", True)
        assert "check client_id" in ((await hub.desk.update(order)).sentence or "")
        assert (len(service.asked), service.orders) == (asked, [])
        service.secret = secret
        assert (await hub.desk.refresh("tuya-illume", actor="test")).state == "ok"
        assert (await ended(hub.desk, order)).state == "succeeded"


@pytest.mark.parametrize(
    ("kind", "moment"),
    [
        ("tuya-illume", "offering"),
        pytest.param("tuya-thing", "offering", marks=pytest.mark.night),
        pytest.param("tuya-illume", "transferring", marks=pytest.mark.night),
        pytest.param("tuya-thing", "transferring", marks=pytest.mark.night),
    ],
)
async def test_a_hub_that_was_killed_with_an_order_out_watches_it_to_the_end_and_orders_nothing_again(tmp_path: Path, kind: str, moment: str) -> None:
    service = TuyaService(order="held" if moment == "offering" else "ok")
    service.device().main.steps = 1_000_000
    async with service.running(), Daemon(tmp_path, None, more=settings(tmp_path, service, kind)) as daemon:
        await daemon.told("device", id=LAMP, kind="interrogated" if kind == "tuya-illume" else "asked")
        answer = await daemon.post("/updates", devices=[LAMP])
        order = answer["updates"][0]["id"]
        async with asyncio.timeout(WITHIN):
            await service.ordered.wait()
        await daemon.told("update", id=order, state=moment)
        await daemon.kill()
        await daemon.start()
        await daemon.told("update", id=order, state="transferring")
        service.device().main.steps = 1
        await daemon.told("update", id=order, state="succeeded")
        assert await daemon.stop() == 0
        facts = await daemon.journal()
        assert_gapless(facts)
        assert_legal(facts, order)
        assert service.orders == ["vdev1"]
        assert service.secret not in daemon.log
        assert service.secret not in str(facts)
