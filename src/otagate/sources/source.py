"""What every source is: it says which components concern it, consults its service about them in batches, and fetches what it offered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeAlias

from otagate.model.releases import Release
from otagate.sources.effects import Conversation, Service, Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class ZigbeeQuestion:
    """What there is for a Zigbee component of this kind; equal components of many devices are one question. `file_version` is None where unknown."""

    manufacturer_code: int
    image_type: int
    file_version: int | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ZwaveQuestion:
    """What there is for Z-Wave nodes of this kind. `additional` holds the versions of firmware targets other than 0, by target.

    `region` is None where the controller's is unknown: regional releases are hidden then.
    """

    manufacturer_id: int
    product_type: int
    product_id: int
    firmware_version: str
    additional: tuple[tuple[int, str], ...] = ()
    region: str | None = None


Question: TypeAlias = ZigbeeQuestion | ZwaveQuestion


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A release that a source offers. `question`: only to components that asked this; None to all that it fits."""

    release: Release
    question: Question | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """An entry of an answer that is of no use: `what` names it, `why` is a sentence."""

    what: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a consultation brought. `fresh_for`: how long the service says that it holds; None for the source's own period."""

    offers: tuple[Offer, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    fresh_for: timedelta | None = None


class Source(Protocol):
    """One update service as its configuration names it; frozen, but for what its account knows."""

    @property
    def name(self) -> str:
        """The name in the configuration."""

    @property
    def service(self) -> Service:
        """Whose limits count."""

    @property
    def whole(self) -> bool:
        """Whether one answer holds everything, whatever was asked."""

    def concerns(self, question: Question) -> bool:
        """Whether the service may know components of this kind."""

    def consult(self, questions: Sequence[Question]) -> Conversation[Findings]:
        """Ask about all of these, in as few calls as the service allows. Raises SourceError."""

    def fetch(self, release: Release) -> Conversation[Stored]:
        """Fetch the file of a release that this source offered. Raises SourceError."""
