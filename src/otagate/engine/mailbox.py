"""What reaches the task of a running update, in order."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from otagate.model.devices import Component
from otagate.ports import TransferAdvanced

_BOUND = 200


@dataclass(frozen=True, slots=True)
class Returned:
    """The device announced itself."""


@dataclass(frozen=True, slots=True)
class Told:
    """The device told what it runs, by Query Next Image."""

    component: Component


@dataclass(frozen=True, slots=True)
class Asked:
    """An operator asks for something (`cancel`, `activate`); the answer is None or the error to raise."""

    what: str
    actor: str
    answer: asyncio.Future[None]


Letter = TransferAdvanced | Returned | Told | Asked


@dataclass(slots=True)
class Mailbox:
    """A bounded queue: letters past the bound are dropped, because a device repeats itself and an operator is told."""

    letters: asyncio.Queue[Letter] = field(default_factory=lambda: asyncio.Queue(_BOUND))

    def put(self, letter: Letter) -> bool:
        """Deliver; False where the box is full."""
        try:
            self.letters.put_nowait(letter)
        except asyncio.QueueFull:
            return False
        return True

    async def get(self, timeout: float | None) -> Letter | None:
        """The next letter, or None after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                return await self.letters.get()
        except TimeoutError:
            return None
