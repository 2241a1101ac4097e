"""What reaches the task of a running update."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from otagate.model.devices import Component
from otagate.model.errors import StoreError, UpdateError
from otagate.ports import TransferAdvanced


@dataclass(frozen=True, slots=True)
class Returned:
    """The device announced itself."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The device was heard: one that sleeps is awake now."""


@dataclass(frozen=True, slots=True)
class Told:
    """The device told what it runs."""

    component: Component


@dataclass(frozen=True, slots=True)
class Changed:
    """Somebody else changed the row."""


Letter = TransferAdvanced | Returned | Heard | Told | Changed


@dataclass(slots=True)
class Mailbox:
    """Letters in the order of their kinds' arrival. Of one kind only the newest waits, so however often a device repeats itself, nothing piles up.

    A device that repeats a request gets a new token, and the older one is worth nothing any more: `TransferAdvanced` is one kind per causes.
    """

    _letters: dict[Hashable, Letter] = field(default_factory=dict)
    _open: Letter | None = None
    _ring: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, letter: Letter) -> None:
        """Deliver."""
        self._letters[_kind(letter)] = letter
        self._ring.set()

    def forget(self, *kinds: type[Letter]) -> None:
        """Drop the letters of these kinds: what they tell was before what counts now."""
        self._letters = {kind: letter for kind, letter in self._letters.items() if not isinstance(letter, kinds)}
        if isinstance(self._open, kinds):
            self._open = None

    @asynccontextmanager
    async def reading(self, timeout: float | None) -> AsyncIterator[Letter | None]:
        """The next letter, or None after `timeout` seconds.

        Where the store refused, or somebody else was faster, it was not heeded: it is the next one again, but for a newer one of its kind.
        """
        self._open = await self._next(timeout)
        try:
            yield self._open
        except (StoreError, UpdateError):
            if self._open is not None:
                self._letters = {_kind(self._open): self._open} | self._letters
            raise
        finally:
            self._open = None

    async def _next(self, timeout: float | None) -> Letter | None:
        if not self._letters:
            self._ring.clear()
            try:
                async with asyncio.timeout(timeout):
                    await self._ring.wait()
            except TimeoutError:
                return None
        return self._letters.pop(next(iter(self._letters), None), None)


def _kind(letter: Letter) -> Hashable:
    if isinstance(letter, TransferAdvanced):
        return letter.causes
    return type(letter).__name__
