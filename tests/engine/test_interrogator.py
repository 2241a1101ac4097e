"""Devices are asked when it is worth it, a few at a time, and those that do not answer less and less often."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from otagate.engine.views import OrderRequest
from otagate.model.devices import Device
from otagate.model.errors import DeviceUnreachable, RadioError, RadioUnavailable, UnknownDevice
from otagate.model.ids import DeviceId, zigbee_device_id
from otagate.model.lifecycle import State
from tests.engine.bench import DAY, Bench, Hub
from tests.engine.radio import LAMP, NEW, OLD, Lamp
from tests.virtual_time import instantly


def many(count: int, **traits: object) -> dict[DeviceId, Lamp]:
    ids = [zigbee_device_id(number + 1) for number in range(count)]
    return {each: Lamp(id=each, **traits) for each in ids}  # type: ignore[arg-type]


@instantly
async def test_every_new_device_is_asked_but_never_many_at_once() -> None:
    bench = Bench(lamps=many(60))
    async with bench.hub() as hub:
        await hub.ready()
        assert hub.radio.most_asking <= 2
    assert all(lamp.interrogations == 1 for lamp in bench.lamps.values())


@instantly
async def test_mains_devices_are_asked_once_a_period() -> None:
    bench = Bench(lamps=many(5), every=timedelta(hours=6))
    async with bench.hub() as hub:
        await hub.pass_time(days=2)
    assert all(8 <= lamp.interrogations <= 9 for lamp in bench.lamps.values())


@instantly
async def test_a_sleeping_device_is_asked_when_it_is_heard_and_at_most_daily() -> None:
    bench = Bench(lamps={LAMP: Lamp(sleepy=True)})
    async with bench.hub() as hub:
        await hub.pass_time(hours=5)
        assert bench.lamp.interrogations == 0
        for _ in range(72):
            hub.radio.wake(LAMP)
            await hub.pass_time(hours=1)
    assert bench.lamp.interrogations == 3


@instantly
async def test_a_sleeping_device_that_did_not_answer_is_asked_again_though_its_version_was_told_meanwhile() -> None:
    bench = Bench(lamps={LAMP: Lamp(sleepy=True, there=False)})
    async with bench.hub() as hub:
        await hub.until(lambda: hub.registry.devices())
        hub.radio.wake(LAMP)
        await hub.pass_time(seconds=30)
        bench.lamp.there = True
        hub.radio.ask(LAMP, OLD)
        await hub.pass_time(minutes=2)
        asked = bench.lamp.interrogations
        hub.radio.wake(LAMP)
        await hub.until(lambda: bench.lamp.interrogations == asked + 1, within=60)
        for _ in range(10):
            hub.radio.wake(LAMP)
            await hub.pass_time(minutes=5)
    assert bench.lamp.interrogations == asked + 1


@instantly
async def test_a_device_that_does_not_answer_is_asked_less_and_less_often_and_keeps_nobody_waiting() -> None:
    dead = many(20, there=False)
    living = Lamp(id=LAMP)
    bench = Bench(lamps={**dead, LAMP: living})
    async with bench.hub() as hub:
        await hub.until(lambda: living.interrogations == 1, within=600)
        await hub.pass_time(days=1)
        first_day = [lamp.interrogations for lamp in dead.values()]
        await hub.pass_time(days=1)
        second_day = [lamp.interrogations - before for lamp, before in zip(dead.values(), first_day, strict=True)]
        assert not any(hub.registry.device(each).online for each in dead)
    assert max(first_day) <= 10
    assert max(second_day) <= 4


@instantly
async def test_a_device_that_was_silent_is_asked_soon_after_it_is_heard() -> None:
    bench = Bench(lamps={LAMP: Lamp(there=False)})
    async with bench.hub() as hub:
        await hub.pass_time(days=2)
        bench.lamp.there = True
        asked = bench.lamp.interrogations
        hub.radio.wake(LAMP)
        await hub.until(lambda: bench.lamp.interrogations > asked, within=120)
        await hub.until(lambda: hub.registry.device(LAMP).components, within=60)
        assert hub.registry.device(LAMP).online


@instantly
async def test_a_chatty_device_that_refuses_to_answer_is_not_asked_each_time_it_is_heard() -> None:
    bench = Bench(lamps={LAMP: Lamp(there=False)})
    async with bench.hub() as hub:
        for _ in range(24 * 60):
            hub.radio.wake(LAMP)
            await hub.pass_time(minutes=1)
    assert bench.lamp.interrogations <= 24 * 60 / 2 + 10


@instantly
async def test_devices_are_not_asked_while_the_radio_is_away_and_are_when_it_is_back() -> None:
    bench = Bench(lamps=many(3))
    async with bench.hub() as hub:
        hub.radio.unplug()
        await hub.pass_time(hours=8)
        assert all(lamp.interrogations == 0 for lamp in bench.lamps.values())
        hub.radio.plug_in()
        await hub.ready()


@instantly
async def test_a_device_that_takes_an_update_is_left_alone() -> None:
    bench = Bench(lamps={LAMP: Lamp(seconds=2_500.0)}, every=timedelta(minutes=10))
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        update = await hub.order()
        await hub.until_state(update.update.id, State.TRANSFERRING)
        asked = bench.lamp.interrogations
        await hub.until(lambda: hub.state(update.update.id) is not State.TRANSFERRING, within=DAY)
        assert bench.lamp.interrogations == asked


@instantly
async def test_several_who_want_to_know_share_one_question() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await hub.ready()
        asked = bench.lamp.interrogations
        async with asyncio.TaskGroup() as group:
            answers = [group.create_task(hub.interrogator.ask(LAMP)) for _ in range(20)]
        assert bench.lamp.interrogations == asked + 1
        assert len({task.result().last_checked for task in answers}) == 1


@instantly
async def test_the_check_goes_on_when_who_asked_goes_away() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await hub.ready()
        before = hub.registry.device(LAMP).last_checked
        bench.lamp.version = NEW
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await hub.desk.check(LAMP, actor="test")
        await hub.until(lambda: hub.registry.device(LAMP).components[0].version == NEW)
        assert hub.registry.device(LAMP).last_checked != before


@instantly
async def test_who_asks_for_a_check_is_told_why_it_failed() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await hub.ready()
        with pytest.raises(UnknownDevice):
            await hub.desk.check(zigbee_device_id(99), actor="test")
        bench.lamp.there = False
        with pytest.raises(DeviceUnreachable):
            await hub.desk.check(LAMP, actor="test")
        hub.radio.unplug()
        await hub.pass_time(seconds=5)
        with pytest.raises(RadioUnavailable):
            await hub.desk.check(LAMP, actor="test")


@instantly
async def test_an_operators_check_does_not_wait_behind_the_queue() -> None:
    bench = Bench(lamps={**many(50, there=False), LAMP: Lamp()})
    async with bench.hub() as hub:
        await hub.until(lambda: len(hub.registry.devices()) == 51)
        async with asyncio.timeout(5):
            await hub.desk.check(LAMP, actor="test")


@instantly
async def test_a_library_that_fails_in_a_way_nobody_foresaw_costs_a_check_and_not_the_hub() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await hub.ready()
        interrogate = hub.radio.interrogate

        async def fail(device: DeviceId) -> Device:
            raise KeyError(device)

        hub.radio.interrogate = fail  # type: ignore[method-assign]
        with pytest.raises(RadioError, match="unexpectedly"):
            await hub.desk.check(LAMP, actor="test")
        hub.radio.interrogate = interrogate  # type: ignore[method-assign]
        assert (await hub.desk.check(LAMP, actor="test")).device.id == LAMP


@instantly
async def test_checks_are_answered_and_known_while_the_disk_is_full() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await hub.ready()
        hub.store.full = True
        bench.lamp.version = NEW
        view = await hub.desk.check(LAMP, actor="test")
        assert view.device.components[0].version == NEW
        hub.store.full = False
        await hub.until(lambda: not hub.registry.owes, within=30)
    assert (await bench.disk.devices.get(LAMP)).components[0].version == NEW


# --- the hardware version -----------------------------------------------------------------------------------------------------------------


async def refusals(hub: Hub, *devices: DeviceId) -> list[str]:
    """What is wrong with an order, before anything is sent."""
    result = await hub.desk.order(OrderRequest(devices=devices or (LAMP,), dry_run=True), actor="test")
    return [each.error.code for each in result.refused]


@pytest.mark.parametrize("first", ["the device", "the image"])
@instantly
async def test_where_an_image_is_for_some_hardware_only_the_device_is_asked_for_its_own_and_an_order_refused_up_front(first: str) -> None:
    bench = Bench(lamps={LAMP: Lamp(hardware=9)})
    async with bench.hub() as hub:
        if first == "the device":
            await hub.ready()
        await hub.add_image(NEW, hardware=(2, 4))
        await hub.until(lambda: bench.lamp.notifies, within=60)
        await hub.pass_time(seconds=5)
        assert hub.registry.device(LAMP).components[0].hardware_version == 9
        assert await refusals(hub) == ["incompatible-image"]
        await hub.pass_time(days=1)
        assert bench.lamp.notifies == 1


@instantly
async def test_automatic_updates_of_devices_with_fitting_hardware_wait_for_nobody() -> None:
    bench = Bench(lamps={LAMP: Lamp(hardware=3)}, mode="automatic")
    async with bench.hub() as hub:
        await hub.ready()
        await hub.add_image(NEW, hardware=(2, 4))
        await hub.until(lambda: bench.lamp.version == NEW)


@pytest.mark.parametrize(
    "image", [{}, {"hardware": (2, 4), "image_type": 0x99}, {"hardware": (2, 4), "manufacturer_code": 0x1234}], ids=["any", "type", "maker"]
)
@instantly
async def test_no_device_is_notified_for_an_image_that_asks_nothing_of_it(image: dict[str, Any]) -> None:
    bench = Bench(lamps={LAMP: Lamp(hardware=3)})
    async with bench.hub() as hub:
        await hub.ready()
        await hub.add_image(NEW, **image)
        await hub.pass_time(days=1)
    assert bench.lamp.notifies == 0


@instantly
async def test_a_device_that_runs_the_image_already_is_not_notified_for_it() -> None:
    bench = Bench(lamps={LAMP: Lamp(hardware=3, version=NEW)})
    async with bench.hub() as hub:
        await hub.ready()
        await hub.add_image(NEW, hardware=(2, 4))
        await hub.pass_time(days=1)
    assert bench.lamp.notifies == 0


@instantly
async def test_a_device_that_does_not_heed_the_question_is_known_all_the_same_and_asked_no_oftener_than_for_its_version() -> None:
    bench = Bench(lamps={LAMP: Lamp(hardware=3, asks=False)}, every=timedelta(hours=6))
    async with bench.hub() as hub:
        await hub.add_image(NEW, hardware=(2, 4))
        await hub.ready()
        assert hub.registry.device(LAMP).online
        assert await refusals(hub) == []
        await hub.pass_time(days=2)
    assert 4 <= bench.lamp.notifies <= bench.lamp.interrogations <= 10


@instantly
async def test_a_sleeping_device_is_asked_for_its_hardware_when_it_is_heard() -> None:
    bench = Bench(lamps={LAMP: Lamp(sleepy=True, hardware=9)})
    async with bench.hub() as hub:
        await hub.until(lambda: hub.registry.devices())
        hub.radio.wake(LAMP)
        await hub.ready()
        await hub.add_image(NEW, hardware=(2, 4))
        await hub.pass_time(hours=1)
        assert bench.lamp.notifies == 0
        hub.radio.wake(LAMP)
        await hub.until(lambda: hub.registry.device(LAMP).components[0].hardware_version == 9, within=60)
        assert await refusals(hub) == ["incompatible-image"]
        for _ in range(10):
            hub.radio.wake(LAMP)
            await hub.pass_time(hours=1)
        assert bench.lamp.notifies == 1


@instantly
async def test_a_device_that_was_busy_or_away_when_the_image_came_is_asked_later() -> None:
    bench = Bench(lamps={LAMP: Lamp(hardware=9)}, every=timedelta(days=30))
    async with bench.hub() as hub:
        await hub.ready()
        hub.radio.unplug()
        await hub.pass_time(seconds=5)
        await hub.add_image(NEW, hardware=(2, 4))
        await hub.pass_time(hours=1)
        hub.radio.plug_in()
        await hub.until(lambda: bench.lamp.notifies == 1, within=600)
