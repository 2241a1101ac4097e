"""What the driver knows of nodes, and what nodes say themselves, in the hub's words: no driver here, but its values as its library gives them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from otagate.model.devices import Device
from otagate.model.errors import DeviceRefused, DeviceUnreachable, RadioUnavailable
from otagate.model.ids import RadioName
from otagate.model.links import Link
from otagate.radios import zwave_nodes as nodes
from otagate.radios.zwave_line import CommandRefused
from tests.radios.zwave_driver import BATTERY, FIRMWARE_UPDATE, METADATA, VERSION, Answers, network, node, node_state, value

ZWAVE = RadioName("zwave0")
ASLEEP, AWAKE, DEAD = 1, 2, 3


def described(*, controller: dict[str, Any] | None = None, number: int = 2, region: str | None = None, **changes: Any) -> Device:
    picture = network(node_state(number, **changes), **(controller or {}))
    return nodes.describe(picture.nodes[number], picture, ZWAVE, region)


# --- what the driver knows ------------------------------------------------------------------------------------------------------------------


def test_a_node_is_described_with_everything_that_its_interview_told() -> None:
    device = described(controller={"rfRegion": 0})
    assert (device.id, device.protocol, device.radio) == ("zwave-e1b2c3d4-2", "zwave", "zwave0")
    assert (device.name, device.manufacturer, device.model, device.manufacturer_code) == ("ZSE08", "Zooz", "ZSE08", 0x027A)
    assert (device.power, device.sleepy, device.battery_percent) == ("mains", False, None)
    assert device.node is not None
    assert (device.node.product_type, device.node.product_id, device.node.region, device.node.security) == (3, 0x0082, "europe", "none")
    assert (device.node.listening, device.node.long_range, device.node.controller, device.node.status) == ("always", False, False, "alive")
    assert [(each.id, each.version, each.updatable) for each in device.components] == [("0", "1.6", None)]


def test_a_node_before_its_interview_is_described_by_what_there_is() -> None:
    unknown = dict.fromkeys(("isListening", "isFrequentListening", "manufacturerId", "productType", "productId", "firmwareVersion", "label"))
    device = described(status=0, ready=False, interviewStage="None", deviceConfig=None, highestSecurityClass=None, classes=(), values=[], **unknown)
    assert device.node is not None
    assert (device.node.product_type, device.node.product_id, device.node.status) == (None, None, "unknown")
    assert (device.name, device.manufacturer_code, device.components) == ("", None, ())


@pytest.mark.parametrize("status", [5, -1, None, "alive", []])
def test_a_status_that_a_newer_driver_may_know_is_unknown_and_keeps_nobody_off(status: object) -> None:
    device = described(status=status)
    assert device.node is not None
    assert device.node.status == "unknown"


@pytest.mark.parametrize(
    ("changes", "listening", "sleepy", "power"),
    [
        ({}, "always", False, "mains"),
        ({"isListening": False, "isFrequentListening": "1000ms"}, "frequent", False, "battery"),
        ({"isListening": False, "status": AWAKE}, "sleeping", True, "battery"),
        ({"isListening": None, "isFrequentListening": None, "status": ASLEEP}, "always", True, "mains"),
        ({"values": [value(BATTERY, "level", 80)]}, "always", False, "battery"),
    ],
)
def test_how_a_node_listens_says_whether_it_sleeps_and_what_it_lives_on(changes: dict[str, Any], listening: str, sleepy: bool, power: str) -> None:
    device = described(**changes)
    assert device.node is not None
    assert (device.node.listening, device.sleepy, device.power) == (listening, sleepy, power)


@pytest.mark.parametrize(("told", "percent"), [(80, 80), (0, 0), (255, None), (None, None), ("80", None), (-1, None)])
def test_a_battery_level_that_is_none_is_not_told(told: object, percent: int | None) -> None:
    assert described(values=[value(BATTERY, "level", told)]).battery_percent == percent


@pytest.mark.parametrize(
    ("number", "name"),
    [(-1, "none"), (7, "S0"), (0, "S2 unauthenticated"), (1, "S2 authenticated"), (2, "S2 access control"), (99, None), (None, None)],
)
def test_the_security_class_has_the_specifications_name(number: int | None, name: str | None) -> None:
    device = described(highestSecurityClass=number)
    assert device.node is not None
    assert device.node.security == name


@pytest.mark.parametrize(
    ("number", "region"),
    [(0, "europe"), (1, "usa"), (9, "usa (long range)"), (11, "europe (long range)"), (254, None), (200, None), (None, None), (True, None)],
)
def test_the_region_is_the_controllers(number: object, region: str | None) -> None:
    assert nodes.region_of(network(**({} if number is None else {"rfRegion": number}))) == region


def test_a_controller_that_does_not_tell_its_region_has_the_configured_one() -> None:
    assert described(region="usa").node == described(controller={"rfRegion": 1}).node


def test_the_controller_itself_is_a_mains_device_that_never_sleeps() -> None:
    device = described(number=1, isListening=False, isControllerNode=True, classes=())
    assert device.node is not None
    assert (device.node.controller, device.node.listening, device.power, device.sleepy) == (True, "always", "mains", False)
    assert [each.updatable for each in device.components] == [False]


def test_a_node_of_the_long_range_channel_is_known_by_its_number() -> None:
    device = described(number=256)
    assert device.node is not None
    assert device.node.long_range


def test_names_are_one_printable_line_of_bounded_length() -> None:
    device = described(label=None, name="\x1b[31mhall\n\u202e" + "x" * 500, deviceConfig={"manufacturer": 7, "label": ["no"]})
    assert device.name.startswith("[31mhallxxx")
    assert len(device.name) == 128
    assert (device.manufacturer, device.model) == (None, None)


def test_a_version_with_a_patch_is_that_of_the_application_and_further_targets_keep_theirs() -> None:
    told = [value(VERSION, "firmwareVersions", ["1.6", "7.18"])]
    assert [each.version for each in described(firmwareVersion="1.6.3", values=told).components] == ["1.6.3", "7.18"]


@pytest.mark.parametrize("told", ["new", "1.6; DROP", 7, None, ["1.6"]])
def test_a_version_that_is_none_is_not_told(told: object) -> None:
    components = described(firmwareVersion=told, values=[value(VERSION, "firmwareVersions", [told])]).components
    assert [each.version for each in components] in ([None], [])


def test_a_node_without_the_command_class_cannot_be_updated_and_invents_no_end_of_targets() -> None:
    device = described(classes=(VERSION,), values=[value(VERSION, "firmwareVersions", ["1.0"] * 40)])
    assert len(device.components) == 8
    assert {each.updatable for each in device.components} == {False}


# --- what a node itself says ----------------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_node_is_asked_for_versions_and_metadata_of_all_its_targets() -> None:
    line = Answers(get={"firmwareVersions": ["1.6", "7.18"]}, getMetaData=METADATA | {"additionalFirmwareIDs": [0x2000]})
    components, metadata = await nodes.read_components(line, node())
    assert [(each.id, each.version, each.firmware_id) for each in components] == [("0", "1.6", 0x1000), ("1", "7.18", 0x2000)]
    assert all((each.manufacturer_code, each.hardware_version, each.updatable) == (0x027A, 1, True) for each in components)
    assert metadata is not None
    assert (metadata.largest_fragment, metadata.activation) == (40, False)
    assert [each.activation for each in components] == ["at_once", "at_once"]
    assert [key for key, _ in line.asked] == ["get", "getMetaData"]


@pytest.mark.asyncio
async def test_a_node_with_a_patch_in_its_version_is_asked_for_that_too() -> None:
    line = Answers(get={"firmwareVersions": ["1.6"]}, getZWaveSoftware={"applicationVersion": "1.6.4"}, getMetaData=METADATA)
    known = node(values=[value(VERSION, "applicationVersion", "1.6.3")])
    components, _ = await nodes.read_components(line, known)
    assert [each.version for each in components] == ["1.6.4"]
    line.answers["getZWaveSoftware"] = {}
    components, _ = await nodes.read_components(line, known)
    assert [each.version for each in components] == ["1.6"]


@pytest.mark.asyncio
@pytest.mark.parametrize("told", ["10.18.1", "1.60.0", "unused", 7, None])
async def test_an_application_version_that_is_not_the_firmwares_says_nothing_of_it(told: object) -> None:
    """Some nodes put the version of the Z-Wave application framework there; the driver does not take it for that of the firmware either."""
    line = Answers(get={"firmwareVersions": ["1.6"]}, getZWaveSoftware={"applicationVersion": told}, getMetaData=METADATA)
    asked = node(firmwareVersion="1.6", values=[value(VERSION, "applicationVersion", "10.18.1")])
    components, _ = await nodes.read_components(line, asked)
    assert [each.version for each in components] == [each.version for each in nodes.known_components(asked)] == ["1.6"]


@pytest.mark.asyncio
async def test_only_of_its_main_target_a_node_says_that_it_is_not_upgradable() -> None:
    told = METADATA | {"firmwareUpgradable": False, "additionalFirmwareIDs": [0x2000]}
    components, _ = await nodes.read_components(Answers(get={"firmwareVersions": ["1.6", "7.18", "3.0"]}, getMetaData=told), node())
    assert [each.updatable for each in components] == [False, True, False]  # of the third the node names no firmware


@pytest.mark.asyncio
async def test_a_node_without_the_command_class_is_not_asked_for_its_metadata() -> None:
    line = Answers(get={"firmwareVersions": ["1.6"]})
    components, metadata = await nodes.read_components(line, node(classes=(VERSION,)))
    assert ([each.updatable for each in components], metadata) == ([False], None)
    assert [key for key, _ in line.asked] == ["get"]


@pytest.mark.asyncio
@pytest.mark.parametrize("told", [{}, {"firmwareVersions": []}, {"firmwareVersions": "1.6"}, {"firmwareVersions": None}, None, "1.6"])
async def test_a_node_that_names_no_version_did_not_answer(told: object) -> None:
    with pytest.raises(DeviceUnreachable, match="node 2 does not answer"):
        await nodes.read_components(Answers(get=told, getMetaData=METADATA), node())


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "told", [{}, {"manufacturerId": 1}, {"manufacturerId": "1", "firmwareId": 2}, {"manufacturerId": True, "firmwareId": False}, None]
)
async def test_metadata_without_its_ids_is_no_answer(told: object) -> None:
    with pytest.raises(DeviceUnreachable, match="does not tell of its firmware"):
        await nodes.read_metadata(Answers(getMetaData=told), node())


@pytest.mark.asyncio
async def test_metadata_of_the_first_version_of_the_command_class_tells_little() -> None:
    metadata = await nodes.read_metadata(Answers(getMetaData={"manufacturerId": 1, "firmwareId": 2, "firmwareUpgradable": True}), node())
    assert (metadata.firmware_ids, metadata.largest_fragment, metadata.hardware_version, metadata.activation) == ((2,), None, None, False)


@pytest.mark.asyncio
async def test_a_node_that_can_be_told_when_to_use_an_image_says_so_and_one_that_was_not_asked_says_nothing() -> None:
    line = Answers(get={"firmwareVersions": ["1.6"]}, getMetaData=METADATA | {"supportsActivation": True})
    components, _ = await nodes.read_components(line, node())
    assert [each.activation for each in components] == ["server"]
    assert [each.activation for each in nodes.known_components(node())] == [None]


@pytest.mark.asyncio
async def test_firmware_ids_that_are_none_are_left_out() -> None:
    told = METADATA | {"additionalFirmwareIDs": [1, "2", None, 3], "maxFragmentSize": 0, "supportsActivation": True}
    metadata = await nodes.read_metadata(Answers(getMetaData=told), node())
    assert (metadata.firmware_ids, metadata.largest_fragment, metadata.activation) == ((0x1000, 1, 3), None, True)


@pytest.mark.asyncio
async def test_a_dead_node_is_pinged_first_and_asked_only_if_it_answers() -> None:
    line = Answers(ping={"responded": False})
    with pytest.raises(DeviceUnreachable, match="node 2 is dead"):
        await nodes.read_components(line, node(status=DEAD))
    assert [key for key, _ in line.asked] == ["ping"]
    line = Answers(ping={"responded": True}, get={"firmwareVersions": ["1.7"]}, getMetaData=METADATA)
    components, _ = await nodes.read_components(line, node(status=DEAD))
    assert components[0].version == "1.7"


@pytest.mark.asyncio
async def test_a_node_of_which_the_driver_does_not_know_yet_what_it_is_is_not_asked() -> None:
    line = Answers(get={"firmwareVersions": ["1.6"]})
    with pytest.raises(RadioUnavailable, match="still getting to know node 2"):
        await nodes.read_components(line, node(ready=False, manufacturerId=None, productType=None, productId=None, classes=()))
    assert line.asked == []


@pytest.mark.asyncio
async def test_a_node_that_is_interviewed_again_can_be_asked_meanwhile() -> None:
    line = Answers(get={"firmwareVersions": ["1.7"]}, getMetaData=METADATA)
    components, _ = await nodes.read_components(line, node(ready=False, interviewStage="None"))
    assert components[0].version == "1.7"


@pytest.mark.asyncio
@pytest.mark.parametrize(("number", "error"), [(202, DeviceUnreachable), (201, DeviceUnreachable), (1500, DeviceRefused), (None, DeviceRefused)])
async def test_an_error_of_the_driver_is_silence_or_a_refusal(number: int | None, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"node 2 .*its words"):
        await nodes.read_components(Answers(get=CommandRefused(number, "its words")), node())


def test_the_driver_knows_who_sleeps_and_who_is_dead() -> None:
    assert (nodes.is_asleep(node(status=ASLEEP)), nodes.is_dead(node(status=DEAD))) == (True, True)
    assert (nodes.is_asleep(node(status=AWAKE)), nodes.is_dead(node())) == (False, False)


def test_the_command_class_is_the_specifications() -> None:
    assert FIRMWARE_UPDATE == 0x7A


HEARD = datetime(2026, 5, 1, 12, tzinfo=UTC)
ROUTE = {"rssi": -60, "repeaters": [3, 4], "repeaterRSSI": [-88, -71], "protocolDataRate": 3}


@pytest.mark.parametrize(
    ("statistics", "link"),
    [
        ({"rssi": -70, "lwr": ROUTE}, Link(heard=HEARD, rssi=-88, repeaters=2)),
        ({"rssi": -70, "lwr": ROUTE | {"rssi": 127, "repeaterRSSI": [127, 126]}}, Link(heard=HEARD, rssi=-70, repeaters=2)),
        ({"rssi": -70.6}, Link(heard=HEARD, rssi=-71)),
        ({"rssi": -70, "lastSeen": "2026-05-01T11:00:00.000Z"}, Link(heard=HEARD - timedelta(hours=1), rssi=-70)),
        ({"rssi": -70, "lastSeen": "2030-05-01T11:00:00.000Z"}, Link(heard=HEARD, rssi=-70)),
        ({"rssi": -70, "lastSeen": "yesterday"}, Link(heard=HEARD, rssi=-70)),
        ({"rssi": 125, "lwr": "none"}, None),
        ({"rssi": True, "lwr": {"rssi": "-60", "repeaters": 7}}, None),
        ({}, None),
    ],
)
def test_a_link_is_as_strong_as_the_weakest_hop_that_is_known(statistics: dict[str, Any], link: Link | None) -> None:
    assert nodes.link_of(statistics, HEARD) == link
