"""A source whose devices their own cloud updates: we ask and watch, and never stream a byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from otagate.model.clouds import CloudDevice, Started
from otagate.model.errors import SourceError
from otagate.model.ids import Sha256, is_cloud_id
from otagate.sources.effects import Conversation, Service
from otagate.sources.entries import BadEntry, text
from otagate.sources.source import Skipped


class OrderInDoubt(SourceError):
    """An order left, and its answer is missing or says nothing: it may be carried out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a source told of all its devices, and what of that is of no use."""

    devices: tuple[CloudDevice, ...]
    skipped: tuple[Skipped, ...] = ()


class Delegate(Protocol):
    """A source whose devices their own cloud updates."""

    @property
    def name(self) -> str:
        """The name in the configuration."""

    @property
    def service(self) -> Service:
        """Whose limits count."""

    @property
    def most_at_once(self) -> int:
        """Devices of one order."""

    def look(self) -> Conversation[Looked]:
        """Every device that this source knows, with its state. Raises SourceError."""

    def look_at(self, device_id: str) -> Conversation[CloudDevice]:
        """One device, read anew, with its current version, its progress and what is offered to it. Raises SourceError."""

    def start(self, device_ids: Sequence[str], channel: str) -> Conversation[Mapping[str, Started]]:
        """Order the updates of at most `most_at_once` devices; never sent a second time by itself, and there is no way to call them back.

        Raises OrderInDoubt where nobody knows whether the order arrived, any other SourceError where it did not, for all of them alike.
        """


@runtime_checkable
class Publisher(Protocol):
    """A delegate whose cloud brings what is given to it: an image of ours becomes what the device takes next, by itself."""

    def publish(self, device_id: str, *, image: Sha256, version: str) -> Conversation[None]:
        """Publish once, and only because an operator said so. Raises as `Delegate.start` does."""


def cloud_id(entry: Mapping[str, Any]) -> str:
    """The cloud's id of a device in an entry, fit to be a part of ours. Raises BadEntry."""
    found = text(entry, "device_id", longest=64)
    if not is_cloud_id(found):
        raise BadEntry("device_id holds other characters than letters, digits, _ and -")
    return found
