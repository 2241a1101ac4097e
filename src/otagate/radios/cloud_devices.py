"""Devices of clouds as devices of ours: what several sources tell of one is one device."""

from __future__ import annotations

from collections.abc import Iterable

from otagate.model.clouds import THE_CLOUD, CloudDevice
from otagate.model.devices import Component, Device
from otagate.model.ids import ComponentId, DeviceId


def describe(device_id: DeviceId, views: Iterable[CloudDevice]) -> Device:
    """The device that these are views of, oldest first: a later one wins, and what it does not tell stands in an earlier one."""
    views = list(views)
    newest = views[::-1]
    online = [each.online for each in newest if each.online is not None]
    sleepy = any(each.sleepy for each in views)
    components: dict[str, Component] = {}
    for view in views:
        for channel in view.channels:
            before = components.get(channel.channel)
            version = channel.current_version or (None if before is None else before.version)
            components[channel.channel] = Component(id=ComponentId(channel.channel), version=version)
    return Device(
        id=device_id,
        radio=THE_CLOUD,
        protocol="cloud",
        name=next((each.name for each in newest if each.name), ""),
        model=next((each.product for each in newest if each.product), None),
        room=next((each.room for each in newest if each.room), None),
        power="battery" if sleepy else "mains",
        online=sleepy or not online or online[0],  # its cloud waits for one that sleeps
        components=tuple(components[each] for each in sorted(components)),
    )
