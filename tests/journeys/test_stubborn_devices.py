"""Devices that lose power, lie, refuse or are told to stop: how their update ends, and what the operator reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from otagate.engine.views import OrderRequest
from otagate.model.ids import Sha256
from otagate_rig.spec import Behaviours, DeviceSpec
from tests.journeys.hub import (
    IEEE,
    NEW,
    OLD,
    OTHER_IEEE,
    assert_updated,
    device_id,
    ended,
    image_of,
    journey,
    ordered,
    reached,
    state_is,
    told,
)

IMAGE = image_of(20_000)


def _device(**behaviours: object) -> DeviceSpec:
    return DeviceSpec(ieee=IEEE, behaviours=Behaviours(**behaviours))  # type: ignore[arg-type]


@pytest.mark.asyncio
@pytest.mark.parametrize("keeps", [True, False], ids=["keeps its offset", "begins again"])
@pytest.mark.parametrize("asks", [True, False], ids=["asks by itself", "waits to be notified"])
async def test_a_device_that_loses_power_halfway_gets_the_rest(tmp_path: Path, keeps: bool, asks: bool) -> None:
    spec = _device(power_cut_at=(0.5,), keeps_offset=keeps, asks_again=asks)
    async with journey(tmp_path, spec, images=[IMAGE]) as run:
        update = await ended(run.desk, await run.order(), within=60)
        assert update.state == "succeeded", update.error
        assert_updated(run.device(), IMAGE)
        blocks, needed = run.device().counters.blocks, -(-len(IMAGE) // 63)
        assert blocks <= needed + 1 if keeps else blocks >= needed * 1.4
        assert run.device().counters.aborts == 0


@pytest.mark.asyncio
async def test_a_device_that_refuses_the_image_fails_the_update_with_its_reason(tmp_path: Path) -> None:
    async with journey(tmp_path, _device(end_status=0x96), images=[IMAGE]) as run:
        update = await ended(run.desk, await run.order())
        assert update.state == "failed"
        assert update.error is not None
        assert update.error.code == "image-rejected-by-device"
        assert "INVALID_IMAGE" in update.error.detail
        assert run.device().violations == []
        assert run.device().file_version == OLD


@pytest.mark.asyncio
async def test_a_device_that_comes_back_with_the_old_version_has_not_been_updated(tmp_path: Path) -> None:
    async with journey(tmp_path, _device(returns_with_old_version=True), images=[IMAGE], pace=60) as run:
        update = await ended(run.desk, await run.order())
        assert update.state == "failed"
        assert update.error is not None
        assert update.error.code == "version-unchanged"
        assert f"0x{OLD:08x}" in update.error.detail
        assert f"0x{NEW:08x}" in update.error.detail


@pytest.mark.asyncio
async def test_a_cancelled_transfer_is_aborted_on_the_device(tmp_path: Path) -> None:
    image = image_of(60_000)
    async with journey(tmp_path, images=[image]) as run:
        update = await run.order()
        await reached(run.device(), 0.1)
        await run.desk.cancel(update, actor="test")
        await run.device().wait_until(lambda it: it.counters.aborts > 0, 20)
        done = await ended(run.desk, update)
        assert done.state == "cancelled"
        assert run.device().violations == []
        assert run.device().file_version == OLD


@pytest.mark.asyncio
async def test_a_component_has_one_update_at_a_time(tmp_path: Path) -> None:
    async with journey(tmp_path, images=[image_of(60_000)]) as run:
        update = await run.order()
        await state_is(run.desk, update, "transferring")
        second = await run.desk.order(OrderRequest(devices=(device_id(IEEE),)), actor="test")
        assert [each.error.code for each in second.refused] == ["already-updating"]
        assert update in str(second.refused[0].error)
        assert (await ended(run.desk, update)).state == "succeeded"


@pytest.mark.asyncio
async def test_an_image_for_another_device_is_never_sent(tmp_path: Path) -> None:
    foreign = image_of(2_000, manufacturer=0x1190)
    async with journey(tmp_path, images=[foreign]) as run:
        await told(run.desk)
        (stored,) = await run.desk.images()
        refused = await run.desk.order(OrderRequest(devices=(device_id(IEEE),), image=Sha256(stored.sha256), force=True), actor="test")
        assert [each.error.code for each in refused.refused] == ["incompatible-image"]
        assert refused.updates == ()
        assert run.device().counters.blocks == 0


@pytest.mark.asyncio
async def test_a_device_that_gives_up_every_now_and_then_still_gets_there(tmp_path: Path) -> None:
    async with journey(tmp_path, _device(gives_up_at=(0.2, 0.5, 0.8)), images=[IMAGE], pace=60) as run:
        update = await ended(run.desk, await run.order(), within=60)
        assert update.state == "succeeded", update.error
        assert_updated(run.device(), IMAGE)


@pytest.mark.asyncio
async def test_a_device_that_is_switched_off_does_not_hold_up_the_other(tmp_path: Path) -> None:
    async with journey(tmp_path, DeviceSpec(ieee=IEEE), DeviceSpec(ieee=OTHER_IEEE), images=[IMAGE]) as run:
        await told(run.desk, IEEE)
        await told(run.desk, OTHER_IEEE)
        run.device(IEEE).power_off()
        dead = await ordered(run.desk, IEEE)
        await state_is(run.desk, dead, "offering")
        alive = await ended(run.desk, await ordered(run.desk, OTHER_IEEE))
        assert alive.state == "succeeded", alive.error
        run.device(IEEE).power_on()
        assert (await ended(run.desk, dead)).state == "succeeded"
        assert_updated(run.device(IEEE), IMAGE)
        assert_updated(run.device(OTHER_IEEE), IMAGE)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "behaviours",
    [
        Behaviours(page_size=512, page_spacing=20),
        Behaviours(page_size=1_000, page_spacing=5, page_cancels=True),
        Behaviours(same_tsn=True, duplicates=True),
        Behaviours(overrun=True),
        Behaviours(block_sizes=(16, 63, 40)),
        Behaviours(min_block_period=5),
        Behaviours(request_node_address=True, discovers_server=True),
        Behaviours(lost_end_responses=2),
        Behaviours(applies_by_itself=True),
        Behaviours(forgets_after_timeout=True, stalls_at=(0.5,), stall_seconds=10),
    ],
    ids=["pages", "overlapping pages", "repetitions", "overrun", "odd blocks", "paced", "cautious", "deaf at the end", "hasty", "stalls"],
)
async def test_a_device_with_ways_of_its_own_gets_its_firmware(tmp_path: Path, behaviours: Behaviours) -> None:
    image = image_of(6_000)
    async with journey(tmp_path, DeviceSpec(ieee=IEEE, behaviours=behaviours), images=[image], pace=60) as run:
        update = await ended(run.desk, await run.order())
        assert update.state == "succeeded", update.error
        assert_updated(run.device(), image)
