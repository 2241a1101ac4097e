"""Who carries notifications, as a port."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A notification as it is sent, the same bytes at every try: `id` is what a receiver tells repetitions by, `since` when it was made."""

    id: str
    body: bytes
    since: datetime


class Courier(Protocol):
    """The way to one receiver."""

    async def deliver(self, outgoing: Outgoing) -> None:
        """Hand it over. Raises SourceError where the receiver did not take it, with `until` where it said how long to wait."""
