"""One radio stands still by an operator's word, over restarts too; the others go on."""

from __future__ import annotations

import pytest

from otagate.model.errors import StoreCorrupt, StoreUnavailable, UnknownRadio
from otagate.model.ids import RadioName, UpdateId, zigbee_device_id
from otagate.model.lifecycle import State
from tests.engine.bench import Bench, Hub
from tests.engine.radio import NEW, Lamp, orders_of
from tests.virtual_time import instantly

QUIET, LOUD = RadioName("zigbee0"), RadioName("zigbee1")
HERE, BESIDE, THERE = (zigbee_device_id(number) for number in (1, 2, 3))


def two_radios() -> Bench:
    return Bench(
        lamps={
            HERE: Lamp(id=HERE, radio=QUIET, seconds=600.0),
            BESIDE: Lamp(id=BESIDE, radio=QUIET),
            THERE: Lamp(id=THERE, radio=LOUD),
        },
        parallel=1,
    )


async def ordered(hub: Hub) -> tuple[UpdateId, UpdateId, UpdateId]:
    await hub.add_image(NEW)
    await hub.ready()
    here, beside, there = [(await hub.order(each)).update.id for each in (HERE, BESIDE, THERE)]
    return here, beside, there


async def shown(hub: Hub, update: UpdateId) -> tuple[State, str | None, str | None]:
    view = await hub.desk.update(update)
    return view.update.state, view.update.reason, view.sentence


@instantly
async def test_a_paused_radio_begins_nothing_and_holds_what_runs_over_a_restart_while_the_other_goes_on() -> None:
    bench = two_radios()
    async with bench.hub() as hub:
        here, beside, there = await ordered(hub)
        await hub.until(lambda: bench.lamps[HERE].offset >= 0.3)
        view = await hub.desk.pause_radio(QUIET, actor="anna", because="guests sleep")
        assert view.paused is not None
        assert (view.state, view.paused.actor, view.paused.because) == ("up", "anna", "guests sleep")
        assert orders_of(hub.radios[QUIET], here)[-1] == "Pause"
        assert (await hub.until_ended(there)).state is State.SUCCEEDED
        offset = bench.lamps[HERE].offset
        said = "Radio zigbee0 is paused by anna since 2026-05-01 12:"
        for update, state in ((here, State.TRANSFERRING), (beside, State.QUEUED)):
            found = await shown(hub, update)
            assert found[:2] == (state, "paused")
            assert str(found[2]).startswith(said)
    async with bench.hub() as hub:
        await hub.pass_time(hours=6)
        assert (bench.lamps[HERE].offset, bench.lamps[BESIDE].offset) == (offset, 0.0)
        assert (await shown(hub, here))[:2] == (State.TRANSFERRING, "paused")
        await hub.desk.resume_radio(QUIET, actor="ben")
        for update in (here, beside):
            assert (await hub.until_ended(update)).attempts == 0
    assert {row.state for row in await bench.rows()} == {State.SUCCEEDED}
    assert bench.lamps[HERE].downloads == 1
    told = [(fact.subject, fact.subject_id, fact.kind, fact.actor) for fact in await bench.facts() if fact.kind in ("paused", "resumed")]
    assert told == [("radio", QUIET, "paused", "anna"), ("radio", QUIET, "resumed", "ben")]


@instantly
async def test_what_is_paused_for_another_reason_too_stays_so_when_its_radio_goes_on() -> None:
    bench = two_radios()
    async with bench.hub() as hub:
        here, beside, _ = await ordered(hub)
        await hub.until_state(here, State.TRANSFERRING)
        await hub.desk.pause(here, actor="anna")
        await hub.desk.pause_radio(QUIET, actor="anna")
        await hub.desk.pause_radio(QUIET, actor="ben")  # it is already
        await hub.desk.resume_radio(QUIET, actor="anna")
        assert orders_of(hub.radios[QUIET], here)[-1] == "Pause"
        assert (await hub.until_ended(beside)).state is State.SUCCEEDED
        await hub.desk.resume(here, actor="anna")
        assert (await hub.until_ended(here)).state is State.SUCCEEDED


@instantly
async def test_an_update_that_is_resumed_on_a_paused_radio_waits_for_the_radio() -> None:
    bench = two_radios()
    async with bench.hub() as hub:
        here, _, _ = await ordered(hub)
        await hub.until_state(here, State.TRANSFERRING)
        await hub.desk.pause(here, actor="anna")
        await hub.desk.pause_radio(QUIET, actor="anna")
        await hub.desk.resume(here, actor="anna")
        await hub.pass_time(minutes=10)
        assert "Resume" not in orders_of(hub.radios[QUIET], here)
        assert (await shown(hub, here))[:2] == (State.TRANSFERRING, "paused")


@instantly
async def test_a_radio_that_is_not_there_cannot_be_paused() -> None:
    async with two_radios().hub() as hub:
        with pytest.raises(UnknownRadio):
            await hub.desk.pause_radio("zigbee7", actor="anna")
        with pytest.raises(UnknownRadio):
            await hub.desk.resume_radio("zigbee7", actor="anna")


@instantly
async def test_a_full_disk_does_not_keep_a_radio_from_being_paused_and_says_that_a_restart_would_lift_it() -> None:
    bench = two_radios()
    async with bench.hub() as hub:
        here, _, _ = await ordered(hub)
        await hub.until_state(here, State.TRANSFERRING)
        hub.store.full = True
        with pytest.raises(StoreUnavailable, match="radio zigbee0 is paused, but that could not be written down"):
            await hub.desk.pause_radio(QUIET, actor="anna")
        assert orders_of(hub.radios[QUIET], here)[-1] == "Pause"
        hub.store.full = False
        await hub.desk.pause_radio(QUIET, actor="anna")
    assert len([fact for fact in await bench.facts("paused") if fact.subject == "radio"]) == 1


@instantly
async def test_a_stored_pause_that_nobody_can_read_keeps_the_hub_from_starting() -> None:
    bench = two_radios()
    async with bench.disk.transaction():
        await bench.disk.settings.put("paused:zigbee1", "{")
    with pytest.raises(StoreCorrupt, match="radio zigbee1 is paused"):
        async with bench.hub():
            pass
