"""Every way in which a Z-Wave node fails, on the real driver: the reason that is told is the true one, and the others in the queue go on.

The driver's own waits of one to five minutes pass faster here, but for one case at the end.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from otagate.model.errors import ImageError
from otagate.sessions.zwave_patience import Patience
from otagate_rig.zwave import ZwaveRig
from tests.formats.zwave_files import gbl, zipped
from tests.journeys.hub import state_is
from tests.journeys.zwave import OLD, ZwaveJourney, device_id, firmware, hub_at, require_node
from tests.zwave.program import program_at

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900), pytest.mark.night]


class Row(NamedTuple):
    """How a node is made, and what must be told of its update: code and words. `runs`: which version it runs after that."""

    spec: Mapping[str, Any]
    code: str
    words: str
    runs: str = OLD


def faults(**given: Any) -> dict[str, Any]:
    return {"faults": given}


ROWS: dict[str, Row] = {
    # it refuses to begin: an error of the command, and no event
    "refuses the ids": Row(faults(refuse=0), "incompatible-image", "refuses the manufacturer or the firmware id"),
    "wants its button pressed": Row(faults(refuse=1), "button-needed", "press its button first"),
    "refuses the fragments": Row(faults(refuse=2), "declined-by-device", "refuses the size of the fragments"),
    "cannot be updated after all": Row(faults(refuse=3), "not-updatable", "cannot be updated"),
    "refuses the hardware": Row(faults(refuse=4), "incompatible-image", "refuses the hardware version"),
    "is busy": Row(faults(refuse=5), "in-use", "busy with another update"),
    "has a low battery": Row({"battery": 10}, "battery-low", "battery is too low"),
    "does not answer the request": Row(faults(silentRequest=True), "device-unreachable", "did not answer the request to begin"),
    # it says how the transfer ended: the result carries that status
    "finds another checksum": Row(faults(endStatus=0), "checksum-error", "another checksum over the whole image"),
    "could not receive it": Row(faults(endStatus=1), "transfer-aborted", "could not receive it"),
    "says another manufacturer": Row(faults(endStatus=2), "incompatible-image", "of another manufacturer"),
    "says another firmware id": Row(faults(endStatus=3), "incompatible-image", "another firmware id"),
    "says another target": Row(faults(endStatus=4), "incompatible-image", "another firmware target"),
    "dislikes the header": Row(faults(endStatus=5), "image-rejected-by-device", "holds wrong information"),
    "does not know the header": Row(faults(endStatus=6), "image-rejected-by-device", "does not understand the header"),
    "has no memory": Row(faults(endStatus=7), "image-too-large", "not enough memory"),
    "says other hardware": Row(faults(endStatus=8), "incompatible-image", "for another hardware version"),
    "ends with a status of tomorrow": Row(faults(endStatus=77), "transfer-aborted", "reserved status 77"),
    # it goes wrong under way: the driver ignores what is said there, and waits
    "reports an error in the middle": Row(faults(errorAt=2_000, errorStatus=7), "transfer-stalled", "stopped asking"),
    "stops asking": Row(faults(stopAt=2_000), "transfer-stalled", "stopped asking"),
    "loses the last fragment": Row({"patienceMs": 2_000} | faults(dropLast=True), "transfer-aborted", "broken off"),
    "asks beyond the end": Row({"patienceMs": 2_000} | faults(outOfBoundsAt=21), "transfer-aborted", "broken off"),
    "never says how it ended": Row(faults(noEndStatus=True), "transfer-stalled", "never told how the transfer ended"),
    # the driver calls it a success, and only the version knows better
    "keeps the old version": Row(faults(keepVersion=True), "version-unchanged", "tells version 1.6, not 1.7"),
    "runs a version that nobody ordered": Row(faults(wrongVersion="9.9"), "version-unchanged", "tells version 9.9, not 1.7", "9.9"),
    "never comes back": Row(faults(brick=True), "not-confirmed", "version"),
    # it holds the image and cannot use it
    "does not know what it holds": Row(
        {"ccVersion": 7, "activation": True} | faults(activationStatus=0), "activation-failed", "does not know the image"
    ),
    "cannot use what it holds": Row({"ccVersion": 7, "activation": True} | faults(activationStatus=1), "activation-failed", "could not activate"),
    # the image is too long for it
    "takes fragments of one byte": Row({"maxFragment": 1}, "image-too-large", "at most 32767"),
}
FIRST = 2
DYING, GONE, NEXT, ALSO, WHOLE, LOST, THEN = range(100, 107)
NODES: list[dict[str, Any]] = [
    *({"id": FIRST + at} | dict(row.spec) for at, row in enumerate(ROWS.values())),
    *({"id": each, "faults": {"pauseAt": 4_000, "pauseMs": 2_000}} for each in (DYING, GONE)),
    *({"id": each} for each in (NEXT, ALSO, WHOLE, LOST, THEN)),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig() -> AsyncIterator[ZwaveRig]:
    require_node()
    async with ZwaveRig(NODES) as made, program_at(made.url) as program:
        await program.ready(*(each["id"] for each in NODES))
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def run(rig: ZwaveRig, tmp_path: Path) -> AsyncIterator[ZwaveJourney]:
    async with hub_at(rig, tmp_path / "state", policy={"retries": 0, "battery_floor": 0}) as made:
        yield made


@pytest.mark.parametrize("why", ROWS)
async def test_a_node_that_fails_is_told_with_its_reason(run: ZwaveJourney, why: str) -> None:
    node, row = FIRST + list(ROWS).index(why), ROWS[why]
    image = firmware(size=40_000 if row.code == "image-too-large" and "maxFragment" in row.spec else 4_000)
    update = await run.ended(await run.order(node, image), within=300.0)
    assert update.error is not None, f"{update.state} {await run.rig.node(node)}"
    assert (update.state, update.error.code) == ("failed", row.code), update
    assert row.words in update.error.detail
    assert (await run.rig.node(node))["firmware"] == [row.runs]


async def test_a_node_that_is_dead_when_its_turn_comes_is_sent_nothing_and_the_queue_goes_on(rig: ZwaveRig, tmp_path: Path) -> None:
    async with hub_at(rig, tmp_path / "state", parallel=1) as run:
        await run.told(LOST)
        await rig.change(LOST, dead=True)
        image, other = firmware(seed=1), firmware(seed=2)
        lost = await run.order(LOST, image)
        waiting = await run.order(THEN, other)
        again = await state_is(run.desk, lost, "queued", after=(await state_is(run.desk, lost, "offering")).number)
        assert "does not answer" in str(again.data["detail"])
        assert (await run.ended(waiting)).state == "succeeded"
        assert (await rig.node(LOST))["counters"]["requests"] == 0
        await rig.change(LOST, dead=None)
        assert (await run.ended(lost, within=200.0)).state == "succeeded"
        await run.assert_updated(LOST, image)


async def test_a_node_that_dies_in_the_middle_waits_for_its_life_and_the_queue_goes_on(rig: ZwaveRig, tmp_path: Path) -> None:
    async with hub_at(rig, tmp_path / "state", parallel=1) as run:
        image, other = firmware(seed=1, size=12_000), firmware(seed=2)
        dying = await run.order(DYING, image)
        waiting = await run.order(NEXT, other)
        await rig.reached(DYING, 4_000)
        await rig.change(DYING, dead=True)
        again = await state_is(run.desk, dying, "queued", after=(await state_is(run.desk, dying, "transferring")).number)
        assert "stopped asking" in str(again.data["detail"])
        assert (await run.ended(waiting)).state == "succeeded"
        await run.assert_updated(NEXT, other)
        await rig.change(DYING, dead=None)
        assert (await run.ended(dying, within=200.0)).state == "succeeded"
        await run.assert_updated(DYING, image)


async def test_a_node_that_is_removed_in_the_middle_fails_its_update_and_the_queue_goes_on(rig: ZwaveRig, tmp_path: Path) -> None:
    async with hub_at(rig, tmp_path / "state", parallel=1) as run, program_at(rig.url) as program:
        gone = await run.order(GONE, firmware(seed=1, size=12_000))
        other = firmware(seed=2)
        waiting = await run.order(ALSO, other)
        await rig.reached(GONE, 4_000)
        await state_is(run.desk, gone, "transferring")
        await rig.change(GONE, dead=True)
        removal = await program.send("controller.remove_failed_node", nodeId=GONE)
        ended = await run.ended(gone)
        assert (ended.state, ended.error.code if ended.error else None) == ("failed", "device-gone"), ended
        assert (await program.answer(removal))["success"]
        assert (await run.ended(waiting)).state == "succeeded"
        await run.assert_updated(ALSO, other)
        assert not (await run.desk.device(device_id(GONE, rig))).device.online


@pytest.mark.parametrize(
    ("name", "file", "words"),
    [
        ("firmware.zip", zipped({"firmware.bin": firmware()})[:-40], "ZIP archive"),
        ("firmware.hex", b":020000040000FA\n:10000000", "Intel HEX"),
        ("firmware.gbl", firmware(), "no GBL file"),
    ],
)
async def test_a_damaged_file_is_not_even_stored(run: ZwaveJourney, name: str, file: bytes, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        await run.store(file, name)
    assert not await run.desk.images()


async def test_a_file_whose_own_sum_is_wrong_fails_before_anything_is_sent(run: ZwaveJourney) -> None:
    damaged = gbl(firmware())[:-1] + b"\x00"
    update = await run.ended(await run.order(WHOLE, damaged, file_name="firmware.gbl"))
    assert (update.state, update.error.code if update.error else None) == ("failed", "image-corrupt")
    assert (await run.rig.node(WHOLE))["counters"]["requests"] == 0


async def test_the_drivers_own_two_minutes_end_a_transfer_of_a_node_that_stopped_asking(tmp_path: Path) -> None:
    """The one case in which nothing passes faster: neither the driver's patience nor the hub's."""
    require_node()
    node = {"id": 2, "faults": {"stopAt": 2_000}}
    async with ZwaveRig([node], pace=1.0) as rig, hub_at(rig, tmp_path / "state", policy={"retries": 0}, patience=Patience()) as run:
        update = await run.ended(await run.order(2, firmware()), within=300.0)
        assert (update.state, update.error.code if update.error else None) == ("failed", "transfer-stalled")
        assert "the node stopped asking" in (update.error.detail if update.error else "")  # the driver's word, not the end of the hub's patience
