"""What an update does to how its device is set: what firmware forgets is given back over both radio stacks, or told."""

from __future__ import annotations

from pathlib import Path

import pytest

from otagate.model.lifecycle import State
from otagate_rig.spec import Behaviours, DeviceSpec
from tests.journeys.hub import IEEE, NEW, ended, image_of, journey

SWITCH = 0x000D6F000A9069E9
SET = {
    "groups": (5, 9),
    "bindings": ((0x0006, SWITCH, 1), (0x0004, SWITCH, 2), (0x0003, SWITCH, 1), (0x0000, SWITCH, 1)),
    "reporting": ((0x0006, 0x0000, 0, 300),),
    "start_up_on_off": 1,
}
EVERYTHING = ("groups", "bindings", "reporting", "start_up", "switch")


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_a_lamp_that_forgets_its_groups_bindings_and_reporting_gets_them_back(tmp_path: Path, stack: str) -> None:
    spec = DeviceSpec(ieee=IEEE, **SET, switched_on=True, behaviours=Behaviours(forgets=EVERYTHING))  # type: ignore[arg-type]
    async with journey(tmp_path, spec, images=[image_of(3_000)], stack=stack, pace=5.0) as made:  # what is switched is looked at in a moment
        lamp = made.device()
        before = (set(lamp.application.groups), set(lamp.bindings), dict(lamp.application.reports))
        ordered = await made.order()
        update = await ended(made.desk, ordered)
        assert (await made.desk.portrait(ordered)).settings == (), "what is over is not kept"
        assert (lamp.application.groups, lamp.bindings, lamp.application.reports) == before
        assert lamp.application.on
        assert lamp.violations == []
    assert (update.state, lamp.file_version) == (State.SUCCEEDED, NEW)
    assert update.behaviour is not None
    assert (update.behaviour.kept, update.behaviour.lost, update.behaviour.not_compared) == (0, (), ())
    assert len(update.behaviour.restored) == 2 + 4 + 1 + 1 + 1
