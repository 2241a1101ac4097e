"""A lamp that takes an ordinary release, to be changed in one place by each test."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from otagate.model.devices import Component, Device
from otagate.model.ids import DeviceId, RadioName, Sha256, UpdateId, zigbee_component_id, zigbee_device_id
from otagate.model.lifecycle import State
from otagate.model.releases import Release
from otagate.model.updates import Failure, Update

NOW = datetime(2024, 3, 30, 12, tzinfo=UTC)
IEEE = 0x000D_6F00_0A90_69E7
DEVICE_ID = zigbee_device_id(IEEE)
DIGEST_A = Sha256("a" * 64)
DIGEST_B = Sha256("b" * 64)
RADIO = RadioName("zigbee0")

COMPONENT = Component(id=zigbee_component_id(0x1409), version=10, manufacturer_code=0x117C, image_type=0x1409, hardware_version=3)
DEVICE = Device(id=DEVICE_ID, radio=RADIO, manufacturer="Lumière", model="Lamp 1", manufacturer_code=0x1111, last_seen=NOW, components=(COMPONENT,))
RELEASE = Release(source="folder", manufacturer_code=0x117C, image_type=0x1409, file_version=20, size=1000, sha256=DIGEST_A)
UPDATE = Update(
    id=UpdateId("u1"),
    device=DEVICE_ID,
    component=COMPONENT.id,
    radio=RADIO,
    manufacturer_code=0x117C,
    image_type=0x1409,
    from_version=10,
    to_version=20,
    source="folder",
    image=DIGEST_A,
    state=State.QUEUED,
    bytes_total=1000,
    created=NOW,
)


def device(**changes: Any) -> Device:
    return replace(DEVICE, **changes)


def component(**changes: Any) -> Component:
    return replace(COMPONENT, **changes)


def release(**changes: Any) -> Release:
    return replace(RELEASE, **changes)


def update(number: int = 1, **changes: Any) -> Update:
    """Update `number` of a device of its own, unless `device` is given."""
    given: dict[str, Any] = {"id": UpdateId(f"u{number:03}"), "device": device_id(number)}
    return replace(UPDATE, **(given | changes))


def device_id(number: int) -> DeviceId:
    return zigbee_device_id(IEEE + number)


def failed(number: int, *, code: str = "device-lost", **changes: Any) -> Update:
    """Update `number`, of a device of its own, that has failed."""
    error = Failure(code=code, detail="It failed.")
    return update(number, **({"state": State.FAILED, "error": error, "finished": NOW} | changes))
