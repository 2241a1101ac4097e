"""Stage now, use together: images wait on their devices for the word, whoever gives it and whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from otagate.engine.views import ActivationRequest, OrderRequest
from otagate.model.errors import Refused
from otagate.model.ids import UpdateId, zigbee_device_id
from otagate.model.lifecycle import Cause, State
from otagate.model.orders import Activate, Serve
from otagate.policy.window import Window
from tests.engine.bench import Bench, Hub
from tests.engine.radio import LAMP, NEW, OLD, Lamp
from tests.engine.test_guards import AT_ONCE, Door, Switches
from tests.virtual_time import VirtualClock, instantly

IDS = [zigbee_device_id(number) for number in range(1, 5)]


def hall(**lamps: Lamp) -> Bench:
    return Bench(lamps={each: Lamp(id=each) for each in IDS} | {each.id: each for each in lamps.values()}, parallel=4)


async def staged(hub: Hub, *, until: int = len(IDS), **wishes: object) -> list[UpdateId]:
    await hub.add_image(NEW)
    await hub.ready()
    made = (await hub.desk.order(OrderRequest(devices=tuple(hub.bench.lamps), **{"activate": "held", **wishes}), actor="anna")).updates  # type: ignore[arg-type]
    ids = [each.update.id for each in made]
    await hub.until(lambda: sum(hub.state(each) is State.STAGED for each in ids) >= until)
    return ids


@instantly
async def test_devices_that_hold_an_image_use_it_together_when_somebody_says_so() -> None:
    bench = hall()
    async with bench.hub() as hub:
        ids = await staged(hub)
        await hub.pass_time(days=2)
        assert {lamp.version for lamp in bench.lamps.values()} == {OLD}
        before = hub.store.commits
        result = await hub.desk.activate_all(ActivationRequest(updates=tuple(ids)), actor="anna")
        assert {each.outcome for each in result.given} == {"activating"}
        assert hub.store.commits - before == 2
        await hub.until(lambda: len([each for each in hub.radio.orders if isinstance(each, Activate)]) == len(ids), within=5.0)
        await hub.until(lambda: all(hub.state(each) is State.SUCCEEDED for each in ids))
    assert {(fact.actor, fact.data["state"]) for fact in await bench.facts("activated")} == {("anna", "activating")}


@instantly
async def test_a_device_that_asks_for_the_word_in_the_moment_in_which_it_is_given_gets_its_answer_at_once() -> None:
    bench = hall()
    async with bench.hub() as hub:
        update, *_ = await staged(hub)
        talk = next(each for each in hub.radio.talks.values() if each.order.update == update)
        async with asyncio.TaskGroup() as group:
            group.create_task(hub.desk.activate_all(ActivationRequest(updates=(update,)), actor="anna"))
            while update not in {UpdateId(fact.subject_id) for fact in await bench.facts("released")}:
                await asyncio.sleep(0)
            hub.radio.say(talk, (Cause.ACTIVATED,))
        await hub.until(lambda: talk.pending is None, within=5.0)
    assert [(fact.actor, fact.subject_id) for fact in await bench.facts("activated")] == [("anna", update)]


@instantly
async def test_who_is_not_there_yet_is_told_so_and_uses_the_image_when_it_can() -> None:
    bench = hall(late=Lamp(id=IDS[0], seconds=2_000.0), off=Lamp(id=IDS[1]))
    async with bench.hub() as hub:
        ids = await staged(hub, until=3)
        bench.lamps[IDS[1]].there = False
        device = hub.registry.device(IDS[1])
        hub.registry._devices[IDS[1]] = replace(device, online=False)
        result = await hub.desk.activate_all(ActivationRequest(updates=tuple(ids)), actor="anna")
        assert [(each.outcome, each.reason) for each in result.given] == [
            ("waiting", None),
            ("waiting", "offline"),
            ("activating", None),
            ("activating", None),
        ]
        await hub.pass_time(hours=30)
        assert [hub.state(each) for each in ids] == [State.SUCCEEDED, State.STAGED, State.SUCCEEDED, State.SUCCEEDED]
        bench.lamps[IDS[1]].there = True
        hub.radio.announce(IDS[1])
        assert (await hub.until_ended(ids[1])).state is State.SUCCEEDED


@instantly
async def test_a_word_given_to_a_device_that_is_away_survives_a_kill() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        (update,) = await staged(hub, until=1)
        hub.registry._devices[LAMP] = replace(hub.registry.device(LAMP), online=False)
        await hub.desk.activate_all(ActivationRequest(updates=(update,)), actor="anna")
        hub.kill()
    async with bench.hub() as hub:
        hub.radio.announce(LAMP)
        ended = await hub.until_ended(update)
        assert (ended.state, ended.released_by) == (State.SUCCEEDED, "anna")


@instantly
async def test_an_image_brought_in_the_day_is_used_in_the_window() -> None:
    opens = VirtualClock().now() + timedelta(hours=6)
    start = opens.hour * 60 + opens.minute
    night = Window(name="night", zone=ZoneInfo("UTC"), start=start, end=(start + 240) % 1440)
    bench = Bench(windows=(night,))
    async with bench.hub() as hub:
        (update,) = await staged(hub, until=1, activate="window")
        await hub.pass_time(hours=4)
        view = await hub.desk.update(update)
        assert (view.update.state, bench.lamp.version) == (State.STAGED, OLD)
        assert "uses it in its window" in (view.sentence or "")
        await hub.pass_time(hours=3)
        assert (await hub.until_ended(update)).state is State.SUCCEEDED


@instantly
async def test_a_device_that_uses_an_image_by_itself_is_known_as_such_and_not_asked_to_hold_one_again() -> None:
    bench = Bench()
    bench.lamp.goes = "leaves"
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        update = (await hub.order(activate="held")).update
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED
        (component,) = hub.registry.device(LAMP).components
        assert component.holds is False
        await hub.add_image(3)
        result = await hub.desk.order(OrderRequest(devices=(LAMP,), activate="held"), actor="anna")
        assert [each.error.code for each in result.refused] == ["policy-refused"]
        assert "so it cannot hold one" in str(result.refused[0].error)


@instantly
async def test_a_group_gets_the_word_and_nobody_else_does_and_nothing_moves_in_a_halt() -> None:
    bench = hall()
    async with bench.hub() as hub:
        ids = await staged(hub)
        for each in IDS[:2]:
            hub.registry._devices[each] = replace(hub.registry.device(each), groups=("hall",))
        await hub.desk.halt(actor="anna")
        with pytest.raises(Refused, match="halted"):
            await hub.desk.activate_all(ActivationRequest(group="hall"), actor="anna")
        await hub.desk.lift_halt(actor="anna")
        result = await hub.desk.activate_all(ActivationRequest(group="hall"), actor="anna")
        assert [each.update for each in result.given] == ids[:2]
        await hub.pass_time(hours=3)
        assert [hub.state(each) for each in ids] == [State.SUCCEEDED, State.SUCCEEDED, State.STAGED, State.STAGED]
        with pytest.raises(Refused, match="No device is in the group 'cellar'"):
            await hub.desk.activate_all(ActivationRequest(group="cellar"), actor="anna")
        with pytest.raises(Refused, match="holds an image back"):
            await hub.desk.activate_all(ActivationRequest(group="hall"), actor="anna")


# --- lamps that are on, and interlocks, when an image is used ------------------------------------------------------------------------------


def spared() -> tuple[Bench, Switches]:
    """A lamp that was off when its update began, in a house where one that is on is left alone."""
    return Bench(settings=replace(AT_ONCE, spare_in_use=True)), Switches()


@instantly
async def test_an_image_whose_time_has_come_is_used_when_the_lamp_is_off() -> None:
    bench, switches = spared()
    async with bench.hub() as hub:
        hub.radio.is_on = switches.is_on  # type: ignore[attr-defined]
        (update,) = await staged(hub, until=1, activate=VirtualClock().now() + timedelta(hours=6))
        switches.on.add(LAMP)
        await hub.pass_time(hours=8)
        view = await hub.desk.update(update)
        assert (view.update.state, bench.lamp.version) == (State.STAGED, OLD)
        assert view.sentence == "It is on; the image is used when it is off."
        switches.on.clear()
        assert (await hub.until_ended(update)).state is State.SUCCEEDED


@pytest.mark.parametrize("lives", [1, 2])
@instantly
async def test_a_word_is_no_override_and_is_heeded_when_the_lamp_is_off_over_a_restart_too(lives: int) -> None:
    bench, switches = spared()
    async with bench.hub() as hub:
        hub.radio.is_on = switches.is_on  # type: ignore[attr-defined]
        (update,) = await staged(hub, until=1)
        switches.on.add(LAMP)
        (given,) = (await hub.desk.activate_all(ActivationRequest(updates=(update,)), actor="anna")).given
        assert (given.outcome, given.reason) == ("waiting", "in_use")
        await hub.pass_time(hours=1)
        assert hub.state(update) is State.STAGED
        if lives > 1:
            hub.kill()
        else:
            switches.on.clear()
            await hub.until_ended(update)
    if lives > 1:
        async with bench.hub() as hub:
            hub.radio.is_on = switches.is_on  # type: ignore[attr-defined]
            hub.radio.announce(LAMP)
            await hub.pass_time(hours=1)
            assert (await hub.desk.update(update)).update.state is State.STAGED
            assert not any(each.released for each in hub.radio.orders if isinstance(each, Serve)), "the device is not told to use it when it asks"
            switches.on.clear()
            await hub.until_ended(update)
    (row,) = await bench.rows()
    assert (row.state, row.released_by, row.override) == (State.SUCCEEDED, "anna", ())


@instantly
async def test_a_word_that_overrules_what_spares_a_lamp_is_heeded_at_once_and_on_record() -> None:
    bench, switches = spared()
    async with bench.hub() as hub:
        hub.radio.is_on = switches.is_on  # type: ignore[attr-defined]
        (update,) = await staged(hub, until=1)
        switches.on.add(LAMP)
        word = ActivationRequest(updates=(update,), override=("in_use",), because="the hall is empty")
        (given,) = (await hub.desk.activate_all(word, actor="anna")).given
        assert given.outcome == "activating"
        assert (await hub.until_ended(update)).state is State.SUCCEEDED
    (fact,) = await bench.facts("released")
    assert (fact.actor, fact.data["override"], fact.data["because"]) == ("anna", "in_use", "the hall is empty")


@instantly
async def test_a_word_that_came_before_the_image_was_there_waits_for_the_interlock_when_it_is() -> None:
    door = Door()
    bench = Bench(lamps={LAMP: Lamp(seconds=2_000.0)}, settings=replace(AT_ONCE, interlocks=("fire",)), interlocks={"fire": door})
    async with bench.hub() as hub:
        await staged(hub, until=0)
        (row,) = await bench.rows()
        await hub.until(lambda: hub.state(row.id) is State.TRANSFERRING)
        door.says = "a fire test runs"
        (given,) = (await hub.desk.activate_all(ActivationRequest(updates=(row.id,)), actor="anna")).given
        assert (given.outcome, given.sentence) == (
            "waiting",
            "The word is given: the device uses the image when it has all of it and nobody whom policy asks says no.",
        )
        await hub.pass_time(hours=3)
        view = await hub.desk.update(row.id)
        assert (view.update.state, view.sentence) == (State.STAGED, "The interlock fire holds it back: a fire test runs.")
        door.says = None
        assert (await hub.until_ended(row.id)).state is State.SUCCEEDED


@instantly
async def test_what_was_held_by_a_pause_only_is_spared_too_and_an_operator_is_told_why() -> None:
    bench = Bench(lamps={LAMP: Lamp(seconds=100.0)}, settings=replace(AT_ONCE, spare_in_use=True))
    switches = Switches()
    async with bench.hub() as hub:
        hub.radio.is_on = switches.is_on  # type: ignore[attr-defined]
        await hub.add_image(NEW)
        await hub.ready()
        update = (await hub.order()).update.id
        await hub.until(lambda: hub.state(update) is State.TRANSFERRING)
        await hub.desk.pause(update, actor="anna")
        (talk,) = hub.radio.talks.values()
        hub.radio._end(bench.lamp, talk)  # it had the last block already
        await hub.until(lambda: hub.state(update) is State.STAGED)
        switches.on.add(LAMP)
        await hub.pass_time(minutes=5)
        await hub.desk.resume(update, actor="anna")
        await hub.pass_time(hours=1)
        assert hub.state(update) is State.STAGED
        with pytest.raises(Refused, match="It is on; the image is used when it is off"):
            await hub.desk.activate(update, actor="anna")
        switches.on.clear()
        assert (await hub.until_ended(update)).state is State.SUCCEEDED
