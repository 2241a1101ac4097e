"""What was asked for is done to its end."""

from __future__ import annotations

import asyncio

import pytest

from otagate.engine.errands import Errands
from otagate.model.errors import NotInState
from tests.virtual_time import instantly


@instantly
async def test_who_goes_away_does_not_take_the_errand_along() -> None:
    errands, done = Errands(), []

    async def errand() -> None:
        await asyncio.sleep(10)
        done.append("done")

    async with asyncio.TaskGroup() as group:
        owner = group.create_task(errands.run())
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await errands.do(errand(), what="test")
        assert done == []
        await asyncio.sleep(10)
        owner.cancel()
    assert done == ["done"]


@instantly
async def test_an_errand_answers_and_fails_to_who_asked_and_to_nobody_else() -> None:
    errands = Errands()

    async def answer() -> int:
        return 7

    async def fail(error: Exception) -> None:
        raise error

    async with asyncio.TaskGroup() as group:
        owner = group.create_task(errands.run())
        await asyncio.sleep(0)
        assert await errands.do(answer(), what="test") == 7
        with pytest.raises(NotInState):
            await errands.do(fail(NotInState("no")), what="test")
        with pytest.raises(ZeroDivisionError):
            await errands.do(fail(ZeroDivisionError()), what="test")
        assert await errands.do(answer(), what="test") == 7
        owner.cancel()


@instantly
async def test_the_end_of_the_hub_ends_every_errand() -> None:
    errands = Errands()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        owner = group.create_task(errands.run())
        await asyncio.sleep(0)
        waiting = group.create_task(errands.do(asyncio.sleep(1_000), what="test"))
        await asyncio.sleep(1)
        owner.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
