"""Images, folders, update services and interlocks, as ports."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

from otagate.model.ids import Sha256
from otagate.sources.effects import Conversation, Expect, Left, Request, Response, Service, Stored, Upload

T = TypeVar("T")


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

    async def check(self, service: Service) -> datetime | None:
        """Somebody asks for a check of the service: it counts, and None; else when it may be asked next. Raises StoreUnavailable."""

    def left(self, service: Service) -> Sequence[Left]:
        """What is left of the limits of a service."""


class Conversations(Protocol):
    """Who holds conversations with update services."""

    async def hold(self, service: Service, conversation: Conversation[T]) -> T:
        """Hold one to its end. Raises SourceError, StoreUnavailable."""


class Standing(Protocol):
    """How sources stand, for who would ask them about one device."""

    def trouble(self, source: str) -> str | None:
        """Why the source is left alone until an operator acts, a sentence; None where it may be asked."""

    def doubt(self, source: str) -> None:
        """It answered what does not fit to what it said last: it is to be read anew."""


class Quotas(Protocol):
    """What services have been asked for so far, as text of the client's own; it survives a restart."""

    async def read(self, service: str) -> str | None:
        """What was written last, or None."""

    async def write(self, service: str, text: str) -> None:
        """Replace it, durably. Raises StoreUnavailable."""


class Interlock(Protocol):
    """Something outside that may say no to an update that is about to begin."""

    async def ask(self) -> str | None:
        """None is a yes; else why not, as the end of a sentence. Raises OtagateError where nobody can tell, which is a no."""
