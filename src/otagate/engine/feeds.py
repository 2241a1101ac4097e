"""What every kind of source looks like to the refresher: it can be read, and it says how it fares."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from otagate.sources.records import Recorder, RoomSync

Condition = Literal["ok", "degraded", "misconfigured"]


@dataclass(slots=True)
class FeedState:
    """How a source fares. `not_before`: it wants to be left alone until then. `failures`: so often in a row it could not be read."""

    condition: Condition = "ok"
    sentence: str = "not read yet"
    last_success: datetime | None = None
    releases: int = 0
    not_before: datetime | None = None
    failures: int = 0

    def now(self, condition: Condition, sentence: str) -> None:
        """From now on it fares like this."""
        self.condition, self.sentence = condition, sentence
        if condition == "ok":
            self.not_before, self.failures = None, 0


class Feed(Protocol):
    """One source of the configuration."""

    @property
    def name(self) -> str:
        """The name in the configuration."""

    @property
    def type(self) -> str:
        """The type in the configuration."""

    state: FeedState

    async def read(self) -> bool:
        """Read it; True where it offers other things now. What is wrong with the source itself is in its state. Raises StoreError."""

    @property
    def recorder(self) -> Recorder | None:
        """What can be asked for the service's own records, where it keeps some."""

    @property
    def room_sync(self) -> RoomSync | None:
        """What can have the service look again at one room, where it knows rooms."""
