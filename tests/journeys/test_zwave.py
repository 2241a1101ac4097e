"""Z-Wave from the order to the version that was read back, on the real driver and its server; one driver for all of these."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from otagate.engine.views import OrderRequest
from otagate.model.errors import AlreadyUpdating, CannotPause, NotCancellable, NotInState
from otagate.model.ids import ComponentId
from otagate.model.portraits import Behaviour
from otagate_rig.services.zwave import ZwaveFile, ZwaveService
from otagate_rig.zwave import ZwaveRig
from tests.formats.zwave_files import as_hex, gbl, updater, zipped
from tests.journeys.hub import fact, state_is
from tests.journeys.zwave import NEW, OLD, ZwaveJourney, device_id, firmware, foreign_update, hub_at, require_node
from tests.journeys.zwave_service import hub_with, offered, order, product_of
from tests.zwave.program import program_at

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

TARGETS, SLEEPY, HELD, FOREIGN, CANCELLED, LATE, EXPLICIT, FIXED, PLAIN = range(2, 11)
AT_ONCE = range(13, 17)
DUAL, PLUG, OTHER = 17, 18, 19
FULL, CONTAINED = 20, 30
FORGETFUL, STUBBORN = 21, 22
DROWSY, ASKING = 23, 24
NUMBER = {"valueSize": 1, "minValue": 0, "maxValue": 99, "defaultValue": 5}
SET = {"associations": {"1": [1], "2": [PLAIN]}, "parameters": [{"number": 1, "set": 42, **NUMBER}, {"number": 2, **NUMBER}]}
NODES: list[dict[str, Any]] = [
    *({"id": each} for each in (PLAIN, FOREIGN, LATE, EXPLICIT, *AT_ONCE, CONTAINED)),
    {"id": CANCELLED, "reportsPerGet": 1},
    {"id": FIXED, "faults": {"notUpgradable": True}},
    {"id": TARGETS, "firmware": [OLD, "7.18"]},
    {"id": DUAL, "firmware": [OLD, "7.18"], "productId": product_of(DUAL)},
    *({"id": each, "productId": product_of(each)} for each in (PLUG, OTHER)),
    {"id": SLEEPY, "listening": "sleeping", "battery": 80},
    {"id": DROWSY, "listening": "sleeping", "battery": 80, "faults": {"dozes": True}},
    {"id": ASKING, "reportsPerGet": 1, "patienceMs": 10_000, "faults": {"pauseAt": 2_000, "pauseMs": 2_000}},
    {"id": HELD, "ccVersion": 7, "activation": True},
    {"id": FULL, "faults": {"endStatus": 7}},
    {"id": FORGETFUL, "faults": {"forgets": True}, **SET},
    {"id": STUBBORN, "faults": {"forgets": "for good"}, **SET},
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig() -> AsyncIterator[ZwaveRig]:
    require_node()
    async with ZwaveRig(NODES) as made, program_at(made.url) as program:
        await program.ready(*(each["id"] for each in NODES if each.get("listening") != "sleeping"))
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def run(rig: ZwaveRig, tmp_path: Path) -> AsyncIterator[ZwaveJourney]:
    async with hub_at(rig, tmp_path / "state", parallel=4) as made:
        yield made


# --- what works -----------------------------------------------------------------------------------------------------------------------------


CONTAINERS: dict[str, Callable[[bytes], bytes]] = {
    "firmware.bin": bytes,
    "firmware.gbl": gbl,
    "firmware.hex": as_hex,
    "firmware.otz": as_hex,
    "firmware.ota": bytes,
    "updater.exe": updater,
    "download.zip": lambda image: zipped({"readme.txt": b"hello", "firmware.hex": as_hex(image)}),
}
"""Files of makers, by their name: how one is made of an image."""

OFTEN = ("firmware.bin", "firmware.gbl")


@pytest.mark.parametrize("name", [each if each in OFTEN else pytest.param(each, marks=pytest.mark.night) for each in CONTAINERS])
async def test_a_node_is_brought_to_a_new_version_and_receives_the_image_out_of_its_container(rig: ZwaveRig, tmp_path: Path, name: str) -> None:
    await rig.change(CONTAINED, spec={"firmware": [OLD]})
    image = firmware(seed=len(name))
    file = CONTAINERS[name](image)
    sent = file if name.endswith(".gbl") else image  # the node opens that one itself
    async with hub_at(rig, tmp_path / "state") as run:
        update = await run.ended(await run.order(CONTAINED, file, file_name=name))
        assert (update.state, update.from_version, update.to_version, update.bytes_total) == ("succeeded", OLD, NEW, len(sent))
        await run.assert_updated(CONTAINED, sent)


async def test_nodes_stand_beside_all_other_devices_with_what_is_known_of_them(run: ZwaveJourney) -> None:
    await run.told(TARGETS)
    view = await run.desk.device(device_id(TARGETS, run.rig))
    device = view.device
    assert (device.protocol, device.radio, device.power, device.sleepy, device.online) == ("zwave", "zwave0", "mains", False, True)
    assert (device.manufacturer_code, device.manufacturer) == (0x027A, "Zooz")
    assert {each.component.id: each.component.firmware_id for each in view.components} == {"0": 0x1000, "1": 0x2000}
    assert device.node is not None
    assert (device.node.product_type, device.node.product_id, device.node.region, device.node.listening) == (0x0003, 0x0082, "europe", "always")


async def test_the_controller_is_a_device_and_takes_no_update(run: ZwaveJourney) -> None:
    await run.told(1)
    image = await run.store(firmware())
    request = OrderRequest(devices=(device_id(1, run.rig),), image=image, version=NEW, force=True)
    result = await run.desk.order(request, actor="test")
    assert [each.error.code for each in result.refused] == ["not-updatable"]
    assert (await run.desk.device(device_id(1, run.rig))).device.node.controller  # type: ignore[union-attr]


async def test_two_targets_of_one_node_are_brought_up_one_after_the_other(run: ZwaveJourney) -> None:
    main, chip = firmware("1.7", seed=1), firmware("7.19", 3_000, seed=2)
    first = await run.order(TARGETS, main)
    second = await run.order(TARGETS, chip, version="7.19", target=1)
    await fact(run.desk, lambda each: each.subject_id == second and each.data.get("reason") == "predecessor")
    assert [(await run.ended(each)).state for each in (first, second)] == ["succeeded", "succeeded"]
    await run.assert_updated(TARGETS, main)
    await run.assert_updated(TARGETS, chip, version="7.19", target=1)


async def test_a_sleeping_node_is_waited_for_and_updated_when_it_wakes_up(run: ZwaveJourney) -> None:
    await run.wake_until_told(SLEEPY)
    await run.falls_asleep(SLEEPY)
    image = firmware(seed=3)
    update = await run.order(SLEEPY, image)
    await fact(run.desk, lambda each: each.subject_id == update and each.data.get("reason") == "asleep")
    async with run.waking(SLEEPY):
        assert (await run.ended(update)).state == "succeeded"
    await run.assert_updated(SLEEPY, image)


async def test_a_node_that_sleeps_right_after_its_update_holds_nobody_up_until_it_wakes_again(run: ZwaveJourney) -> None:
    """The driver asks every updated node everything anew: of one that it believes to be awake, with nothing else on the air for half a minute."""
    await run.wake_until_told(DROWSY)
    asking = await run.order(ASKING, firmware(seed=5, size=8_000))
    await run.rig.reached(ASKING, 2_000)
    drowsy = await run.order(DROWSY, firmware(seed=4, size=1_000))
    async with run.waking(DROWSY):
        await state_is(run.desk, drowsy, "transferring")
    await state_is(run.desk, drowsy, "confirming")
    other = await run.ended(asking)
    assert (other.state, other.attempts, (await run.rig.node(ASKING))["counters"]["requests"]) == ("succeeded", 0, 1)
    async with run.waking(DROWSY):
        assert (await run.ended(drowsy)).state == "succeeded"
    await run.assert_updated(DROWSY, firmware(seed=4, size=1_000))


async def test_four_nodes_are_updated_at_once_and_their_images_do_not_mix(run: ZwaveJourney) -> None:
    images = {node: firmware(seed=node, size=6_000) for node in AT_ONCE}
    updates = [await run.order(node, image) for node, image in images.items()]
    for update in updates:
        await state_is(run.desk, update, "transferring", "confirming", "succeeded")
    assert max(each.transfers for each in run.desk.radios()) > 1
    assert {(await run.ended(update)).state for update in updates} == {"succeeded"}
    for node, image in images.items():
        await run.assert_updated(node, image)


@pytest.mark.night
async def test_progress_is_told_in_fragments_and_bytes_with_rate_and_time_left(run: ZwaveJourney) -> None:
    await run.rig.change(EXPLICIT, pauseAt=6_000, pauseMs=1_000)
    update = await run.order(EXPLICIT, firmware(seed=4, size=12_000))
    await run.rig.reached(EXPLICIT, 6_000)
    async with asyncio.timeout(60):
        while (view := await run.desk.update(update)).fragments is None or view.fragments[0] < 100:
            await asyncio.sleep(0.02)
    assert view.fragments[1] == 300
    assert view.bytes_sent == 12_000 * view.fragments[0] // 300
    assert view.bytes_per_second is not None
    assert view.eta_seconds is not None
    assert (await run.ended(update)).state == "succeeded"


async def test_an_image_that_is_held_back_is_used_when_an_operator_says_so(run: ZwaveJourney) -> None:
    image = firmware(seed=5)
    update = await run.order(HELD, image, activate="held")
    await state_is(run.desk, update, "staged")
    assert ((await run.rig.node(HELD))["firmware"], (await run.rig.node(HELD))["staged"]) == ([OLD], True)
    await run.desk.activate(update, actor="test")
    assert (await run.ended(update)).state == "succeeded"
    await run.assert_updated(HELD, image)


async def test_a_node_whose_command_class_knows_no_activation_is_not_asked_to_hold_an_image(run: ZwaveJourney) -> None:
    with pytest.raises(AssertionError, match="its Firmware Update command class knows no activation"):
        await run.order(PLAIN, firmware(seed=6), activate="held")


# --- from a service ---------------------------------------------------------------------------------------------------------------------------


async def test_what_the_service_offers_for_a_node_is_installed_file_by_file(rig: ZwaveRig, tmp_path: Path) -> None:
    main, chip, plug = firmware("1.7", seed=1), firmware("7.19", 3_000, seed=2), firmware("1.7", seed=3)
    service = ZwaveService(
        updates=[
            offered(DUAL, "1.7", ZwaveFile(target=1, image=chip), ZwaveFile(image=main)),
            offered(PLUG, "1.7", ZwaveFile(image=plug)),
        ]
    )
    async with hub_with(rig, tmp_path / "state", service) as run:
        updates, refused = await order(run, DUAL, PLUG, OTHER)
        assert refused == {device_id(OTHER, rig): "no-release"}
        steps = [(each.component, each.step, each.steps, each.job) for each in updates if each.device == device_id(DUAL, rig)]
        assert steps == [("1", 1, 2, updates[0].id), ("0", 2, 2, updates[0].id)]
        assert {(await run.ended(each.id)).state for each in updates} == {"succeeded"}
        await run.assert_updated(DUAL, main)
        await run.assert_updated(DUAL, chip, version="7.19", target=1)
        await run.assert_updated(PLUG, plug)
    asked = [each for question in service.questions for each in question["devices"] if each["productId"] == f"0x{product_of(DUAL):04x}"]
    assert {"1": "7.18"} in [each.get("additionalFirmwareVersions") for each in asked]
    assert all(question["region"] == "europe" for question in service.questions)


# --- stopping -------------------------------------------------------------------------------------------------------------------------------


async def test_a_transfer_is_cancelled_in_the_middle_and_can_be_ordered_again(run: ZwaveJourney) -> None:
    image = firmware(seed=6, size=20_000)
    update = await run.order(CANCELLED, image)
    await run.rig.reached(CANCELLED, 2_000)
    await state_is(run.desk, update, "transferring")
    with pytest.raises(CannotPause):
        await run.desk.pause(update, actor="test")
    assert (await run.desk.cancel(update, actor="test")).update.state == "cancelled"
    state = await run.rig.node(CANCELLED)
    assert (state["receiving"], state["counters"]["aborted"], state["firmware"]) == (None, 1, [OLD])
    assert (await run.ended(await run.order(CANCELLED, image))).state == "succeeded"
    await run.assert_updated(CANCELLED, image)


@pytest.mark.night
async def test_a_cancel_that_comes_too_late_says_so(run: ZwaveJourney) -> None:
    await run.rig.change(LATE, spec={"restartMs": 3_000})
    update = await run.order(LATE, firmware(seed=7))
    await state_is(run.desk, update, "confirming")
    with pytest.raises(NotCancellable):
        await run.desk.cancel(update, actor="test")
    assert (await run.ended(update)).state == "succeeded"


# --- other programs -------------------------------------------------------------------------------------------------------------------------


async def test_an_update_of_another_program_is_watched_shown_and_left_alone(run: ZwaveJourney) -> None:
    await run.told(FOREIGN)
    image = firmware("1.8", 20_000, seed=8)
    async with foreign_update(run.rig, FOREIGN, image):
        created = await fact(run.desk, lambda each: each.kind == "created" and each.actor == "foreign")
        update = (await run.desk.update(created.subject_id)).update  # type: ignore[arg-type]
        assert (update.device, update.foreign, update.state, update.to_version) == (device_id(FOREIGN, run.rig), True, "transferring", None)
        with pytest.raises(NotCancellable, match="another program"):
            await run.desk.cancel(update.id, actor="test")
        request = OrderRequest(devices=(update.device,), image=await run.store(firmware(seed=9)), version="1.9", component=ComponentId("0"))
        (refused,) = (await run.desk.order(request, actor="test")).refused
        assert isinstance(refused.error, AlreadyUpdating)
        done = await run.ended(update.id)
    assert (done.state, done.error) == ("succeeded", None)
    await run.assert_updated(FOREIGN, image, version="1.8")
    with pytest.raises(NotInState):
        await run.desk.retry(update.id, actor="test")


# --- what fails, with its reason --------------------------------------------------------------------------------------------------------------


async def test_a_node_that_will_not_take_it_is_told_with_its_reason(run: ZwaveJourney) -> None:
    """One of the ways to fail, and a final one; `test_zwave_failures` has all."""
    update = await run.ended(await run.order(FULL, firmware(seed=FULL)))
    assert (update.state, update.error.code if update.error else None) == ("failed", "image-too-large"), update
    assert "not enough memory" in (update.error.detail if update.error else "")
    assert (await run.rig.node(FULL))["firmware"] == [OLD]


async def test_a_node_that_says_that_it_cannot_be_updated_is_taken_at_its_word(run: ZwaveJourney) -> None:
    await run.told(FIXED)
    async with asyncio.timeout(60):
        while (await run.desk.device(device_id(FIXED, run.rig))).components[0].component.updatable:
            await asyncio.sleep(0.05)
    request = OrderRequest(devices=(device_id(FIXED, run.rig),), image=await run.store(firmware()), version=NEW, force=True)
    (refused,) = (await run.desk.order(request, actor="test")).refused
    assert (refused.error.code, "cannot be updated" in str(refused.error)) == ("not-updatable", True)


async def test_an_image_for_a_target_that_the_node_has_not_is_refused_before_anything_is_sent(run: ZwaveJourney) -> None:
    await run.told(PLAIN)
    request = OrderRequest(devices=(device_id(PLAIN, run.rig),), image=await run.store(firmware()), version=NEW, component=ComponentId("3"))
    (refused,) = (await run.desk.order(request, actor="test")).refused
    assert refused.error.code == "no-release"
    assert (await run.rig.node(PLAIN))["counters"]["requests"] == 0


async def test_a_node_that_forgets_associations_and_parameters_gets_them_back_or_it_is_told(run: ZwaveJourney) -> None:
    before = await run.rig.node(FORGETFUL)
    updates = [await run.order(each, firmware()) for each in (FORGETFUL, STUBBORN)]
    forgetful, stubborn = [await run.ended(each) for each in updates]
    after = await run.rig.node(FORGETFUL)
    assert (forgetful.state, stubborn.state) == ("succeeded", "succeeded")
    assert [(after[key], before[key]) for key in ("associations", "parameters")] == [({"1": [1], "2": [PLAIN]},) * 2, ({"1": 42, "2": 5},) * 2]
    assert forgetful.behaviour == Behaviour(kept=2, restored=(f"association 0/2 to {PLAIN}", "parameter 0/1 = 42"))
    assert stubborn.behaviour is not None
    assert f"association 0/2 to {PLAIN}" in stubborn.behaviour.lost
