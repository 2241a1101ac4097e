"""What would happen, when, and why or why not: told by the code that decides."""

from __future__ import annotations

from datetime import timedelta

from otagate.engine.patches import DevicePatch
from otagate.engine.views import OrderRequest
from otagate.policy.settings import PolicySettings
from otagate.policy.window import OneTime
from tests.engine.bench import Bench
from tests.engine.radio import LAMP, NEW, OLD, Lamp
from tests.virtual_time import NOON, instantly

HOUR = timedelta(hours=1)
NIGHT = OneTime(name="night", begins=NOON + 3 * HOUR, ends=NOON + 5 * HOUR)
BOUND = PolicySettings(cooldown=timedelta(0), windows=(NIGHT,))


@instantly
async def test_a_plan_says_that_an_operator_must_approve_and_tells_every_rule() -> None:
    async with Bench(lamps={LAMP: Lamp(version=OLD)}).hub() as hub:
        await hub.ready()
        await hub.add_image(NEW)
        (plan,) = (await hub.desk.plan(LAMP)).components
        assert (plan.outcome, plan.reason) == ("asks", "awaiting_approval")
        assert plan.release is not None
        assert plan.release.file_version == NEW
        assert plan.when is not None
        assert plan.when.kind == "now"
        rules = [line.rule for line in plan.rules]
        assert rules[0] == "offered"
        assert {"manufacturer_code", "advisory", "floor", "pin", "approval", "past", "halted", "window", "slot", "interlocks"} <= set(rules)
        assert [line.rule for line in plan.rules if line.decides] == ["approval"]
        assert all(line.sentence for line in plan.rules)
        assert plan.minutes is not None
        assert plan.minutes.known == "estimate"


@instantly
async def test_a_pin_stops_a_release_and_plan_and_dry_run_say_it_in_the_same_words() -> None:
    async with Bench(lamps={LAMP: Lamp(version=OLD)}).hub() as hub:
        await hub.ready()
        await hub.add_image(NEW)
        await hub.desk.amend(LAMP, DevicePatch(pin=OLD), actor="test")
        (plan,) = (await hub.desk.plan(LAMP)).components
        assert (plan.outcome, plan.reason) == ("stopped", "pinned")
        (refused,) = (await hub.desk.order(OrderRequest(devices=(LAMP,), dry_run=True), actor="test")).refused
        assert (refused.reason, str(refused.error)) == ("pinned", plan.sentence)


@instantly
async def test_what_runs_already_is_nothing_to_do() -> None:
    async with Bench(lamps={LAMP: Lamp(version=NEW)}).hub() as hub:
        await hub.ready()
        await hub.add_image(NEW)
        (plan,) = (await hub.desk.plan(LAMP)).components
        assert plan.outcome == "nothing"


@instantly
async def test_what_waits_for_a_window_is_listed_in_the_opening_in_which_it_then_begins() -> None:
    async with Bench(windows=[NIGHT], settings=BOUND, lamps={LAMP: Lamp(version=OLD)}).hub() as hub:
        await hub.ready()
        await hub.add_image(NEW)
        (update,) = (await hub.desk.order(OrderRequest(devices=(LAMP,)), actor="test")).updates
        await hub.pass_time(minutes=1)
        hub_plan = await hub.desk.plans()
        (plan,) = hub_plan.page.items[0].components
        assert (plan.outcome, plan.reason) == ("waits", "window_closed")
        assert plan.when is not None
        assert (plan.when.kind, plan.when.begins, plan.when.window) == ("window", NIGHT.begins, "night")
        assert hub_plan.openings is not None
        (opening,) = hub_plan.openings
        assert [(each.device, each.update) for each in opening.turns] == [(LAMP, update.update.id)]
        assert opening.airtime > 0
        done = await hub.until_ended(update.update.id)
        assert done.started is not None
        assert plan.when.begins <= done.started < plan.when.begins + timedelta(minutes=1)


@instantly
async def test_once_a_device_has_taken_an_image_the_figures_are_measured_here() -> None:
    async with Bench(lamps={LAMP: Lamp(version=OLD)}).hub() as hub:
        await hub.ready()
        await hub.add_image(NEW)
        await hub.until_ended((await hub.order()).update.id)
        await hub.add_image(NEW + 1)
        (plan,) = (await hub.desk.plan(LAMP)).components
        assert plan.minutes is not None
        assert plan.minutes.known == "measured here"
