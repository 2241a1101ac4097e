"""How a device is set before its update, and what becomes of that: recorded, compared, given back, and told."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from otagate.model.errors import DeviceUnreachable
from otagate.model.ids import DeviceId
from otagate.model.lifecycle import State
from otagate.model.portraits import Behaviour, Portrait, Setting
from otagate.model.rollouts import RolloutState
from otagate.model.updates import Update
from otagate.policy.settings import PolicySettings
from otagate.ports import DeviceSeen
from tests.engine.bench import Bench, Hub
from tests.engine.radio import LAMP, NEW, Lamp
from tests.engine.test_rollouts import ordered, street, until, updated
from tests.virtual_time import instantly

GROUP = Setting(kind="group", question="groups/1", at="1/0x0005")
OTHER_GROUP = Setting(kind="group", question="groups/1", at="1/0x0009")
BINDING = Setting(kind="binding", question="bindings", at="1/0x0006 to group 0x0005")
ON = Setting(kind="on_off", question="attribute/1/0x0006/0x0000", at="endpoint 1", value="1")
OFF = replace(ON, value="0")
SET = (GROUP, OTHER_GROUP, BINDING, ON)
NOW = PolicySettings(cooldown=timedelta(0))


def a_bench(settings: PolicySettings = NOW, **lamp: object) -> Bench:
    return Bench(lamps={LAMP: Lamp(**({"set_to": SET} | lamp))}, settings=settings)  # type: ignore[arg-type]


async def updated_by(hub: Hub) -> Update:
    await hub.add_image(NEW)
    await hub.ready()
    return await hub.until_ended((await hub.order()).update.id)


@instantly
async def test_what_the_new_firmware_forgets_is_given_back_and_told_by_the_journal() -> None:
    bench = a_bench(forgets=(GROUP, BINDING))
    async with bench.hub() as hub:
        update = await updated_by(hub)
        assert set(bench.lamp.set_to) == set(SET)
    assert update.state is State.SUCCEEDED
    assert update.behaviour == Behaviour(kept=1, restored=(GROUP.name, BINDING.name))
    (end,) = await bench.facts("version_matches")
    assert str(end.data["detail"]).endswith("; 1 setting kept; restored: group 1/0x0005, binding 1/0x0006 to group 0x0005")


@instantly
async def test_what_is_kept_is_neither_touched_nor_asked_more_often_than_before_and_after() -> None:
    bench = a_bench()
    async with bench.hub() as hub:
        update = await updated_by(hub)
    assert update.behaviour == Behaviour(kept=3)
    assert [each for each in bench.history if each[0] == "restored"] == []
    assert {each: bench.lamp.asked.count(each) for each in set(bench.lamp.asked)} == {GROUP.question: 2, BINDING.question: 2, ON.question: 3}


@instantly
async def test_what_cannot_be_given_back_is_told_as_lost_and_the_update_stands() -> None:
    bench = a_bench(forgets=(GROUP,), learns=False)
    async with bench.hub() as hub:
        update = await updated_by(hub)
    assert (update.state, update.behaviour) == (State.SUCCEEDED, Behaviour(kept=2, lost=(GROUP.name,)))


@instantly
async def test_what_is_not_answered_afterwards_is_not_compared_and_no_loss() -> None:
    bench = a_bench(forgets=(GROUP,))
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        update = (await hub.order()).update.id
        await hub.until_state(update, State.TRANSFERRING)
        bench.lamp.unanswered = (GROUP.question, ON.question)
        ended = await hub.until_ended(update)
    assert (ended.state, ended.behaviour) == (State.SUCCEEDED, Behaviour(kept=1, not_compared=(GROUP.name, OTHER_GROUP.name)))


@pytest.mark.parametrize(("care", "behaviour"), [("report", Behaviour(kept=2, lost=(GROUP.name,))), ("ignore", None)])
@instantly
async def test_an_operator_may_want_it_told_only_or_not_looked_at(care: str, behaviour: Behaviour | None) -> None:
    bench = a_bench(replace(NOW, behaviour=care), forgets=(GROUP,))  # type: ignore[arg-type]
    async with bench.hub() as hub:
        update = await updated_by(hub)
    assert (update.state, update.behaviour) == (State.SUCCEEDED, behaviour)
    assert [each for each in bench.history if each[0] == "restored"] == []
    assert bool(bench.lamp.asked) is (care == "report")


@instantly
async def test_a_lamp_is_switched_back_as_it_was_just_before_it_restarted_not_as_it_was_before_the_transfer() -> None:
    bench = a_bench(set_to=(ON,))
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        update = (await hub.order()).update.id
        await hub.until_state(update, State.TRANSFERRING)
        bench.lamp.set_to, bench.lamp.forgets = (OFF,), (OFF,)
        ended = await hub.until_ended(update)
    assert ended.behaviour == Behaviour(restored=(OFF.name,))
    assert bench.lamp.set_to == (OFF,)


@pytest.mark.parametrize(("answers_in", "behaviour"), [(2.0, Behaviour(restored=(OFF.name,))), (20.0, Behaviour())])
@instantly
async def test_a_lamp_gets_the_answer_to_its_upgrade_end_request_at_once_however_slowly_it_tells_what_is_on(
    answers_in: float, behaviour: Behaviour
) -> None:
    bench = a_bench(set_to=(ON,))
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        update = (await hub.order()).update.id
        await hub.until_state(update, State.TRANSFERRING)
        bench.lamp.set_to, bench.lamp.forgets, bench.lamp.answers_in = (OFF,), (OFF,), answers_in
        await hub.until_state(update, State.CONFIRMING, State.SUCCEEDED)
        bench.lamp.answers_in = 0.2
        ended = await hub.until_ended(update)
    assert bench.lamp.waited == 0
    assert (ended.state, ended.behaviour) == (State.SUCCEEDED, behaviour)


@instantly
async def test_a_lamp_that_answers_quickly_is_looked_at_in_the_moment_before_it_restarts() -> None:
    bench = a_bench(set_to=(ON,), seconds=0.1)
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        bench.lamp.forgets = (ON,)
        ended = await hub.until_ended((await hub.order()).update.id)
    assert (bench.lamp.waited, ended.behaviour) == (0, Behaviour(restored=(ON.name,)))


@instantly
async def test_a_lamp_that_does_not_tell_what_is_on_is_not_asked_again_at_every_sign_of_life() -> None:
    bench = a_bench(set_to=(ON,))
    asked: list[float] = []
    async with bench.hub() as hub:

        async def fail(device: DeviceId, questions: Collection[str] | None = None) -> Portrait:
            asked.append(hub.clock.monotonic())
            raise DeviceUnreachable(f"{device} does not answer")

        await hub.add_image(NEW)
        await hub.ready()
        update = (await hub.order()).update.id
        await hub.until_state(update, State.TRANSFERRING)
        hub.radio.portray = fail  # type: ignore[method-assign, assignment]
        while not hub.state(update).final:
            hub.intake.emit(DeviceSeen(device=LAMP))
            await asyncio.sleep(0.1)
            if bench.lamp.busy == "rebooting":
                break
        assert asked, "it was not looked at what is on"
        assert all(later - earlier >= 2.9 for earlier, later in pairwise(asked[:-1])), asked  # the last one is that of its Upgrade End Request
        assert len(asked) <= 4


@instantly
async def test_a_lamp_that_tells_its_version_minutes_after_its_return_is_left_as_it_is_switched() -> None:
    bench = a_bench(set_to=(ON, GROUP), boots="old")
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        update = (await hub.order()).update.id
        await hub.until_state(update, State.CONFIRMING)
        await hub.pass_time(seconds=90)
        bench.lamp.version, bench.lamp.set_to = NEW, ()
        ended = await hub.until_ended(update)
    assert ended.behaviour == Behaviour(restored=(GROUP.name,))
    assert bench.lamp.set_to == (GROUP,)


@pytest.mark.parametrize("kind", ["verified", "accepted", "activated", "returned"])
@instantly
async def test_a_hub_that_dies_meanwhile_still_knows_how_the_device_was_set(kind: str) -> None:
    bench = a_bench(forgets=(GROUP, ON))
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        hub.kill_when(kind)
        await hub.order()
        await hub.until_killed()
    async with bench.hub() as hub:
        (row,) = await bench.rows()
        await hub.until(lambda: bench.lamp.version == NEW)
        ended = await hub.until_ended(row.id)
        assert ended.behaviour is not None
        assert GROUP.name in ended.behaviour.restored
        assert ended.behaviour.lost == ()
        assert await bench.disk.portraits.get(row.id) is None


@instantly
async def test_a_sleeping_device_is_asked_when_its_transfer_begins_for_it_listens_then() -> None:
    bench = a_bench(sleepy=True, set_to=(GROUP, BINDING), forgets=(GROUP,))
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.until(lambda: hub.radio.up)
        hub.radio.wake(LAMP)
        await hub.ready()
        update = (await hub.order()).update.id
        await hub.until_state(update, State.OFFERING)
        assert bench.lamp.asked == []
        for _ in range(60):
            hub.radio.wake(LAMP)
            await hub.pass_time(minutes=1)
        ended = await hub.until_ended(update)
    assert ended.behaviour == Behaviour(kept=1, restored=(GROUP.name,))


@instantly
async def test_an_update_that_is_cancelled_while_its_sleeping_device_is_asked_ends_without_a_fault() -> None:
    bench = a_bench(sleepy=True)
    with capture_logs() as logs:
        async with bench.hub() as hub:
            await hub.add_image(NEW)
            await hub.until(lambda: hub.radio.up)
            hub.radio.wake(LAMP)
            await hub.ready()
            update = (await hub.order()).update.id
            await hub.until_state(update, State.OFFERING)
            hub.radio.wake(LAMP)
            while not bench.lamp.asked:
                await asyncio.sleep(0.05)
            await hub.desk.cancel(update, actor="test")
            ended = await hub.until_ended(update)
            await hub.pass_time(minutes=1)
    assert ended.state is State.CANCELLED
    assert [each for each in logs if each["event"] == "failed unexpectedly"] == []


@instantly
async def test_a_canary_whose_groups_cannot_be_given_back_pauses_its_rollout() -> None:
    bench = Bench(lamps=street(set_to=(GROUP, BINDING), forgets=(GROUP,), learns=False))
    async with bench.hub() as hub:
        stopped = await until(hub, await ordered(hub), RolloutState.PAUSED)
        await hub.pass_time(hours=4)
    assert updated(bench) == set(stopped.waves[0].wave.devices)
    assert "1 of 1 device of wave 1 failed" in stopped.rollout.sentence
