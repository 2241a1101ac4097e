"""Who may run, who waits and for what, and what operators may ask of a running update."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from otagate.model.errors import NotCancellable, NotInState, StoreUnavailable, UnknownUpdate
from otagate.model.ids import UpdateId, zigbee_device_id
from otagate.model.lifecycle import Cause, State
from otagate.model.updates import Update
from tests.engine.bench import DAY, Bench, Hub, an_order
from tests.engine.radio import LAMP, NEW, NEWER, OLD, Lamp, orders_of
from tests.engine.test_delivery import a_held_update
from tests.virtual_time import instantly

CANCELLABLE = [State.QUEUED, State.FETCHING, State.OFFERING, State.TRANSFERRING, State.STAGED]
TOO_LATE = [State.ACTIVATING, State.CONFIRMING]


async def brought_to(hub: Hub, state: State) -> Update:
    """An update that stays in a state."""
    lamp = hub.bench.lamp
    if state is State.STAGED:
        return await a_held_update(hub)
    lamp.asks, lamp.boots, lamp.seconds = state is not State.OFFERING, "never", 900.0 if state is State.TRANSFERRING else 10.0
    if state is State.FETCHING:
        return await _fetching(hub)
    update = await an_order(hub, when=hub.clock.now() + timedelta(days=1) if state is State.QUEUED else "now")
    if state is State.CONFIRMING:
        await hub.until_state(update.id, State.ACTIVATING)
        hub.radio.announce(LAMP)
    return await hub.until_state(update.id, state)


async def _fetching(hub: Hub) -> Update:
    sha256 = await hub.add_image(NEW)
    await hub.ready()
    hub.bench.cache.broken[sha256] = StoreUnavailable("input/output error")
    return await hub.until_state((await hub.order()).update.id, State.FETCHING)


# --- cancel -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", CANCELLABLE)
@instantly
async def test_an_update_is_cancelled_wherever_the_device_has_not_been_told_to_use_the_image(state: State) -> None:
    bench = Bench()
    async with bench.hub() as hub:
        update = await brought_to(hub, state)
        view = await hub.desk.cancel(update.id, actor="anna")
        assert view.update.state is State.CANCELLED
        await hub.pass_time(minutes=1)
        assert hub.conductor.course(update.id) is None
        assert "Withdraw" in orders_of(hub.radio, update.id) or state is State.FETCHING
        bench.cache.broken.clear()
        again = await hub.order()  # nothing of it is in the way
        assert (await hub.store.updates.get(again.update.id)).state is not State.FAILED
    assert [fact.actor for fact in await bench.facts("cancelled")] == ["anna"]
    assert bench.lamp.version == OLD


@pytest.mark.parametrize("state", TOO_LATE)
@instantly
async def test_a_cancel_that_comes_too_late_is_refused_and_changes_nothing(state: State) -> None:
    bench = Bench()
    async with bench.hub() as hub:
        update = await brought_to(hub, state)
        before = await bench.rows()
        with pytest.raises(NotCancellable):
            await hub.desk.cancel(update.id, actor="test")
        assert await bench.rows() == before


@instantly
async def test_what_has_ended_cannot_be_cancelled_and_what_never_was_is_unknown() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        update = await hub.until_ended((await an_order(hub)).id)
        with pytest.raises(NotInState):
            await hub.desk.cancel(update.id, actor="test")
        with pytest.raises(UnknownUpdate):
            await hub.desk.cancel(UpdateId("u99999999"), actor="test")


@pytest.mark.parametrize("head_start", range(12))
@instantly
async def test_of_a_cancel_and_the_devices_last_word_the_first_to_be_durable_is_right(head_start: int) -> None:
    bench = Bench(lamps={LAMP: Lamp(seconds=100.0)})
    async with bench.hub() as hub:
        update = await an_order(hub)
        await hub.until_state(update.id, State.TRANSFERRING)
        async with asyncio.TaskGroup() as both:
            cancelling = both.create_task(_cancelled(hub, update.id))
            for _ in range(head_start):
                await asyncio.sleep(0)
            hub.radio.finish(LAMP)
        ended = await hub.until_ended(update.id)
    answered = ("answered", (Cause.TRANSFERRED, Cause.ACTIVATED)) in bench.history
    assert ended.state is (State.CANCELLED if cancelling.result() else State.SUCCEEDED)
    assert answered is not cancelling.result()
    assert bench.lamp.version == (OLD if cancelling.result() else NEW)


async def _cancelled(hub: Hub, update: UpdateId) -> bool:
    try:
        await hub.desk.cancel(update, actor="test")
    except NotCancellable:
        return False
    return True


@instantly
async def test_a_cancel_that_the_full_disk_does_not_take_is_refused_and_the_update_goes_on() -> None:
    bench = Bench(lamps={LAMP: Lamp(seconds=900.0)})
    async with bench.hub() as hub:
        update = await an_order(hub)
        await hub.until_state(update.id, State.TRANSFERRING)
        hub.store.full = True
        with pytest.raises(StoreUnavailable):
            await hub.desk.cancel(update.id, actor="test")
        hub.store.full = False
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED


@instantly
async def test_a_request_that_is_dropped_halfway_is_carried_out_whole() -> None:
    bench = Bench(lamps={LAMP: Lamp(seconds=900.0)})
    async with bench.hub() as hub:
        update = await an_order(hub)
        await hub.until_state(update.id, State.TRANSFERRING)
        async with asyncio.TaskGroup() as group:
            request = group.create_task(hub.desk.cancel(update.id, actor="test"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            request.cancel()
        await hub.until_ended(update.id)
        assert hub.state(update.id) is State.CANCELLED
        assert hub.conductor.course(update.id) is None


# --- pause ------------------------------------------------------------------------------------------------------------------------------


@instantly
async def test_a_paused_transfer_stands_still_and_goes_on_where_it_was() -> None:
    bench = Bench(lamps={LAMP: Lamp(seconds=600.0)})
    async with bench.hub() as hub:
        update = await an_order(hub)
        await hub.until(lambda: bench.lamp.offset >= 0.3)
        view = await hub.desk.pause(update.id, actor="test")
        assert (view.update.state, view.update.reason) == (State.TRANSFERRING, "paused")
        offset = bench.lamp.offset
        await hub.pass_time(days=2)
        assert bench.lamp.offset <= offset + 0.1
        view = await hub.desk.resume(update.id, actor="test")
        assert view.update.reason is None
        ended = await hub.until_ended(update.id)
    assert (ended.state, ended.attempts, bench.lamp.downloads) == (State.SUCCEEDED, 0, 1)


@instantly
async def test_a_paused_update_gives_its_slot_to_the_next() -> None:
    other = Lamp(id=zigbee_device_id(2))
    bench = Bench(lamps={LAMP: Lamp(seconds=900.0), other.id: other}, parallel=1)
    async with bench.hub() as hub:
        update = await an_order(hub)
        second = await hub.order(other.id)
        await hub.until(lambda: bench.lamp.offset >= 0.3)
        assert hub.waits_for(second.update.id) == "radio_busy"
        await hub.desk.pause(update.id, actor="test")
        assert (await hub.until_ended(second.update.id)).state is State.SUCCEEDED


@instantly
async def test_an_update_that_is_paused_in_the_queue_waits_there() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        update = await brought_to(hub, State.QUEUED)
        await hub.desk.pause(update.id, actor="test")
        await hub.pass_time(days=3)
        assert (await hub.desk.update(update.id)).update.reason == "paused"
        await hub.desk.resume(update.id, actor="test")
        bench.lamp.boots = "new"
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED


@instantly
async def test_an_update_that_is_paused_while_it_is_fetched_is_offered_paused() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        update = await brought_to(hub, State.FETCHING)
        await hub.desk.pause(update.id, actor="test")
        bench.cache.broken.clear()
        row = await hub.until_state(update.id, State.OFFERING)
        assert row.reason == "paused"
        assert orders_of(hub.radio, update.id)[-2:] == ["Serve", "Pause"]


@instantly
async def test_what_fails_while_an_operator_holds_the_update_is_not_counted_against_the_device() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        update = await brought_to(hub, State.OFFERING)
        await hub.desk.pause(update.id, actor="test")
        hub.radio.say(hub.radio.talks[LAMP, bench.lamp.image_type], (Cause.ABORTED_BY_DEVICE,))
        row = await hub.until_state(update.id, State.QUEUED)
    assert (row.attempts, row.reason) == (0, "paused")


@pytest.mark.parametrize("state", [State.STAGED, State.ACTIVATING, State.CONFIRMING])
@instantly
async def test_what_is_no_longer_on_the_air_cannot_be_paused(state: State) -> None:
    bench = Bench()
    async with bench.hub() as hub:
        update = await brought_to(hub, state)
        with pytest.raises(NotInState):
            await hub.desk.pause(update.id, actor="test")


@instantly
async def test_to_pause_twice_is_to_pause_once_and_only_what_is_paused_is_resumed() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        update = await brought_to(hub, State.QUEUED)
        with pytest.raises(NotInState):
            await hub.desk.resume(update.id, actor="test")
        await hub.desk.pause(update.id, actor="test")
        await hub.desk.pause(update.id, actor="test")
        assert len(await bench.facts("paused")) == 1


# --- approve and activate ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [each for each in CANCELLABLE + TOO_LATE if each is not State.STAGED])
@instantly
async def test_only_a_staged_image_can_be_activated_and_only_a_planned_update_approved(state: State) -> None:
    bench = Bench()
    async with bench.hub() as hub:
        update = await brought_to(hub, state)
        with pytest.raises(NotInState):
            await hub.desk.activate(update.id, actor="test")
        with pytest.raises(NotInState):
            await hub.desk.approve(update.id, actor="test")


@instantly
async def test_a_planned_update_waits_for_its_approval_and_then_runs() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        dry = await hub.order(dry_run=True)
        (planned,) = await hub.ledger.create([replace(dry.update, state=State.PLANNED, reason="awaiting_approval")])
        assert isinstance(planned, Update)
        await hub.pass_time(days=1)
        assert hub.state(planned.id) is State.PLANNED
        await hub.desk.approve(planned.id, actor="test")
        assert (await hub.until_ended(planned.id)).state is State.SUCCEEDED


# --- the queue -----------------------------------------------------------------------------------------------------------------------------


@instantly
async def test_no_more_transfers_run_at_once_than_the_radio_may_make_and_nobody_is_forgotten() -> None:
    ids = [zigbee_device_id(number) for number in range(1, 13)]
    bench = Bench(lamps={each: Lamp(id=each, seconds=120.0) for each in ids}, parallel=3)
    most = 0
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        updates = [(await hub.order(each)).update for each in ids]
        while not all(hub.state(each.id).final for each in updates):
            running = [each for each in hub.conductor.courses() if each.update.state in (State.FETCHING, State.OFFERING, State.TRANSFERRING)]
            most = max(most, len(running))
            await hub.pass_time(seconds=3)
    assert most == 3
    assert {row.state for row in await bench.rows()} == {State.SUCCEEDED}


@instantly
async def test_a_sleeping_device_is_admitted_when_it_is_heard() -> None:
    bench = Bench(lamps={LAMP: Lamp(sleepy=True, asks=False)})
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.until(lambda: hub.registry.devices())
        hub.radio.wake(LAMP)
        await hub.ready()
        await hub.pass_time(hours=1)
        update = (await hub.order()).update
        await hub.pass_time(days=2)
        assert hub.state(update.id) is State.QUEUED
        assert (await hub.desk.update(update.id)).update.reason == "asleep"
        bench.lamp.asks = True
        hub.radio.wake(LAMP)
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED


@instantly
async def test_a_sleeping_device_that_comes_and_goes_is_not_worth_a_line_each_time() -> None:
    others = [zigbee_device_id(number) for number in range(2, 11)]
    bench = Bench(lamps={each: Lamp(id=each, sleepy=True, asks=False) for each in (LAMP, *others)})
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.until(lambda: len(hub.registry.devices()) == len(bench.lamps))
        for each in bench.lamps:
            hub.radio.wake(each)
        await hub.ready()
        for each in others:
            await hub.order(each)
        update = (await hub.order()).update  # beyond the slots of the sleepy lane
        for _ in range(60):
            hub.radio.wake(LAMP)
            await hub.pass_time(seconds=60)
        assert hub.kinds(update.id).count("waits") <= 13


@instantly
async def test_a_device_that_asks_by_itself_does_not_wait_for_the_end_of_a_backoff() -> None:
    bench = Bench(lamps={LAMP: Lamp(goes="aborts", stops_at=0.5)})
    async with bench.hub() as hub:
        update = await an_order(hub)
        row = await hub.until_state(update.id, State.QUEUED)
        await hub.until(lambda: "aborted_by_device" in hub.kinds(update.id))
        bench.lamp.goes = "well"
        row = await hub.store.updates.get(update.id)
        assert row.not_before is not None
        hub.radio.wake(LAMP)
        ended = await hub.until_ended(update.id)
        admitted = [fact.at for fact in hub.told if fact.kind == "admitted"]
    assert ended.state is State.SUCCEEDED
    assert admitted[1] < row.not_before


@instantly
async def test_an_update_for_a_time_begins_then_and_not_before() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        when = hub.clock.now() + timedelta(hours=7)
        update = await an_order(hub, when=when)
        assert (await hub.desk.update(update.id)).update.reason == "scheduled"
        ended = await hub.until_ended(update.id, within=DAY)
    assert ended.started is not None
    assert timedelta(0) <= ended.started - when < timedelta(seconds=10)


@instantly
async def test_a_queued_update_whose_device_tells_the_version_by_itself_is_done_without_a_transfer() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        update = await brought_to(hub, State.QUEUED)
        bench.lamp.version = NEW
        await hub.pass_time(hours=1)
        await hub.desk.check(LAMP, actor="test")
        ended = await hub.until_ended(update.id, within=2 * DAY)
        assert hub.kinds(update.id)[-1] == "already_current"
        assert "admitted" not in hub.kinds(update.id)
    assert (ended.state, bench.lamp.downloads) == (State.SUCCEEDED, 0)


@instantly
async def test_a_queue_that_the_full_disk_does_not_let_begin_begins_when_it_can() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        update = await brought_to(hub, State.QUEUED)
        bench.lamp.boots = "new"
        hub.store.full = True
        await hub.pass_time(hours=30)
        refusals = hub.journal.refusals
        assert 0 < refusals < 6 * 3_600 / 5 * 2
        hub.store.full = False
        assert (await hub.until_ended(update.id, within=120)).state is State.SUCCEEDED


@instantly
async def test_a_hub_that_stops_begins_nothing_new() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        hub.conductor.stop_admitting()
        update = (await hub.order()).update
        await hub.pass_time(minutes=10)
        assert hub.state(update.id) is State.QUEUED


@instantly
async def test_a_device_whose_update_waits_is_told_so_though_the_bytes_of_its_image_could_not_be_read_at_first() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        sha256 = await hub.add_image(NEW)
        await hub.ready()
        await hub.desk.halt(actor="test")
        bench.cache.broken[sha256] = StoreUnavailable("input/output error")
        update = (await hub.order()).update.id
        await hub.pass_time(minutes=1)
        assert orders_of(hub.radio, update) == []
        bench.cache.broken.clear()
        await hub.pass_time(minutes=1)
        assert orders_of(hub.radio, update) == ["Serve", "Park"]


@instantly
async def test_a_look_at_the_queue_that_fails_in_a_way_nobody_foresaw_is_made_again_and_ends_nobody() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        update = await an_order(hub)
        await hub.until_state(update.id, State.TRANSFERRING)
        tidy, tries = hub.conductor.queue.tidy, 0

        async def fail() -> None:
            nonlocal tries
            tries += 1
            raise ValueError("a bug")

        hub.conductor.queue.tidy = fail  # type: ignore[method-assign]
        await hub.pass_time(minutes=4)
        assert 1 < tries <= 6
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED
        hub.conductor.queue.tidy = tidy  # type: ignore[method-assign]
        await hub.add_image(NEWER)
        assert (await hub.until_ended((await hub.order()).update.id)).state is State.SUCCEEDED
