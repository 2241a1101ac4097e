"""Images brought by day and used together, over the real stacks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from otagate.engine.views import ActivationRequest, OrderRequest
from otagate.model.devices import Component
from otagate_rig.ota_client import Phase
from otagate_rig.spec import Behaviours, DeviceSpec
from tests.journeys.hub import IEEE, OLD, Journey, assert_updated, device_id, ended, image_of, journey, state_is, told

LAMPS = [IEEE, IEEE + 1, IEEE + 2]
OF_ITS_OWN = IEEE + 3


async def component_of(run: Journey, ieee: int) -> Component:
    (view,) = (await run.desk.device(device_id(ieee))).components
    return view.component


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_three_lamps_take_their_image_by_day_and_use_it_together(tmp_path: Path, stack: str) -> None:
    image = image_of(3_000)
    policies = [Behaviours(), Behaviours(timeout_policy=1), Behaviours(activation_policy=None, timeout_policy=None)]
    specs = [DeviceSpec(ieee=ieee, behaviours=each) for ieee, each in zip(LAMPS, policies, strict=True)]
    specs.append(DeviceSpec(ieee=OF_ITS_OWN, behaviours=Behaviours(activation_policy=1)))
    async with journey(tmp_path, *specs, images=[image], stack=stack, radio={"parallel": 3}) as run:
        for ieee in (*LAMPS, OF_ITS_OWN):
            await told(run.desk, ieee)
        held = OrderRequest(devices=tuple(device_id(each) for each in (*LAMPS, OF_ITS_OWN)), activate="held")
        made = await run.desk.order(held, actor="test")
        assert [(each.device, each.error.code) for each in made.refused] == [(device_id(OF_ITS_OWN), "policy-refused")]
        assert "a button or its maker's app" in str(made.refused[0].error)
        told_of = [await component_of(run, each) for each in LAMPS]
        assert [(each.activation, each.applies_unasked) for each in told_of] == [("server", True), ("server", False), (None, None)]

        updates = [each.update.id for each in made.updates]
        for each, ieee in zip(updates, LAMPS, strict=True):
            await state_is(run.desk, each, "staged")
            await run.device(ieee).wait_until(lambda it: it.ota.wire.phase is Phase.HOLDING, 60)
        assert {run.device(each).file_version for each in LAMPS} == {OLD}

        result = await run.desk.activate_all(ActivationRequest(updates=tuple(updates)), actor="test")
        assert [each.outcome for each in result.given] == ["activating"] * 3
        async with asyncio.TaskGroup() as group:
            ends = [group.create_task(ended(run.desk, each)) for each in updates]
        assert [each.result().state for each in ends] == ["succeeded"] * 3
        for ieee in LAMPS:
            assert_updated(run.device(ieee), image)
            assert run.device(ieee).counters.downloads_completed == 1
