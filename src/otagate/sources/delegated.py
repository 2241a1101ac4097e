"""What a cloud tells of devices that it updates by itself: we ask and watch, and never stream a byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from otagate.model.ids import is_cloud_id
from otagate.sources.effects import Conversation, Service
from otagate.sources.entries import BadEntry, text

CloudStatus = Literal["none", "available", "waiting", "updating", "updated", "failed", "timed_out", "unknown"]
"""One vocabulary for every cloud. `waiting`: the device sleeps and takes it when it wakes up; `unknown`: a number that no document explains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudChannel:
    """One firmware of a cloud's device. `raw_status` is the cloud's own number; `progress` is in percent; `timeout` in seconds.

    `blocked`: why the cloud would not update it now. `facts` is what the cloud says besides, to be shown and never interpreted.
    """

    channel: str
    status: CloudStatus
    raw_status: int
    current_version: str | None = None
    offered_version: str | None = None
    progress: int | None = None
    timeout: int | None = None
    blocked: str | None = None
    notes: str | None = None
    changed: datetime | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudDevice:
    """One device as its cloud tells of it. `online` is None where the cloud did not say; a sleepy device is not offline when it is silent."""

    device_id: str
    name: str = ""
    online: bool | None = None
    sleepy: bool = False
    product: str | None = None
    room: str | None = None
    channels: tuple[CloudChannel, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


Started = Literal["started", "not-started", "already-running"]


class Delegate(Protocol):
    """A source whose devices their own cloud updates."""

    @property
    def name(self) -> str:
        """The name in the configuration."""

    @property
    def service(self) -> Service:
        """Whose limits count."""

    def look(self) -> Conversation[tuple[CloudDevice, ...]]:
        """Every device that this source knows, with its state. Raises SourceError."""

    def look_at(self, device_id: str) -> Conversation[CloudDevice]:
        """One device, read anew. Raises SourceError."""

    def start(self, device_ids: Sequence[str], channel: str) -> Conversation[Mapping[str, Started]]:
        """Order updates; never sent a second time by itself, and there is no way to call them back. Raises SourceError."""


def cloud_id(entry: Mapping[str, Any]) -> str:
    """The cloud's id of a device in an entry, fit to be a part of ours. Raises BadEntry."""
    found = text(entry, "device_id", longest=64)
    if not is_cloud_id(found):
        raise BadEntry("device_id holds other characters than letters, digits, _ and -")
    return found
