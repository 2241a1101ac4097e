"""Names of things that live longer than the process."""

from __future__ import annotations

import re
from typing import NewType

from otagate.model.errors import UnknownDevice

DeviceId = NewType("DeviceId", str)
"""`zigbee-000d6f000a9069e7`: protocol, then the address in lower-case hex, most significant byte first."""

ComponentId = NewType("ComponentId", str)
"""A Zigbee image type as `0x1409`; a Z-Wave firmware target as `0`."""

UpdateId = NewType("UpdateId", str)
"""Opaque, URL-safe, sorts by creation."""

Sha256 = NewType("Sha256", str)
"""64 lower-case hex digits over the bytes as sent to a device."""

RadioName = NewType("RadioName", str)

_ZIGBEE = re.compile(r"zigbee-([0-9a-f]{16})")


def zigbee_device_id(ieee: int) -> DeviceId:
    """The id of the Zigbee device with this 64-bit IEEE address."""
    return DeviceId(f"zigbee-{ieee:016x}")


def ieee_of(device: DeviceId) -> int:
    """The 64-bit IEEE address in a Zigbee device id; raises UnknownDevice for any other id."""
    match = _ZIGBEE.fullmatch(device)
    if match is None:
        raise UnknownDevice(f"{device!r} is not the id of a Zigbee device")
    return int(match[1], 16)


def zigbee_component_id(image_type: int) -> ComponentId:
    """The id of the component with this 16-bit image type."""
    return ComponentId(f"0x{image_type:04x}")


def image_type_of(component: ComponentId) -> int:
    """The 16-bit image type in a Zigbee component id."""
    return int(component, 16)
