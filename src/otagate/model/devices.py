"""Devices and their components."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from otagate.model.ids import ComponentId, DeviceId, RadioName
from otagate.model.versions import Version

Protocol = Literal["zigbee", "zwave", "cloud"]
Power = Literal["mains", "battery"]
Mode = Literal["automatic", "ask", "never"]
"""How releases are taken that nobody ordered."""
Channel = Literal["stable", "beta"]
"""Which releases are taken that nobody named: beta takes both kinds."""
Listening = Literal["always", "frequent", "sleeping"]
"""When a Z-Wave node can be reached: always, within a second (FLiRS), or when it wakes up."""


Product = tuple[int, int, int]
"""A Z-Wave product is three numbers (Manufacturer Specific CC): manufacturer id, product type and product id."""

Activation = Literal["server", "out_of_band", "at_once"]
"""What has a component use an image that its device holds: the hub's word, a way of its own (a button, an app), or nothing: it does so at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One separately updatable firmware inside a device.

    `version` is None until the device told it. For Zigbee: `id` is the image type, `version` the current 32-bit file version, `endpoint` the one
    that carries the OTA client. For Z-Wave: `id` is the firmware target, `firmware_id` what the Firmware Update Meta Data CC calls it by.
    `updatable`: what the device itself says of that, None where it did not say.

    `floor` is the highest version that an update of ours brought here and the device then told; `rate` is what its transfers reached, in bytes a
    second, and `drain` the percent of the battery that a mebibyte cost, as learned here; `inner_format` is what was inside of that image.

    `holds`: whether it waits with a new image until it is told to use it, as it showed; None where nobody knows. `activation`: what it says of that
    itself (ZCL 11.10: UpgradeActivationPolicy; Firmware Update Meta Data CC since version 4: the activation flag), and `applies_unasked`: whether it
    uses an image that it holds when it hears nothing for long (UpgradeTimeoutPolicy).
    """

    id: ComponentId
    version: Version | None = None
    manufacturer_code: int | None = None
    image_type: int | None = None
    hardware_version: int | None = None
    endpoint: int = 1
    firmware_id: int | None = None
    updatable: bool | None = None
    floor: Version | None = None
    rate: float | None = None
    drain: float | None = None
    inner_format: str | None = None
    holds: bool | None = None
    activation: Activation | None = None
    applies_unasked: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ZwaveNode:
    """What only a Z-Wave node tells of itself: its product beside the manufacturer id, how it listens, and how it was included.

    `region` is that of its controller's radio, in small letters (`europe`, `usa`, `usa (long range)`). `long_range`: it speaks with the controller
    directly, on a channel of its own. `controller`: it is the controller itself.
    """

    product_type: int | None = None
    product_id: int | None = None
    listening: Listening = "always"
    long_range: bool = False
    security: str | None = None
    region: str | None = None
    controller: bool = False
    status: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyOverride:
    """What an operator wants for one device, whatever the rules say; None leaves it to the rules. `battery_floor` in percent."""

    default: Mode | None = None
    retries: int | None = None
    channel: Channel | None = None
    cooldown: timedelta | None = None
    battery_floor: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One Zigbee device or Z-Wave node as we know it.

    What an operator says of it: `name` (until then the model), `room`, `groups`, `pin` (the only version that policy takes), `skipped` (versions
    that it does not take) and `policy`. `manufacturer_code` is the manufacturer id of a Z-Wave node.
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
    room: str | None = None
    groups: tuple[str, ...] = ()
    policy: PolicyOverride | None = None
    pin: Version | None = None
    skipped: tuple[Version, ...] = ()
    components: tuple[Component, ...] = field(default=())
    node: ZwaveNode | None = None

    @property
    def slow(self) -> bool:
        """Whether it takes its own time on the air, so that others should not wait for it."""
        return self.sleepy or (self.node is not None and (self.node.listening != "always" or self.node.long_range))

    @property
    def product(self) -> Product | None:
        """Which Z-Wave product it is; None for other devices, and until the node told all of it."""
        node = self.node
        if node is None or self.manufacturer_code is None or node.product_type is None or node.product_id is None:
            return None
        return self.manufacturer_code, node.product_type, node.product_id

    def component(self, component_id: ComponentId) -> Component | None:
        """The component with this id."""
        return next((each for each in self.components if each.id == component_id), None)

    def manufacturer_code_of(self, component: Component) -> int | None:
        """What the OTA client said counts more than the node descriptor: devices made for another brand differ there."""
        return self.manufacturer_code if component.manufacturer_code is None else component.manufacturer_code
