"""The gate of a store: one transaction at a time, and readers who see commits only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from otagate.model.errors import LocalProtocolError


class Gate:
    """Who may touch the store now.

    A transaction belongs to the task that opened it: that task reads its own writes, every other task waits for the end. So a task must not
    wait, inside its transaction, for another task that reads.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._owner: asyncio.Task[object] | None = None

    @property
    def owned(self) -> bool:
        """Whether the transaction that runs belongs to the current task."""
        return self._owner is not None and self._owner is asyncio.current_task()

    def require_owned(self) -> None:
        """Raises LocalProtocolError where the current task is in no transaction."""
        if not self.owned:
            raise LocalProtocolError("a write to the store outside a transaction of the same task")

    @asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """Hold the gate for a transaction; raises LocalProtocolError inside another one of the same task (it would wait for itself)."""
        if self.owned:
            raise LocalProtocolError("a transaction inside a transaction of the same task")
        async with self._lock:
            self._owner = asyncio.current_task()
            try:
                yield
            finally:
                self._owner = None

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Hold the gate for one read; inside a transaction of the same task it is held already."""
        if self.owned:
            yield
            return
        async with self._lock:
            yield
