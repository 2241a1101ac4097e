"""Many of a model are told of their image by one broadcast, on each radio stack."""

from __future__ import annotations

from pathlib import Path

import pytest

from otagate_rig.spec import DeviceSpec
from tests.journeys.hub import IEEE, assert_updated, ended, image_of, journey, told

MANY = range(IEEE, IEEE + 4)
BYSTANDER = IEEE + 9
SWITCH = DeviceSpec(ieee=BYSTANDER, image_type=0x0099, model="Switch")


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_devices_of_one_kind_are_told_by_one_broadcast_which_others_do_not_take_for_their_own(tmp_path: Path, stack: str) -> None:
    image = image_of(500)
    specs = [*(DeviceSpec(ieee=each) for each in MANY), SWITCH]
    async with journey(tmp_path, *specs, images=[image], stack=stack, radio={"parallel": len(MANY)}) as run:
        for spec in specs:
            await told(run.desk, spec.ieee)
        await run.order(*MANY)
        for each in (await run.desk.updates()).items:
            assert (await ended(run.desk, each.update.id)).state == "succeeded"
        for ieee in MANY:
            assert_updated(run.device(ieee), image)
        bystander = run.device(BYSTANDER)
        assert (bystander.counters.notifies, bystander.counters.queries) == (1, 0)  # heard once, and not meant
        assert sorted(run.device(ieee).counters.notifies for ieee in MANY)[2] == 1


@pytest.mark.asyncio
async def test_of_many_that_wait_for_their_turn_each_is_told_once_by_itself_and_nobody_asks_in_vain(tmp_path: Path) -> None:
    """What is ordered for all of a kind with as many transfers at once as are usual: a broadcast would have everybody ask whose turn has not come."""
    image = image_of(500)
    specs = [*(DeviceSpec(ieee=each) for each in MANY), SWITCH]
    async with journey(tmp_path, *specs, images=[image]) as run:
        for spec in specs:
            await told(run.desk, spec.ieee)
        await run.order(*MANY)
        for each in (await run.desk.updates()).items:
            assert (await ended(run.desk, each.update.id)).state == "succeeded"
        heard = [run.device(ieee).counters for ieee in (*MANY, BYSTANDER)]
    assert [(each.notifies, each.queries) for each in heard] == [*[(1, 1)] * len(MANY), (0, 0)]
