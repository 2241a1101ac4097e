"""Windows in the life of updates: who waits for one, what becomes of a transfer when it closes, and what a restart makes of that."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from otagate.engine.views import OrderRequest
from otagate.model.lifecycle import State
from otagate.policy.settings import PolicySettings
from otagate.policy.window import AtEnd, OneTime
from tests.engine.bench import Bench, Hub
from tests.engine.radio import LAMP, NEW, Lamp, orders_of
from tests.virtual_time import NOON, instantly

HOUR = timedelta(hours=1)


def opens(begins: float, ends: float, at_end: AtEnd = "finish") -> OneTime:
    """A window, in hours after the hub is started for the first time."""
    return OneTime(name="night", begins=NOON + begins * HOUR, ends=NOON + ends * HOUR, at_end=at_end)


def bench(*windows: OneTime, seconds: float = 60.0, bound: bool = True, **more: Any) -> Bench:
    settings = PolicySettings(cooldown=timedelta(0), windows=windows if bound else ())
    return Bench(windows=windows, settings=settings, lamps={LAMP: Lamp(seconds=seconds)}, **more)


async def ordered(hub: Hub, **wishes: Any) -> Any:
    await hub.add_image(NEW)
    await hub.ready()
    result = await hub.desk.order(OrderRequest(devices=(LAMP,), **wishes), actor="test")
    assert not result.refused, result.refused[0].error
    return result.updates[0].update


def time(hub: Hub) -> datetime:
    return hub.clock.now()


@instantly
async def test_an_update_waits_for_its_window_and_says_when_it_opens() -> None:
    of = bench(opens(3, 5))
    async with of.hub() as hub:
        update = await ordered(hub)
        await hub.pass_time(minutes=1)
        view = await hub.desk.update(update.id)
        assert (view.update.state, view.update.reason) == (State.QUEUED, "window_closed")
        assert view.sentence == "No window is open for it; night opens on Fri 2026-05-01 15:00 (UTC)."
        await hub.pass_time(minutes=178)
        assert hub.state(update.id) is State.QUEUED
        assert of.lamp.downloads == 0
        done = await hub.until_ended(update.id)
    assert done.state is State.SUCCEEDED
    assert done.started is not None
    assert NOON + 3 * HOUR <= done.started < NOON + 3 * HOUR + timedelta(minutes=1)


@instantly
async def test_an_order_for_a_window_waits_also_where_its_device_is_bound_to_none() -> None:
    of = bench(opens(3, 5), bound=False)
    async with of.hub() as hub:
        update = await ordered(hub, when="window")
        await hub.pass_time(minutes=170)
        assert hub.state(update.id) is State.QUEUED
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED


@instantly
async def test_a_device_without_a_window_is_updated_at_any_time() -> None:
    of = bench(opens(3, 5), bound=False)
    async with of.hub() as hub:
        update = await ordered(hub)
        await hub.until_ended(update.id)
        assert time(hub) < NOON + HOUR


@instantly
async def test_an_order_that_overrules_its_window_does_not_wait() -> None:
    of = bench(opens(3, 5))
    async with of.hub() as hub:
        update = await ordered(hub, override=("window_closed",), because="the tenant asked for it")
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED
        assert time(hub) < NOON + HOUR


@instantly
async def test_a_plan_says_for_what_an_update_would_wait_and_makes_none() -> None:
    of = bench(opens(3, 5))
    async with of.hub() as hub:
        planned = await ordered(hub, dry_run=True)
        result = await hub.desk.order(OrderRequest(devices=(LAMP,), dry_run=True), actor="test")
        assert planned.reason == "window_closed"
        assert result.updates[0].sentence == "No window is open for it; night opens on Fri 2026-05-01 15:00 (UTC)."
        assert await of.rows() == []
        assert [(each.name, each.open, len(each.openings)) for each in hub.desk.windows()] == [("night", False, 1)]


@instantly
async def test_a_transfer_that_runs_when_its_window_closes_finishes() -> None:
    of = bench(opens(0, 0.5), seconds=2400.0)
    async with of.hub() as hub:
        update = await ordered(hub)
        done = await hub.until_ended(update.id)
        assert done.state is State.SUCCEEDED
        assert time(hub) > NOON + 0.6 * HOUR
        assert "Pause" not in orders_of(hub.radio, update.id)


@pytest.mark.parametrize("restart", [False, True])
@instantly
async def test_a_transfer_is_paused_until_the_next_window_over_a_restart_too(restart: bool) -> None:
    of = bench(opens(0, 0.5, "pause"), opens(10, 14, "pause"), seconds=2400.0)
    async with of.hub() as hub:
        update = await ordered(hub)
        await hub.pass_time(minutes=40)
        view = await hub.desk.update(update.id)
        assert (view.update.state, view.update.reason) == (State.TRANSFERRING, "window_closed")
        assert view.sentence == "Its window has closed; night opens on Fri 2026-05-01 22:00 (UTC)."
        halfway = of.lamp.offset
        assert 0 < halfway < 1
        if not restart:
            await hub.pass_time(hours=8)
            assert of.lamp.offset == halfway
            assert (await hub.until_ended(update.id)).state is State.SUCCEEDED
    if restart:
        async with of.hub() as hub:
            await hub.pass_time(hours=8)
            assert of.lamp.offset == halfway
            assert (await hub.desk.update(update.id)).update.reason == "window_closed"
            assert (await hub.until_ended(update.id)).state is State.SUCCEEDED
            assert time(hub) > NOON + 10 * HOUR
    assert of.lamp.downloads == 1
    kinds = [fact.kind for fact in await of.facts()]
    assert (kinds.count("window_closed"), kinds.count("window_opened")) == (1, 1)


@instantly
async def test_what_was_offered_before_its_window_closed_does_not_begin_after_it() -> None:
    of = bench(opens(0, 0.05), opens(10, 10.05))
    of.lamp.asks = False
    async with of.hub() as hub:
        update = await ordered(hub)
        await hub.pass_time(minutes=2)
        assert hub.state(update.id) is State.OFFERING
        await hub.pass_time(minutes=2)
        of.lamp.asks = True
        hub.radio.wake(LAMP)
        await hub.pass_time(hours=8)
        assert of.lamp.offset == 0
        done = await hub.until_ended(update.id)
        assert done.state is State.SUCCEEDED
        assert time(hub) >= NOON + 10 * HOUR


@instantly
async def test_a_clock_that_was_not_set_yet_opens_no_window() -> None:
    of = bench(opens(0, 5), synced=False)
    async with of.hub() as hub:
        update = await ordered(hub)
        await hub.pass_time(hours=1)
        assert (await hub.desk.update(update.id)).update.reason == "clock_unsynced"
        of.synced = True
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED


@instantly
async def test_a_device_shows_how_fast_it_is_and_is_given_no_more_time_than_that() -> None:
    of = bench(seconds=600.0)
    async with of.hub() as hub:
        update = await ordered(hub)
        await hub.until_ended(update.id)
        component = hub.registry.device(LAMP).components[0]
        assert component.rate == pytest.approx(update.bytes_total / 600.0, rel=0.2)
        assert component.floor == NEW
    async with of.hub() as hub:
        await hub.ready()
        assert hub.registry.device(LAMP).components[0] == component
