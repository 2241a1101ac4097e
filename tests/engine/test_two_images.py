"""A device with two processors gets the images of both as one job, whether it uses each by itself or wants both before it uses any."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from otagate.engine.views import OrderRequest, RolloutRequest, Selection
from otagate.model.errors import NotInState
from otagate.model.ids import zigbee_component_id, zigbee_device_id
from otagate.model.lifecycle import State
from otagate.model.orders import Activate, Serve
from otagate.model.rollouts import RolloutState, WavePlan
from otagate.model.updates import Update
from tests.engine.bench import Bench, Hub
from tests.engine.radio import IMAGE_TYPE, LAMP, MAIN, NEW, NEWER, OLD, Lamp
from tests.virtual_time import instantly

OTHER_TYPE = IMAGE_TYPE - 1
OTHER = zigbee_component_id(OTHER_TYPE)
BOTH = {IMAGE_TYPE: NEW, OTHER_TYPE: NEW}


def two(*, wants_all: bool = False, mode: Any = "ask", **traits: Any) -> Bench:
    return Bench(lamps={LAMP: Lamp(others={OTHER_TYPE: OLD}, wants_all=wants_all, **traits)}, mode=mode)


@asynccontextmanager
async def hub_of(bench: Bench, *, known: bool = True) -> AsyncIterator[Hub]:
    """A hub that has both images; `known`: the device has asked for the second, too."""
    async with bench.hub() as hub:
        await hub.until(lambda: hub.radio.up)
        for lamp in bench.lamps.values():
            hub.radio.wake(lamp.id)
        await hub.ready()
        if known:
            for lamp in bench.lamps.values():
                hub.radio.ask(lamp.id, OLD, OTHER_TYPE)
            await hub.until(lambda: all(len(each.components) == 2 for each in hub.registry.devices()))
        await hub.add_image(NEW)
        await hub.add_image(NEW, image_type=OTHER_TYPE)
        yield hub


def shown(rows: list[Update]) -> list[tuple[Any, ...]]:
    return [(row.component, row.step, row.steps, str(row.state)) for row in rows]


def begun(hub: Hub) -> list[str]:
    """The components whose updates were let on the air, in that order."""
    return [str(fact.data["component"]) for fact in hub.told if fact.kind == "admitted"]


DONE = [(MAIN, 1, 2, "succeeded"), (OTHER, 2, 2, "succeeded")]


# --- each processor uses its image by itself --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known_first", [IMAGE_TYPE, OTHER_TYPE])
@instantly
async def test_one_press_is_one_job_that_begins_with_the_processor_that_speaks_for_the_device(known_first: int) -> None:
    bench = two()
    async with hub_of(bench) as hub:
        hub.radio.ask(LAMP, OLD, known_first)
        planned = await hub.orders(dry_run=True)
        one, other = await hub.orders()
        assert shown(planned) == shown([one, other]) == [(MAIN, 1, 2, "queued"), (OTHER, 2, 2, "queued")]
        assert one.job == other.job == one.id
        await hub.until_state(one.id, State.TRANSFERRING)
        assert (await hub.desk.update(other.id)).sentence == "Step 2 of 2 waits for the step before it."
        await hub.until_ended(other.id)
    assert shown(await bench.rows()) == DONE
    assert bench.lamp.versions == BOTH
    assert bench.lamp.ran_together == [{IMAGE_TYPE: NEW}, {OTHER_TYPE: NEW}]


async def halted(hub: Hub) -> None:
    """Both processors and both images are known, and nothing begins."""
    await hub.desk.halt(actor="anna")
    await hub.ready()
    hub.radio.ask(LAMP, OLD, OTHER_TYPE)
    await hub.until(lambda: len(hub.registry.device(LAMP).components) == 2)
    await hub.add_image(NEW)
    await hub.add_image(NEW, image_type=OTHER_TYPE)
    await hub.pass_time(minutes=1)


async def standing(bench: Bench) -> list[Update]:
    """The updates that nothing took the place of."""
    return [each for each in await bench.rows() if each.state is not State.SUPERSEDED]


@instantly
async def test_policy_alone_makes_one_job_of_both_and_makes_it_anew_as_a_whole() -> None:
    bench = two(mode="automatic")
    async with bench.hub() as hub:
        await halted(hub)
        await hub.add_image(NEWER)
        await hub.add_image(NEWER, image_type=OTHER_TYPE)
        await hub.pass_time(minutes=1)
        await hub.add_image(NEWER + 1)  # for one of them only
        await hub.pass_time(minutes=1)
        made = await standing(bench)
        assert shown(made) == [(MAIN, 1, 2, "queued"), (OTHER, 2, 2, "queued")]
        assert {each.job for each in made} == {made[0].id}
        await hub.desk.lift_halt(actor="anna")
        await hub.until(lambda: bench.lamp.versions == {IMAGE_TYPE: NEWER + 1, OTHER_TYPE: NEWER})
        await hub.pass_time(minutes=5)
    assert shown(await standing(bench)) == DONE


@instantly
async def test_one_approval_lets_both_go() -> None:
    bench = two()
    bench.settings = replace(bench.settings, approval_expires=timedelta(days=3))
    async with hub_of(bench) as hub:
        await hub.add_image(NEWER)
        await hub.add_image(NEWER, image_type=OTHER_TYPE)
        await hub.pass_time(minutes=1)
        one, other = await standing(bench)
        assert (one.state, other.state, other.job) == (State.PLANNED, State.PLANNED, one.id)
        await hub.desk.approve(one.id, actor="anna")
        await hub.until(lambda: bench.lamp.versions == {IMAGE_TYPE: NEWER, OTHER_TYPE: NEWER})


@instantly
async def test_a_failure_of_the_second_is_told_and_a_retry_takes_the_rest() -> None:
    bench = two(rejects=(OTHER_TYPE,))
    async with hub_of(bench) as hub:
        one, other = await hub.orders()
        failed = await hub.until_ended(other.id)
        assert (hub.state(one.id), failed.state) == (State.SUCCEEDED, State.FAILED)
        assert (await hub.desk.device(LAMP)).update_status == "failed"
        assert bench.lamp.versions == {IMAGE_TYPE: NEW, OTHER_TYPE: OLD}
        bench.lamp.rejects = ()
        again = (await hub.desk.retry(other.id, actor="anna")).update
        assert (again.component, again.job) == (OTHER, None)
        await hub.until_ended(again.id)
    assert bench.lamp.versions == BOTH


@pytest.mark.parametrize("mode", ["automatic", "ask"])
@pytest.mark.parametrize("tried", [0, 1])
@instantly
async def test_a_failure_of_the_first_ends_the_job_there_and_a_retry_of_either_takes_both(mode: str, tried: int) -> None:
    bench = two(rejects=(IMAGE_TYPE,), mode=mode)
    async with bench.hub() as hub:
        await halted(hub)
        one, other = await standing(bench) if mode == "automatic" else await hub.orders()
        await hub.desk.lift_halt(actor="anna")
        not_begun = await hub.until_ended(other.id)
        assert not_begun.error is not None
        assert (not_begun.error.code, not_begun.started) == ("predecessor-failed", None)
        await hub.desk.check(LAMP, actor="anna")  # policy decides anew
        await hub.pass_time(hours=1)
        assert bench.lamp.versions == {IMAGE_TYPE: OLD, OTHER_TYPE: OLD}  # and does not take the half of it
        bench.lamp.rejects = ()
        again = (await hub.desk.retry((one.id, other.id)[tried], actor="anna")).update
        assert (again.component, again.step, again.steps) == ((MAIN, OTHER)[tried], tried + 1, 2)
        await hub.until(lambda: bench.lamp.versions == BOTH)
    assert bench.lamp.ran_together == [{IMAGE_TYPE: NEW}, {OTHER_TYPE: NEW}]


@instantly
async def test_the_second_waits_while_the_first_is_to_be_tried_again() -> None:
    bench = two(goes="stalls")
    async with hub_of(bench) as hub:
        one, other = await hub.orders()
        for _ in range(2):
            await hub.until_state(one.id, State.TRANSFERRING)
            await hub.until_state(one.id, State.QUEUED)
            await hub.pass_time(seconds=15)
            assert (hub.waits_for(one.id), hub.waits_for(other.id)) == ("backoff", "predecessor")
        bench.lamp.goes = "well"
        await hub.until_ended(other.id)
    assert shown(await bench.rows()) == DONE


@instantly
async def test_a_job_that_has_begun_stays_as_it_is_when_there_is_something_for_a_third() -> None:
    third = IMAGE_TYPE + 1
    bench = Bench(lamps={LAMP: Lamp(others={OTHER_TYPE: OLD, third: OLD})}, mode="automatic")
    async with bench.hub() as hub:
        await halted(hub)
        hub.radio.ask(LAMP, OLD, third)
        one, other = await standing(bench)
        known = len(hub.states)
        await hub.desk.lift_halt(actor="anna")
        await hub.until_state(one.id, State.TRANSFERRING)
        await hub.add_image(NEW, image_type=third)
        await hub.until(lambda: len(hub.states) > known)
        assert hub.state(one.id) is State.TRANSFERRING
        await hub.until(lambda: bench.lamp.others[third] == NEW)
        await hub.pass_time(minutes=5)
        assert (hub.state(other.id), bench.lamp.others[OTHER_TYPE]) == (State.SUCCEEDED, NEW)


@instantly
async def test_the_second_begins_when_the_device_has_lived_with_the_first() -> None:
    bench = two()
    bench.settings = replace(bench.settings, alive_for=timedelta(minutes=5))
    async with hub_of(bench) as hub:
        one, other = await hub.orders()
        await hub.until_ended(other.id)
    rows = await bench.rows()
    assert shown(rows) == DONE
    first, second = [fact for fact in await bench.facts("returned") if fact.subject_id in (one.id, other.id)]
    (admitted,) = [fact for fact in await bench.facts("admitted") if fact.subject_id == other.id]
    assert admitted.at - first.at >= timedelta(minutes=5)
    assert (rows[1].finished or first.at) - second.at >= timedelta(minutes=5)


@instantly
async def test_what_is_cancelled_takes_with_it_what_has_not_begun() -> None:
    bench = two()
    async with hub_of(bench) as hub:
        one, other = await hub.orders()
        await hub.until_state(one.id, State.TRANSFERRING)
        await hub.desk.cancel(one.id, actor="anna")
        assert (await hub.until_ended(other.id)).state is State.CANCELLED
        await hub.pass_time(hours=1)
    assert bench.lamp.versions == {IMAGE_TYPE: OLD, OTHER_TYPE: OLD}


@instantly
async def test_the_second_begins_only_where_the_facts_of_its_own_moment_allow_it() -> None:
    bench = two(sleepy=True)
    async with hub_of(bench) as hub:
        one, other = await hub.orders()
        await hub.until_state(one.id, State.TRANSFERRING, within=86_400.0)
        bench.lamp.battery = 10
        await hub.until_ended(one.id)
        await hub.desk.check(LAMP, actor="anna")
        hub.radio.wake(LAMP)
        await hub.pass_time(minutes=2)
        assert (hub.state(other.id), hub.waits_for(other.id)) == (State.QUEUED, "battery_low")


# --- both images before either is used --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", [True, False])
@instantly
async def test_a_device_that_wants_both_first_gets_the_second_in_the_same_job_by_the_one_press(known: bool) -> None:
    bench = two(wants_all=True)
    async with hub_of(bench, known=known) as hub:
        one, *rest = await hub.orders()
        assert len(rest) == known
        staged = await hub.until_state(one.id, State.STAGED)
        assert staged.wants_more
        assert (await hub.desk.update(one.id)).sentence == "The device holds the image and wants another one before it uses them."
        await hub.until(lambda: len(begun(hub)) == 2)
        assert bench.lamp.versions == {IMAGE_TYPE: OLD, OTHER_TYPE: OLD}
        await hub.until_ended(one.id)
    assert shown(await bench.rows()) == DONE
    assert {(each.job, each.actor) for each in await bench.rows()} == {(one.id, "test")}
    assert bench.lamp.ran_together == [BOTH]
    assert "activated" in hub.kinds(one.id)


@instantly
async def test_policy_alone_brings_a_device_that_wants_both_first_up_to_date_as_one_job() -> None:
    bench = two(wants_all=True, mode="automatic")
    async with hub_of(bench, known=False) as hub:
        await hub.until(lambda: len(begun(hub)) == 2 and all(state.final for state in hub.states.values()))
    assert shown(await bench.rows()) == DONE
    assert bench.lamp.ran_together == [BOTH]


@instantly
async def test_chains_of_both_go_step_by_step_side_by_side() -> None:
    bench = two(wants_all=True)
    async with hub_of(bench) as hub:
        made = await hub.orders()
        await hub.until_ended(made[-1].id)
        await hub.add_image(NEWER)
        await hub.add_image(NEWER, image_type=OTHER_TYPE)
        await hub.orders()
        await hub.until(lambda: bench.lamp.versions == {IMAGE_TYPE: NEWER, OTHER_TYPE: NEWER})
    assert bench.lamp.ran_together == [BOTH, {IMAGE_TYPE: NEWER, OTHER_TYPE: NEWER}]


@instantly
async def test_a_word_for_both_is_given_to_the_last_alone() -> None:
    bench = two(wants_all=True)
    async with hub_of(bench, known=False) as hub:
        (one,) = await hub.orders(activate="held")
        await hub.until(lambda: len(hub.states) == 2)
        other = next(each for each in await bench.rows() if each.component == OTHER)
        assert other.hold_activation
        await hub.until_state(other.id, State.STAGED)
        await hub.pass_time(hours=1)
        assert (hub.state(one.id), bench.lamp.ran_together) == (State.STAGED, [])
        await hub.desk.activate(one.id, actor="anna")
        await hub.pass_time(minutes=5)
        assert bench.lamp.ran_together == []  # the device could not use the first without the second
        await hub.desk.activate(other.id, actor="anna")
        await hub.until(lambda: all(state is State.SUCCEEDED for state in hub.states.values()))
        assert [each.update for each in hub.radio.orders if isinstance(each, Activate)] == [other.id]
    assert bench.lamp.ran_together == [BOTH]


@instantly
async def test_an_image_that_waits_for_another_one_cannot_be_told_to_be_used() -> None:
    bench = two(wants_all=True, rejects=(OTHER_TYPE,))
    async with hub_of(bench, known=False) as hub:
        (one,) = await hub.orders()
        await hub.until(lambda: State.FAILED in hub.states.values())
        with pytest.raises(NotInState, match="wants another image before"):
            await hub.desk.activate(one.id, actor="anna")


@instantly
async def test_where_the_second_fails_the_first_stays_on_the_device_and_a_retry_joins_it_again() -> None:
    bench = two(wants_all=True, rejects=(OTHER_TYPE,))
    async with hub_of(bench, known=False) as hub:
        (one,) = await hub.orders()
        await hub.until(lambda: State.FAILED in hub.states.values())
        await hub.pass_time(hours=3)  # and nobody tries it again and again
        first, failed = await bench.rows()
        assert shown([first, failed]) == [(MAIN, 1, 2, "staged"), (OTHER, 2, 2, "failed")]
        assert bench.lamp.versions == {IMAGE_TYPE: OLD, OTHER_TYPE: OLD}
        bench.lamp.rejects = ()
        again = (await hub.desk.retry(failed.id, actor="bert")).update
        assert (again.job, again.step, again.steps) == (one.id, 2, 2)
        await hub.until_ended(again.id)
        await hub.until_ended(one.id)
    assert bench.lamp.ran_together == [BOTH]


@pytest.mark.parametrize(("force", "joined"), [(False, 0), (True, 1)])
@instantly
async def test_what_a_device_took_in_vain_again_and_again_joins_no_job_unless_that_is_forced(force: bool, joined: int) -> None:
    bench = two(boots="old")
    async with hub_of(bench) as hub:
        for _ in range(2):
            (vain,) = await hub.orders(component=OTHER)
            assert (await hub.until_ended(vain.id)).state is State.FAILED
        bench.lamp.boots, bench.lamp.wants_all = "new", True
        (one,) = await hub.orders(component=MAIN, force=force)
        await hub.until_state(one.id, State.STAGED)
        await hub.pass_time(minutes=1)
        assert len(await bench.rows()) == 3 + joined


@instantly
async def test_an_image_that_waits_on_the_device_takes_with_it_what_it_would_be_used_with() -> None:
    bench = two(wants_all=True)
    async with hub_of(bench, known=False) as hub:
        (one,) = await hub.orders()
        await hub.until(lambda: len(begun(hub)) == 2)
        other = next(each for each in await bench.rows() if each.component == OTHER)
        await hub.until_state(other.id, State.TRANSFERRING)
        await hub.desk.cancel(one.id, actor="anna")
        await hub.pass_time(hours=1)
        assert [hub.state(each) for each in (one.id, other.id)] == [State.CANCELLED] * 2
    assert bench.lamp.ran_together == []


@pytest.mark.parametrize("kind", ["admitted", "transferred", "job_grew", "created", "activated", "returned", "version_matches"])
@pytest.mark.parametrize("known", [True, False])
@instantly
async def test_a_kill_between_the_two_loses_nothing(kind: str, known: bool) -> None:
    bench = two(wants_all=True)
    async with hub_of(bench, known=known) as hub:
        (one, *_) = await hub.orders()
        await hub.until_state(one.id, State.OFFERING, State.TRANSFERRING)
        if kind in ("job_grew", "created") and known:
            kind = "transferred"
        hub.kill_when(kind)
        await hub.until_killed()
    async with bench.hub() as hub:
        await hub.until(lambda: bench.lamp.versions == BOTH)
        await hub.pass_time(hours=1)
    assert shown(await bench.rows()) == DONE
    assert bench.lamp.ran_together == [BOTH]


@instantly
async def test_a_device_counts_once_on_the_air() -> None:
    """Its second waits without a slot while it holds the first, so as many devices as there are slots begin."""
    ids = [zigbee_device_id(0x000D_6F00_0A90_7000 + n) for n in range(3)]
    bench = Bench(lamps={each: Lamp(id=each, others={OTHER_TYPE: OLD}, wants_all=True) for each in ids}, parallel=2)
    most: list[int] = []
    async with hub_of(bench) as hub:
        await hub.desk.order(OrderRequest(devices=tuple(ids)), actor="anna")

        def over() -> bool:
            air = [each.update for each in hub.conductor.courses() if each.update.state in (State.OFFERING, State.TRANSFERRING)]
            most.append(len(air))
            assert len({each.device for each in air}) == len(air)
            return len(hub.states) == 6 and all(state.final for state in hub.states.values())

        await hub.until(over)
    assert max(most) == 2
    assert all(lamp.ran_together == [BOTH] for lamp in bench.lamps.values())


@instantly
async def test_a_session_is_never_served_both_at_once() -> None:
    bench = two()
    async with hub_of(bench) as hub:
        one, other = await hub.orders()
        await hub.until_ended(other.id)
        served = [each.update for each in hub.radio.orders if isinstance(each, Serve) and each.adopted is None]
    assert served == [one.id, other.id]


# --- rollouts ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wants_all", [False, True])
@instantly
async def test_a_rollout_counts_a_device_once_and_a_canary_with_half_of_its_images_has_failed(wants_all: bool) -> None:
    ids = [zigbee_device_id(0x000D_6F00_0A90_7000 + n) for n in range(4)]
    lamps = {each: Lamp(id=each, others={OTHER_TYPE: OLD}, wants_all=wants_all, rejects=(OTHER_TYPE,)) for each in ids}
    bench = Bench(lamps=lamps)
    async with hub_of(bench, known=not wants_all) as hub:
        plans = (WavePlan(share=0.25, success=1.0, error=0.0), WavePlan(share=0.75, success=1.0, error=0.0))
        made = await hub.desk.order_rollout(RolloutRequest(name="spring", select=Selection(), waves=plans), actor="anna")
        rollout = made.rollout.rollout.id
        await hub.until(lambda: hub.desk.rollout(rollout).rollout.state is RolloutState.PAUSED)
        waves = hub.desk.rollout(rollout).waves
    assert [(each.tally.total, each.tally.failed) for each in waves] == [(1, 1), (3, 0)]
    assert sum(bool(lamp.ran_together or lamp.staged) for lamp in bench.lamps.values()) == 1
