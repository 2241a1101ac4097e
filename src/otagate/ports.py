"""The ports: what the engine needs of the world, as Protocols and the values that cross them.

Adapters (`radios`, `stores`, `net`, `folders`) implement these; only `daemon` knows which adapter stands behind which port.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol, TypeVar, runtime_checkable

from otagate.model.devices import Component, Device
from otagate.model.facts import Fact, Link, Subject
from otagate.model.ids import ComponentId, DeviceId, RadioName, Sha256, UpdateId
from otagate.model.images import Image
from otagate.model.lifecycle import Cause, State
from otagate.model.orders import Order
from otagate.model.receipts import Receipt
from otagate.model.rollouts import Rollout, RolloutId
from otagate.model.updates import Update
from otagate.model.versions import Version
from otagate.sources.effects import Conversation, Expect, Left, Request, Response, Service, Stored, Upload

T = TypeVar("T")

# --- time ------------------------------------------------------------------------------------------------------------------------------


class Clock(Protocol):
    """Time, given and never taken."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC: for people and for windows."""

    def monotonic(self) -> float:
        """Seconds that only rise: for durations."""


# --- radios ----------------------------------------------------------------------------------------------------------------------------

RadioState = Literal["starting", "up", "retrying", "wrong_network", "in_use", "disabled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioChanged:
    """A radio's state with a sentence for people."""

    radio: RadioName
    state: RadioState
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFound:
    """A device is known to the radio: identity as far as the interview told it. Components may be empty until it is interrogated."""

    device: Device


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSeen:
    """A device was heard; sent at most about once a minute per device."""

    device: DeviceId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSlept:
    """A sleeping device went back to sleep, for sure: nothing reaches it until it is seen again."""

    device: DeviceId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSilent:
    """The radio tells that a device does not answer."""

    device: DeviceId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReturned:
    """A device announced itself on the network: after a reboot, a power cut or a rejoin."""

    device: DeviceId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceGone:
    """A device left the network."""

    device: DeviceId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAsked:
    """A device told by itself what it runs: it asked what there is for it (Query Next Image), or its driver interviewed it anew."""

    device: DeviceId
    component: Component


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferAdvanced:
    """The conversation about an update reached a cause of the lifecycle.

    `causes` happen in this order and are committed together. The same comes again until its `token` is passed to `Radio.committed`; what the
    device is answered leaves only then. `offset` is the high-water mark in bytes. `held`: the device has the whole image and is told to wait with it
    only because the update is paused. `code`: what the failure is called, where the cause alone says less.
    """

    update: UpdateId
    causes: tuple[Cause, ...]
    detail: str
    token: int
    offset: int = 0
    held: bool = False
    code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferProgressed:
    """The high-water mark of a transfer rose; sampled, at most a few times a second. `fragments`: sent and in all, where they are counted."""

    update: UpdateId
    offset: int
    fragments: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Knocked:
    """The device of a parked update asks for blocks."""

    update: UpdateId


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignTransfer:
    """Another program updates this device: through the same radio, or in its own cloud; told again until somebody watches it.

    `component` and `to_version` where they are known.
    """

    device: DeviceId
    component: ComponentId | None = None
    to_version: Version | None = None


RadioEvent = (
    RadioChanged
    | DeviceFound
    | DeviceSeen
    | DeviceSlept
    | DeviceSilent
    | DeviceReturned
    | DeviceGone
    | DeviceAsked
    | TransferAdvanced
    | TransferProgressed
    | Knocked
    | ForeignTransfer
)
Emit = Callable[[RadioEvent], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioBackup:
    """A copy of a radio's network in a file that only its owner reads. `size` in bytes; `devices` that the copy knows by key or address."""

    radio: RadioName
    path: Path
    format: str
    sha256: str
    size: int
    devices: int
    created: datetime


class Network(Protocol):
    """The network behind a coordinator: who may join it, and how it moves to another stick."""

    async def permit_joining(self, seconds: int) -> None:
        """Open the network for new devices for 0 to 254 seconds. Raises RadioUnavailable."""

    async def back_up(self) -> RadioBackup:
        """Copy the network to a file below the state directory. Raises RadioUnavailable."""


class Radio(Network, Protocol):
    """One coordinator. Emits typed events; never writes to the store."""

    @property
    def name(self) -> RadioName:
        """The name in the configuration."""

    @property
    def pauses(self) -> bool:
        """Whether a transfer that moves can be made to wait."""

    async def run(self) -> None:
        """One life: connect, serve until the connection is lost. Raises RadioError: retry "later" means start again, "never" means stay off."""

    async def interrogate(self, device: DeviceId) -> Device:
        """Ask the device which firmware it runs, now. Raises DeviceUnreachable, DeviceRefused, RadioUnavailable, UnknownDevice."""

    async def notify(self, device: DeviceId) -> Component:
        """Let the device ask what there is for it, now, and return what it tells by that: some tell their hardware, or all, in no other way.

        Raises DeviceUnreachable where it must not be notified or does not ask, RadioUnavailable, UnknownDevice.
        """

    def command(self, order: Order) -> None:
        """Hand an order to the session of its device; idempotent; survives a restart of the radio."""

    async def stop(self, update: UpdateId) -> None:
        """Make sure that a transfer can be cancelled, breaking it off where it runs elsewhere than in our own session.

        Raises NotCancellable where it is too late, RadioUnavailable where nobody can tell.
        """

    def committed(self, token: int) -> None:
        """What `TransferAdvanced` told is on disk: the held answer may leave."""


@runtime_checkable
class Observant(Protocol):
    """A radio that can tell whether a device is in use."""

    async def is_on(self, device: DeviceId) -> bool | None:
        """Whether the device is switched on, read now; None where it has no switch. Raises RadioError."""


class Interlock(Protocol):
    """Something outside that may say no to an update that is about to begin."""

    async def ask(self) -> str | None:
        """None is a yes; else why not, as the end of a sentence. Raises OtagateError where nobody can tell, which is a no."""


# --- the store: four small ports over one connection -----------------------------------------------------------------------------------


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


# --- images ----------------------------------------------------------------------------------------------------------------------------


class ImageCache(Protocol):
    """Content-addressed bytes on disk. Names given from outside are never paths."""

    async def add(self, data: bytes | memoryview) -> Sha256:
        """Store bytes durably (written aside, synced, renamed); idempotent. Raises StoreUnavailable when the disk refuses."""

    def open(self, sha256: Sha256) -> memoryview:
        """The bytes, mapped once and shared by every reader; verified against their name at the first open.

        Raises UnknownImage where absent and IntegrityMismatch where the disk changed them.
        """

    def path(self, sha256: Sha256) -> Path:
        """Where the bytes lie; raises UnknownImage."""

    async def remove(self, sha256: Sha256) -> None:
        """Delete the bytes; a reader that has them mapped keeps them. No error where absent."""

    async def strays(self, known: Collection[Sha256], *, before: datetime, most: int) -> Sequence[Sha256]:
        """At most so many that are stored since before this moment and are not known. Raises StoreUnavailable."""


# --- sources ---------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderScan:
    """What changed in a folder since the scan that was kept last: new or changed `files` (name, bytes), names `gone`, what was `skipped` and why.

    `more`: there is more than one look may hold; keep this one and scan again.
    """

    files: Sequence[tuple[str, bytes]]
    gone: Sequence[str]
    skipped: Sequence[tuple[str, str]]
    more: bool = False


class Folder(Protocol):
    """A local directory of images."""

    @property
    def name(self) -> str:
        """The source's name in the configuration."""

    @property
    def type(self) -> str:
        """The source's type in the configuration."""

    async def scan(self) -> FolderScan:
        """Read what changed. Raises SourceUnavailable where the directory cannot be read."""

    def keep(self) -> None:
        """What the last scan told is stored: the next one tells only what changed since. Without this it is told again."""


class HttpClient(Protocol):
    """The one way to an update service; limits, pauses and retries are its business. Every method raises SourceError."""

    async def send(self, service: Service, request: Request) -> Response:
        """Ask."""

    async def download(self, service: Service, request: Request, expect: Expect) -> Stored:
        """Fetch a file into the image cache. Raises StoreUnavailable besides."""

    async def upload(self, service: Service, effect: Upload) -> Response:
        """Send a stored image, once. Raises UnknownImage besides."""

    def left(self, service: Service) -> Sequence[Left]:
        """What is left of the limits of a service."""


class Conversations(Protocol):
    """Who holds conversations with update services."""

    async def hold(self, service: Service, conversation: Conversation[T]) -> T:
        """Hold one to its end. Raises SourceError, StoreUnavailable."""


class Quotas(Protocol):
    """What services have been asked for so far, as text of the client's own; it survives a restart."""

    async def read(self, service: str) -> str | None:
        """What was written last, or None."""

    async def write(self, service: str, text: str) -> None:
        """Replace it, durably. Raises StoreUnavailable."""
