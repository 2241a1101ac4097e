"""Devices and their components."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from otagate.model.ids import ComponentId, DeviceId, RadioName

Protocol = Literal["zigbee", "zwave", "cloud"]
Power = Literal["mains", "battery"]
Mode = Literal["automatic", "ask", "never"]
"""How releases are taken that nobody ordered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One separately updatable firmware inside a device.

    For Zigbee: `id` is the image type, `version` the current 32-bit file version (None until the device told it), `endpoint` the one that
    carries the OTA client.
    """

    id: ComponentId
    version: int | None = None
    manufacturer_code: int | None = None
    image_type: int | None = None
    hardware_version: int | None = None
    endpoint: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyOverride:
    """What an operator wants for one device, whatever the rules say; None leaves it to the rules."""

    default: Mode | None = None
    retries: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One Zigbee device (or, later, one Z-Wave node) as we know it.

    What an operator says of it: `name` (until then the model), `room`, `groups`, `pin` (the only version that policy takes), `skipped` (versions
    that it does not take) and `policy`.
    """

    id: DeviceId
    radio: RadioName | None
    protocol: Protocol = "zigbee"
    name: str = ""
    manufacturer: str | None = None
    model: str | None = None
    manufacturer_code: int | None = None
    power: Power = "mains"
    sleepy: bool = False
    online: bool = True
    last_seen: datetime | None = None
    last_checked: datetime | None = None
    battery_percent: int | None = None
    pin: int | None = None
    skipped: tuple[int, ...] = ()
    room: str | None = None
    groups: tuple[str, ...] = ()
    policy: PolicyOverride | None = None
    components: tuple[Component, ...] = field(default=())

    def component(self, component_id: ComponentId) -> Component | None:
        """The component with this id."""
        return next((each for each in self.components if each.id == component_id), None)
