"""Names and rooms of ZHA's devices, from Home Assistant's registries."""

from __future__ import annotations

import json
from typing import Any

import pytest

from otagate.adoption.home_assistant import Called, read_registries
from otagate.model.errors import AdoptionError
from tests.adoption.foreign import LAMP, PLUG, coloned


def devices(*found: object, key: str = "core.device_registry") -> bytes:
    return json.dumps({"version": 1, "key": key, "data": {"devices": found}}).encode()


def device(ieee: int = LAMP, **changes: Any) -> dict[str, Any]:
    told = {"connections": [["zigbee", coloned(ieee)]], "identifiers": [["zha", coloned(ieee)]], "name": "Rig Works Lamp"}
    return told | {"name_by_user": None, "area_id": None} | changes


AREAS = json.dumps({"key": "core.area_registry", "data": {"areas": [{"id": "kitchen", "name": "Küche"}, {"id": 5, "name": "x"}, None]}}).encode()


def test_a_device_has_the_name_that_its_user_gave_and_the_room_by_its_name() -> None:
    called = read_registries(
        devices(device(name_by_user="Sink", area_id="kitchen"), device(PLUG, area_id="gone")), AREAS, shown="core.device_registry"
    )
    assert called == {LAMP: Called(name="Sink", room="Küche")}


def test_the_name_that_home_assistant_made_up_is_no_name() -> None:
    assert read_registries(devices(device()), AREAS, shown="core.device_registry") == {}


def test_without_areas_there_are_names() -> None:
    assert read_registries(devices(device(name_by_user="Sink", area_id="kitchen")), None, shown="x") == {LAMP: Called(name="Sink", room="")}


@pytest.mark.parametrize(
    "odd",
    [
        None,
        5,
        {},
        device(connections=None),
        device(connections=[["mac", "aa:bb"]]),
        device(connections=[["zigbee"]]),
        device(connections=[["zigbee", 7]]),
    ],
)
def test_devices_of_other_kinds_are_passed_over(odd: object) -> None:
    assert read_registries(devices(odd, device(name_by_user="Sink")), AREAS, shown="x").keys() == {LAMP}


@pytest.mark.parametrize("data", [b"", b"{", b"[]", devices(key="core.entity_registry"), b"\xff"])
def test_another_file_is_refused(data: bytes) -> None:
    with pytest.raises(AdoptionError):
        read_registries(data, None, shown="core.device_registry")
