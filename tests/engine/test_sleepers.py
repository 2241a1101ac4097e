"""Devices that sleep: served when they wake or ask, waited for until a day that is said, and never given up by a hub that did not listen."""

from __future__ import annotations

from datetime import timedelta

from otagate.engine.waits import Waits
from otagate.model.lifecycle import State
from otagate.model.updates import Update
from otagate.policy.settings import PolicySettings
from tests.engine.bench import Bench, Hub
from tests.engine.radio import LAMP, NEW, Lamp
from tests.virtual_time import instantly


def sleeper() -> Bench:
    settings = PolicySettings(cooldown=timedelta(0), asleep_for=timedelta(days=2))
    return Bench(lamps={LAMP: Lamp(sleepy=True)}, settings=settings, waits=Waits(pace=0.02))  # the queue is looked at every few minutes


async def ordered_asleep(hub: Hub) -> Update:
    """An order for a device that told what it runs and went to sleep."""
    await hub.add_image(NEW)
    await hub.until(hub.registry.devices)
    hub.radio.wake(LAMP)
    await hub.ready()
    await hub.pass_time(hours=1)
    return (await hub.order()).update


@instantly
async def test_a_sleeper_that_asks_by_itself_is_served_at_once() -> None:
    bench = sleeper()
    async with bench.hub() as hub:
        update = await ordered_asleep(hub)
        await hub.until(lambda: hub.waits_for(update.id) == "asleep")
        await hub.pass_time(hours=7)
        asked = hub.clock.now()
        hub.radio.wake(LAMP)
        assert (await hub.until_state(update.id, State.TRANSFERRING, within=30.0)).started is not None
        assert hub.clock.now() - asked < timedelta(seconds=30)
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED


@instantly
async def test_a_sleeper_that_is_never_heard_is_given_up_on_its_day_and_can_be_ordered_again() -> None:
    bench = sleeper()
    async with bench.hub() as hub:
        update = await ordered_asleep(hub)
        await hub.until(lambda: hub.waits_for(update.id) == "asleep")
        sentence = (await hub.desk.update(update.id)).sentence
        assert "given up when nothing is heard of the device until 2026-05-03 13:" in str(sentence)
        await hub.pass_time(days=1, hours=23)
        assert not hub.state(update.id).final
        await hub.pass_time(hours=1)
        ended = await hub.until_ended(update.id)
        assert (ended.state, ended.reason) == (State.CANCELLED, "asleep")
        again = await hub.desk.retry(update.id, actor="anna")
        hub.radio.wake(LAMP)
        assert (await hub.until_ended(again.update.id)).state is State.SUCCEEDED


@instantly
async def test_a_hub_that_was_off_for_weeks_gives_nobody_up_before_it_has_listened_for_a_day() -> None:
    bench = sleeper()
    async with bench.hub() as hub:
        update = await ordered_asleep(hub)
        await hub.until(lambda: hub.waits_for(update.id) == "asleep")
    await hub.pass_time(days=40)
    async with bench.hub() as hub:
        await hub.pass_time(hours=20)
        assert hub.waits_for(update.id) == "asleep"
        hub.radio.wake(LAMP)
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED


@instantly
async def test_policy_still_takes_a_release_that_was_given_up_only_because_its_device_slept() -> None:
    bench = sleeper()
    async with bench.hub() as hub:
        update = await ordered_asleep(hub)
        await hub.pass_time(days=2)
        assert (await hub.until_ended(update.id)).state is State.CANCELLED
        bench.mode = "automatic"
        hub.consultant.post_all()
        hub.radio.wake(LAMP)
        await hub.until(lambda: bench.lamp.version == NEW)
