"""What an operator asks for amid an update, or in vain."""

from __future__ import annotations

from pathlib import Path

import pytest

from otagate.engine.views import OrderRequest
from otagate.model.ids import Sha256
from otagate_rig.spec import DeviceSpec
from tests.journeys.hub import (
    IEEE,
    OLD,
    OTHER_IEEE,
    WITHIN,
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


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_a_cancelled_transfer_is_aborted_on_the_device(tmp_path: Path, stack: str) -> None:
    image = image_of(60_000)
    async with journey(tmp_path, images=[image], stack=stack) as run:
        update = await run.order()
        await reached(run.device(), 0.1)
        await run.desk.cancel(update, actor="test")
        await run.device().wait_until(lambda it: it.counters.aborts > 0, WITHIN)
        done = await ended(run.desk, update)
        assert done.state == "cancelled"
        assert run.device().violations == []
        assert run.device().file_version == OLD


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_a_component_has_one_update_at_a_time(tmp_path: Path, stack: str) -> None:
    async with journey(tmp_path, images=[image_of(60_000)], stack=stack) as run:
        update = await run.order()
        await state_is(run.desk, update, "transferring")
        second = await run.desk.order(OrderRequest(devices=(device_id(IEEE),)), actor="test")
        assert [each.error.code for each in second.refused] == ["already-updating"]
        assert update in str(second.refused[0].error)
        assert (await ended(run.desk, update)).state == "succeeded"


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_an_image_for_another_device_is_never_sent(tmp_path: Path, stack: str) -> None:
    foreign = image_of(2_000, manufacturer=0x1190)
    async with journey(tmp_path, images=[foreign], stack=stack) as run:
        await told(run.desk)
        (stored,) = await run.desk.images()
        refused = await run.desk.order(OrderRequest(devices=(device_id(IEEE),), image=Sha256(stored.sha256), force=True), actor="test")
        assert [each.error.code for each in refused.refused] == ["incompatible-image"]
        assert refused.updates == ()
        assert run.device().counters.blocks == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_a_device_that_is_switched_off_does_not_hold_up_the_other(tmp_path: Path, stack: str) -> None:
    async with journey(tmp_path, DeviceSpec(ieee=IEEE), DeviceSpec(ieee=OTHER_IEEE), images=[IMAGE], stack=stack) as run:
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
