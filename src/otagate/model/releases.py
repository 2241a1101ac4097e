"""Releases: one firmware version that one source offers for one kind of component."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from otagate.model.devices import Product, Protocol
from otagate.model.ids import Sha256
from otagate.model.versions import Version, display_version


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """One Z-Wave product that a release is for; the bounds are inclusive firmware versions of its target 0."""

    manufacturer_id: int
    product_type: int
    product_id: int
    min_version: str | None = None
    max_version: str | None = None

    @property
    def product(self) -> Product:
        """Which product that is."""
        return self.manufacturer_id, self.product_type, self.product_id


Algorithm = Literal["md5", "sha256", "sha512", "sha3_256"]
"""Digests that sources name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """A digest that covers a file as its source serves it; `value` is lower-case hex."""

    algorithm: Algorithm
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """An offer of a source. `sha256` is known where the bytes are stored already; `size` is in bytes.

    `location` is the source's own way to the file, None where the file is here and nowhere else; it is never shown. `digests` cover the file as
    served; `proofs` are those of a stored image (see `Image`).

    First keys of a Zigbee release are manufacturer code and image type; those of a Z-Wave release are one of its `fingerprints` and the firmware
    `target`. `region` is that of the radio (a Z-Wave image is made for one). `models` and `manufacturers` are a second key: where the source
    names some, a device that is none of them is refused. Releases with the same `bundle` are files of one: they are taken together, in the order
    of `step`. `file_version` is None for a stored file that does not say which version it holds. `alarm`: why nobody may take it as offered.
    `inner_format`: what is inside, as `ImageFacts` has it, where the bytes are here.
    """

    source: str
    file_version: Version | None
    size: int
    protocol: Protocol = "zigbee"
    manufacturer_code: int | None = None
    image_type: int | None = None
    fingerprints: tuple[Fingerprint, ...] = ()
    target: int | None = None
    region: str | None = None
    bundle: str | None = None
    step: int = 1
    sha256: Sha256 | None = None
    inner_format: str | None = None
    hardware_min: int | None = None
    hardware_max: int | None = None
    destination: int | None = None
    min_file_version: Version | None = None
    max_file_version: Version | None = None
    models: tuple[str, ...] = ()
    manufacturers: tuple[str, ...] = ()
    channel: str = "stable"
    notes: str | None = None
    file_name: str | None = None
    location: str | None = None
    digests: tuple[Digest, ...] = ()
    proofs: tuple[Digest, ...] = ()
    released: datetime | None = None
    alarm: str | None = None

    @property
    def display_version(self) -> str:
        """The version for people."""
        return "an unnamed version" if self.file_version is None else display_version(self.file_version)
