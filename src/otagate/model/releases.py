"""Releases: one firmware version that one source offers for one kind of component."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from otagate.model.ids import Sha256
from otagate.model.versions import display_file_version


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """A digest that covers a file as its source serves it; `value` is lower-case hex."""

    algorithm: Literal["md5", "sha256", "sha512", "sha3_256"]
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """An offer of a source. `sha256` is known where the bytes are stored already; `size` is in bytes.

    `location` is the source's own way to the file, and nobody else's: it is never shown. `digests` cover the file as served.

    `model` and `manufacturer` are a second key: where the source names them, a device that contradicts is refused.
    """

    source: str
    manufacturer_code: int
    image_type: int
    file_version: int
    size: int
    sha256: Sha256 | None = None
    hardware_min: int | None = None
    hardware_max: int | None = None
    destination: int | None = None
    min_file_version: int | None = None
    max_file_version: int | None = None
    model: str | None = None
    manufacturer: str | None = None
    channel: str = "stable"
    notes: str | None = None
    file_name: str | None = None
    location: str | None = None
    digests: tuple[Digest, ...] = ()
    released: datetime | None = None

    @property
    def display_version(self) -> str:
        """The version for people."""
        return display_file_version(self.file_version)
