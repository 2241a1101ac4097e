"""From a firmware service to the nodes: what it offers is matched, fetched, checked and installed, file by file; one driver for all of these."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from otagate.engine.views import OrderRequest
from otagate.model.ids import UpdateId
from otagate_rig.services.iotaap import IotaapService
from otagate_rig.services.zwave import ZwaveFile, ZwaveService
from otagate_rig.zwave import ZwaveRig
from tests.journeys.hub import fact
from tests.journeys.zwave import OLD, device_id, firmware, hub_at, require_node
from tests.journeys.zwave_service import hub_with, offered, order, product_of
from tests.zwave.program import program_at

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900), pytest.mark.night]

BROKEN, REGIONAL, CHAIN, FAULTY, AUTOMATIC, STRANGE, BOUND = range(2, 9)
NODES: list[dict[str, Any]] = [
    *({"id": each, "productId": product_of(each)} for each in (BROKEN, REGIONAL, CHAIN, AUTOMATIC, STRANGE, BOUND)),
    {"id": FAULTY, "productId": product_of(FAULTY), "faults": {"endStatus": 7}, "firmware": [OLD, "7.18"]},
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig() -> AsyncIterator[ZwaveRig]:
    require_node()
    async with ZwaveRig(NODES) as made, program_at(made.url) as program:
        await program.ready(*(each["id"] for each in NODES))
        yield made


async def test_a_file_that_is_not_what_the_service_promised_reaches_no_node(rig: ZwaveRig, tmp_path: Path) -> None:
    image = firmware("1.7", seed=4)
    service = ZwaveService(updates=[offered(BROKEN, "1.7", ZwaveFile(image=image, served=image[:-1] + b"\x00"))])
    async with hub_with(rig, tmp_path / "state", service, retries=0) as run:
        ((update,), _) = await order(run, BROKEN)
        ended = await run.ended(update.id)
        assert (ended.state, ended.error.code if ended.error else None) == ("failed", "image-corrupt")
        assert (await run.rig.node(BROKEN))["counters"]["requests"] == 0


async def test_a_node_that_is_bound_to_iotaap_gets_what_lies_there_for_it_and_no_other_node_does(rig: ZwaveRig, tmp_path: Path) -> None:
    bound, token = "5e1b57808711f904f5df4bad", "k3tC9xQ2m1Za"
    image = firmware("1.7.0", seed=9)
    service = IotaapService(devices={bound: token})
    service.deploy(bound, "1.7.0", image)
    for name, secret in (("token", token), ("password", service.password)):
        (tmp_path / name).write_text(secret)
        (tmp_path / name).chmod(0o600)
    async with service.running() as url:
        binding = {"iotaap_device": bound, "token_file": tmp_path / "token", "device": device_id(BOUND, rig)}
        account = {"email": service.email, "password_file": tmp_path / "password", "bindings": [binding]}
        source = {"type": "iotaap", "api_url": f"{url}/v1", "ota_url": f"{url}/v1"} | account
        async with hub_at(rig, tmp_path / "state", sources=[source], http={"allow_private": ["127.0.0.1"]}) as run:
            await run.told(BOUND)
            await run.told(REGIONAL)
            view = await run.desk.refresh("iotaap", actor="test")
            assert view.state == "ok", view.sentence
            assert list(await run.desk.offers(device_id(REGIONAL, rig))) == []
            (ordered,) = (await run.desk.order(OrderRequest(devices=(device_id(BOUND, rig),)), actor="test")).updates
            update = await run.ended(ordered.update.id)
            assert (update.state, update.source) == ("succeeded", "iotaap"), update.error
            await run.assert_updated(BOUND, image, version="1.7.0")
            kept = repr([await run.hub.store.facts.after(0, limit=10_000), update])
            assert not any(secret in kept for secret in (token, service.password))


async def test_firmware_of_another_region_is_never_offered(rig: ZwaveRig, tmp_path: Path) -> None:
    service = ZwaveService(updates=[offered(REGIONAL, "1.7", ZwaveFile(image=firmware()), region="usa")])
    async with hub_with(rig, tmp_path / "state", service) as run:
        assert await order(run, REGIONAL) == ([], {device_id(REGIONAL, rig): "no-release"})


async def test_firmware_of_another_region_that_is_offered_all_the_same_is_refused(rig: ZwaveRig, tmp_path: Path) -> None:
    service = ZwaveService(updates=[offered(REGIONAL, "1.7", ZwaveFile(image=firmware()), region="usa")], careless=True)
    async with hub_with(rig, tmp_path / "state", service) as run:
        assert await order(run, REGIONAL) == ([], {device_id(REGIONAL, rig): "region-mismatch"})
        assert (await rig.node(REGIONAL))["counters"]["requests"] == 0


async def test_firmware_of_another_product_is_refused_even_by_force_and_the_queue_goes_on(rig: ZwaveRig, tmp_path: Path) -> None:
    image = firmware("1.7", seed=8)
    service = ZwaveService(updates=[offered(STRANGE, "1.7", ZwaveFile(image=image))])
    async with hub_with(rig, tmp_path / "state", service) as run:
        ((update,), refused) = await order(run, STRANGE, REGIONAL)
        assert refused == {device_id(REGIONAL, rig): "no-release"}
        request = OrderRequest(devices=(device_id(REGIONAL, rig),), release=update.release, force=True)
        (other,) = (await run.desk.order(request, actor="test")).refused
        assert (other.error.code, "the device is" in str(other.error)) == ("incompatible-image", True), other
        assert (await run.ended(update.id)).state == "succeeded"
        await run.assert_updated(STRANGE, image)
        assert (await rig.node(REGIONAL))["counters"]["requests"] == 0


async def test_a_chain_of_versions_is_asked_for_again_after_every_step(rig: ZwaveRig, tmp_path: Path) -> None:
    first, second = firmware("1.7", seed=5), firmware("1.8", seed=6)
    service = ZwaveService(updates=[offered(CHAIN, "1.7", ZwaveFile(image=first)), offered(CHAIN, "1.8", ZwaveFile(image=second), only_from="1.7")])
    async with hub_with(rig, tmp_path / "state", service) as run:
        for image, version in ((first, "1.7"), (second, "1.8")):
            ((update,), _) = await order(run, CHAIN)
            assert ((await run.ended(update.id)).state, update.to_version) == ("succeeded", version)
            await run.assert_updated(CHAIN, image, version=version)


async def test_a_failure_between_two_targets_is_told_and_what_is_left_can_be_tried_again(rig: ZwaveRig, tmp_path: Path) -> None:
    main, chip = firmware("1.7", seed=1), firmware("7.19", seed=2)
    service = ZwaveService(updates=[offered(FAULTY, "1.7", ZwaveFile(image=main), ZwaveFile(target=1, image=chip))])
    async with hub_with(rig, tmp_path / "state", service, retries=0) as run:
        (first, second), _ = await order(run, FAULTY)
        assert (await run.ended(first.id)).state == "failed"
        left = await run.ended(second.id)
        assert (left.state, left.error.code if left.error else None) == ("failed", "predecessor-failed")
        await run.rig.change(FAULTY, endStatus=None)
        again = (await run.desk.retry(first.id, actor="test")).update.id  # and with it what else is left of its job
        also = await fact(run.desk, lambda each: each.kind == "created" and each.data["component"] == "1" and each.subject_id != second.id)
        assert also.subject_id is not None
        assert [(await run.ended(UpdateId(each))).state for each in (again, also.subject_id)] == ["succeeded", "succeeded"]
        await run.assert_updated(FAULTY, main)
        await run.assert_updated(FAULTY, chip, version="7.19", target=1)


async def test_policy_takes_a_release_by_itself_and_leaves_the_controller_alone(rig: ZwaveRig, tmp_path: Path) -> None:
    image = firmware("1.7", seed=7)
    service = ZwaveService(updates=[offered(AUTOMATIC, "1.7", ZwaveFile(image=image))])
    async with hub_with(rig, tmp_path / "state", service, default="automatic", cooldown="0d") as run:
        await run.told(AUTOMATIC)
        await run.desk.refresh("zwave-js", actor="test")
        created = await fact(run.desk, lambda each: each.kind == "created")
        assert (created.actor, created.data["device"]) == ("policy", device_id(AUTOMATIC, rig))
        await run.ended(created.subject_id)  # type: ignore[arg-type]
        await run.assert_updated(AUTOMATIC, image)
        assert [each.update.device for each in (await run.desk.updates()).items] == [device_id(AUTOMATIC, rig)]
