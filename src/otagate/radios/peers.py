"""Zigbee devices as zigpy knows them, read into our own values."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from otagate.model.devices import Activation, Component, Device
from otagate.model.errors import DeviceRefused, DeviceUnreachable
from otagate.model.ids import DeviceId, RadioName, zigbee_component_id, zigbee_device_id
from otagate.model.text import readable
from otagate.model.versions import MAX_FILE_VERSION, Version
from otagate.radios.meter import Readings
from otagate.sessions.ota_frames import CLUSTER, WILD_CARD

if TYPE_CHECKING:
    from zigpy.device import ZigbeeDevice

    from otagate.sessions.zigbee import OtaServer

CURRENT_FILE_VERSION = 0x0002
MANUFACTURER_ID = 0x0007
IMAGE_TYPE_ID = 0x0008
UPGRADE_ACTIVATION_POLICY = 0x000B
UPGRADE_TIMEOUT_POLICY = 0x000C
_ACTIVATIONS: Mapping[int, Activation] = {0: "server", 1: "out_of_band"}
_POWER_CONFIGURATION = 0x0001
_BATTERY_PERCENTAGE_REMAINING = 0x0021
_ON_OFF = 0x0006
_REPORT_ATTRIBUTES = 0x0A
_READ_BOUND = 30.0
_ASIDE_BOUND = 10.0
_TEXT_BOUND = 64
_CLIENTS = 16
_UNREADABLE = (AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What zigpy makes of an answer that it did not expect: an attribute that nobody asked for, a value of another type."""


@dataclass(slots=True, eq=False)
class Peer:
    """One device on the air: its zigpy object, its session, and what the radio keeps per device between two frames.

    `fed`, `told`, `progress_due`: when zigpy, the engine and progress were last (or are next) told. `reported`: when it last reported an attribute by
    itself. `detour_until`: replies go by zigpy's way, which mends routes. `overdue`: the next page block waits for the one before to leave. `found`:
    the engine knows it; `early`: what it told before that. `readings`: how well its last frames came in, and `linked`: that was told.
    `activations`: what it told of how its components use an image, by endpoint and version. `clients`: the endpoint of each image type's OTA client.
    """

    device: ZigbeeDevice
    id: DeviceId
    session: OtaServer
    endpoint: int = 1
    fed: float = float("-inf")
    reported: float | None = None
    told: float = float("-inf")
    progress_due: float = 0.0
    detour_until: float = float("-inf")
    timer: asyncio.TimerHandle | None = None
    overdue: bool = False
    found: bool = False
    asked: list[asyncio.Future[Component]] = field(default_factory=list)
    early: dict[str, Component] = field(default_factory=dict)
    readings: Readings = field(default_factory=Readings)
    linked: bool = False
    activations: dict[tuple[int, Version | None], Component] = field(default_factory=dict)
    clients: dict[int, int] = field(default_factory=dict)

    def learn(self, image_type: int | None, endpoint: int) -> None:
        """Where the OTA client of an image type is; a device that invents image types gets no more memory of ours."""
        if image_type is not None and (image_type in self.clients or len(self.clients) < _CLIENTS):
            self.clients[image_type] = endpoint

    def client_of(self, image_type: int | None) -> int:
        """The endpoint whose OTA client wants images of this type; where that is not known, the one that spoke last."""
        return self.endpoint if image_type is None else self.clients.get(image_type, self.endpoint)


def device_id_of(device: ZigbeeDevice) -> DeviceId:
    """Our id of a zigpy device."""
    return zigbee_device_id(int.from_bytes(bytes(device.ieee.serialize()), "little"))


def ota_endpoints(device: ZigbeeDevice) -> list[int]:
    """The endpoints that carry an OTA client, lowest first."""
    return sorted(number for number, endpoint in device.endpoints.items() if number and CLUSTER in endpoint.out_clusters)


def describe(device: ZigbeeDevice, radio: RadioName) -> Device:
    """What the interview told of a device; components are the interrogation's to add."""
    node = device.node_desc
    mains = bool(node.is_mains_powered) if node is not None else True
    sleepy = not node.is_receiver_on_when_idle if node is not None else False
    model = clean(device.model)
    return Device(
        id=device_id_of(device),
        radio=radio,
        name=model or "",
        manufacturer=clean(device.manufacturer),
        model=model,
        manufacturer_code=int(node.manufacturer_code) if node is not None else None,
        power="mains" if mains else "battery",
        sleepy=sleepy,
        battery_percent=_battery(device),
    )


def clean(text: Any) -> str | None:
    """What a device tells of itself, for people: printable, of bounded length, None where there is nothing of it."""
    return readable(text, longest=_TEXT_BOUND)


def _battery(device: ZigbeeDevice) -> int | None:
    for number, endpoint in device.endpoints.items():
        if number and _POWER_CONFIGURATION in endpoint.in_clusters:
            value = _number(endpoint.in_clusters[_POWER_CONFIGURATION].get(_BATTERY_PERCENTAGE_REMAINING), most=200)
            if value is not None:
                return value // 2
    return None


async def read_components(device: ZigbeeDevice, *, version_at: tuple[int, int] | None = None) -> list[Component]:
    """Read current file version, manufacturer id and image type of every OTA client (ZCL 11.10: 0x0002, 0x0007, 0x0008).

    `image_type` is None where the device does not have the attribute. `version_at`: cluster and attribute of its maker's own where a device tells
    the true version of its one client. Raises DeviceUnreachable, DeviceRefused.
    """
    from zigpy.exceptions import DeliveryError, ZigbeeException

    components: list[Component] = []
    for number in ota_endpoints(device):
        cluster = device.endpoints[number].out_clusters[CLUSTER]
        try:
            async with asyncio.timeout(_READ_BOUND):
                values, _ = await cluster.read_attributes([CURRENT_FILE_VERSION, MANUFACTURER_ID, IMAGE_TYPE_ID], allow_cache=False)
        except (TimeoutError, DeliveryError) as error:
            raise DeviceUnreachable(f"{device_id_of(device)} does not answer on endpoint {number}: {str(error) or 'no answer'}") from None
        except ZigbeeException as error:
            raise DeviceRefused(f"{device_id_of(device)} answered badly on endpoint {number}: {error}") from None
        except _UNREADABLE as error:
            because = f"its answer cannot be read ({type(error).__name__})"
            raise DeviceRefused(f"{device_id_of(device)} answered badly on endpoint {number}: {because}") from None
        components.append(_component(device, number, values))
    true = None if version_at is None or len(components) != 1 else await _read_one(device, *version_at, own=True)
    version = _number(true, most=MAX_FILE_VERSION)
    return components if version is None else [replace(components[0], version=version)]


async def with_activation(peer: Peer, component: Component) -> Component:
    """The component with what it says of how it uses an image (ZCL 11.10: 0x000B, 0x000C); both are optional, so no answer is an answer.

    A version is asked once in a life of the radio.
    """
    key = (component.endpoint, component.version)
    if key not in peer.activations:
        cluster = peer.device.endpoints[component.endpoint].out_clusters[CLUSTER]
        told = await _read_aside(cluster, [UPGRADE_ACTIVATION_POLICY, UPGRADE_TIMEOUT_POLICY])
        if told is None:
            return component
        peer.activations[key] = replace(
            component,
            activation=_ACTIVATIONS.get(_small(told.get(UPGRADE_ACTIVATION_POLICY))),
            applies_unasked={0: True, 1: False}.get(_small(told.get(UPGRADE_TIMEOUT_POLICY))),
        )
    known = peer.activations[key]
    return replace(component, activation=known.activation, applies_unasked=known.applies_unasked)


def _small(told: Any) -> int:
    return int(told) if isinstance(told, int) else -1


async def _read_aside(cluster: Any, attributes: list[int]) -> dict[int, Any] | None:
    """Attributes that the device need not have; None where it did not answer."""
    from zigpy.exceptions import ZigbeeException

    try:
        async with asyncio.timeout(_ASIDE_BOUND):
            values, _ = await cluster.read_attributes(attributes, allow_cache=False)
    except (TimeoutError, ZigbeeException, *_UNREADABLE):
        return None
    return dict(values)


def is_report(data: bytes) -> bool:
    """Whether a ZCL frame is a Report Attributes (ZCL 2.4.1, 2.5.11)."""
    at = 4 if data and data[0] & 0x04 else 2
    return len(data) > at and data[0] & 0x03 == 0 and data[at] == _REPORT_ATTRIBUTES


async def read_battery(device: ZigbeeDevice) -> None:
    """Read what is left of a battery (ZCL 3.3.2.2.3, 0x0021) into zigpy's memory; a device that does not say keeps what it reported before."""
    await _read_one(device, _POWER_CONFIGURATION, _BATTERY_PERCENTAGE_REMAINING)


async def read_switch(device: ZigbeeDevice) -> bool | None:
    """Whether it is on (ZCL 3.8.2.2, 0x0000 of the cluster 0x0006), read now; None where it has no switch or does not say."""
    value = await _read_one(device, _ON_OFF, 0x0000)
    return None if value is None else bool(value)


async def _read_one(device: ZigbeeDevice, cluster: int, attribute: int, *, own: bool = False) -> Any:
    """The value of an attribute, which is its maker's `own` or everybody's; None where there is none or it does not say."""
    from zigpy.exceptions import ZigbeeException

    for number, endpoint in device.endpoints.items():
        if number and cluster in endpoint.in_clusters:
            try:
                async with asyncio.timeout(_ASIDE_BOUND):
                    if own:
                        return await _read_own(device, endpoint.in_clusters[cluster], attribute)
                    values, _ = await endpoint.in_clusters[cluster].read_attributes([attribute], allow_cache=False)
            except (TimeoutError, ZigbeeException, *_UNREADABLE):
                return None
            return values.get(attribute)
    return None


async def _read_own(device: ZigbeeDevice, cluster: Any, attribute: int) -> int | None:
    """A number that is no attribute of the standard: zigpy does not know its type, so the answer is taken as it came."""
    code = None if device.node_desc is None else int(device.node_desc.manufacturer_code)
    answer = await cluster.read_attributes_raw([attribute], manufacturer=code)
    for record in getattr(answer, "status_records", ()):
        value = getattr(record.value, "value", None)
        if record.attrid == attribute and record.status == 0 and isinstance(value, int):
            return int(value)
    return None


def _component(device: ZigbeeDevice, endpoint: int, values: dict[int, Any]) -> Component:
    manufacturer = _number(values.get(MANUFACTURER_ID), most=WILD_CARD - 1)
    if manufacturer is None and device.node_desc is not None:
        manufacturer = int(device.node_desc.manufacturer_code)
    return component_of(
        manufacturer,
        _number(values.get(IMAGE_TYPE_ID), most=WILD_CARD),
        version=_number(values.get(CURRENT_FILE_VERSION), most=MAX_FILE_VERSION),
        endpoint=endpoint,
    )


def component_of(
    manufacturer_code: int | None, image_type: int | None, *, version: int | None, endpoint: int, hardware_version: int | None = None
) -> Component:
    """What a device told of one of its clients; a wild card tells nothing, and a type that was not told is called by it."""
    return Component(
        id=zigbee_component_id(WILD_CARD if image_type is None else image_type),
        version=version,
        manufacturer_code=None if manufacturer_code == WILD_CARD else manufacturer_code,
        image_type=None if image_type == WILD_CARD else image_type,
        hardware_version=hardware_version,
        endpoint=endpoint,
    )


def _number(told: Any, *, most: int) -> int | None:
    """What should be a whole number from 0 to `most`; a device may say it in any type."""
    return int(told) if isinstance(told, int) and 0 <= told <= most else None
