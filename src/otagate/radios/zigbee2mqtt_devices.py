"""Devices as zigbee2mqtt tells of them."""

from __future__ import annotations

from otagate.model.devices import Component, Device
from otagate.model.ids import RadioName, zigbee_component_id, zigbee_device_id
from otagate.sessions.zigbee2mqtt_documents import Peer


def describe(peer: Peer, radio: RadioName, battery: int | None = None) -> Device:
    """What zigbee2mqtt knows of a device; which firmware it runs is asked apart."""
    named = peer.name != f"0x{peer.ieee:016x}"
    return Device(
        id=zigbee_device_id(peer.ieee),
        radio=radio,
        name=peer.name if named else peer.model or "",
        manufacturer=peer.manufacturer,
        model=peer.model,
        power="battery" if peer.battery else "mains",
        sleepy=peer.sleepy,
        battery_percent=battery,
    )


def component_of(peer: Peer, kind: tuple[int, int], version: int) -> Component:
    """The firmware that a check told of: manufacturer code and image type, and the file version that runs."""
    code, image_type = kind
    return Component(
        id=zigbee_component_id(image_type),
        version=version,
        manufacturer_code=code,
        image_type=image_type,
        endpoint=peer.endpoint or 1,
        activation="at_once",
    )
