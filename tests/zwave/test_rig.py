"""The simulated nodes by themselves, driven by the real driver and its server as another program would: without otagate."""

from __future__ import annotations

import hashlib

import pytest

from otagate_rig.zwave import ZwaveRig, make_firmware
from tests.zwave.program import program_at


@pytest.mark.asyncio
async def test_nodes_of_every_version_of_the_command_class_receive_an_image_byte_for_byte() -> None:
    image = make_firmware("1.7", 3_001)
    async with ZwaveRig([{"id": 1 + version, "ccVersion": version} for version in (1, 2, 3, 5, 7)]) as rig, program_at(rig.url) as program:
        await program.ready(2, 3, 4, 6, 8)
        for node in (2, 3, 4, 6, 8):
            answer = await program.update(node, image)
            assert answer["success"], answer
            assert answer["result"]["result"]["status"] == 255
            state = await rig.node(node)
            assert state["received"]["0"] == {"sha256": hashlib.sha256(image).hexdigest(), "bytes": 3_001}
            assert state["violations"] == []


@pytest.mark.asyncio
@pytest.mark.night  # the driver answers no request after its last fragment: which one is lost depends on the pace of the machine
async def test_lost_and_repeated_fragments_change_nothing_of_the_image() -> None:
    image = make_firmware("1.7", 2_000)
    async with ZwaveRig([{"id": 2, "retryMs": 100, "faults": {"dropEvery": 7, "repeatEvery": 5}}]) as rig, program_at(rig.url) as program:
        await program.ready(2)
        answer = await program.update(2, image)
        assert answer["result"]["result"]["success"], answer
        state = await rig.node(2)
        assert state["received"]["0"]["sha256"] == hashlib.sha256(image).hexdigest()
        assert state["counters"]["dropped"] > 3
        assert state["counters"]["repeated"] > 3


@pytest.mark.asyncio
async def test_a_node_refuses_what_its_battery_or_a_wrong_target_forbids() -> None:
    async with ZwaveRig([{"id": 2, "battery": 10}, {"id": 3}]) as rig, program_at(rig.url) as program:
        await program.ready(2, 3)
        weak = await program.update(2, make_firmware("1.7", 500))
        assert (weak["zwaveErrorCode"], "battery" in weak["zwaveErrorMessage"]) == (1503, True)
        beside = await program.update(3, make_firmware("1.7", 500), target=1)
        assert beside["result"]["result"]["status"] == 1
        assert (await rig.node(3))["counters"]["requests"] == 0
