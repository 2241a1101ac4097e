"""What people call a device there, merged into what we have: an operator's own word here stays.

What was taken over is remembered, so that a name that changed over there is followed, and one that was given here is not overwritten.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from otagate.adoption.values import label, mapping, sequence
from otagate.model.devices import Device
from otagate.model.ids import DeviceId, zigbee_device_id
from otagate.model.networks import KnownNetwork

_MOST_GROUPS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A device's name, room and groups; empty where nobody said any."""

    name: str = ""
    room: str = ""
    groups: tuple[str, ...] = ()


def words_of(network: KnownNetwork) -> dict[DeviceId, Words]:
    """What people call the devices of this network."""
    groups: dict[int, set[str]] = {}
    for group in network.groups:
        for ieee, _ in group.members:
            groups.setdefault(ieee, set()).add(label(group.name))
    return {
        zigbee_device_id(each.ieee): Words(
            name=label(each.name), room=label(each.room), groups=tuple(sorted(groups.get(each.ieee, set()) - {""}))[:_MOST_GROUPS]
        )
        for each in network.devices
    }


def reworded(device: Device, told: Words, before: Words) -> Device:
    """The device as it is called now; `before` is what was taken over the last time."""
    return replace(
        device,
        name=(told.name or device.model or "") if device.name in ("", device.model, before.name) else device.name,
        room=(told.room or None) if (device.room or "") in ("", before.room) else device.room,
        groups=told.groups if device.groups in ((), before.groups) else device.groups,
    )


def dump_words(words: Mapping[DeviceId, Words]) -> str:
    """For the store's settings."""
    return json.dumps({device: asdict(each) for device, each in words.items()}, ensure_ascii=False)


def load_words(text: str | None) -> dict[DeviceId, Words]:
    """What `dump_words` wrote; what cannot be understood was never said."""
    try:
        document: Any = json.loads(text or "{}")
    except ValueError:
        return {}
    return {
        DeviceId(device): Words(name=label(each.get("name")), room=label(each.get("room")), groups=tuple(map(label, sequence(each.get("groups")))))
        for device, each in mapping(document).items()
        if isinstance(each, dict)
    }
