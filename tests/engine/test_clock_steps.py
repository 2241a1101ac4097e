"""Wall clocks that jump: nothing begins outside of its window, is used early or given up because of one, and nobody waits decades."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from otagate.engine.views import OrderRequest
from otagate.model.errors import SourceBusy
from otagate.model.lifecycle import State
from otagate.policy.settings import PolicySettings
from otagate.policy.window import OneTime
from otagate.sources.index import KINDS
from tests.engine.bench import Bench, Hub, image_bytes
from tests.engine.radio import LAMP, NEW, Lamp
from tests.engine.test_offers import INDEX, Holding, entry, told
from tests.virtual_time import NOON, VirtualClock, instantly

HOUR = timedelta(hours=1)
AT_ONCE = PolicySettings(cooldown=timedelta(0))
THE_EPOCH = datetime(1970, 1, 1, tzinfo=UTC) - NOON


def set_wrong(hub: Hub, by: timedelta) -> None:
    """The wall clock shows another time than it is; what counts seconds goes on."""
    hub.clock.now = lambda: VirtualClock().now() + by  # type: ignore[method-assign]


def night(begins: float, ends: float) -> OneTime:
    return OneTime(name="night", begins=NOON + begins * HOUR, ends=NOON + ends * HOUR)


async def ordered(hub: Hub, **wishes: object) -> str:
    await hub.add_image(NEW)
    await hub.ready()
    result = await hub.desk.order(OrderRequest(devices=(LAMP,), **wishes), actor="anna")  # type: ignore[arg-type]
    assert not result.refused, result.refused[0].error
    return result.updates[0].update.id


async def reason_of(hub: Hub, update: str) -> tuple[State, str | None]:
    found = (await hub.desk.update(update)).update  # type: ignore[arg-type]
    return found.state, found.reason


@pytest.mark.parametrize("by", [THE_EPOCH, -HOUR, HOUR, timedelta(days=3650)], ids=["1970", "an hour back", "an hour on", "ten years on"])
@instantly
async def test_a_clock_that_is_set_to_another_time_and_back_begins_nothing_outside_of_its_window(by: timedelta) -> None:
    bench = Bench(windows=(night(3, 5),), settings=replace(AT_ONCE, windows=(night(3, 5),)))
    async with bench.hub() as hub:
        bench.synced = False  # its keeper knows that it is wrong
        set_wrong(hub, by)
        update = await ordered(hub)
        await hub.pass_time(hours=2)
        assert await reason_of(hub, update) == (State.QUEUED, "clock_unsynced")
        assert "nothing that is bound to a time begins" in str((await hub.desk.update(update)).sentence)  # type: ignore[arg-type]
        bench.synced = True
        set_wrong(hub, timedelta(0))
        await hub.pass_time(minutes=1)
        assert await reason_of(hub, update) == (State.QUEUED, "window_closed")
        done = await hub.until_ended(update)  # type: ignore[arg-type]
    assert done.state is State.SUCCEEDED
    assert done.started is not None
    assert NOON + 3 * HOUR <= done.started < NOON + 5 * HOUR


@instantly
async def test_a_clock_of_1970_is_known_by_itself() -> None:
    bench = Bench(windows=(night(-1, 1),), settings=replace(AT_ONCE, windows=(night(-1, 1),)))
    async with bench.hub() as hub:
        set_wrong(hub, THE_EPOCH)
        update = await ordered(hub)
        await hub.pass_time(minutes=5)
        assert await reason_of(hub, update) == (State.QUEUED, "clock_unsynced")


@instantly
async def test_what_was_ordered_for_a_time_does_not_begin_by_a_clock_that_nobody_trusts() -> None:
    bench = Bench(settings=AT_ONCE)
    async with bench.hub() as hub:
        update = await ordered(hub, when=NOON + 6 * HOUR)
        bench.synced = False
        set_wrong(hub, timedelta(days=1))
        await hub.pass_time(hours=2)
        assert await reason_of(hub, update) == (State.QUEUED, "clock_unsynced")
        bench.synced = True
        set_wrong(hub, timedelta(0))
        await hub.pass_time(minutes=1)
        assert await reason_of(hub, update) == (State.QUEUED, "scheduled")


@instantly
async def test_no_approval_expires_by_a_clock_that_nobody_trusts() -> None:
    bench = Bench(settings=replace(AT_ONCE, approval_expires=timedelta(days=7)))
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        await hub.pass_time(minutes=1)
        bench.synced = False
        set_wrong(hub, timedelta(days=30))
        await hub.pass_time(hours=1)
        (planned,) = await bench.rows()
        assert planned.state is State.PLANNED
        bench.synced = True
        await hub.pass_time(minutes=1)
        assert [row.state for row in await bench.rows()] == [State.CANCELLED]


@instantly
async def test_what_was_planned_by_a_clock_of_1970_has_its_time_from_when_the_clock_was_set() -> None:
    bench = Bench(settings=replace(AT_ONCE, approval_expires=timedelta(days=7)))
    async with bench.hub() as hub:
        set_wrong(hub, THE_EPOCH)
        await hub.add_image(NEW)
        await hub.ready()
        await hub.pass_time(minutes=1)
        set_wrong(hub, timedelta(0))
        await hub.pass_time(days=6)
        assert [row.state for row in await bench.rows()] == [State.PLANNED]
        await hub.pass_time(days=2)
        assert [row.state for row in await bench.rows()] == [State.CANCELLED]


@pytest.mark.parametrize("by", [THE_EPOCH, -HOUR, HOUR, timedelta(days=3650)], ids=["1970", "an hour back", "an hour on", "ten years on"])
@instantly
async def test_a_transfer_and_its_waits_are_measured_by_seconds_and_not_by_the_clock(by: timedelta) -> None:
    bench = Bench(settings=AT_ONCE, lamps={LAMP: Lamp(seconds=600.0)})
    async with bench.hub() as hub:
        update = await ordered(hub)
        await hub.until(lambda: hub.state(update) is State.TRANSFERRING)  # type: ignore[arg-type]
        before = hub.clock.monotonic()
        set_wrong(hub, by)
        done = await hub.until_ended(update)  # type: ignore[arg-type]
        assert (done.state, done.attempts) == (State.SUCCEEDED, 0)
        assert hub.clock.monotonic() - before < 900


@instantly
async def test_nobody_waits_decades_for_a_pause_that_began_before_the_clock_went_back_to_1970() -> None:
    bench = Bench(settings=AT_ONCE)
    bench.lamp.goes, bench.lamp.stops_at = "stalls", 0.0
    async with bench.hub() as hub:
        update = await ordered(hub)
        await hub.until(lambda: hub.state(update) is State.QUEUED and hub.clock.now() > NOON + timedelta(minutes=3))  # type: ignore[arg-type]
        assert (await reason_of(hub, update))[1] == "backoff"
        bench.lamp.goes = "well"
        set_wrong(hub, THE_EPOCH)
        assert (await hub.until_ended(update)).state is State.SUCCEEDED  # type: ignore[arg-type]


TEN_YEARS = timedelta(days=3650)


def with_an_index() -> Bench:
    bench = Bench(sources=[Holding(kind=KINDS["z2m-index"], url=INDEX, name="index")])
    bench.services.documents[INDEX] = [entry(image_bytes(NEW))]
    return bench


@instantly
async def test_no_source_is_left_alone_for_years_by_a_clock_that_was_ahead() -> None:
    bench = with_an_index()
    document, bench.services.documents[INDEX] = bench.services.documents[INDEX], SourceBusy("slow", until=NOON + TEN_YEARS + HOUR)
    async with bench.hub() as hub:
        set_wrong(hub, TEN_YEARS)
        await told(hub)
        assert (await hub.desk.sources())[0].state != "ok"
        bench.services.documents[INDEX] = document
        set_wrong(hub, timedelta(0))
        hub.refresher.post("index")
        await hub.pass_time(hours=3)
        assert (await hub.desk.sources())[0].state == "ok"


@instantly
async def test_no_answer_holds_for_years_because_it_came_while_the_clock_was_ahead() -> None:
    bench = with_an_index()
    async with bench.hub() as hub:
        hub.refresher.every["index"] = HOUR
        set_wrong(hub, TEN_YEARS)
        await told(hub)
        set_wrong(hub, timedelta(0))
        asked = len(bench.services.asked)
        hub.refresher.post_due("index")
        await hub.until(lambda: len(bench.services.asked) > asked)
