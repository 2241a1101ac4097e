"""The life of one update that runs, from its admission to its end: one task, and in each state the step that belongs to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from otagate.engine.course import Course
from otagate.engine.delivery import Delivery
from otagate.engine.proof import Proof
from otagate.model.errors import StoreError, UpdateError
from otagate.model.lifecycle import State
from otagate.model.orders import Withdraw


class Life:
    """Goes from step to step; what its steps know outlives one that breaks off."""

    def __init__(self, course: Course) -> None:
        self._course = course
        delivery, proof = Delivery(course=course), Proof(course=course)
        self._steps: Mapping[State, Callable[[], Awaitable[None]]] = {
            State.FETCHING: delivery.fetch,
            State.OFFERING: delivery.converse,
            State.TRANSFERRING: delivery.converse,
            State.STAGED: delivery.hold,
            State.ACTIVATING: proof.await_return,
            State.CONFIRMING: proof.confirm,
        }

    async def run(self) -> None:
        """Go on until the update has ended or is back in the queue; a store that refuses is waited for, nothing else is."""
        course = self._course
        async with asyncio.TaskGroup() as course.keeper.tasks:
            await self._go_on()
            course.keeper.look_no_more()

    async def _go_on(self) -> None:
        course = self._course
        while (state := course.update.state).running:
            try:
                await self._steps[state]()
            except StoreError:
                await asyncio.sleep(course.tools.waits.store_retry)
            except UpdateError:
                if course.stands(state):
                    raise  # nobody else moved it, so the step itself is wrong
        if course.stands(State.QUEUED) and course.fell_silent and not course.sleepy:
            await course.reader.probe(course.update.device)
        if course.update.ended:
            course.radio.command(Withdraw(update=course.update.id))
