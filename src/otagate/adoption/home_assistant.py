"""What people call ZHA's devices: Home Assistant keeps it in registries of its own, beside `zigbee.db` in the folder `.storage`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from otagate.adoption.values import ieee_address, label, mapping, read_json, sequence
from otagate.model.errors import AdoptionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A device's name and room; empty where nobody gave one."""

    name: str
    room: str


def read_registries(devices: bytes, areas: bytes | None, *, shown: str) -> Mapping[int, Called]:
    """Names and rooms by IEEE address, from `core.device_registry` and `core.area_registry`. Raises AdoptionError where they cannot be read."""
    document = mapping(read_json(devices, shown))
    if document.get("key") != "core.device_registry":
        raise AdoptionError(f"{shown} is no device registry of Home Assistant")
    rooms = {} if areas is None else _rooms(areas, shown.replace("device_registry", "area_registry"))
    called = {}
    for each in map(mapping, sequence(mapping(document.get("data")).get("devices"))):
        name, room = label(each.get("name_by_user")), rooms.get(str(each.get("area_id")), "")
        for connection in map(sequence, sequence(each.get("connections"))):
            ieee = _zigbee_address(connection)
            if ieee is not None and (name or room):
                called[ieee] = Called(name=name, room=room)
    return called


def _rooms(data: bytes, shown: str) -> dict[str, str]:
    areas = sequence(mapping(mapping(read_json(data, shown)).get("data")).get("areas"))
    return {each["id"]: label(each.get("name")) for each in map(mapping, areas) if isinstance(each.get("id"), str)}


def _zigbee_address(connection: list[object]) -> int | None:
    match connection:
        case ["zigbee", str(address)]:
            return ieee_address("0x" + address.replace(":", ""))
    return None
