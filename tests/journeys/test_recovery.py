"""What happens to the line to a coordinator, and what a running update makes of it: it goes on."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import bellows.ash
import pytest
from zigpy_znp.zigbee.application import ControllerApplication

from otagate.model.facts import Fact
from otagate.model.ids import UpdateId
from otagate.radios import stacks
from otagate_rig.air import AirSettings
from otagate_rig.ezsp import EzspNcp
from otagate_rig.spec import DeviceSpec
from tests.journeys.hub import IEEE, RADIO, Journey, assert_updated, ended, image_of, journey, last_number, radio_is, reached

IMAGE = image_of(30_000)
PATIENT = DeviceSpec(ieee=IEEE, request_retries=200)


async def _halfway(run: Journey) -> tuple[UpdateId, int]:
    """An update in mid-transfer, and the number of the newest fact."""
    update = await run.order()
    await reached(run.device(), 0.4)
    return update, await last_number(run.hub)


async def _assert_goes_on(run: Journey, update: UpdateId) -> None:
    """The update ends well, and the device was never told to begin again."""
    done = await ended(run.desk, update)
    assert done.state == "succeeded", done.error
    assert_updated(run.device(), IMAGE)
    assert run.device().counters.aborts == 0
    assert run.device().counters.downloads_completed == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_a_stick_that_is_unplugged_and_plugged_in_again_goes_on_where_it_was(tmp_path: Path, stack: str) -> None:
    async with journey(tmp_path, PATIENT, images=[IMAGE], stack=stack, link=tmp_path / "stick") as run:
        update, now = await _halfway(run)
        run.rig.port.unplug()
        lost = await radio_is(run.desk, "retrying", after=now)
        assert str(tmp_path / "stick") in str(lost.data["sentence"])
        await run.rig.port.plug()
        await radio_is(run.desk, "up", after=lost.number)
        await _assert_goes_on(run, update)


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_a_closed_socket_comes_back_though_the_coordinator_goes_on_talking(tmp_path: Path, stack: str) -> None:
    async with journey(tmp_path, PATIENT, images=[IMAGE], stack=stack, port="tcp", pace=5) as run:
        update, now = await _halfway(run)
        run.rig.port.unplug()
        lost = await radio_is(run.desk, "retrying", after=now)
        await run.rig.port.plug()
        await radio_is(run.desk, "up", after=lost.number)
        await _assert_goes_on(run, update)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("stack", "port", "words"),
    [
        ("znp", "pty", "reset itself"),
        ("znp", "tcp", "reset itself"),
        ("ezsp", "pty", "reset itself: watchdog"),
        ("ezsp", "tcp", "reset itself: watchdog"),
    ],
)
async def test_a_coordinator_that_resets_itself_comes_back_and_the_transfer_goes_on(tmp_path: Path, stack: str, port: str, words: str) -> None:
    async with journey(tmp_path, PATIENT, images=[IMAGE], stack=stack, port=port) as run:
        update, now = await _halfway(run)
        run.rig.ncp.reset_unexpectedly()
        lost = await radio_is(run.desk, "retrying", after=now)
        assert words in str(lost.data["sentence"])
        await radio_is(run.desk, "up", after=lost.number)
        await _assert_goes_on(run, update)


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_two_resets_within_a_minute_are_another_program_and_we_stay_off_until_an_operator_acts(tmp_path: Path, stack: str) -> None:
    async with journey(tmp_path, PATIENT, images=[IMAGE], stack=stack, port="tcp") as run:
        update, now = await _halfway(run)
        run.rig.ncp.reset_unexpectedly()
        again = await radio_is(run.desk, "up", after=now)
        sent = run.rig.ncp.counters.bytes_in
        run.rig.ncp.reset_unexpectedly()
        off = await radio_is(run.desk, "in_use", after=again.number)
        assert "another program" in str(off.data["sentence"])
        resets = run.rig.ncp.counters.resets
        opened = run.rig.port.times_opened
        assert not run.rig.port.is_open
        await run.rig.device(IEEE).wait_until(lambda it: it.counters.timeouts >= 3, 20)  # some time passes
        assert run.rig.port.times_opened == opened
        assert run.rig.ncp.counters.resets == resets, "the other program's coordinator was reset"
        assert run.rig.ncp.counters.bytes_in - sent < 20_000

        await run.desk.reattach(RADIO, actor="test")
        await radio_is(run.desk, "up", after=off.number)
        await _assert_goes_on(run, update)


def _lose_patience_soon(monkeypatch: pytest.MonkeyPatch, stack: str) -> None:
    """The libraries give a coordinator a quarter of a minute; here it has seconds."""
    if stack == "znp":
        quick = dataclasses.replace(stacks.STACKS["znp"], config={"znp_config": {"sync_request_timeout": 1}})
        monkeypatch.setitem(stacks.STACKS, "znp", quick)
        monkeypatch.setattr(ControllerApplication, "_watchdog_period", 0.5)
    else:
        monkeypatch.setattr(bellows.ash, "T_RX_ACK_MAX", 0.4)


@pytest.mark.asyncio
@pytest.mark.parametrize(("stack", "words"), [("znp", ""), ("ezsp", "frames were repeated and not acknowledged")])
async def test_a_coordinator_that_hangs_is_noticed_and_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stack: str, words: str
) -> None:
    _lose_patience_soon(monkeypatch, stack)
    async with journey(tmp_path, PATIENT, images=[IMAGE], stack=stack) as run:
        update, now = await _halfway(run)
        run.rig.ncp.hang()
        lost = await radio_is(run.desk, "retrying", after=now)
        assert words in str(lost.data["sentence"])
        run.rig.ncp.resume_answers()
        await radio_is(run.desk, "up", after=lost.number)
        await _assert_goes_on(run, update)


@pytest.mark.asyncio
async def test_a_noisy_line_costs_repetitions_and_nothing_else(tmp_path: Path) -> None:
    """ASH repeats what is damaged or lost; without it the device would have to ask again after three seconds."""
    patient = DeviceSpec(ieee=IEEE, request_timeout=30.0, reboot_seconds=1.0)
    async with journey(tmp_path, patient, images=[IMAGE], stack="ezsp", air=AirSettings(speedup=None, timers=1)) as run:
        assert isinstance(run.rig.ncp, EzspNcp)
        update = await run.order()
        now = await last_number(run.hub)
        for tenth in range(1, 9):
            await reached(run.device(), tenth / 10)
            (run.rig.ncp.corrupt_next, run.rig.ncp.drop_next, run.rig.ncp.mishear_next)[tenth % 3]()
        done = await ended(run.desk, update)
        assert done.state == "succeeded", done.error
        assert_updated(run.device(), IMAGE)
        assert run.device().counters.timeouts == 0
        assert run.rig.ncp.link_counters.naks_sent >= 2
        assert run.rig.ncp.link_counters.retransmissions >= 3
        told = [each async for each in _until(run, await last_number(run.hub), after=now)]
        assert [each for each in told if each.subject == "radio"] == []


async def _until(run: Journey, number: int, *, after: int) -> AsyncIterator[Fact]:
    """The facts up to that one."""
    async for each in run.desk.events(after=after):
        yield each
        if each.number >= number:
            return
