"""What every kind of source looks like to the refresher: it can be read, and it says how it fares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol, runtime_checkable

from otagate.model.devices import Component, Device
from otagate.model.errors import OtagateError, SourceBusy, SourceError, SourceMisconfigured
from otagate.model.ids import DeviceId
from otagate.model.releases import Release
from otagate.sources.effects import Service, Stored
from otagate.sources.records import Recorder, RoomSync
from otagate.sources.source import Skipped

HARD_LIFE = timedelta(hours=24)
"""How long the last good answer serves behind a service that fails."""

_KEPT, _SHOWN = 100, 5

Condition = Literal["ok", "degraded", "misconfigured", "offline"]
"""`misconfigured` is not asked until an operator acts, `offline` never."""


def counted(number: int, noun: str) -> str:
    """`1 device`, `2 devices`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


@dataclass(slots=True)
class FeedState:
    """How a source fares. `not_before`: it wants to be left alone until then. `failures`: so often in a row it could not be read.

    `service`: whose limits count, None for a folder. `fresh_until`: so long its service says that the last answer holds. `skipped`: what of it is of
    no use, the first hundred of `left_out`.
    """

    condition: Condition = "ok"
    sentence: str = "not read yet"
    last_success: datetime | None = None
    releases: int = 0
    not_before: datetime | None = None
    failures: int = 0
    error: OtagateError | None = None
    service: Service | None = None
    skipped: tuple[Skipped, ...] = ()
    left_out: int = 0
    fresh_until: datetime | None = None

    @property
    def left_alone(self) -> bool:
        """Whether it is not asked, by itself or for a file, until an operator acts."""
        return self.condition in ("misconfigured", "offline")

    def leaves_out(self, skipped: Sequence[Skipped]) -> str:
        """So much of it is of no use: kept by name, and the first of it as the end of a sentence."""
        self.skipped, self.left_out = tuple(skipped[:_KEPT]), len(skipped)
        shown = "; ".join(f"{each.what}: {each.why}" for each in skipped[:_SHOWN])
        return f"; skipped {len(skipped)}: {shown}" if skipped else ""

    def now(self, condition: Condition, sentence: str, error: OtagateError | None = None) -> None:
        """From now on it fares like this; `error` is why it could not be read."""
        self.condition, self.sentence, self.error = condition, sentence, error
        if condition == "ok":
            self.not_before, self.failures = None, 0

    def outlived(self, now: datetime) -> bool:
        """Whether what a source that fails said last is too old to serve, though nobody may have asked it again since."""
        return self.condition != "ok" and self.last_success is not None and now - self.last_success > HARD_LIFE

    def failed(self, error: SourceError, *, serves_on: bool) -> None:
        """It could not be read. `serves_on`: what it said last is still offered, and told to be old."""
        old = f"; what it said at {self.last_success:%Y-%m-%d %H:%M} UTC serves on" if self.last_success is not None and serves_on else ""
        wrong = isinstance(error, SourceMisconfigured)
        todo = "; it is asked again when an operator refreshes it, or when the hub starts" if wrong else "; it is asked again by itself"
        self.now("misconfigured" if wrong else "degraded", f"{error}{todo}{old}", error)
        self.not_before = error.until if isinstance(error, SourceBusy) else None
        self.failures += 1


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


@runtime_checkable
class Publishing(Protocol):
    """A source whose cloud brings images that are given to it."""

    @property
    def name(self) -> str:
        """The name in the configuration."""

    def takes(self, device: DeviceId) -> bool:
        """Whether an image can be published to this device of a cloud."""


class Offering(Feed, Protocol):
    """A source that offers releases whose files are fetched only where somebody wants them."""

    async def read_news(self) -> bool:
        """Ask about what it was not asked yet; True where it offers other things now."""

    def wonders_about(self, device: Device) -> bool:
        """Whether the device raises a question that it was not asked yet."""

    def releases_for(self, device: Device, component: Component) -> list[Release]:
        """What it offers for a component, by its kind; whether it fits is for policy to say."""

    async def fetch(self, release: Release) -> Stored:
        """Fetch the file of a release that it offered, as served. Raises SourceError, StoreUnavailable."""
