"""What fails comes back with growing pauses, unless coming back could do harm."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from otagate.engine.pulse import Pulse
from otagate.engine.supervise import Backoff, outcome, supervise_radio
from otagate.model.errors import PortHeld, RadioInUse, RadioUnavailable, WrongNetwork
from otagate.ports import RadioChanged, RadioEvent
from tests.engine.radio import ScriptedRadio
from tests.virtual_time import VirtualClock, instantly

BACKOFF = Backoff(first=1.0, most=30.0, healthy=60.0)


async def lives(
    life: Callable[[], Awaitable[None]], *, seconds: float, reattach: asyncio.Event | None = None
) -> tuple[list[float], list[RadioChanged]]:
    """When each life of a radio began within so many seconds, and what was told."""
    clock = VirtualClock()
    began: list[float] = []
    told: list[RadioEvent] = []
    radio = ScriptedRadio({}, told.append, [])
    start = clock.monotonic()

    async def run() -> None:
        began.append(clock.monotonic() - start)
        await life()

    radio.run = run  # type: ignore[method-assign]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await supervise_radio(
                radio, emit=told.append, clock=clock, reattach=reattach or asyncio.Event(), backoff=BACKOFF, pulse=Pulse(clock, every=7.0)
            )
    return began, [event for event in told if isinstance(event, RadioChanged)]


@instantly
async def test_the_pause_doubles_up_to_its_bound() -> None:
    async def life() -> None:
        raise RadioUnavailable("there is no stick")

    began, told = await lives(life, seconds=130)
    assert began == pytest.approx([0, 1, 3, 7, 15, 31, 61, 91, 121])
    assert {(event.state, event.sentence) for event in told} == {("retrying", "there is no stick")}


@instantly
async def test_after_a_healthy_life_the_pause_is_short_again() -> None:
    count = 0

    async def life() -> None:
        nonlocal count
        count += 1
        if count == 5:
            await asyncio.sleep(100)
        raise RadioUnavailable("gone")

    began, _ = await lives(life, seconds=120)
    assert began == pytest.approx([0, 1, 3, 7, 15, 116, 118])


@pytest.mark.parametrize(("error", "state"), [(WrongNetwork("another network"), "wrong_network"), (RadioInUse("another program"), "in_use")])
@instantly
async def test_what_could_do_harm_is_not_tried_again_until_an_operator_says_so(error: Exception, state: str) -> None:
    async def life() -> None:
        raise error

    reattach = asyncio.Event()
    asyncio.get_running_loop().call_later(5_000, reattach.set)
    began, told = await lives(life, seconds=100_000, reattach=reattach)
    assert began == pytest.approx([0, 5_000])
    assert [event.state for event in told] == [state, state]


@instantly
async def test_a_port_that_somebody_holds_is_in_use_and_looked_at_again() -> None:
    async def life() -> None:
        raise PortHeld("held by somebody")

    began, told = await lives(life, seconds=5)
    assert len(began) == 3
    assert {(event.state, event.sentence) for event in told} == {("in_use", "held by somebody")}


@instantly
async def test_what_nobody_foresaw_is_one_life_and_not_the_hub() -> None:
    async def life() -> None:
        raise KeyError("a bug in a library")

    began, told = await lives(life, seconds=5)
    assert len(began) == 3
    assert told[0].state == "retrying"
    assert "KeyError" in told[0].sentence


@instantly
async def test_an_error_that_a_task_group_has_wrapped_is_still_known() -> None:
    async def life() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())

    async def fail() -> None:
        raise WrongNetwork("another network")

    began, told = await lives(life, seconds=1_000)
    assert len(began) == 1
    assert told[0].state == "wrong_network"


@instantly
async def test_a_life_that_cancels_itself_is_begun_again() -> None:
    async def life() -> None:
        raise asyncio.CancelledError

    began, told = await lives(life, seconds=2)
    assert len(began) == 2
    assert told[0].state == "retrying"


@instantly
async def test_the_end_of_the_hub_is_the_end_of_the_life() -> None:
    ended: list[bool] = []

    async def life() -> None:
        try:
            await asyncio.sleep(10_000)
        finally:
            ended.append(True)

    await lives(life, seconds=5)
    assert ended == [True]


@instantly
async def test_a_radio_that_simply_ends_is_begun_again() -> None:
    async def life() -> None:
        return

    began, _ = await lives(life, seconds=2)
    assert len(began) == 2


@instantly
async def test_an_outcome_is_the_value_or_the_failure_and_never_a_swallowed_cancellation() -> None:
    async def value() -> int:
        return 7

    async def failure() -> int:
        raise ValueError("no")

    async def for_ever() -> int:
        await asyncio.sleep(1_000)
        return 0

    assert await outcome(value(), what="test") == 7
    assert isinstance(await outcome(failure(), what="test"), ValueError)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await outcome(for_ever(), what="test")


@pytest.mark.parametrize("error", [None, RadioUnavailable("there is no stick"), RadioInUse("another program")])
@instantly
async def test_a_supervisor_gives_signs_of_life_whatever_its_radio_does_and_none_when_it_is_dead(error: Exception | None) -> None:
    clock = VirtualClock()
    pulse = Pulse(clock, every=7.0)
    radio = ScriptedRadio({}, lambda _: None, [])
    radio.trouble = error  # type: ignore[assignment]
    async with asyncio.TaskGroup() as group:
        supervisor = group.create_task(
            supervise_radio(radio, emit=lambda _: None, clock=clock, reattach=asyncio.Event(), backoff=BACKOFF, pulse=pulse)
        )
        for _ in range(1_000):
            await asyncio.sleep(11)
            assert pulse.silent(longest=8) == []
        supervisor.cancel()
        await asyncio.sleep(11)
        assert pulse.silent(longest=8) == ["the supervisor of radio zigbee0"]
