"""The halt: nothing moves on any radio until it is lifted, whatever happens to the hub meanwhile."""

from __future__ import annotations

import pytest

from otagate.model.errors import Refused, StoreCorrupt, StoreUnavailable
from otagate.model.ids import zigbee_device_id
from otagate.model.lifecycle import Cause, State
from otagate.model.orders import Serve
from tests.engine.bench import DAY, Bench, Hub, an_order
from tests.engine.radio import LAMP, NEW, OLD, Lamp, orders_of
from tests.engine.test_conductor import brought_to
from tests.engine.test_delivery import a_held_update
from tests.virtual_time import instantly


async def seen(hub: Hub, update: str) -> tuple[State, str | None]:
    view = await hub.desk.update(update)  # type: ignore[arg-type]
    return view.update.state, view.update.reason


@instantly
async def test_a_halted_hub_begins_nothing_says_why_and_goes_on_when_it_is_lifted() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await hub.desk.halt(actor="anna", because="smoke in the hall")
        update = (await an_order(hub)).id
        await hub.pass_time(days=1)
        assert await seen(hub, update) == (State.QUEUED, "halted")
        assert orders_of(hub.radio, update) == ["Serve", "Park"]
        await hub.desk.lift_halt(actor="berta")
        assert (await hub.until_ended(update)).state is State.SUCCEEDED
    told = [(fact.subject, fact.actor, fact.data.get("because")) for fact in await bench.facts() if fact.kind in ("halted", "lifted")]
    assert told == [("hub", "anna", "smoke in the hall"), ("hub", "berta", None)]


@instantly
async def test_a_transfer_that_runs_waits_where_it_is_and_its_wait_counts_as_no_attempt() -> None:
    bench = Bench(retries=0)
    async with bench.hub() as hub:
        update = (await brought_to(hub, State.TRANSFERRING)).id
        await hub.until(lambda: bench.lamp.offset >= 0.5)
        await hub.desk.halt(actor="test")
        await hub.pass_time(minutes=2)
        offset = bench.lamp.offset
        await hub.pass_time(days=3)
        assert (bench.lamp.offset, await seen(hub, update)) == (offset, (State.TRANSFERRING, "halted"))
        bench.lamp.boots = "new"
        await hub.desk.lift_halt(actor="test")
        ended = await hub.until_ended(update)
    assert (ended.state, ended.attempts, bench.lamp.downloads) == (State.SUCCEEDED, 0, 1)


@instantly
async def test_a_device_that_gives_up_in_a_halt_is_tried_again_afterwards_as_if_it_had_not() -> None:
    bench = Bench(retries=0)
    async with bench.hub() as hub:
        update = (await brought_to(hub, State.TRANSFERRING)).id
        await hub.desk.halt(actor="test")
        (talk,) = hub.radio.talks.values()
        talk.parked, bench.lamp.busy = True, ""
        hub.radio.say(talk, (Cause.ABORTED_BY_DEVICE,))
        await hub.until_state(update, State.QUEUED)
        bench.lamp.boots = "new"
        await hub.desk.lift_halt(actor="test")
        assert (await hub.until_ended(update)).state is State.SUCCEEDED


@instantly
async def test_a_word_that_was_lost_is_not_given_again_while_everything_is_halted() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        update = (await a_held_update(hub)).id
        hub.kill_when("activated")  # between the journal and the air
        await hub.desk.activate(update, actor="test")
    async with bench.disk.transaction():
        await bench.disk.settings.put("halt", '{"since": "2026-11-21T10:00:00+00:00", "actor": "anna", "because": null}')
    async with bench.hub() as hub:
        await hub.pass_time(days=1)
        assert (await seen(hub, update), bench.lamp.version) == ((State.CONFIRMING, "halted"), OLD)
        await hub.desk.lift_halt(actor="test")
        assert (await hub.until_ended(update)).state is State.SUCCEEDED


@instantly
async def test_a_device_that_finishes_in_a_halt_is_told_to_use_its_image_only_afterwards() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        update = (await brought_to(hub, State.TRANSFERRING)).id
        bench.lamp.boots = "new"
        await hub.desk.halt(actor="test")
        hub.radio.finish(LAMP)
        await hub.until_state(update, State.STAGED)
        await hub.pass_time(days=1)
        assert (await seen(hub, update), bench.lamp.version) == ((State.STAGED, "halted"), OLD)
        await hub.desk.lift_halt(actor="test")
        assert (await hub.until_ended(update)).state is State.SUCCEEDED
    assert bench.lamp.version == NEW


@instantly
async def test_a_device_that_finishes_in_a_pause_is_told_to_use_its_image_when_the_pause_ends() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        update = (await brought_to(hub, State.TRANSFERRING)).id
        bench.lamp.boots = "new"
        await hub.desk.pause(update, actor="test")
        hub.radio.finish(LAMP)
        await hub.until_state(update, State.STAGED)
        await hub.pass_time(days=1)
        assert (await seen(hub, update), bench.lamp.version) == ((State.STAGED, "paused"), OLD)
        await hub.desk.resume(update, actor="test")
        assert (await hub.until_ended(update)).state is State.SUCCEEDED


@instantly
async def test_a_halt_survives_a_kill_in_every_state_and_so_does_what_it_owes() -> None:
    for state in (State.QUEUED, State.OFFERING, State.TRANSFERRING, State.STAGED):
        bench = Bench()
        async with bench.hub() as hub:
            update = (await (brought_to(hub, state) if state is not State.STAGED else brought_to(hub, State.TRANSFERRING))).id
            await hub.desk.halt(actor="test")
            if state is State.STAGED:
                hub.radio.finish(LAMP)
                await hub.until_state(update, State.STAGED)
            hub.kill()
        bench.lamp.asks, bench.lamp.boots, bench.lamp.seconds = True, "new", 10.0
        async with bench.hub() as hub:
            await hub.pass_time(hours=1)
            assert all(order.hold_activation is (state is State.STAGED) for order in hub.radio.orders if isinstance(order, Serve))
            assert await seen(hub, update) == (state, "halted")
            assert bench.lamp.version == OLD
            await hub.desk.lift_halt(actor="test")
            assert (await hub.until_ended(update, within=2 * DAY)).state is State.SUCCEEDED, state
            assert hub.desk.halted() is None


@instantly
async def test_what_is_served_while_halted_is_not_announced() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        update = (await brought_to(hub, State.FETCHING)).id
        await hub.desk.halt(actor="test")
        bench.cache.broken.clear()
        await hub.until_state(update, State.OFFERING)
        await hub.pass_time(hours=5)
        assert [each.adopted for each in hub.radio.orders if isinstance(each, Serve) and each.update == update][-1] == "offering"
        assert bench.lamp.downloads == 0


@instantly
async def test_nobody_gives_the_word_to_a_staged_device_while_everything_is_halted() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        update = (await a_held_update(hub)).id
        await hub.desk.halt(actor="test")
        with pytest.raises(Refused, match="halted") as refused:
            await hub.desk.activate(update, actor="test")
        assert refused.value.reason == "halted"
        await hub.desk.lift_halt(actor="test")
        await hub.pass_time(days=1)
        assert hub.state(update) is State.STAGED  # it was staged on purpose: the end of a halt is not the word
        await hub.desk.activate(update, actor="test")
        assert (await hub.until_ended(update)).state is State.SUCCEEDED


@instantly
async def test_an_update_that_is_paused_too_stays_so_when_the_halt_ends_and_the_other_way_round() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        update = (await brought_to(hub, State.TRANSFERRING)).id
        await hub.desk.pause(update, actor="test")
        await hub.desk.halt(actor="test")
        await hub.desk.lift_halt(actor="test")
        assert await seen(hub, update) == (State.TRANSFERRING, "paused")
        await hub.desk.halt(actor="test")
        await hub.desk.resume(update, actor="test")
        assert await seen(hub, update) == (State.TRANSFERRING, "halted")
        assert "Resume" not in orders_of(hub.radio, update)
        await hub.desk.lift_halt(actor="test")
        assert orders_of(hub.radio, update)[-1] == "Resume"


@instantly
async def test_a_halted_update_can_be_cancelled() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        update = (await brought_to(hub, State.TRANSFERRING)).id
        await hub.desk.halt(actor="test")
        assert (await hub.desk.cancel(update, actor="test")).update.state is State.CANCELLED


@instantly
async def test_a_full_disk_does_not_keep_an_operator_from_halting_and_is_told() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        update = (await brought_to(hub, State.TRANSFERRING)).id
        hub.store.full = True
        with pytest.raises(StoreUnavailable, match="a restart would lift it"):
            await hub.desk.halt(actor="test")
        assert await seen(hub, update) == (State.TRANSFERRING, "halted")
        assert orders_of(hub.radio, update)[-1] == "Pause"
        hub.store.full = False
        first = await hub.desk.halt(actor="other")
        assert first.actor == "test"
        hub.store.full = True
        with pytest.raises(StoreUnavailable):
            await hub.desk.lift_halt(actor="test")
        assert hub.desk.halted() == first
    async with bench.hub() as hub:
        assert hub.desk.halted() == first


@instantly
async def test_halting_and_lifting_twice_is_told_once() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        first = await hub.desk.halt(actor="anna")
        assert await hub.desk.halt(actor="berta") == first
        await hub.desk.lift_halt(actor="anna")
        await hub.desk.lift_halt(actor="berta")
    assert [fact.kind for fact in await bench.facts() if fact.subject == "hub"] == ["halted", "lifted"]


@instantly
async def test_a_restart_in_a_halt_adopts_no_more_transfers_than_the_air_has_slots() -> None:
    bench = Bench(lamps={each: Lamp(id=each, seconds=900.0) for each in (LAMP, zigbee_device_id(7))})
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        updates = [(await hub.order(each)).update.id for each in bench.lamps]
        for each in updates:
            await hub.until_state(each, State.TRANSFERRING)
        await hub.desk.halt(actor="test")
        hub.kill()
    bench.parallel = 1
    async with bench.hub() as hub:
        assert len(hub.conductor.courses()) == 1
        await hub.desk.lift_halt(actor="test")
        for each in updates:
            assert (await hub.until_ended(each)).state is State.SUCCEEDED


@instantly
async def test_a_stored_halt_that_cannot_be_read_keeps_the_hub_from_starting() -> None:
    bench = Bench()
    async with bench.disk.transaction():
        await bench.disk.settings.put("halt", '{"since": "yesterday"}')
    with pytest.raises(StoreCorrupt, match="halt"):
        async with bench.hub():
            pass
