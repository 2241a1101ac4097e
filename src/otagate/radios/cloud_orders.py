"""Orders to clouds: who waits to be told together with whom, and what the cloud's answer means to each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from otagate.model.errors import (
    ImageError,
    NotFound,
    OtagateError,
    SourceBusy,
    SourceError,
    SourceMisconfigured,
    SourceRefused,
    SourceUnavailable,
    StoreError,
)
from otagate.model.ids import ComponentId, Sha256, UpdateId
from otagate.sessions import delegated_words as words
from otagate.sources.delegated import Delegate, OrderInDoubt, Publisher
from otagate.sources.effects import Conversation
from otagate.sources.tuya_openapi import TuyaRefused

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """What one order can name: a source, and which firmware of its devices; or of one device `alone`."""

    source: str
    component: ComponentId
    alone: UpdateId | None = None


class Ask(Protocol):
    """Holds a conversation with a source. Raises SourceError, StoreError."""

    def __call__(self, delegate: Delegate, conversation: Conversation[T]) -> Awaitable[T]:
        """Hold it."""


@dataclass(slots=True)
class _Batch:
    """Updates that are ready to be ordered in one call, since when the first of them is, and whether that call waits for its turn."""

    since: float
    updates: list[UpdateId] = field(default_factory=list)
    called: bool = False


@dataclass(slots=True)
class Departures:
    """Orders that wait for others: until one call is full, nobody is about to join them after a `moment`, or `gather` seconds are over.

    Who is ready by the time of the call is in it.
    """

    moment: float
    gather: float
    _batches: dict[Call, _Batch] = field(default_factory=dict)

    @property
    def waiting(self) -> bool:
        """Whether there are any."""
        return bool(self._batches)

    def join(self, call: Call, update: UpdateId, now: float) -> None:
        """It is ready."""
        self._batches.setdefault(call, _Batch(now)).updates.append(update)

    def due(self, now: float, *, most: Callable[[Call], int], coming: Mapping[Call, int]) -> list[Call]:
        """The calls to be made now, each told once. `most`: devices of one; `coming`: so many are about to be ready."""
        due: list[Call] = []
        for call, batch in self._batches.items():
            waits = 0.0 if call.alone or len(batch.updates) >= most(call) else self.gather if coming.get(call) else self.moment
            ready = now - batch.since >= waits
            if ready and not batch.called:
                batch.called = True
                due.append(call)
        return due

    def take(self, call: Call, most: int) -> list[UpdateId]:
        """Those that are in the call that is made now; the others wait for another one."""
        batch = self._batches.pop(call, None)
        if batch is None:
            return []
        if batch.updates[most:]:
            self._batches[call] = _Batch(batch.since, batch.updates[most:])
        return batch.updates[:most]


def refusal(error: SourceError | StoreError, *, together: bool) -> words.NotOrdered:
    """What it means to each of them that an order failed, for several of them `together` or for one."""
    if isinstance(error, (OrderInDoubt, StoreError)):  # of a store that refused nobody can say at which of the calls
        return words.NotOrdered(detail=str(error), code=error.code, doubt=True)
    if isinstance(error, TuyaRefused):
        code = "device-unreachable" if error.device else error.code
        return words.NotOrdered(detail=str(error), code=code, passing=error.device, together=together)
    if isinstance(error, SourceRefused):
        return words.NotOrdered(detail=str(error), code=error.code, passing=True, together=together)
    return words.NotOrdered(detail=str(error), code=word_for(error), passing=True, until=error.until)


async def publish(ask: Ask, delegate: Delegate, cloud_id: str, image: Sha256, version: str) -> words.Event:
    """Have a cloud bring an image of ours."""
    if not isinstance(delegate, Publisher):
        return words.NotOrdered(detail="its cloud takes no images", code="not-updatable")
    try:
        await ask(delegate, delegate.publish(cloud_id, image=image, version=version))
    except (SourceRefused, ImageError, NotFound) as error:
        return words.NotOrdered(detail=str(error), code=error.code)
    except (SourceError, StoreError) as error:
        doubt = isinstance(error, (OrderInDoubt, StoreError))
        return words.NotOrdered(detail=str(error), code=word_for(error), doubt=doubt, passing=True, until=end_of(error))
    return words.Ordered("started")


def word_for(error: OtagateError) -> str:
    """What it is called that a cloud could not be asked: whatever came in the place of its answer, the device and the update are not to blame."""
    return error.code if isinstance(error, (SourceBusy, SourceMisconfigured)) else SourceUnavailable.code


def end_of(error: OtagateError) -> datetime | None:
    """Until when there is no use in asking again, where the error says so."""
    return error.until if isinstance(error, SourceError) else None
