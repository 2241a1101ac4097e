"""What a service itself recorded of its updates, for those that keep such lists; and the few that look again at a part of what they know.

A source of a service that keeps records is a `Recorder` beside whatever else it is: it needs no registration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

from otagate.model.facts import Scalar
from otagate.sources.effects import Conversation, Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line of a service's own list. `device` is our id of it; `status` a word of `model.clouds.CloudStatus`, where the service has one.

    `details` is what the service says besides, to be shown and never interpreted; no secret of it, and no address of a file.
    """

    device: str | None
    name: str | None = None
    status: str | None = None
    version: str | None = None
    at: datetime | None = None
    details: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordQuery:
    """Which records: `filters` are text, by the service's own names, lists with commas between; `offset` counts records from the first."""

    filters: Mapping[str, str] = field(default_factory=dict)
    limit: int = 100
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPage:
    """Some records, in the service's order; `after` is the offset behind them, None at the end."""

    items: tuple[Record, ...]
    after: int | None = None


@runtime_checkable
class Recorder(Protocol):
    """A source whose service keeps records."""

    @property
    def service(self) -> Service:
        """Whose limits count."""

    def records(self, query: RecordQuery) -> Conversation[RecordPage]:
        """One page of them, in one call. Raises BadFilter for what it cannot narrow by, SourceError."""


@runtime_checkable
class RoomSync(Protocol):
    """A source whose service looks again at the devices of one room."""

    @property
    def service(self) -> Service:
        """Whose limits count."""

    def sync_room(self, room_id: str) -> Conversation[None]:
        """Have it look. Raises SourceError."""
