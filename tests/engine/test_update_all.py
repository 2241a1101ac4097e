"""One order for many: who is meant, who gets nothing and why, and no storm of it."""

from __future__ import annotations

import pytest

from otagate.engine import ordering
from otagate.engine.views import OrderKey, OrderRequest, OrderResult
from otagate.model.errors import BadFilter, Refused
from otagate.model.ids import DeviceId, zigbee_device_id
from otagate.model.lifecycle import State
from otagate.model.orders import Serve
from otagate.model.rollouts import Selection
from tests.engine.bench import DAY, Bench
from tests.engine.radio import NEW, Lamp
from tests.engine.test_offers import FILE, INDEX, offering, told
from tests.virtual_time import instantly

IDS = [zigbee_device_id(number) for number in range(1, 13)]
CURRENT, BUSY = IDS[0], IDS[1]
EVERYBODY = OrderRequest(select=Selection())


def house() -> dict[DeviceId, Lamp]:
    return {each: Lamp(id=each, version=NEW if each == CURRENT else 1, sleepy=each == IDS[2]) for each in IDS}


def refused(result: OrderResult) -> dict[DeviceId, str]:
    return {each.device: each.error.code for each in result.refused}


@instantly
async def test_everybody_is_taken_or_told_why_not_and_a_plan_says_the_same() -> None:
    bench = Bench(lamps=house())
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.until(lambda: sum(bool(each.components) for each in hub.registry.devices()) >= len(IDS) - 1)
        hub.radio.wake(IDS[2])
        await hub.ready()
        await hub.desk.halt(actor="test")
        await hub.order(BUSY)
        plan = await hub.desk.order(OrderRequest(select=Selection(), dry_run=True), actor="anna")
        result = await hub.desk.order(EVERYBODY, actor="anna")
        assert refused(result) == refused(plan) == {CURRENT: "already-current", BUSY: "already-updating"}
        assert [each.update.device for each in result.updates] == [each.update.device for each in plan.updates] == IDS[2:]
        assert len(await bench.rows()) == len(IDS) - 1
        again = await hub.desk.order(EVERYBODY, actor="anna")
        assert (again.updates, len(again.refused)) == ((), len(IDS))


@instantly
async def test_the_same_order_for_everybody_under_its_key_is_made_once_whoever_has_come_meanwhile() -> None:
    bench = Bench(lamps=dict(list(house().items())[:2]))
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        key = OrderKey(key="k", digest="0" * 64)
        first = await hub.desk.order(EVERYBODY, actor="anna", key=key)
        bench.lamps[IDS[3]] = Lamp(id=IDS[3])
        await hub.registry.found(bench.lamps[IDS[3]].describe(interrogated=False))
        again = await hub.desk.order(EVERYBODY, actor="anna", key=key)
        assert again.replayed
        assert [each.update.id for each in again.updates] == [each.update.id for each in first.updates]
        assert refused(again) == refused(first)


@instantly
async def test_an_order_is_narrowed_by_model_group_and_radio() -> None:
    bench = Bench(lamps=house())
    async with bench.hub() as hub:
        await hub.until(lambda: len(hub.registry.devices()) == len(IDS))
        for select in (Selection(model="Plug*"), Selection(group="hall"), Selection(radio="zigbee7"), Selection(model="Lamp*", group="hall")):
            with pytest.raises(Refused, match="No device is meant"):
                await hub.desk.order(OrderRequest(select=select), actor="anna")
        for select in (Selection(model="Lamp*"), Selection(radio="zigbee0")):
            assert len((await hub.desk.order(OrderRequest(select=select, dry_run=True), actor="anna")).refused) == len(IDS)


@instantly
async def test_an_order_for_too_many_is_refused_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordering, "MOST_SELECTED", len(IDS) - 1)
    bench = Bench(lamps=house())
    async with bench.hub() as hub:
        await hub.until(lambda: len(hub.registry.devices()) == len(IDS))
        with pytest.raises(BadFilter, match="12 devices, and one order takes 11: narrow it"):
            await hub.desk.order(EVERYBODY, actor="anna")
    assert await bench.rows() == []


@instantly
async def test_an_order_for_everybody_asks_services_and_devices_no_more_than_it_must() -> None:
    lamps = {each: Lamp(id=each) for each in IDS}
    bench = offering(lamps=lamps)
    async with bench.hub() as hub:
        await told(hub)
        asked = {each.id: each.interrogations for each in lamps.values()}
        files, indexes = (sum(each.url == url for each in bench.services.asked) for url in (FILE, INDEX))
        result = await hub.desk.order(EVERYBODY, actor="anna")
        await hub.pass_time(seconds=3)
        assert sum(isinstance(each, Serve) and each.adopted is None for each in hub.radio.orders) <= bench.parallel
        assert {each.id: each.interrogations for each in lamps.values()} == asked
        await hub.until(lambda: all(hub.state(each.update.id).final for each in result.updates), within=DAY)
        assert sum(each.url == FILE for each in bench.services.asked) == files + 1
        assert sum(each.url == INDEX for each in bench.services.asked) <= indexes + 1
        assert all(each.notifies == 0 and each.interrogations - asked[each.id] <= 2 for each in lamps.values())
    assert {row.state for row in await bench.rows()} == {State.SUCCEEDED}
