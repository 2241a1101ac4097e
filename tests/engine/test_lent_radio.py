"""A whole hub on a borrowed stick, over days: what is heeded before it is taken, and what becomes of a transfer when it goes back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from otagate.engine.views import OrderRequest
from otagate.model.errors import RadioUnavailable
from otagate.model.lifecycle import State
from otagate.model.updates import Update
from otagate.policy.lease import Terms
from otagate.policy.settings import PolicySettings
from otagate.policy.window import AtEnd, OneTime
from tests.engine.bench import Bench, Hub
from tests.engine.radio import LAMP, NEW, ZIGBEE0, Lamp
from tests.virtual_time import NOON, VirtualClock, instantly

HOUR = timedelta(hours=1)
SOON = timedelta(minutes=2)


class Stick:
    """Implements `ports.Handover`, and outlives a hub; `loans` are when it was taken and when it was given back."""

    def __init__(self) -> None:
        self.owed = False
        self.hub_is_dead = False
        self.loans: list[list[datetime]] = []

    async def take(self) -> None:
        self.owed = True
        self.loans.append([VirtualClock().now()])

    async def give_back(self) -> None:
        if self.hub_is_dead:
            raise RadioUnavailable("the dead run no commands")
        self.owed = False
        self.loans[-1].append(VirtualClock().now())


def bench(*, seconds: float = 60.0, at_end: AtEnd = "finish", nights: int = 2, **more: Any) -> tuple[Bench, Stick]:
    """A lamp that is updated from 1 h to 1.5 h after the start, and again six hours later; the transfer takes so many seconds."""
    stick = Stick()
    windows = tuple(
        OneTime(name=f"night{day}", begins=NOON + (1 + 6 * day) * HOUR, ends=NOON + (1.5 + 6 * day) * HOUR, at_end=at_end) for day in range(nights)
    )
    settings = PolicySettings(cooldown=timedelta(0), windows=windows)
    return Bench(windows=windows, settings=settings, lamps={LAMP: Lamp(seconds=seconds)}, stick=stick, **more), stick


async def ordered(hub: Hub, stick: Stick) -> Update:
    """The stick is borrowed for long enough that the lamp tells what it runs, and given back; then its update is ordered."""
    await hub.add_image(NEW)
    hub.reattach[ZIGBEE0].set()
    await hub.ready()
    await hub.until(lambda: not stick.owed)
    stick.loans.clear()
    result = await hub.desk.order(OrderRequest(devices=(LAMP,)), actor="test")
    assert not result.refused, result.refused[0].error
    return result.updates[0].update


@instantly
async def test_the_stick_is_borrowed_when_the_window_opens_and_given_back_when_all_is_done() -> None:
    of, stick = bench()
    async with of.hub() as hub:
        update = await ordered(hub, stick)
        await hub.pass_time(minutes=40)
        assert hub.waits_for(update.id) == "window_closed"
        assert stick.loans == []
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED
        await hub.pass_time(hours=9)
    ((taken, given),) = stick.loans
    assert NOON + HOUR <= taken < NOON + HOUR + SOON
    assert given < NOON + 1.2 * HOUR


@instantly
async def test_without_a_window_the_update_waits_for_nothing_but_the_stick() -> None:
    of, stick = bench(nights=0)
    async with of.hub() as hub:
        update = await ordered(hub, stick)
        assert hub.registry.radio(ZIGBEE0).state == "lent"
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED
    assert len(stick.loans) == 1


@instantly
async def test_a_halt_is_heeded_before_the_stick_is_taken() -> None:
    of, stick = bench()
    async with of.hub() as hub:
        await ordered(hub, stick)
        await hub.halt.begin(actor="test")
        await hub.pass_time(hours=9)
    assert stick.loans == []
    assert of.lamp.downloads == 0


@instantly
async def test_a_transfer_that_may_finish_keeps_the_stick_after_its_window() -> None:
    of, stick = bench(seconds=2_700.0)
    async with of.hub() as hub:
        update = await ordered(hub, stick)
        assert (await hub.until_ended(update.id, within=9 * 3_600.0)).state is State.SUCCEEDED
        await hub.pass_time(minutes=10)
    ((_, given),) = stick.loans
    assert NOON + 1.7 * HOUR < given < NOON + 2 * HOUR


@instantly
async def test_a_transfer_that_pauses_gives_the_stick_back_and_goes_on_in_the_next_window() -> None:
    of, stick = bench(seconds=2_700.0, at_end="pause")
    async with of.hub() as hub:
        update = await ordered(hub, stick)
        hub.radio.abandoned = lambda: not stick.owed
        await hub.until_state(update.id, State.TRANSFERRING)
        assert (await hub.until_ended(update.id, within=9 * 3_600.0)).state is State.SUCCEEDED
        await hub.pass_time(minutes=10)
    (_, first), (second, _) = stick.loans
    assert NOON + 1.5 * HOUR <= first < NOON + 1.5 * HOUR + SOON
    assert NOON + 7 * HOUR <= second < NOON + 7 * HOUR + SOON
    assert of.lamp.downloads == 1


@instantly
async def test_a_transfer_that_one_loan_is_too_short_for_goes_on_in_the_next_one() -> None:
    of, stick = bench(seconds=600.0, nights=0, terms=Terms(most=300.0))
    async with of.hub() as hub:
        update = await ordered(hub, stick)
        hub.radio.abandoned = lambda: not stick.owed
        ended = await hub.until_ended(update.id, within=9 * 3_600.0)
        assert (ended.state, ended.attempts) == (State.SUCCEEDED, 0)
        await hub.pass_time(minutes=10)
    assert len(stick.loans) > 2
    assert all(given - taken <= timedelta(seconds=300) for taken, given in stick.loans)
    assert of.lamp.downloads == 1


@pytest.mark.parametrize(
    ("nights", "called_after", "late"),
    [
        pytest.param(0, timedelta(minutes=2), timedelta(minutes=10), id="the other program had it for a short while"),
        pytest.param(2, 2 * HOUR, 4 * HOUR, id="its window is closed, and finishing it is allowed"),
    ],
)
def test_a_stick_that_is_called_for_early_does_not_stay_for_a_device_that_was_told_to_wait(
    nights: int, called_after: timedelta, late: timedelta
) -> None:
    @instantly
    async def story() -> None:
        of, stick = bench(seconds=1_500.0, nights=nights, terms=Terms(most=600.0, called=100.0, part=160.0))
        async with of.hub() as hub:
            update = await ordered(hub, stick)
            hub.radio.abandoned = lambda: not stick.owed
            await hub.until(lambda: stick.owed, within=2 * 3_600.0)
            await hub.until(lambda: not stick.owed)
            planned = stick.loans[0][1]
            await hub.pass_time(seconds=called_after.total_seconds())
            stick.loans.clear()
            hub.reattach[ZIGBEE0].set()
            ended = await hub.until_ended(update.id, within=9 * 3_600.0)
            assert (ended.state, ended.attempts) == (State.SUCCEEDED, 0)
            await hub.pass_time(minutes=10)
        early, again, *_ = stick.loans
        assert early[1] - early[0] < SOON
        assert again[0] - planned >= late, "the device does not ask before"
        assert of.lamp.downloads == 1

    story()


@instantly
async def test_what_the_other_program_is_asked_for_it_does_not_know_and_ends() -> None:
    """Why devices are dismissed at all: here nobody tells them."""
    of, stick = bench(seconds=600.0, nights=0, terms=Terms(most=300.0, part=0.0))
    async with of.hub() as hub:
        update = await ordered(hub, stick)
        hub.radio.abandoned = lambda: not stick.owed
        await hub.until_state(update.id, State.TRANSFERRING)
        await hub.until(lambda: ("abort", LAMP) in of.history, within=2 * 3_600.0)


@pytest.mark.parametrize("at_end", ["finish", "pause"])
def test_after_a_kill_the_stick_goes_back_and_what_was_under_way_waits_for_its_next_window(at_end: AtEnd) -> None:
    @instantly
    async def story() -> None:
        of, stick = bench(seconds=1_800.0, at_end=at_end)
        async with of.hub() as hub:
            update = await ordered(hub, stick)
            await hub.until_state(update.id, State.TRANSFERRING)
            await hub.pass_time(minutes=10)
            stick.hub_is_dead = True
            hub.kill()
            await hub.until_killed()
        stick.hub_is_dead = False
        assert stick.owed
        await hub.pass_time(hours=1)  # its window is over
        async with of.hub() as hub:
            await hub.until(lambda: not stick.owed)
            assert not hub.radio.up
            assert (await hub.until_ended(update.id, within=9 * 3_600.0)).state is State.SUCCEEDED
            await hub.pass_time(minutes=10)
        _, (second, _) = stick.loans
        assert NOON + 7 * HOUR <= second < NOON + 7 * HOUR + SOON

    story()
