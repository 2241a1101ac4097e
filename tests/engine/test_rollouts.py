"""Rollouts: waves that open one after another, and none behind one that failed."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from otagate.engine.patches import DevicePatch
from otagate.engine.views import RolloutRequest, RolloutView
from otagate.model.errors import NotInState, Refused, StoreUnavailable, UnknownRollout
from otagate.model.ids import DeviceId, zigbee_device_id
from otagate.model.lifecycle import State
from otagate.model.rollouts import RolloutId, RolloutState, Selection, WavePlan
from tests.engine.bench import DAY, Bench, Hub
from tests.engine.radio import NEW, Lamp
from tests.virtual_time import instantly

SOAK = timedelta(hours=1)
WAVES = (WavePlan(share=0.1, success=1.0, error=0.0, soak=SOAK), WavePlan(share=0.4, success=0.75, error=0.25, soak=SOAK))


def street(count: int = 10, **ways: Any) -> dict[DeviceId, Lamp]:
    lamps = [Lamp(id=zigbee_device_id(0x5000 + n), seconds=30.0, **ways) for n in range(count)]
    return {each.id: each for each in lamps}


async def ordered(hub: Hub, **changes: Any) -> RolloutView:
    await hub.add_image(NEW)
    await hub.ready()
    request = RolloutRequest(name="lamps", select=Selection(), **{"waves": WAVES} | changes)
    result = await hub.desk.order_rollout(request, actor="anna")
    return result.rollout


async def until(hub: Hub, rollout: RolloutView, state: RolloutState) -> RolloutView:
    await hub.until(lambda: hub.desk.rollout(rollout.rollout.id).rollout.state is state, within=10 * DAY)
    return hub.desk.rollout(rollout.rollout.id)


def sizes(view: RolloutView) -> list[int]:
    return [len(each.wave.devices) for each in view.waves]


def updated(bench: Bench) -> set[DeviceId]:
    return {each.id for each in bench.lamps.values() if each.version == NEW}


@instantly
async def test_waves_open_one_after_another_each_after_the_soak_of_the_one_before() -> None:
    bench = Bench(lamps=street())
    async with bench.hub() as hub:
        view = await ordered(hub)
        assert sizes(view) == [1, 4, 5]
        await hub.pass_time(minutes=50)
        assert updated(bench) == set(view.waves[0].wave.devices)
        await hub.pass_time(minutes=40)
        assert updated(bench) == {device for each in view.waves[:2] for device in each.wave.devices}
        done = await until(hub, view, RolloutState.FINISHED)
    assert [(each.state, each.tally.succeeded) for each in done.waves] == [("finished", 1), ("finished", 4), ("finished", 5)]
    assert updated(bench) == set(bench.lamps)
    kinds = [fact.kind for fact in await bench.facts() if fact.subject == "rollout"]
    assert kinds == ["created", "opened", "proved", "opened", "proved", "opened", "proved", "finished"]


@instantly
async def test_a_canary_that_comes_back_with_its_old_version_stops_the_rollout_at_one_device() -> None:
    bench = Bench(lamps=street(boots="old"), retries=0)
    async with bench.hub() as hub:
        stopped = await until(hub, await ordered(hub), RolloutState.PAUSED)
        await hub.pass_time(hours=4)
        touched = {each.id for each in bench.lamps.values() if each.downloads}
        waiting = [hub.waits_for(each.id) for each in await bench.rows() if not each.ended]
    assert touched == set(stopped.waves[0].wave.devices)
    assert stopped.waves[0].state == "error"
    assert "1 of 1 device of wave 1 failed" in stopped.rollout.sentence
    assert waiting == ["wave"] * 9


@instantly
async def test_an_operator_who_has_seen_the_failure_lets_the_rollout_go_on() -> None:
    bench = Bench(lamps=street(), retries=0)
    async with bench.hub() as hub:
        view = await ordered(hub, waves=(WavePlan(share=0.1, error=0.0, soak=SOAK),))
        canary = bench.lamps[view.waves[0].wave.devices[0]]
        canary.boots = "old"
        await until(hub, view, RolloutState.PAUSED)
        resumed = await hub.desk.resume_rollout(view.rollout.id, actor="berta")
        assert resumed.rollout.state is RolloutState.RUNNING
        done = await until(hub, view, RolloutState.FINISHED)
    assert [each.tally.failed for each in done.waves] == [1, 0]
    assert updated(bench) == set(bench.lamps) - {canary.id}


@instantly
async def test_a_failure_that_is_tried_again_with_success_is_none() -> None:
    bench = Bench(lamps=street(4), retries=0)
    async with bench.hub() as hub:
        view = await ordered(hub)
        canary = bench.lamps[view.waves[0].wave.devices[0]]
        canary.boots = "old"
        await until(hub, view, RolloutState.PAUSED)
        canary.boots = "new"
        failed = next(each for each in await bench.rows() if each.device == canary.id)
        again = await hub.desk.retry(failed.id, actor="berta")
        assert (again.update.rollout, again.update.wave) == (view.rollout.id, 0)
        await hub.pass_time(minutes=1)
        assert hub.waits_for(again.update.id) == "paused"
        await hub.desk.resume_rollout(view.rollout.id, actor="berta")
        done = await until(hub, view, RolloutState.FINISHED)
    assert sum(each.tally.failed for each in done.waves) == 0
    assert updated(bench) == set(bench.lamps)


@instantly
async def test_behind_a_manual_gate_the_next_wave_waits_for_its_approval() -> None:
    bench = Bench(lamps=street(4))
    async with bench.hub() as hub:
        view = await ordered(hub, waves=(WavePlan(share=0.25, soak=timedelta(0), gate="manual"),))
        asking = await until(hub, view, RolloutState.WAITING_FOR_APPROVAL)
        assert "wave 2 waits for an operator's approval" in asking.rollout.sentence
        await hub.pass_time(hours=4)
        assert len(updated(bench)) == 1
        await hub.desk.approve_rollout(view.rollout.id, actor="berta")
        await until(hub, view, RolloutState.FINISHED)
    approved = [fact.actor for fact in await bench.facts("approved")]
    assert (approved, len(updated(bench))) == (["berta"], 4)


@instantly
async def test_a_halt_stops_the_next_block_and_not_only_the_next_wave() -> None:
    bench = Bench(lamps=street(2, asks=True))
    for lamp in bench.lamps.values():
        lamp.seconds = 900.0
    async with bench.hub() as hub:
        view = await ordered(hub, waves=(WavePlan(share=1.0),))
        lamps = list(bench.lamps.values())
        await hub.until(lambda: all(each.offset >= 0.3 for each in lamps))
        halted = await hub.desk.halt_rollout(view.rollout.id, actor="anna")
        assert halted.rollout.state is RolloutState.HALTED
        await hub.pass_time(minutes=2)
        offsets = [each.offset for each in lamps]
        await hub.pass_time(hours=4)
        assert [each.offset for each in lamps] == offsets
        assert {(await hub.desk.update(each.id)).update.reason for each in await bench.rows()} == {"halted"}
        await hub.desk.resume_rollout(view.rollout.id, actor="anna")
        await until(hub, view, RolloutState.FINISHED)
    assert updated(bench) == set(bench.lamps)
    assert [each.downloads for each in lamps] == [1, 1]


@instantly
async def test_a_paused_rollout_begins_nothing_and_lets_what_is_on_the_air_finish() -> None:
    bench = Bench(lamps=street(4), parallel=1)
    async with bench.hub() as hub:
        view = await ordered(hub, waves=(WavePlan(share=1.0),))
        await hub.until(lambda: any(each.offset > 0.2 for each in bench.lamps.values()))
        await hub.desk.pause_rollout(view.rollout.id, actor="anna")
        await hub.pass_time(hours=4)
        assert len(updated(bench)) == 1
        assert {hub.waits_for(each.id) for each in await bench.rows() if not each.ended} == {"paused"}
        await hub.desk.resume_rollout(view.rollout.id, actor="anna")
        await until(hub, view, RolloutState.FINISHED)
    assert updated(bench) == set(bench.lamps)


@instantly
async def test_a_cancelled_rollout_cancels_what_has_not_ended_and_stays_so() -> None:
    bench = Bench(lamps=street())
    async with bench.hub() as hub:
        view = await ordered(hub)
        await hub.until(lambda: len(updated(bench)) == 1)
        await hub.desk.cancel_rollout(view.rollout.id, actor="anna")
        await hub.until(lambda: all(each.wave.result is not None for each in hub.desk.rollout(view.rollout.id).waves))
        rows = await bench.rows()
        with pytest.raises(NotInState, match="is stopped"):
            await hub.desk.resume_rollout(view.rollout.id, actor="anna")
    assert sorted(each.state for each in rows).count(State.CANCELLED) == 9
    async with bench.hub() as hub:
        stopped = hub.desk.rollout(view.rollout.id)
        assert stopped.rollout.state is RolloutState.STOPPED
        assert [(each.tally.succeeded, each.tally.excused) for each in stopped.waves] == [(1, 0), (0, 4), (0, 5)]


@instantly
@pytest.mark.parametrize("kind", ["created", "opened", "proved", "admitted", "transferred", "version_matches", "finished"])
async def test_a_hub_that_is_killed_at_any_commit_of_a_rollout_goes_on_with_it(kind: str) -> None:
    bench = Bench(lamps=street(5))
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        hub.kill_when(kind)
        request = RolloutRequest(name="lamps", select=Selection(), waves=WAVES)
        with suppress(StoreUnavailable):  # who asked may hear of it still
            await hub.desk.order_rollout(request, actor="anna")
        await hub.until_killed(within=10 * DAY)
    bench.full = False
    async with bench.hub() as hub:
        hub.store.full = False
        (found,) = hub.desk.rollouts()
        done = await until(hub, found, RolloutState.FINISHED)
    assert sum(each.tally.succeeded for each in done.waves) == 5
    assert len(await bench.rows()) == 5
    assert [each.downloads for each in bench.lamps.values()] == [1] * 5


@instantly
async def test_a_restart_in_a_soak_keeps_the_time_that_has_passed() -> None:
    bench = Bench(lamps=street())
    async with bench.hub() as hub:
        view = await ordered(hub)
        await hub.until(lambda: hub.desk.rollout(view.rollout.id).waves[0].wave.proved is not None)
        proved = hub.desk.rollout(view.rollout.id).waves[0].wave.proved
    async with bench.hub() as hub:
        await hub.until(lambda: hub.desk.rollout(view.rollout.id).rollout.opened == 2, within=DAY)
        opened = hub.desk.rollout(view.rollout.id).waves[1].wave.opened
    assert proved is not None
    assert opened is not None
    assert SOAK <= opened - proved <= SOAK + timedelta(minutes=2)


# --- orders ---------------------------------------------------------------------------------------------------------------------------------


@instantly
async def test_a_plan_of_a_rollout_changes_nothing() -> None:
    bench = Bench(lamps=street())
    async with bench.hub() as hub:
        view = await ordered(hub, dry_run=True)
        assert sizes(view) == [1, 4, 5]
        assert hub.desk.rollouts() == []
    assert await bench.rows() == []
    assert not [fact for fact in await bench.facts() if fact.subject == "rollout"]


@instantly
async def test_a_rollout_is_for_those_whom_every_given_key_fits_and_names_the_others() -> None:
    bench = Bench(lamps=street(6))
    ids = list(bench.lamps)
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        for device in ids[:3]:
            await hub.desk.amend(device, DevicePatch(groups=("hall",)), actor="test")
        select = Selection(model="Lamp*", group="hall", radio="zigbee0", devices=(*ids[1:5], DeviceId("zigbee-00000000000000ff")))
        result = await hub.desk.order_rollout(RolloutRequest(name="hall", select=select, dry_run=True), actor="anna")
    assert {device for each in result.rollout.waves for device in each.wave.devices} == set(ids[1:3])
    assert [(each.device, each.error.code) for each in result.refused] == [("zigbee-00000000000000ff", "unknown-device")]


@instantly
async def test_a_rollout_with_nothing_to_do_or_under_a_name_that_is_taken_is_refused() -> None:
    bench = Bench(lamps=street(2))
    async with bench.hub() as hub:
        await hub.ready()
        with pytest.raises(Refused) as empty:
            await hub.desk.order_rollout(RolloutRequest(name="lamps", select=Selection()), actor="anna")
        await ordered(hub)
        with pytest.raises(Refused) as taken:
            await hub.desk.order_rollout(RolloutRequest(name="lamps", select=Selection()), actor="anna")
        with pytest.raises(UnknownRollout):
            hub.desk.rollout(RolloutId("r9"))
    assert (empty.value.code, taken.value.code) == ("nothing-to-do", "rollout-exists")


@instantly
async def test_a_device_that_has_an_update_already_is_left_out_and_named() -> None:
    bench = Bench(lamps=street(3))
    busy = next(iter(bench.lamps))
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        await hub.order(busy, when=hub.clock.now() + timedelta(days=1))
        result = await hub.desk.order_rollout(RolloutRequest(name="lamps", select=Selection()), actor="anna")
    assert sum(sizes(result.rollout)) == 2
    assert [(each.device, each.error.code) for each in result.refused] == [(busy, "already-updating")]


@instantly
async def test_a_rollout_that_the_full_disk_did_not_take_does_not_exist_and_can_be_ordered_again() -> None:
    bench = Bench(lamps=street(5))
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        hub.store.full = True
        request = RolloutRequest(name="lamps", select=Selection(), waves=WAVES)
        with pytest.raises(StoreUnavailable):
            await hub.desk.order_rollout(request, actor="anna")
        assert hub.desk.rollouts() == []
        hub.store.full = False
        await hub.pass_time(minutes=5)
        assert hub.desk.rollouts() == []
        done = await until(hub, (await hub.desk.order_rollout(request, actor="anna")).rollout, RolloutState.FINISHED)
    assert sum(each.tally.succeeded for each in done.waves) == 5
    assert [each.id for each in await bench.disk.rollouts.all()] == [done.rollout.id]


@instantly
async def test_a_look_at_the_rollouts_that_fails_in_a_way_nobody_foresaw_is_made_again() -> None:
    bench = Bench(lamps=street(3))
    async with bench.hub() as hub:
        tallies = hub.rollout_book.tallies

        def fail(_: object) -> Any:
            raise ValueError("a bug")

        view = await ordered(hub)
        with capture_logs():  # to write all of them for people takes long
            hub.rollout_book.tallies = fail  # type: ignore[method-assign]
            await hub.pass_time(minutes=3)
            hub.rollout_book.tallies = tallies  # type: ignore[method-assign]
        await until(hub, view, RolloutState.FINISHED)
    assert len(updated(bench)) == 3
