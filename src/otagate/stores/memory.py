"""A store that ends with the process: for demonstrations and tests. It sits the same exam as the one on disk.

Values are kept as the same documents that go to disk, so that what would not survive a restart does not survive here either.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from itertools import islice
from pathlib import Path

from otagate import ports
from otagate.model.devices import Device
from otagate.model.errors import LocalProtocolError, StoreUnavailable, UnknownDevice, UnknownImage, UnknownUpdate
from otagate.model.facts import Fact, Link, Subject, link
from otagate.model.ids import ComponentId, DeviceId, Sha256, UpdateId
from otagate.model.images import Image
from otagate.model.lifecycle import State
from otagate.model.portraits import Portrait
from otagate.model.receipts import Receipt
from otagate.model.rollouts import Rollout, RolloutId
from otagate.model.updates import Update
from otagate.stores.documents import DEVICES, FACTS, IMAGES, PORTRAITS, RECEIPTS, ROLLOUTS, UPDATES, storable
from otagate.stores.gate import Gate


@dataclass(slots=True)
class _Tables:
    """Everything, as documents; dictionaries keep the order of creation."""

    updates: dict[str, str] = field(default_factory=dict)
    devices: dict[str, str] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    facts: list[tuple[str, str]] = field(default_factory=list)  # with the link of each
    forgotten: Link = field(default_factory=Link)  # of the fact before those
    receipts: dict[tuple[str, str], str] = field(default_factory=dict)
    rollouts: dict[str, str] = field(default_factory=dict)
    portraits: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)

    def copy(self) -> _Tables:
        """The same content in tables of its own."""
        return _Tables(**{each.name: copy(getattr(self, each.name)) for each in fields(self)})


class MemoryStore:
    """`ports.Store` in memory."""

    def __init__(self) -> None:
        self._gate = Gate()
        self._tables = _Tables()
        self._closed = False
        self.updates: ports.Updates = _Updates(self)
        self.devices: ports.Devices = _Devices(self)
        self.catalogue: ports.Catalogue = _Catalogue(self)
        self.facts: ports.Facts = _Facts(self)
        self.receipts: ports.Receipts = _Receipts(self)
        self.rollouts: ports.Rollouts = _Rollouts(self)
        self.portraits: ports.Portraits = _Portraits(self)
        self.settings: ports.Settings = _Settings(self)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """All or nothing; one at a time, others wait."""
        async with self._gate.exclusive():
            self._require_open()
            before = self._tables.copy()
            committed = False
            try:
                yield
                committed = True
            finally:
                if not committed:
                    self._tables = before

    async def copy_to(self, path: Path) -> None:
        """There is nothing to put back into: this store ends with the process."""
        raise StoreUnavailable(f"the store is in memory, and nothing is written to {path}")

    async def close(self) -> None:
        """Close; idempotent. Waits for the transaction of another task; raises LocalProtocolError inside one of its own."""
        if self._gate.owned:
            raise LocalProtocolError("the store cannot be closed inside a transaction")
        async with self._gate.reading():
            self._closed = True

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[_Tables]:
        """The tables as of the last commit, or as the transaction of this task has them."""
        async with self._gate.reading():
            self._require_open()
            yield self._tables

    def writing(self) -> _Tables:
        """The tables, for a change; raises LocalProtocolError outside a transaction."""
        self._require_open()
        self._gate.require_owned()
        return self._tables

    def _require_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")


async def open_memory(rest: str, state_dir: Path) -> MemoryStore:
    """A new, empty store; neither argument matters."""
    del rest, state_dir
    return MemoryStore()


class _Updates:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def put(self, update: Update) -> None:
        self._store.writing().updates[update.id] = UPDATES.encode(update)

    async def get(self, update_id: UpdateId) -> Update:
        async with self._store.reading() as tables:
            document = tables.updates.get(update_id)
        if document is None:
            raise UnknownUpdate(f"no update has the id {update_id!r}")
        return UPDATES.decode(document)

    async def unfinished(self, device: DeviceId | None = None) -> Sequence[Update]:
        return [each for each in await self._all() if not each.ended and (device is None or each.device == device)]

    async def page(
        self,
        *,
        states: frozenset[State] | None = None,
        device: DeviceId | None = None,
        rollout: RolloutId | None = None,
        limit: int = 100,
        before: UpdateId | None = None,
    ) -> Sequence[Update]:
        everything = await self._all()
        if before is not None:
            ids = [each.id for each in everything]
            # ids sort by creation, so a row that is gone meanwhile still has its place
            end = ids.index(before) if before in ids else max((number + 1 for number, each in enumerate(ids) if each < before), default=0)
            everything = everything[:end]
        fitting = [
            each
            for each in everything
            if (states is None or each.state in states) and device in (None, each.device) and rollout in (None, each.rollout)
        ]
        return fitting[::-1][: max(limit, 0)]

    async def latest(self, device: DeviceId, component: ComponentId) -> Update | None:
        fitting = (each for each in reversed(await self._all()) if (each.device, each.component) == (device, component))
        return next(fitting, None)

    async def _all(self) -> list[Update]:
        async with self._store.reading() as tables:
            return [UPDATES.decode(each) for each in tables.updates.values()]


class _Devices:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def put(self, device: Device) -> None:
        self._store.writing().devices[device.id] = DEVICES.encode(device)

    async def get(self, device_id: DeviceId) -> Device:
        async with self._store.reading() as tables:
            document = tables.devices.get(device_id)
        if document is None:
            raise UnknownDevice(f"no device has the id {device_id!r}")
        return DEVICES.decode(document)

    async def all(self) -> Sequence[Device]:
        async with self._store.reading() as tables:
            return [DEVICES.decode(tables.devices[each]) for each in sorted(tables.devices)]

    async def delete(self, device_id: DeviceId) -> None:
        self._store.writing().devices.pop(device_id, None)


class _Catalogue:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def put(self, image: Image) -> None:
        self._store.writing().images[image.sha256] = IMAGES.encode(image)

    async def get(self, sha256: Sha256) -> Image:
        async with self._store.reading() as tables:
            document = tables.images.get(sha256)
        if document is None:
            raise UnknownImage(f"no image has the sha256 {sha256!r}")
        return IMAGES.decode(document)

    async def all(self) -> Sequence[Image]:
        async with self._store.reading() as tables:
            images = [IMAGES.decode(each) for each in tables.images.values()]
        return sorted(images, key=lambda each: each.added)[::-1]

    async def delete(self, sha256: Sha256) -> None:
        self._store.writing().images.pop(sha256, None)


class _Facts:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def append(self, fact: Fact) -> Fact:
        tables = self._store.writing()
        number = tables.forgotten.number + len(tables.facts)
        document = FACTS.encode(replace(fact, number=number + 1, chain=""))
        given = link(Link(number=number, chain=tables.facts[-1][1] if tables.facts else tables.forgotten.chain), fact)
        tables.facts.append((document, given.chain))
        return replace(fact, number=given.number, chain=given.chain)

    async def after(self, number: int, *, limit: int = 500, subject: Subject | None = None, subject_id: str | None = None) -> Sequence[Fact]:
        async with self._store.reading() as tables:
            facts = tables.facts[max(number - tables.forgotten.number, 0) :]
        return _fitting(facts, limit, subject, subject_id)

    async def before(
        self, number: int | None = None, *, limit: int = 500, subject: Subject | None = None, subject_id: str | None = None
    ) -> Sequence[Fact]:
        async with self._store.reading() as tables:
            facts = tables.facts if number is None else tables.facts[: max(number - 1 - tables.forgotten.number, 0)]
        return _fitting(reversed(facts), limit, subject, subject_id)

    async def last_number(self) -> int:
        async with self._store.reading() as tables:
            return tables.forgotten.number + len(tables.facts)

    async def forget(self, until: int) -> None:
        tables = self._store.writing()
        count = max(0, min(until - tables.forgotten.number, len(tables.facts) - 1))
        if count:
            tables.forgotten = Link(number=tables.forgotten.number + count, chain=tables.facts[count - 1][1])
            del tables.facts[:count]

    async def chain_start(self) -> Link:
        async with self._store.reading() as tables:
            return tables.forgotten


def _fitting(rows: Iterable[tuple[str, str]], limit: int, subject: Subject | None, subject_id: str | None) -> list[Fact]:
    facts = (replace(FACTS.decode(document), chain=chain) for document, chain in rows)
    fitting = (each for each in facts if subject in (None, each.subject) and subject_id in (None, each.subject_id))
    return list(islice(fitting, max(limit, 0)))


class _Receipts:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def get(self, actor: str, key: str) -> Receipt | None:
        async with self._store.reading() as tables:
            document = tables.receipts.get((actor, key))
        return None if document is None else RECEIPTS.decode(document)

    async def put(self, receipt: Receipt, *, since: datetime, most: int) -> None:
        tables = self._store.writing()
        tables.receipts[receipt.actor, receipt.key] = RECEIPTS.encode(receipt)
        known = sorted((RECEIPTS.decode(each) for each in tables.receipts.values()), key=lambda each: each.at)[::-1]
        kept = [each for each in known if each.at >= since][: max(most, 0)]
        tables.receipts = {(each.actor, each.key): tables.receipts[each.actor, each.key] for each in kept}


class _Rollouts:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def put(self, rollout: Rollout) -> None:
        self._store.writing().rollouts[rollout.id] = ROLLOUTS.encode(rollout)

    async def all(self) -> Sequence[Rollout]:
        async with self._store.reading() as tables:
            return [ROLLOUTS.decode(each) for each in tables.rollouts.values()]


class _Portraits:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def put(self, update_id: UpdateId, portrait: Portrait) -> None:
        self._store.writing().portraits[storable(update_id, "portrait")] = PORTRAITS.encode(portrait)

    async def get(self, update_id: UpdateId) -> Portrait | None:
        async with self._store.reading() as tables:
            document = tables.portraits.get(update_id)
        return None if document is None else PORTRAITS.decode(document)

    async def forget(self, update_id: UpdateId) -> None:
        self._store.writing().portraits.pop(update_id, None)


class _Settings:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def get(self, key: str) -> str | None:
        async with self._store.reading() as tables:
            return tables.settings.get(key)

    async def put(self, key: str, value: str) -> None:
        self._store.writing().settings[storable(key, "setting")] = storable(value, "setting")
