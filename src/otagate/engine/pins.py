"""What the versions of a source that names no digest were when they first came: the same version with other bytes later is an alarm."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from otagate.model.ids import Sha256
from otagate.ports import Store

_MOST_VERSIONS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One version: the sha256 of its file as served, and of the image in it (None where it holds none).

    `updated`: when it was put there, in the source's own words. `trouble`: why it is not to be taken, a sentence.
    """

    file: Sha256
    image: Sha256 | None
    updated: str | None
    trouble: str | None = None


class Pins:
    """The pins of one source, by what it calls a device and by version; a setting a device, so that a restart forgets none."""

    def __init__(self, store: Store, source: str) -> None:
        self._store = store
        self._source = source

    async def read(self, device: str, version: str) -> Pin | None:
        """The pin of a version, or None where it never came."""
        return (await self._all(device)).get(version)

    async def write(self, device: str, version: str, pin: Pin) -> None:
        """Keep a pin; the newest of a device stay. Only inside a transaction; raises StoreUnavailable."""
        pins = {**{key: each for key, each in (await self._all(device)).items() if key != version}, version: pin}
        kept = {key: asdict(pins[key]) for key in list(pins)[-_MOST_VERSIONS:]}
        await self._store.settings.put(self._key(device), json.dumps(kept))

    async def _all(self, device: str) -> Mapping[str, Pin]:
        text = await self._store.settings.get(self._key(device))
        return {} if text is None else {version: Pin(**fields) for version, fields in json.loads(text).items()}

    def _key(self, device: str) -> str:
        return f"pins:{self._source}:{device}"
