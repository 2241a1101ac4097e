"""What somebody asked for is done to its end, even where who asked goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from otagate.engine.supervise import outcome

T = TypeVar("T")


class Errands:
    """An owner for what operators ask: a request that is cancelled halfway leaves neither row nor memory halfway."""

    def __init__(self) -> None:
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Own every errand, for ever."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                self._tasks = None

    async def do(self, work: Coroutine[Any, Any, T], *, what: str) -> T:
        """Await an errand; cancelling the caller does not cancel it. Raises what the errand raises."""
        if self._tasks is None:
            return await work
        result = await asyncio.shield(self._tasks.create_task(outcome(work, what=what), name=what))
        if isinstance(result, Exception):
            raise result
        return result
