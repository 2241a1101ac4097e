"""Many devices at once: nobody starves, what is written stays in proportion, and the work grows no faster than the house."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta

import pytest

from otagate.engine.journal import Journal
from otagate.engine.ledger import Ledger
from otagate.engine.views import OrderRequest
from otagate.model.devices import Device
from otagate.model.ids import DeviceId, RadioName, UpdateId, zigbee_device_id
from otagate.model.lifecycle import State
from otagate.model.orders import Serve
from otagate.model.rollouts import Selection
from otagate.model.updates import Update
from otagate.policy.admit import admit
from otagate.policy.air import Air, RadioAir
from otagate.policy.settings import PolicySettings
from otagate.stores.memory import MemoryStore
from tests.engine.bench import DAY, Bench, FickleStore, Hub
from tests.engine.radio import NEW, Lamp
from tests.policy import cases
from tests.steps import steps
from tests.virtual_time import VirtualClock, instantly

CHECK_IN = 3_600.0
RADIOS = tuple(RadioName(f"zigbee{number}") for number in range(3))
DOWNLOAD = timedelta(minutes=10)
PARALLEL = 3


def house(count: int) -> dict[DeviceId, Lamp]:
    """So many devices on three radios; half of each radio's sleep."""
    ids = [zigbee_device_id(number) for number in range(1, count + 1)]
    return {each: Lamp(id=each, radio=RADIOS[at // 2 % 3], sleepy=at % 2 == 0, seconds=DOWNLOAD.total_seconds()) for at, each in enumerate(ids)}


async def check_in(hub: Hub) -> None:
    """Those that sleep wake one after another, each once an hour."""
    sleepers = [each for each in hub.bench.lamps.values() if each.sleepy]
    while True:
        for each in sleepers:
            hub.radios[each.radio].wake(each.id)
            await asyncio.sleep(CHECK_IN / len(sleepers))


@pytest.mark.parametrize("count", [40, pytest.param(500, marks=pytest.mark.night)])
@instantly
async def test_a_house_full_of_devices_of_which_half_sleep_is_brought_to_the_release(count: int) -> None:
    bench = Bench(lamps=house(count), parallel=PARALLEL)
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        ended: dict[UpdateId, Update] = {}
        hub.ledger.watch(lambda update: ended.update({update.id: update}) if update.ended else None)
        async with asyncio.TaskGroup() as group:
            sleepers = group.create_task(check_in(hub))
            await hub.ready()
            before, created = hub.store.commits, list[int]()
            hub.store.after_commit = lambda facts: created.append(sum(fact.kind == "created" for fact in facts))
            result = await hub.desk.order(OrderRequest(select=Selection()), actor="test")
            assert len(result.updates) == max(created) == count  # all in one transaction
            await hub.until(lambda: len(ended) == count, within=5 * DAY)
            sleepers.cancel()
        assert (hub.store.commits - before) / count < 40
        for radio in hub.radios.values():
            assert radio.most_asking <= 8
            begun = Counter(order.update for order in radio.orders if isinstance(order, Serve))
            assert set(begun.values()) <= {1, 2}  # pinned while it waits, and offered once
    assert {row.state for row in await bench.rows()} == {State.SUCCEEDED}
    assert all(lamp.downloads == 1 and lamp.notifies == 0 for lamp in bench.lamps.values())
    assert mains_took(ended.values(), bench) <= 1.5 * DOWNLOAD * (count / 2 / len(RADIOS) / PARALLEL + 1)


def mains_took(updates: Iterable[Update], bench: Bench) -> timedelta:
    """From the order to the end of the last mains device."""
    mains = [each for each in updates if not bench.lamps[each.device].sleepy]
    return max(each.finished for each in mains if each.finished is not None) - min(each.created for each in mains)


# --- the work of a decision -----------------------------------------------------------------------------------------------------------------


def queue_of(count: int) -> tuple[list[Update], Air]:
    devices = [cases.device(id=cases.device_id(number)) for number in range(count)]
    return [cases.update(number) for number in range(count)], Air(radios={cases.RADIO: RadioAir()}, devices={each.id: each for each in devices})


def look(count: int) -> tuple[int, Counter[DeviceId]]:
    """The lines that one look at a queue takes, and how often each device's settings were asked for."""
    queue, air = queue_of(count)
    asked: Counter[DeviceId] = Counter()

    def policy_of(device: Device) -> PolicySettings:
        asked[device.id] += 1
        return PolicySettings()

    air = Air(radios=air.radios, devices=air.devices, policy_of=policy_of)
    with steps("otagate/policy/") as counted:
        admission = admit(queue, [], air=air, now=cases.NOW)
    assert len(admission.admitted) + len(admission.waiting) == count
    return counted.count, asked


def test_a_look_at_the_queue_asks_for_the_settings_of_a_device_once() -> None:
    _, asked = look(100)
    assert max(asked.values()) == 1


def test_a_look_at_a_queue_of_twice_the_length_is_at_most_twice_the_work() -> None:
    assert look(200)[0] <= 2.1 * look(100)[0]


@instantly
async def test_an_order_for_twice_the_devices_is_at_most_twice_the_work() -> None:
    async def made(count: int) -> int:
        store = FickleStore(MemoryStore(), [])
        ledger = Ledger(store, Journal(store, VirtualClock()), VirtualClock())
        drafts = [cases.update(number, id=UpdateId(""), image=None) for number in range(count)]
        with steps("otagate/engine/") as counted:
            assert len(await ledger.create(drafts)) == count
        return counted.count

    assert await made(200) <= 2.1 * await made(100)


@instantly
async def test_a_device_that_is_heard_costs_no_look_at_all_the_others() -> None:
    async def heard(count: int) -> int:
        bench = Bench(lamps={each: Lamp(id=each) for each in map(zigbee_device_id, range(1, count + 1))}, parallel=1)
        async with bench.hub() as hub:
            await hub.add_image(NEW)
            await hub.ready()
            await hub.desk.order(OrderRequest(devices=tuple(bench.lamps)), actor="test")
            await hub.pass_time(seconds=10)
            with steps("otagate/engine/") as counted:
                hub.conductor.heard(next(iter(bench.lamps)))
            return counted.count

    assert await heard(40) == await heard(20)
