"""The life of one update that runs, from its admission to its end: one task, and in each state the step that belongs to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from otagate.engine.course import Course
from otagate.engine.delivery import Delivery
from otagate.engine.proof import Proof
from otagate.engine.supervise import in_words, outcome
from otagate.model.errors import StoreError, UpdateError
from otagate.model.lifecycle import Cause, State
from otagate.model.orders import Withdraw

_RELAPSES = 10
"""So often in a row a step may fail in a way that nobody foresaw; then the attempt is over."""

_FAILURES: Mapping[State, Cause] = {
    State.FETCHING: Cause.FETCH_FAILED,
    State.OFFERING: Cause.EXPIRED,
    State.TRANSFERRING: Cause.STALLED,
    State.ACTIVATING: Cause.LOST,
    State.CONFIRMING: Cause.EXPIRED,
}
"""The end of an attempt in each state; what is staged loses nothing by waiting."""


class Life:
    """Goes from step to step; what its steps know outlives one that breaks off."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._relapses, self._stuck_in, self._why = 0, course.update.state, ""
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

    async def relapse(self, error: Exception) -> None:
        """A step failed in a way that nobody foresaw: tell so, wait, and let `run` go on where the update stands."""
        course, tools, state = self._course, self._course.tools, self._course.update.state
        self._relapses = self._relapses + 1 if state is self._stuck_in else 1
        self._stuck_in, self._why = state, in_words(error)
        course.sentence = f"{self._why}; it is taken up again by itself."
        told = tools.ledger.amend(course.update.id, "relapsed", check=lambda _: None, detail=self._why)
        await outcome(told, what=f"relapse of update {course.update.id}")
        await asyncio.sleep(tools.waits.relapse)
        course.sentence = None
        course.adopted, course.served = True, False

    async def _go_on(self) -> None:
        course = self._course
        while (state := course.update.state).running:
            try:
                await (self._give_up if self._is_stuck(state) else self._steps[state])()
            except StoreError:
                await asyncio.sleep(course.tools.waits.store_retry)
            except UpdateError:
                if course.stands(state):
                    raise  # nobody else moved it, so the step itself is wrong
        if course.stands(State.QUEUED) and course.fell_silent and not course.sleepy:
            await course.reader.probe(course.update.device)
        if course.update.ended:
            course.radio.command(Withdraw(update=course.update.id))

    def _is_stuck(self, state: State) -> bool:
        return self._relapses >= _RELAPSES and state is self._stuck_in and state in _FAILURES

    async def _give_up(self) -> None:
        """The attempt ends like one that the device ended; what may have worked and was not proved is told as that."""
        course, cause = self._course, _FAILURES[self._stuck_in]
        detail = f"{_RELAPSES} times in a row {self._why}"
        if self._stuck_in in (State.ACTIVATING, State.CONFIRMING):
            await course.advance(cause, detail=detail, code="not-confirmed")
        else:
            await course.try_again((cause,), detail, "retries-spent", unheard=True)
