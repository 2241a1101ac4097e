"""The status store, as a port: small ports over one connection."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from otagate.model.devices import Device
from otagate.model.facts import Fact, Link, Subject
from otagate.model.ids import ComponentId, DeviceId, Sha256, UpdateId
from otagate.model.images import Image
from otagate.model.lifecycle import State
from otagate.model.portraits import Portrait
from otagate.model.receipts import Receipt
from otagate.model.rollouts import Rollout, RolloutId
from otagate.model.updates import Update


class Updates(Protocol):
    """Updates, by id."""

    async def put(self, update: Update) -> None:
        """Insert or replace."""

    async def get(self, update_id: UpdateId) -> Update:
        """One update; raises UnknownUpdate."""

    async def unfinished(self, device: DeviceId | None = None) -> Sequence[Update]:
        """Every update that has not ended, oldest first."""

    async def page(
        self,
        *,
        states: frozenset[State] | None = None,
        device: DeviceId | None = None,
        rollout: RolloutId | None = None,
        limit: int = 100,
        before: UpdateId | None = None,
    ) -> Sequence[Update]:
        """Newest first; `before` is the last id of the page before."""

    async def latest(self, device: DeviceId, component: ComponentId) -> Update | None:
        """The newest update of a component."""


class Devices(Protocol):
    """Devices, by id."""

    async def put(self, device: Device) -> None:
        """Insert or replace."""

    async def get(self, device_id: DeviceId) -> Device:
        """One device; raises UnknownDevice."""

    async def all(self) -> Sequence[Device]:
        """Every device, by id."""

    async def delete(self, device_id: DeviceId) -> None:
        """Forget a device; no error where it is unknown."""


class Catalogue(Protocol):
    """Stored images, by sha256."""

    async def put(self, image: Image) -> None:
        """Insert or replace."""

    async def get(self, sha256: Sha256) -> Image:
        """One image; raises UnknownImage."""

    async def all(self) -> Sequence[Image]:
        """Every image, newest first."""

    async def delete(self, sha256: Sha256) -> None:
        """Forget an image; no error where it is unknown."""


class Facts(Protocol):
    """The journal's storage: numbers rise without gaps, from 1 or from what was forgotten."""

    async def append(self, fact: Fact) -> Fact:
        """Store; returns the fact with its number and its link in the chain, both made in this transaction."""

    async def after(self, number: int, *, limit: int = 500, subject: Subject | None = None, subject_id: str | None = None) -> Sequence[Fact]:
        """Facts with a greater number, in order."""

    async def before(
        self, number: int | None = None, *, limit: int = 500, subject: Subject | None = None, subject_id: str | None = None
    ) -> Sequence[Fact]:
        """Facts with a smaller number, or the newest ones, newest first."""

    async def last_number(self) -> int:
        """The greatest number given, or 0."""

    async def forget(self, until: int) -> None:
        """Forget the facts up to this number; the newest fact is never forgotten, so that numbers and the chain go on where they were."""

    async def chain_start(self) -> Link:
        """The link behind which every fact is chained: of the last fact that is forgotten, or that was stored before there was a chain."""


class Receipts(Protocol):
    """What orders with an idempotency key made, by who ordered and the key."""

    async def get(self, actor: str, key: str) -> Receipt | None:
        """One receipt, or None."""

    async def put(self, receipt: Receipt, *, since: datetime, most: int) -> None:
        """Insert or replace; receipts before `since` are forgotten, and of the others all but the `most` newest."""


class Rollouts(Protocol):
    """Rollouts, by id."""

    async def put(self, rollout: Rollout) -> None:
        """Insert or replace."""

    async def all(self) -> Sequence[Rollout]:
        """Every rollout, oldest first."""


class Portraits(Protocol):
    """How devices were set before their updates, by update; kept as long as that has not ended."""

    async def put(self, update_id: UpdateId, portrait: Portrait) -> None:
        """Insert or replace."""

    async def get(self, update_id: UpdateId) -> Portrait | None:
        """One portrait, or None."""

    async def forget(self, update_id: UpdateId) -> None:
        """Forget one; no error where there is none."""


class Settings(Protocol):
    """Small durable values of the hub itself: whether everything is halted."""

    async def get(self, key: str) -> str | None:
        """The value, or None."""

    async def put(self, key: str, value: str) -> None:
        """Insert or replace."""


class Store(Protocol):
    """The status store. Reads outside a transaction see the last commit; writes are legal only inside one."""

    updates: Updates
    devices: Devices
    catalogue: Catalogue
    facts: Facts
    receipts: Receipts
    rollouts: Rollouts
    portraits: Portraits
    settings: Settings

    def transaction(self) -> AbstractAsyncContextManager[None]:
        """All or nothing, durable when the block ends; one at a time, others wait. Raises StoreUnavailable and rolls back when the disk refuses."""

    async def copy_to(self, path: Path) -> None:
        """Write everything as of the last commit into a file of mode 0600, durably; a file of that name is replaced.

        Raises StoreUnavailable where the disk refuses, or where there is nothing that could be put back from a file.
        """

    async def close(self) -> None:
        """Close; idempotent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCopy:
    """A copy of the store that is kept: where, since when, and its size in bytes."""

    path: Path
    made: datetime
    size: int


class StoreCopies(Protocol):
    """Copies of the store for the worst case; the newest few. They hold what the store holds, so they are files for their owner alone."""

    async def latest(self) -> StoreCopy | None:
        """The newest, by the time in its name."""

    async def keep(self, store: Store, *, most: int) -> StoreCopy:
        """Keep a copy, and the `most` newest. Raises StoreUnavailable."""
