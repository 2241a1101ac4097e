"""The process may die at any commit: the next one throws nothing away, assumes nothing, and brings the update to the right end."""

from __future__ import annotations

from contextlib import suppress

import pytest

from otagate.model.devices import Device
from otagate.model.errors import StoreUnavailable
from otagate.model.ids import zigbee_device_id
from otagate.model.lifecycle import Cause, State
from tests.engine.bench import DAY, Bench, Hub, an_order
from tests.engine.radio import LAMP, NEW, OLD, Lamp, orders_of
from tests.virtual_time import instantly

KINDS = ["created", "admitted", "verified", "accepted", "progress", "activated", "returned", "version_matches"]
"""What the journal tells of an ordinary update, in order: everywhere a process can die."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("down", [1.0, 1_000.0], ids=["for a moment", "for a while"])
@instantly
async def test_an_update_whose_hub_was_killed_ends_as_if_nothing_had_happened(kind: str, down: float) -> None:
    bench = Bench(lamps={LAMP: Lamp(seconds=900.0)})
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        hub.kill_when(kind)
        await hub.order()
        await hub.until_killed()
    (row,) = await bench.rows()
    async with bench.hub() as hub:
        await hub.pass_time(seconds=down)
        await hub.until(lambda: row.ended or hub.state(row.id).final, within=DAY)
    (row,) = await bench.rows()
    assert row.state is State.SUCCEEDED
    assert (bench.lamp.version, bench.lamp.downloads) == (NEW, 1)
    assert (await bench.facts("created"))[-1].subject_id == row.id
    assert len(await bench.facts("created")) == 1


@pytest.mark.parametrize("kind", KINDS[:-1])
@instantly
async def test_a_clean_stop_loses_as_little_as_a_kill(kind: str) -> None:
    bench = Bench(lamps={LAMP: Lamp(seconds=900.0)})
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        hub.stop_when(kind)
        await hub.order()
        await hub.until_killed()
    (row,) = await bench.rows()
    assert not row.ended
    async with bench.hub() as hub:
        assert (await hub.until_ended(row.id)).state is State.SUCCEEDED
    assert bench.lamp.downloads == 1


@pytest.mark.parametrize("commit", range(1, 21))
@instantly
async def test_an_update_ends_well_whichever_commit_was_the_last_of_the_first_life(commit: int) -> None:
    bench = Bench(lamps={LAMP: Lamp(seconds=900.0)}, mode="automatic")
    async with bench.hub() as hub:
        hub.store.after_commit = lambda _: hub.kill() if hub.store.commits == commit else None
        with suppress(StoreUnavailable):
            await hub.add_image(NEW)
        await hub.until(lambda: hub.killed.is_set() or bench.lamp.version == NEW)
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.until(lambda: bench.lamp.version == NEW)
        await hub.pass_time(hours=1)
    assert [row.state for row in await bench.rows()] == [State.SUCCEEDED]
    assert bench.lamp.downloads == 1


@pytest.mark.parametrize("number", range(1, 21))
@instantly
async def test_an_update_ends_well_whichever_transaction_the_disk_refuses_once(number: int) -> None:
    bench = Bench(lamps={LAMP: Lamp(seconds=300.0)}, mode="automatic")
    async with bench.hub() as hub:
        hub.store.refuse_at = number
        with suppress(StoreUnavailable):
            await hub.add_image(NEW)
        await hub.add_image(NEW)
        await hub.until(lambda: bench.lamp.version == NEW)
        await hub.pass_time(minutes=10)
    assert [row.state for row in await bench.rows()] == [State.SUCCEEDED]
    assert bench.lamp.downloads == 1
    assert [fact.number for fact in await bench.facts()] == list(range(1, len(await bench.facts()) + 1))


@instantly
async def test_a_device_that_went_on_asking_is_served_from_where_it_is_without_a_new_offer() -> None:
    bench = Bench(lamps={LAMP: Lamp(seconds=900.0)})
    async with bench.hub() as hub:
        update = await an_order(hub)
        await hub.until(lambda: bench.lamp.offset >= 0.5)
        hub.kill()
    async with bench.hub() as hub:
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED
        assert ("abort", LAMP) not in bench.history
        assert orders_of(hub.radio, update.id)[0] == "Serve"
        assert "accepted" not in hub.kinds(update.id)
    assert bench.lamp.downloads == 1


@instantly
async def test_what_was_being_fetched_when_the_hub_died_is_fetched_again() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        hub.kill_when("admitted")
        await hub.order()
        await hub.until_killed()
    async with bench.hub() as hub:
        ended = await hub.until_ended((await bench.rows())[0].id)
    kinds = [fact.kind for fact in await bench.facts() if fact.subject == "update" and fact.kind != "waits"]
    assert kinds[:4] == ["created", "admitted", "interrupted", "admitted"]
    assert ended.state is State.SUCCEEDED


@pytest.mark.parametrize("kind", ["admitted", "accepted", "activated"])
@instantly
async def test_a_hub_that_starts_with_a_full_disk_starts_and_goes_on_in_memory(kind: str) -> None:
    bench = Bench(lamps={LAMP: Lamp(seconds=300.0)})
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        hub.kill_when(kind)
        update = await hub.order()
        await hub.until_killed()
    bench.full = True
    async with bench.hub() as hub:
        await hub.pass_time(hours=1)
        assert hub.registry.is_up("zigbee0")
        assert not (await bench.rows())[0].ended
        hub.store.full = False
        assert (await hub.until_ended(update.update.id)).state is State.SUCCEEDED
    assert bench.lamp.downloads == 1


@instantly
async def test_a_device_that_reboots_while_no_hub_is_there_is_confirmed_by_the_next_one() -> None:
    bench = Bench(lamps={LAMP: Lamp(reboot=300.0)})
    async with bench.hub() as hub:
        update = await an_order(hub)
        await hub.until_state(update.id, State.ACTIVATING)
        await hub.until(lambda: bench.lamp.busy == "rebooting")
        hub.kill()
    bench.lamp.busy, bench.lamp.version = "", NEW
    async with bench.hub() as hub:
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED


@instantly
async def test_the_old_version_proves_nothing_while_the_device_may_still_be_at_it() -> None:
    bench = Bench(lamps={LAMP: Lamp(boots="never")})
    async with bench.hub() as hub:
        update = await an_order(hub)
        await hub.until_state(update.id, State.ACTIVATING)
        hub.kill()
    bench.lamp.busy = ""  # it answers, and has not begun to write its flash
    async with bench.hub() as hub:
        await hub.pass_time(minutes=10)
        assert hub.conductor.course(update.id) is not None
        bench.lamp.version = NEW
        hub.radio.announce(LAMP)
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED


@instantly
async def test_a_device_whose_last_answer_was_lost_with_the_hub_is_given_it_when_it_asks_again() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        hub.kill_when("activated")
        update = await hub.order()
        await hub.until_killed()
    assert ("answered", (Cause.TRANSFERRED, Cause.ACTIVATED)) not in bench.history
    async with bench.hub() as hub:
        assert (await hub.until_ended(update.update.id)).state is State.SUCCEEDED


@instantly
async def test_a_word_that_may_have_been_lost_with_the_hub_is_given_again_once_and_not_at_every_frame_of_the_device() -> None:
    bench = Bench(lamps={LAMP: Lamp(reboot=300.0)})
    async with bench.hub() as hub:
        update = await an_order(hub, activate="held")
        await hub.until_state(update.id, State.STAGED)
        hub.kill_when("activated")
        await hub.desk.activate(update.id, actor="test")
        await hub.until_killed()
    async with bench.hub() as hub:
        await hub.until(lambda: "Activate" in orders_of(hub.radio, update.id))
        for _ in range(5):
            hub.radio.wake(LAMP)
            await hub.pass_time(seconds=3)
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED
        assert orders_of(hub.radio, update.id).count("Activate") == 1


@instantly
async def test_a_stick_that_is_missing_after_the_restart_is_not_held_against_the_device() -> None:
    bench = Bench(lamps={LAMP: Lamp(reboot=300.0)})
    async with bench.hub() as hub:
        update = await an_order(hub)
        await hub.until_state(update.id, State.ACTIVATING)
        hub.kill()
    async with bench.hub() as hub:
        hub.radio.unplug()
        await hub.pass_time(days=1)
        assert hub.conductor.course(update.id) is not None
        bench.lamp.busy, bench.lamp.version = "", NEW
        hub.radio.plug_in()
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED


@instantly
async def test_a_pause_survives_the_restart() -> None:
    bench = Bench(lamps={LAMP: Lamp(seconds=900.0)})
    async with bench.hub() as hub:
        update = await an_order(hub)
        await hub.until(lambda: bench.lamp.offset >= 0.3)
        await hub.desk.pause(update.id, actor="test")
        hub.kill()
    async with bench.hub() as hub:
        await hub.pass_time(hours=3)
        assert bench.lamp.offset < 0.6
        assert (await hub.desk.update(update.id)).update.reason == "paused"
        await hub.desk.resume(update.id, actor="test")
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED


@instantly
async def test_of_more_transfers_than_the_air_may_now_bear_the_rest_is_told_to_wait_and_none_to_stop() -> None:
    ids = [zigbee_device_id(number) for number in range(1, 4)]
    bench = Bench(lamps={each: Lamp(id=each, seconds=900.0) for each in ids}, parallel=3)
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        updates = [(await hub.order(each)).update for each in ids]
        await hub.until(lambda: all(lamp.offset >= 0.3 for lamp in bench.lamps.values()))
        hub.kill()
    bench.parallel = 1
    most = 0
    async with bench.hub() as hub:
        await hub.pass_time(seconds=30)
        waiting = [each for each in updates if hub.waits_for(each.id) == "radio_busy"]
        assert len(waiting) == 2
        assert (await hub.desk.update(waiting[0].id)).update.reason == "radio_busy"
        while not all(hub.state(each.id).final for each in updates):
            on_air = [talk for talk in hub.radio.talks.values() if talk.phase == "serving" and not talk.parked]
            most = max(most, len(on_air))
            await hub.pass_time(seconds=5)
    assert most == 1
    assert [row.state for row in await bench.rows()] == [State.SUCCEEDED] * 3
    assert not [step for step in bench.history if step[0] == "abort"]
    assert all(lamp.downloads == 1 for lamp in bench.lamps.values())


@instantly
async def test_an_update_of_a_radio_that_is_configured_no_more_waits_and_can_be_cancelled() -> None:
    bench = Bench(lamps={LAMP: Lamp(seconds=900.0)})
    async with bench.hub() as hub:
        update = await an_order(hub)
        await hub.until_state(update.id, State.TRANSFERRING)
        hub.kill()
    async with Bench(disk=bench.disk, cache=bench.cache, lamps={}).hub() as hub:
        assert (await hub.desk.cancel(update.id, actor="test")).update.state is State.CANCELLED


@instantly
async def test_what_devices_told_last_is_known_after_a_clean_stop() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await hub.ready()
        await hub.pass_time(minutes=20)
        hub.radio.wake(LAMP)
        await hub.pass_time(seconds=1)
        before: Device = hub.registry.device(LAMP)
    hub = Hub(bench)
    await hub.registry.load()
    assert hub.registry.device(LAMP) == before
    assert before.components[0].version == OLD
