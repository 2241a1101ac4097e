"""What devices are asked in one life of a radio: when the line is lost every question ends, for nobody would answer it any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from otagate.model.errors import RadioUnavailable
from otagate.model.ids import RadioName


class Questions:
    """A radio library may wait long for the confirmation of a frame that left before the line went; nobody else shall."""

    def __init__(self, radio: RadioName) -> None:
        self._radio = radio
        self._open: set[asyncio.Timeout] = set()

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """A block that asks; raises RadioUnavailable where the line is lost meanwhile."""
        scope = asyncio.timeout(None)
        try:
            async with scope:
                self._open.add(scope)
                try:
                    yield
                finally:
                    self._open.discard(scope)
        except TimeoutError:
            if not scope.expired():
                raise
            raise RadioUnavailable(f"radio {self._radio} was lost meanwhile") from None

    def end(self) -> None:
        """The line is lost."""
        now = asyncio.get_running_loop().time()
        for scope in self._open:
            scope.reschedule(now)
        self._open.clear()
