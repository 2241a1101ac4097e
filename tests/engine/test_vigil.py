"""A device that tells its new version is watched for as long as policy wants: it must live with it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from otagate.model.lifecycle import State
from otagate.model.portraits import Setting
from otagate.model.updates import Update
from otagate.policy.health import Vitals, judge_health
from otagate.policy.settings import PolicySettings
from tests.engine.bench import DAY, Bench, Hub
from tests.engine.radio import LAMP, NEW, OLD, Lamp
from tests.virtual_time import instantly

WATCHED = PolicySettings(cooldown=timedelta(0), alive_for=timedelta(minutes=5))


@pytest.mark.parametrize(
    ("vitals", "sleepy", "action", "code"),
    [
        (Vitals(lived=299, silent=299), False, "wait", None),
        (Vitals(lived=300, silent=300), False, "ask", None),
        (Vitals(lived=300, silent=300), True, "wait", None),
        (Vitals(lived=300, silent=0, proved=True), False, "healthy", None),
        (Vitals(lived=10, silent=0, restarts=2), False, "wait", None),
        (Vitals(lived=10, silent=0, restarts=3), False, "failed", "device-restarts"),
        (Vitals(lived=DAY, silent=DAY), False, "ask", None),
        (Vitals(lived=300, silent=0, proved=True, report_due=300), False, "wait", None),
        (Vitals(lived=300, silent=0, proved=True, report_due=300, reported=True), False, "healthy", None),
        (Vitals(lived=300, silent=0, proved=True, report_due=601), False, "healthy", None),
        (Vitals(lived=600, silent=10, proved=True, report_due=300), False, "ask", None),
        (Vitals(lived=600, silent=0, proved=True, report_due=300), False, "failed", "device-mute"),
        (Vitals(lived=600, silent=0, report_due=300), False, "ask", None),
        (Vitals(lived=90_000, silent=90_000), False, "failed", "device-silent"),
        (Vitals(lived=90_000, silent=90_000), True, "failed", "device-silent"),
    ],
)
def test_health_is_judged_by_what_was_seen(vitals: Vitals, sleepy: bool, action: str, code: str | None) -> None:
    health = judge_health(vitals, WATCHED, sleepy=sleepy)
    assert (health.action, health.code) == (action, code)


async def watched(hub: Hub) -> Update:
    """An update whose device has told the new version, and is watched."""
    await hub.add_image(NEW)
    await hub.ready()
    update = (await hub.order()).update
    await hub.until(lambda: (course := hub.conductor.course(update.id)) is not None and course.sentence is not None)
    return update


@instantly
async def test_an_update_succeeds_only_after_its_device_has_lived_with_it() -> None:
    async with Bench(settings=WATCHED).hub() as hub:
        update = await watched(hub)
        await hub.pass_time(minutes=4)
        assert hub.state(update.id) is State.CONFIRMING
        assert (await hub.desk.update(update.id)).sentence == "It runs the new version, and is watched for 5 min."
        ended = await hub.until_ended(update.id, within=180)
    assert ended.state is State.SUCCEEDED


@instantly
async def test_a_device_that_restarts_again_and_again_has_failed() -> None:
    async with Bench(settings=WATCHED).hub() as hub:
        update = await watched(hub)
        for _ in range(3):
            await hub.pass_time(minutes=1)
            hub.radio.announce(LAMP)
        ended = await hub.until_ended(update.id, within=60)
    assert ended.error is not None
    assert (ended.state, ended.error.code) == (State.FAILED, "device-restarts")


@instantly
async def test_a_lamp_that_is_switched_off_meanwhile_is_waited_for() -> None:
    bench = Bench(settings=WATCHED)
    async with bench.hub() as hub:
        update = await watched(hub)
        bench.lamp.there = False
        await hub.pass_time(hours=12)
        assert hub.state(update.id) is State.CONFIRMING
        bench.lamp.there = True
        hub.radio.announce(LAMP)
        assert (await hub.until_ended(update.id, within=900)).state is State.SUCCEEDED


@instantly
async def test_a_device_that_is_never_heard_again_has_failed() -> None:
    bench = Bench(settings=WATCHED)
    async with bench.hub() as hub:
        update = await watched(hub)
        bench.lamp.there = False
        ended = await hub.until_ended(update.id, within=2 * DAY)
    assert ended.error is not None
    assert (ended.state, ended.error.code) == (State.FAILED, "device-silent")


@instantly
async def test_a_device_that_goes_back_to_its_old_version_has_failed() -> None:
    bench = Bench(settings=WATCHED)
    async with bench.hub() as hub:
        update = await watched(hub)
        bench.lamp.version = OLD
        ended = await hub.until_ended(update.id, within=900)
    assert ended.error is not None
    assert (ended.state, ended.error.code) == (State.FAILED, "version-unchanged")


@instantly
async def test_a_device_that_asks_for_an_image_with_its_old_version_while_it_is_watched_has_failed() -> None:
    async with Bench(settings=WATCHED).hub() as hub:
        update = await watched(hub)
        hub.radio.ask(LAMP, OLD)
        ended = await hub.until_ended(update.id, within=60)
    assert ended.error is not None
    assert (ended.error.code, ended.error.detail) == ("version-unchanged", "it told the new version, and went back to 0x00000001")


@instantly
async def test_a_sleeping_device_is_proved_by_the_next_time_it_wakes_and_asked_nothing_more() -> None:
    bench = Bench(lamps={LAMP: Lamp(sleepy=True)}, settings=WATCHED)
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.until(lambda: hub.radio.up)
        hub.radio.wake(LAMP)
        await hub.ready()
        update = (await hub.order()).update
        for _ in range(60):
            await hub.pass_time(minutes=1)
            course = hub.conductor.course(update.id)
            if course is not None and course.sentence is not None:
                break
            hub.radio.wake(LAMP)
        await hub.pass_time(hours=1)
        assert hub.state(update.id) is State.CONFIRMING
        asked = bench.lamp.interrogations
        hub.radio.wake(LAMP)
        assert (await hub.until_ended(update.id, within=60)).state is State.SUCCEEDED
        assert bench.lamp.interrogations == asked


@instantly
async def test_a_hub_that_dies_while_it_watches_goes_on_watching() -> None:
    bench = Bench(settings=WATCHED)
    async with bench.hub() as hub:
        update = await watched(hub)
        hub.kill()
    async with bench.hub() as hub:
        await hub.pass_time(minutes=4)
        assert (await bench.rows())[0].state is State.CONFIRMING
        assert (await hub.until_ended(update.id, within=600)).state is State.SUCCEEDED


REPORTING = Setting(kind="reporting", question="reporting/1/0x0006", at="1/0x0006/0x0000", value="1000003c00")  # once a minute at the latest


async def reporting(hub: Hub, *, until: float) -> None:
    """The lamp reports every half minute for so many seconds."""
    for _ in range(int(until // 30)):
        hub.bench.lamp.reported_at = asyncio.get_running_loop().time()
        await hub.pass_time(seconds=30)


@pytest.mark.parametrize(("goes_on", "code"), [(True, None), (False, "device-mute")])
@instantly
async def test_a_device_that_answers_and_reports_no_more_has_failed(goes_on: bool, code: str | None) -> None:
    bench = Bench(lamps={LAMP: Lamp(set_to=(REPORTING,))}, settings=replace(WATCHED, alive_for=timedelta(seconds=30)))
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        bench.lamp.reported_at = asyncio.get_running_loop().time()
        update = (await hub.order()).update
        await hub.until_state(update.id, State.CONFIRMING)
        if goes_on:
            await reporting(hub, until=60)
        ended = await hub.until_ended(update.id, within=600)
    assert (None if ended.error is None else ended.error.code) == code


@instantly
async def test_a_lamp_that_is_switched_off_before_it_could_report_is_waited_for() -> None:
    bench = Bench(lamps={LAMP: Lamp(set_to=(REPORTING,))}, settings=replace(WATCHED, alive_for=timedelta(seconds=30)))
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        bench.lamp.reported_at = asyncio.get_running_loop().time()
        update = (await hub.order()).update
        await hub.until_state(update.id, State.CONFIRMING)
        await hub.pass_time(seconds=60)
        bench.lamp.there = False
        await hub.pass_time(hours=2)
        assert hub.state(update.id) is State.CONFIRMING
        bench.lamp.there = True
        hub.radio.announce(LAMP)
        await reporting(hub, until=90)
        assert (await hub.until_ended(update.id, within=600)).state is State.SUCCEEDED
