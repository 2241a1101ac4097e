"""Fifty devices over two nights: windows, sleepers, a battery that is low, an approval that nobody gives, a device that is pinned."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from otagate.engine.patches import DevicePatch
from otagate.engine.waits import Waits
from otagate.model.ids import zigbee_device_id
from otagate.model.lifecycle import State
from otagate.policy.settings import PolicySettings
from otagate.policy.window import Window, hours
from tests.engine.bench import Bench, Hub
from tests.engine.radio import NEW, OLD, Lamp
from tests.virtual_time import instantly

IDS = [zigbee_device_id(number) for number in range(1, 51)]
SLEEPERS, LOW, ASKED, PINNED = IDS[:3], IDS[3], IDS[4], IDS[5]
NIGHT = Window(name="night", zone=ZoneInfo("Europe/Berlin"), start=23 * 60, end=5 * 60, at_end="pause")
POLICY = PolicySettings(mode="automatic", cooldown=timedelta(0), windows=(NIGHT,))
SLOW_LOOKS = Waits(pace=0.1)  # a look at the queue every fifty seconds: two days are long
BEGINS = ("admitted", "accepted", "window_opened")


async def check_in(hub: Hub) -> None:
    """The sleepers wake up every quarter of an hour, day and night."""
    while True:
        for each in (*SLEEPERS, LOW):
            hub.radio.wake(each)
        await asyncio.sleep(900)


def in_the_night(at: datetime) -> bool:
    return hours([NIGHT], at).open is not None


@instantly
async def test_fifty_devices_are_brought_to_the_release_in_two_nights_and_never_by_day() -> None:
    lamps = {each: Lamp(id=each, sleepy=each in (*SLEEPERS, LOW), battery=40 if each == LOW else 90, seconds=1_200.0) for each in IDS}
    asking = PolicySettings(mode="ask", approval_expires=timedelta(hours=20), windows=(NIGHT,))
    bench = Bench(lamps=lamps, windows=(NIGHT,), settings=POLICY, mode="automatic", policies={ASKED: asking}, waits=SLOW_LOOKS)
    async with bench.hub() as hub, asyncio.TaskGroup() as group:
        sleepers = group.create_task(check_in(hub))
        await hub.until(lambda: len(hub.registry.devices()) == len(IDS))
        await hub.desk.amend(PINNED, DevicePatch(pin=OLD), actor="anna")
        for each in (*SLEEPERS, LOW):
            hub.radio.ask(each, OLD)
        await hub.add_image(NEW)
        await hub.pass_time(hours=20)  # until eight in the morning of the hub's clock
        first = {each.device for each in await bench.rows() if each.state is State.SUCCEEDED}
        begun = [each for each in await bench.rows() if each.state is State.TRANSFERRING]
        assert 20 <= len(first) < 47
        assert set(SLEEPERS) <= first
        assert begun == [], "once others of its model were timed, nothing begins that cannot end in the window"
        await hub.pass_time(hours=24)
        sleepers.cancel()
    rows = await bench.rows()
    ends = {each.device: each for each in rows}
    assert len(ends) == len(rows) == 49, "one update of each device, and none of the pinned one"
    assert PINNED not in ends
    assert ends[LOW].state is State.QUEUED
    assert "battery_low" in {fact.data["reason"] for fact in await bench.facts("waits") if fact.subject_id == ends[LOW].id}
    assert ends[ASKED].state is State.CANCELLED
    rest = [each for device, each in ends.items() if device not in (LOW, ASKED)]
    assert {each.state for each in rest} == {State.SUCCEEDED}
    assert {bench.lamps[each].version for each in (LOW, ASKED, PINNED)} == {OLD}
    assert all(lamp.downloads == 1 for lamp in bench.lamps.values() if lamp.version == NEW)
    begun = [fact.at for fact in await bench.facts() if fact.kind in BEGINS]
    assert begun
    assert [at for at in begun if not in_the_night(at)] == []
