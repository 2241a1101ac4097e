"""An operator's own advisories, as a source: read again when the file has changed; a wrong one is told, and the last good one stays in force."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from otagate.engine.feeds import FeedState
from otagate.model.advisories import Advisory
from otagate.model.errors import ConfigError
from otagate.ports import Clock

NAME = "policy.advisories"
"""The key that names the file: no source can be called so."""


@dataclass(slots=True, kw_only=True)
class Bulletin:
    """`read` blocks and raises ConfigError. Offers no release. Implements `feeds.Feed`."""

    read_file: Callable[[], Sequence[Advisory]]
    clock: Clock
    changed: Callable[[Sequence[Advisory]], None]
    state: FeedState = field(default_factory=FeedState)
    _last: tuple[Advisory, ...] = ()

    name = NAME
    type = "advisories"
    recorder = None
    room_sync = None

    async def read(self) -> bool:
        """Read the file; True where it says other things now."""
        try:
            found = tuple(await asyncio.to_thread(self.read_file))
        except ConfigError as error:
            kept = f"; the {len(self._last)} advisories of before stay in force" if self.state.last_success is not None else ""
            self.state.now("degraded", f"{error}{kept}", error)
            return False
        self.state.last_success = self.clock.now()
        self.state.now("ok", f"{len(found)} advisories")
        if found == self._last:
            return False
        self._last = found
        self.changed(found)
        return True
