"""Advisories: what is known to be bad, as data; loaded by the room `quirks`, injected into policy by way of the engine."""

from __future__ import annotations

from dataclasses import dataclass

from otagate.model.devices import Product
from otagate.model.ids import Sha256
from otagate.model.versions import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    """Releases that these devices must not be given; every key that is not empty must fit.

    `sentence` says why, for people, `source` where it is told.

    `codes`: manufacturer codes, or the manufacturer ids of Z-Wave. `products`: manufacturer id, product type and product id of Z-Wave nodes.
    `manufacturers` and `models` are names as the device tells them, with * and ?. `outside`: radio regions in which it is *not* bad. `min_version`
    and `max_version`: of the release, both inclusive. `inner_formats`: of the image, as far as it is known.
    """

    sentence: str
    source: str
    codes: tuple[int, ...] = ()
    image_types: tuple[int, ...] = ()
    products: tuple[Product, ...] = ()
    manufacturers: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    sha256: tuple[Sha256, ...] = ()
    min_version: Version | None = None
    max_version: Version | None = None
    inner_formats: tuple[str, ...] = ()
