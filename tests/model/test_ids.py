from __future__ import annotations

import pytest

from otagate.model.errors import UnknownDevice
from otagate.model.ids import (
    ComponentId,
    DeviceId,
    ieee_of,
    image_type_of,
    node_id_of,
    target_of,
    zigbee_component_id,
    zigbee_device_id,
    zwave_component_id,
    zwave_device_id,
)


@pytest.mark.parametrize("ieee", [0, 1, 0x000D_6F00_0A90_69E7, 0xFFFF_FFFF_FFFF_FFFF])
def test_a_device_id_holds_the_whole_address(ieee: int) -> None:
    assert ieee_of(zigbee_device_id(ieee)) == ieee


def test_a_device_id_reads_most_significant_byte_first() -> None:
    assert zigbee_device_id(0x000D_6F00_0A90_69E7) == "zigbee-000d6f000a9069e7"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "zigbee-",
        "zigbee-000d6f000a9069e",
        "zigbee-000d6f000a9069e70",
        "zigbee-000D6F000A9069E7",
        "zwave-000d6f000a9069e7",
        " zigbee-000d6f000a9069e7",
        "zigbee-000d6f000a9069e7\n",
        "zigbee-0x0d6f000a9069e7",
        "zigbee-../../../../etc/p",
    ],
)
def test_anything_else_is_no_zigbee_device(text: str) -> None:
    with pytest.raises(UnknownDevice):
        ieee_of(DeviceId(text))


@pytest.mark.parametrize("image_type", [0, 0x1409, 0xFFFF])
def test_a_component_id_holds_the_image_type(image_type: int) -> None:
    assert image_type_of(zigbee_component_id(image_type)) == image_type


def test_a_component_id_has_four_hex_digits() -> None:
    assert zigbee_component_id(0x9) == ComponentId("0x0009")


@pytest.mark.parametrize("node", [1, 12, 232, 256, 4000])
def test_a_z_wave_device_id_holds_home_id_and_node_id(node: int) -> None:
    assert zwave_device_id(0xE1B2C3D4, node) == f"zwave-e1b2c3d4-{node}"
    assert node_id_of(zwave_device_id(0x1, node)) == node


@pytest.mark.parametrize("text", ["", "zwave-e1b2c3d4-", "zwave-e1b2c3d4-0", "zwave-E1B2C3D4-1", "zwave-e1b2c3d4-12345", "zigbee-000d6f000a9069e7"])
def test_anything_else_is_no_z_wave_device(text: str) -> None:
    with pytest.raises(UnknownDevice):
        node_id_of(DeviceId(text))


@pytest.mark.parametrize("target", [0, 1, 255])
def test_a_z_wave_component_is_its_firmware_target_and_no_image_type(target: int) -> None:
    component = zwave_component_id(target)
    assert target_of(component) == target
    assert image_type_of(component) is None
    assert target_of(zigbee_component_id(target)) is None
