"""Guards in the life of updates: approvals that expire, interlocks, lamps that are on, batteries, versions that were proved."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from otagate.engine.patches import DevicePatch, PolicyPatch
from otagate.engine.views import OrderRequest
from otagate.model.errors import SourceUnavailable
from otagate.model.ids import DeviceId, zigbee_device_id
from otagate.model.lifecycle import State
from otagate.model.links import Link, Load
from otagate.policy.settings import PolicySettings
from otagate.ports import DeviceSeen, RadioLoaded
from tests.engine.bench import Bench, Hub
from tests.engine.radio import LAMP, NEW, OLD, ZIGBEE0, Lamp
from tests.virtual_time import instantly

AT_ONCE = PolicySettings(cooldown=timedelta(0))
ASKING = replace(AT_ONCE, approval_expires=timedelta(days=7))


@dataclass(slots=True)
class Door:
    """`ports.Interlock` that says what it is told to say."""

    says: str | Exception | None = None
    asked: int = 0

    async def ask(self) -> str | None:
        self.asked += 1
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


@dataclass(slots=True)
class Switches:
    """Which lamps are on, as `ports.Observant.is_on` tells it."""

    on: set[DeviceId] = field(default_factory=set)
    asked: int = 0

    async def is_on(self, device: DeviceId) -> bool | None:
        self.asked += 1
        return device in self.on


async def settled(hub: Hub) -> None:
    await hub.add_image(NEW)
    await hub.ready()
    await hub.pass_time(minutes=1)


# --- approvals -----------------------------------------------------------------------------------------------------------------------------


@instantly
async def test_what_policy_asks_about_is_planned_and_runs_once_it_is_approved() -> None:
    bench = Bench(settings=ASKING)
    async with bench.hub() as hub:
        await settled(hub)
        (planned,) = await bench.rows()
        assert (planned.state, planned.reason, planned.actor) == (State.PLANNED, "awaiting_approval", "policy")
        assert planned.expires == planned.created + timedelta(days=7)
        assert (await hub.desk.device(LAMP)).update_status == "waiting"
        await hub.desk.approve(planned.id, actor="anna")
        done = await hub.until_ended(planned.id)
        assert (done.state, done.approved_by) == (State.SUCCEEDED, "anna")


@instantly
async def test_what_nobody_approves_in_time_is_given_up_and_not_planned_again() -> None:
    bench = Bench(settings=ASKING)
    async with bench.hub() as hub:
        await settled(hub)
    async with bench.hub() as hub:  # the time runs on over a restart
        await hub.pass_time(days=6, hours=23)
        assert [row.state for row in await bench.rows()] == [State.PLANNED]
        await hub.pass_time(hours=2)
        assert [row.state for row in await bench.rows()] == [State.CANCELLED]
        assert (await hub.desk.device(LAMP)).update_status == "available"
        await hub.pass_time(days=1)
        assert len(await bench.rows()) == 1


@instantly
async def test_an_order_takes_the_place_of_what_waits_for_approval() -> None:
    bench = Bench(settings=ASKING)
    async with bench.hub() as hub:
        await settled(hub)
        result = await hub.desk.order(OrderRequest(devices=(LAMP,)), actor="anna")
        assert not result.refused
        assert (await hub.until_ended(result.updates[0].update.id)).state is State.SUCCEEDED
        assert [row.state for row in await bench.rows()] == [State.SUPERSEDED, State.SUCCEEDED]


@instantly
async def test_without_a_time_for_approval_nothing_is_made_until_it_is_ordered() -> None:
    bench = Bench(settings=AT_ONCE)
    async with bench.hub() as hub:
        await settled(hub)
        assert await bench.rows() == []
        assert (await hub.desk.device(LAMP)).update_status == "available"


# --- interlocks and lamps that are on ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("no", ["a fire test runs", SourceUnavailable("nobody is there")])
@instantly
async def test_an_interlock_holds_an_update_back_until_it_says_yes(no: str | Exception) -> None:
    door = Door(says=no)
    bench = Bench(settings=replace(AT_ONCE, interlocks=("fire",)), interlocks={"fire": door})
    async with bench.hub() as hub:
        await settled(hub)
        update = (await hub.desk.order(OrderRequest(devices=(LAMP,)), actor="anna")).updates[0].update
        await hub.pass_time(hours=1)
        view = await hub.desk.update(update.id)
        assert (view.update.state, view.update.reason) == (State.QUEUED, "interlock")
        assert view.sentence == f"The interlock fire holds it back: {no}."
        assert 60 <= door.asked <= 150
        door.says = None
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED


@instantly
async def test_nobody_is_asked_for_what_could_not_begin_anyway() -> None:
    door = Door()
    bench = Bench(settings=replace(AT_ONCE, interlocks=("fire",)), interlocks={"fire": door}, mode="automatic")
    async with bench.hub() as hub:
        await hub.desk.halt(actor="anna")
        await settled(hub)
        await hub.pass_time(hours=1)
        assert door.asked == 0


@instantly
async def test_a_lamp_that_is_on_is_left_alone_until_it_is_off() -> None:
    bench = Bench(settings=replace(AT_ONCE, spare_in_use=True))
    switches = Switches(on={LAMP})
    async with bench.hub() as hub:
        hub.radio.is_on = switches.is_on  # type: ignore[attr-defined]
        await settled(hub)
        update = (await hub.desk.order(OrderRequest(devices=(LAMP,)), actor="anna")).updates[0].update
        await hub.pass_time(hours=1)
        assert (await hub.desk.update(update.id)).update.reason == "in_use"
        assert switches.asked <= 20
        switches.on.clear()
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED


# --- batteries and versions ------------------------------------------------------------------------------------------------------------------


@instantly
async def test_a_battery_floor_that_an_operator_gives_one_device_lets_it_begin() -> None:
    bench = Bench(lamps={LAMP: Lamp(sleepy=True, battery=40)}, settings=AT_ONCE, mode="automatic")
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.until(lambda: hub.registry.devices())
        hub.radio.ask(LAMP, OLD)
        await hub.pass_time(minutes=1)
        (waiting,) = await bench.rows()
        assert waiting.reason == "battery_low"
        await hub.desk.amend(LAMP, DevicePatch(policy=PolicyPatch(battery_floor=40)), actor="anna")
        await hub.pass_time(minutes=5)
        hub.radio.ask(LAMP, OLD)
        assert (await hub.until_ended(waiting.id)).state is State.SUCCEEDED


@pytest.mark.parametrize(("percent", "reason"), [(40, "battery_low"), (None, "battery_unknown")])
@instantly
async def test_what_nobody_ordered_waits_for_a_battery_that_is_good(percent: int | None, reason: str) -> None:
    bench = Bench(lamps={LAMP: Lamp(sleepy=True, battery=percent)}, settings=AT_ONCE, mode="automatic")
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.until(lambda: hub.registry.devices())
        hub.radio.ask(LAMP, OLD)
        await hub.pass_time(minutes=1)
        (row,) = await bench.rows()
        assert (row.state, row.reason) == (State.QUEUED, reason)


@instantly
async def test_nothing_goes_below_a_version_that_was_proved_unless_a_downgrade_is_ordered() -> None:
    bench = Bench(settings=AT_ONCE)
    async with bench.hub() as hub:
        await settled(hub)
        await hub.add_image(NEW + 1)
        first = (await hub.desk.order(OrderRequest(devices=(LAMP,)), actor="anna")).updates[0].update
        await hub.until_ended(first.id)
        bench.lamp.version = OLD  # somebody else went back
        await hub.desk.check(LAMP, actor="anna")
        (refused,) = (await hub.desk.order(OrderRequest(devices=(LAMP,), version=NEW), actor="anna")).refused
        assert (refused.error.code, refused.reason) == ("downgrade-refused", "below_floor")
        allowed = await hub.desk.order(OrderRequest(devices=(LAMP,), version=NEW, allow_downgrade=True), actor="anna")
        assert (await hub.until_ended(allowed.updates[0].update.id)).state is State.SUCCEEDED


@instantly
async def test_what_an_update_took_of_a_battery_is_what_the_next_one_is_reckoned_with() -> None:
    bench = Bench(lamps={LAMP: Lamp(sleepy=True, battery=90)}, settings=AT_ONCE)
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.until(lambda: hub.registry.devices())
        hub.radio.ask(LAMP, OLD)
        hub.radio.wake(LAMP)
        await hub.pass_time(minutes=1)
        update = (await hub.desk.order(OrderRequest(devices=(LAMP,)), actor="anna")).updates[0].update
        hub.radio.wake(LAMP)
        await hub.until(lambda: hub.state(update.id) is State.TRANSFERRING)
        bench.lamp.battery = 88
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED
        (component,) = hub.registry.device(LAMP).components
        assert component.drain == pytest.approx(2 * (1 << 20) / update.bytes_total, rel=0.05)


@instantly
async def test_a_device_known_by_two_ids_is_updated_by_one_of_them_at_a_time() -> None:
    other = zigbee_device_id(2)
    bench = Bench(lamps={LAMP: Lamp(seconds=600.0), other: Lamp(id=other)}, twins={LAMP: {other}, other: {LAMP}})
    async with bench.hub() as hub:
        await settled(hub)
        first, second = [(await hub.desk.order(OrderRequest(devices=(each,)), actor="anna")).updates[0].update.id for each in (LAMP, other)]
        await hub.pass_time(minutes=1)
        assert (await hub.desk.update(second)).update.reason == "in_use"
        await hub.pass_time(hours=1)
        assert [(await hub.desk.update(each)).update.state for each in (first, second)] == [State.SUCCEEDED, State.SUCCEEDED]


# --- links and loads -------------------------------------------------------------------------------------------------------------------------


@instantly
async def test_a_device_that_is_heard_badly_waits_and_goes_when_it_is_heard_better() -> None:
    bench = Bench(settings=replace(AT_ONCE, lqi_floor=60))
    async with bench.hub() as hub:
        await settled(hub)
        hub.radio.emit(DeviceSeen(device=LAMP, link=Link(heard=hub.clock.now(), lqi=40)))
        await hub.pass_time(seconds=1)
        update = (await hub.desk.order(OrderRequest(devices=(LAMP,)), actor="anna")).updates[0].update
        await hub.pass_time(minutes=30)
        view = await hub.desk.update(update.id)
        assert (view.update.state, view.update.reason) == (State.QUEUED, "link_weak")
        assert view.sentence == "It was heard 30 min ago with a link quality of 40 of 255, and no update begins below 60."
        link = (await hub.desk.device(LAMP)).link
        assert link is not None
        assert link.lqi == 40
        hub.radio.emit(DeviceSeen(device=LAMP, link=Link(heard=hub.clock.now(), lqi=60)))
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED


@instantly
async def test_a_weak_link_is_overruled_by_its_word_and_the_reason_is_on_record() -> None:
    bench = Bench(settings=replace(AT_ONCE, lqi_floor=60))
    async with bench.hub() as hub:
        await settled(hub)
        hub.radio.emit(DeviceSeen(device=LAMP, link=Link(heard=hub.clock.now(), lqi=40)))
        await hub.pass_time(seconds=1)
        order = OrderRequest(devices=(LAMP,), override=("link_weak",), because="the ladder stands beside it")
        update = (await hub.desk.order(order, actor="anna")).updates[0].update
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED
    (made,) = await bench.facts("created")
    assert (made.data["override"], made.data["because"]) == ("link_weak", "the ladder stands beside it")


@instantly
async def test_new_updates_wait_for_a_radio_that_has_enough_to_do_and_running_ones_do_not() -> None:
    other = zigbee_device_id(2)
    bench = Bench(lamps={LAMP: Lamp(seconds=600.0), other: Lamp(id=other)}, settings=AT_ONCE)
    async with bench.hub() as hub:
        await settled(hub)
        running = (await hub.desk.order(OrderRequest(devices=(LAMP,)), actor="anna")).updates[0].update
        await hub.until(lambda: hub.state(running.id) is State.TRANSFERRING)
        hub.radio.emit(RadioLoaded(radio=ZIGBEE0, load=Load(measured=hub.clock.now(), seconds=180, used=80)))
        await hub.pass_time(seconds=1)
        waiting = (await hub.desk.order(OrderRequest(devices=(other,)), actor="anna")).updates[0].update
        assert (await hub.until_ended(running.id)).state is State.SUCCEEDED
        view = await hub.desk.update(waiting.id)
        assert (view.update.state, view.update.reason) == (State.QUEUED, "load")
        (radio,) = hub.desk.radios()
        assert radio.load is not None
        assert radio.load.used == 80
        hub.radio.emit(RadioLoaded(radio=ZIGBEE0, load=Load(measured=hub.clock.now(), seconds=180, used=5)))
        assert (await hub.until_ended(waiting.id)).state is State.SUCCEEDED


@instantly
async def test_what_a_radio_had_to_do_before_it_was_lost_holds_nobody_back_when_it_is_there_again() -> None:
    bench = Bench(settings=AT_ONCE)
    async with bench.hub() as hub:
        await settled(hub)
        hub.radio.emit(RadioLoaded(radio=ZIGBEE0, load=Load(measured=hub.clock.now(), seconds=180, refused=100)))
        hub.radio.drop()
        await hub.pass_time(minutes=10)
        update = (await hub.desk.order(OrderRequest(devices=(LAMP,)), actor="anna")).updates[0].update
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED
