"""What happens seldom and at the worst moment, over both stacks: the update goes on, and no device is told anything twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from otagate.model.ids import UpdateId
from otagate_rig.ezsp import EzspNcp
from otagate_rig.ezsp.enums import EmberStatus
from otagate_rig.ota_wire import Phase
from otagate_rig.spec import DeviceSpec
from tests.journeys.hub import IEEE, OTHER_IEEE, Journey, assert_updated, ended, image_of, journey, last_number, radio_is, reached, state_is

IMAGE = image_of(12_000)
PATIENT = DeviceSpec(ieee=IEEE, request_retries=200, reboot_seconds=1.0)
BOTH_STACKS = pytest.mark.parametrize("stack", ["znp", "ezsp"])


async def _assert_one_download(run: Journey, update: UpdateId, ieee: int = IEEE) -> None:
    """The update ends well, in one download that was never broken off."""
    done = await ended(run.desk, update)
    assert done.state == "succeeded", done.error
    assert_updated(run.device(ieee), IMAGE)
    assert run.device(ieee).counters.aborts == 0
    assert run.device(ieee).counters.downloads_completed == 1


def _refused(run: Journey) -> int:
    """Sends that the coordinator had no buffer for."""
    ncp = run.rig.ncp
    return ncp.counters.refusals[EmberStatus.NO_BUFFERS] if isinstance(ncp, EzspNcp) else ncp.counters.buffer_full


@pytest.mark.asyncio
@BOTH_STACKS
@pytest.mark.parametrize("moment", ["asked", "durable"])
async def test_a_coordinator_that_resets_itself_during_upgrade_end_costs_one_more_request(tmp_path: Path, stack: str, moment: str) -> None:
    """When the device has asked and nothing is on disk yet, or when it is and the answer is about to leave."""
    async with journey(tmp_path, PATIENT, images=[IMAGE], stack=stack) as run:
        update = await run.order()
        if moment == "asked":
            await run.device().wait_until(lambda it: it.ota.wire.phase is Phase.ENDING, 60)
        else:
            await state_is(run.desk, update, "activating")
        now = await last_number(run.hub)
        run.rig.ncp.reset_unexpectedly()
        lost = await radio_is(run.desk, "retrying", after=now)
        await radio_is(run.desk, "up", after=lost.number)
        await _assert_one_download(run, update)


@pytest.mark.asyncio
@BOTH_STACKS
async def test_two_devices_that_count_their_requests_alike_each_get_their_own_image(tmp_path: Path, stack: str) -> None:
    """Sequence numbers belong to a device: the same ones at the same time are no repetition of each other."""
    other = image_of(12_000, image_type=0x0084)
    specs = [DeviceSpec(ieee=IEEE, reboot_seconds=1.0), DeviceSpec(ieee=OTHER_IEEE, image_type=0x0084, reboot_seconds=1.0)]
    async with journey(tmp_path, *specs, images=[IMAGE, other], stack=stack, radio={"parallel": 2}) as run:
        for ieee in (IEEE, OTHER_IEEE):
            while run.device(ieee).ota.wire.next_tsn() != 0xF0:
                pass
        one, two = await run.order(IEEE), await run.order(OTHER_IEEE)
        await _assert_one_download(run, one)
        done = await ended(run.desk, two)
        assert done.state == "succeeded", done.error
        assert_updated(run.device(OTHER_IEEE), other)


@pytest.mark.asyncio
@BOTH_STACKS
@pytest.mark.parametrize("announces", [True, False], ids=["announced", "in silence"])
async def test_a_device_that_changes_its_network_address_in_mid_transfer_goes_on(tmp_path: Path, stack: str, announces: bool) -> None:
    async with journey(tmp_path, PATIENT, images=[IMAGE], stack=stack) as run:
        update = await run.order()
        await reached(run.device(), 0.4)
        run.rig.network.move(IEEE, announces=announces)
        await _assert_one_download(run, update)


@pytest.mark.asyncio
@BOTH_STACKS
@pytest.mark.parametrize("unanswered", [4, pytest.param(20, marks=pytest.mark.night)])  # a device waits three seconds for each
async def test_a_coordinator_without_buffers_loses_answers_and_nothing_else(tmp_path: Path, stack: str, unanswered: int) -> None:
    async with journey(tmp_path, PATIENT, images=[IMAGE], stack=stack) as run:
        update = await run.order()
        await reached(run.device(), 0.4)
        run.rig.ncp.fill_buffers()
        before = run.device().counters.timeouts
        await run.device().wait_until(lambda it: it.counters.timeouts >= before + unanswered, 60)
        assert _refused(run) >= unanswered
        run.rig.ncp.drain_buffers()
        await _assert_one_download(run, update)


@pytest.mark.asyncio
@BOTH_STACKS
async def test_the_word_to_use_an_image_is_given_when_the_coordinator_has_buffers_again(tmp_path: Path, stack: str) -> None:
    """A device that waits for the word asks no more, so the hub has to notice by itself that the word got lost."""
    async with journey(tmp_path, PATIENT, images=[IMAGE], stack=stack) as run:
        update = await run.order(activate="held")
        await state_is(run.desk, update, "staged")
        await run.device().wait_until(lambda it: it.ota.wire.phase is Phase.HOLDING, 60)
        run.rig.ncp.fill_buffers()
        before = _refused(run)
        await run.desk.activate(update, actor="test")
        async with asyncio.timeout(60):
            while _refused(run) == before:
                await asyncio.sleep(0.005)
        run.rig.ncp.drain_buffers()
        await _assert_one_download(run, update)
