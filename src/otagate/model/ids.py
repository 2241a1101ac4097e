"""Names of things that live longer than the process."""

from __future__ import annotations

import re
from typing import NewType

from otagate.model.errors import UnknownDevice

DeviceId = NewType("DeviceId", str)
"""`zigbee-000d6f000a9069e7`: protocol, then the address in lower-case hex, most significant byte first; `zwave-e1b2c3d4-12`: home id, node id;
`tuya-` and the cloud's own id."""

ComponentId = NewType("ComponentId", str)
"""A Zigbee image type as `0x1409`; a Z-Wave firmware target, or the channel of a cloud's device, as `0`."""

UpdateId = NewType("UpdateId", str)
"""Opaque, URL-safe, sorts by creation."""

Sha256 = NewType("Sha256", str)
"""64 lower-case hex digits over the bytes as sent to a device."""

RadioName = NewType("RadioName", str)

_ZIGBEE = re.compile(r"zigbee-([0-9a-f]{16})")
_ZWAVE = re.compile(r"zwave-([0-9a-f]{8})-([1-9][0-9]{0,3})")
_IMAGE_TYPE = re.compile(r"0x[0-9a-f]{4}")
_CLOUD = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TARGET = re.compile(r"[0-9]{1,3}")


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


def image_type_of(component: ComponentId) -> int | None:
    """The 16-bit image type in a Zigbee component id; None for any other id."""
    return int(component, 16) if _IMAGE_TYPE.fullmatch(component) else None


def zwave_device_id(home_id: int, node_id: int) -> DeviceId:
    """The id of the Z-Wave node with this number in the network with this 32-bit home id."""
    return DeviceId(f"zwave-{home_id:08x}-{node_id}")


def node_id_of(device: DeviceId) -> int:
    """The node id in a Z-Wave device id; raises UnknownDevice for any other id."""
    match = _ZWAVE.fullmatch(device)
    if match is None:
        raise UnknownDevice(f"{device!r} is not the id of a Z-Wave node")
    return int(match[2])


def tuya_device_id(device_id: str) -> DeviceId:
    """The id of the device that Tuya's cloud knows by this one, which is letters and digits (`is_cloud_id`)."""
    return DeviceId(f"tuya-{device_id}")


def iotaap_device_id(device_id: str) -> DeviceId:
    """The id of the device that IoTaaP knows by these 24 hex digits."""
    return DeviceId(f"iotaap-{device_id}")


def cloud_id_of(device: DeviceId) -> str:
    """The cloud's own id in the id of a device of a cloud; raises UnknownDevice for any other id."""
    cloud, _, name = device.partition("-")
    if cloud not in ("tuya", "iotaap") or not is_cloud_id(name):
        raise UnknownDevice(f"{device!r} is not the id of a device of a cloud")
    return name


def is_cloud_id(text: str) -> bool:
    """Whether a cloud's id of a device can be a part of ours: nothing that a URL or a terminal would read as something else."""
    return _CLOUD.fullmatch(text) is not None


def zwave_component_id(target: int) -> ComponentId:
    """The id of the component with this firmware target (Firmware Update Meta Data CC: 0 to 255)."""
    return ComponentId(str(target))


def target_of(component: ComponentId) -> int | None:
    """The firmware target in a Z-Wave component id; None for any other id."""
    return int(component) if _TARGET.fullmatch(component) else None
