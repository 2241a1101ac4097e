"""Which versions people chose to install, kept until they are installed or taken back: a restart of the hub forgets none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from otagate.model.ids import ComponentId, DeviceId
from otagate.ports import Store

LOG = structlog.get_logger("otagate.homeassistant")

MOST = 2000
"""Choices that are kept; the oldest goes first."""

_KEY = "homeassistant:targets"


@dataclass(slots=True, kw_only=True)
class Targets:
    """Chosen versions, as people write them. What is read here is on disk."""

    store: Store
    _chosen: dict[tuple[DeviceId, ComponentId], str] | None = field(default=None, init=False)

    async def of(self, device: DeviceId) -> Mapping[ComponentId, str]:
        """What was chosen for the components of a device. Raises StoreUnavailable."""
        return {part: version for (owner, part), version in (await self._all()).items() if owner == device}

    async def put(self, device: DeviceId, component: ComponentId, version: str | None) -> None:
        """Keep a choice, or with None forget it. Raises StoreUnavailable, and then nothing has changed."""
        chosen = await self._all()
        if chosen.get((device, component)) == version:
            return
        changed = {key: each for key, each in chosen.items() if key != (device, component)}
        if version is not None:
            changed[device, component] = version
        kept = dict(list(changed.items())[-MOST:])
        async with self.store.transaction():
            await self.store.settings.put(_KEY, json.dumps([[*key, each] for key, each in kept.items()]))
        self._chosen = kept

    async def _all(self) -> dict[tuple[DeviceId, ComponentId], str]:
        if self._chosen is None:
            self._chosen = _read(await self.store.settings.get(_KEY))
        return self._chosen


def _read(text: str | None) -> dict[tuple[DeviceId, ComponentId], str]:
    try:
        return {(DeviceId(device), ComponentId(component)): version for device, component, version in json.loads(text or "[]")}
    except (ValueError, TypeError) as error:
        LOG.warning("which versions were chosen in Home Assistant cannot be read: none is", error=repr(error))
        return {}
