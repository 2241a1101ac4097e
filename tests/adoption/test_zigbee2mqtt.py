"""zigbee2mqtt's database: what makes a device, what is left out and why, and which files are refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from otagate.adoption.zigbee2mqtt import Database, read_database
from otagate.model.errors import AdoptionError
from otagate.model.networks import KnownDevice, KnownEndpoint
from tests.adoption.foreign import BUTTON, COORDINATOR, HEARD, LAMP, PLUG, button, coloned, coordinator, endpoint, entry, group, hexed, lines


def read(*entries: Any) -> Database:
    return read_database(lines(coordinator(), *entries), "database.db")


def only(*entries: Any) -> KnownDevice:
    (device,) = read(*entries).devices
    return device


def why_not(found: dict[str, Any]) -> str:
    database = read(found)
    assert database.devices == ()
    (left_out,) = database.left_out
    return left_out.why


def test_a_router_comes_with_its_addresses_endpoints_and_makers_words() -> None:
    device = only(entry())
    assert (device.ieee, device.nwk, device.manufacturer, device.model) == (LAMP, 0x10E7, "Rig Works", "Lamp")
    assert device.endpoints == (KnownEndpoint(number=1, profile=260, device_type=257, inputs=(0, 3, 6), outputs=(25,)),)
    assert device.manufacturer_code == 0x1189
    assert device.last_seen == datetime.fromtimestamp(HEARD / 1000, UTC)
    assert read().coordinator == COORDINATOR


@pytest.mark.parametrize(
    ("kind", "power", "capabilities", "logical"),
    [
        ("Router", "Mains (single phase)", 0x8E, 1),
        ("Router", "Unknown", 0x8E, 1),
        ("EndDevice", "Battery", 0x80, 2),
        ("EndDevice", ..., 0x80, 2),
        ("EndDevice", "DC Source", 0x8C, 2),
        ("EndDevice", "Mains (3 phase)", 0x8C, 2),
        ("Unknown", "Battery", 0x80, 2),
    ],
)
def test_the_node_descriptor_is_made_from_kind_and_power_source(kind: str, power: object, capabilities: int, logical: int) -> None:
    descriptor = only(entry(type=kind, powerSource=power)).descriptor
    assert len(descriptor) == 13
    assert (descriptor[0], descriptor[1], descriptor[2]) == (logical, 0x40, capabilities)


def test_the_battery_is_that_of_the_power_cluster() -> None:
    assert only(button()).battery == 150
    assert only(entry()).battery is None
    assert only(button(endpoints={"1": endpoint(clusters={"genPowerCfg": {"attributes": {"batteryPercentageRemaining": 255}}})})).battery is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"type": "GreenPower"}, "Green Power"),
        ({"type": "Toaster"}, "no type"),
        ({"type": 7}, "no type"),
        ({"nwkAddr": ...}, "no address"),
        ({"nwkAddr": "4096"}, "no address"),
        ({"nwkAddr": 65536}, "no address"),
        ({"nwkAddr": True}, "no address"),
        ({"ieeeAddr": "000d6f000a9069e7"}, "no address"),
        ({"ieeeAddr": 7}, "no address"),
        ({"nwkAddr": 0}, "is no network address of a device"),
        ({"nwkAddr": 0xFFFD}, "is no network address of a device"),
        ({"ieeeAddr": "0x" + "0" * 16}, "no address of a device"),
        ({"ieeeAddr": "0x" + "f" * 16}, "no address of a device"),
        ({"interviewState": "FAILED", "interviewCompleted": False}, "interview never finished"),
        ({"interviewState": ..., "interviewCompleted": ...}, "interview never finished"),
        ({"endpoints": {}}, "interview never finished"),
        ({"endpoints": {"1": endpoint(profId=None)}}, "interview never finished"),
        ({"endpoints": {"1": endpoint(epId=0)}}, "interview never finished"),
        ({"endpoints": [1]}, "interview never finished"),
    ],
)
def test_what_makes_no_device_is_left_out_with_its_reason(changes: dict[str, Any], reason: str) -> None:
    assert reason in why_not(entry(**changes))


def test_a_database_of_before_the_interview_state_is_read_too() -> None:
    assert only(entry(interviewState=...)).ieee == LAMP


def test_what_is_left_out_is_named_by_its_address_or_its_line() -> None:
    left_out = read(entry(type="GreenPower"), entry(PLUG, ieeeAddr="plug")).left_out
    assert [each.what for each in left_out] == [coloned(LAMP), "line 3"]


def test_the_last_entry_of_an_address_counts_as_in_zigbee2mqtt_itself() -> None:
    assert only(entry(nwkAddr=1), entry(ieeeAddr=hexed(LAMP).upper().replace("0X", "0x"), nwkAddr=2)).nwk == 2


def test_of_two_devices_at_one_network_address_the_one_heard_last_has_it() -> None:
    database = read(entry(nwkAddr=5, lastSeen=HEARD + 1), entry(PLUG, nwkAddr=5))
    assert [each.ieee for each in database.devices] == [LAMP]
    (left_out,) = database.left_out
    assert left_out.what == coloned(PLUG)
    assert left_out.why == f"its network address 0x0005 belongs to {coloned(LAMP)}, which was heard later"
    assert [each.ieee for each in read(entry(nwkAddr=5, lastSeen=...), entry(PLUG, nwkAddr=5)).devices] == [PLUG]


def test_groups_come_with_the_members_that_can_be_understood() -> None:
    found = group(7, LAMP, BUTTON)
    found["members"] += [{"deviceIeeeAddr": "?", "endpointID": 1}, {"deviceIeeeAddr": hexed(PLUG), "endpointID": 300}, 5]
    (known,) = read(found, group(0), group(65535), {"type": "Group", "groupID": "8"}).groups
    assert (known.number, known.members) == (7, ((LAMP, 1), (BUTTON, 1)))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"lastSeen": -1}, None),
        ({"lastSeen": 1e300}, None),
        ({"lastSeen": float("inf")}, None),
        ({"lastSeen": "now"}, None),
        ({"lastSeen": True}, None),
    ],
)
def test_a_moment_that_is_none_was_never(changes: dict[str, Any], expected: None) -> None:
    assert only(entry(**changes)).last_seen is expected


def test_names_are_made_fit_for_a_terminal_and_bounded() -> None:
    device = only(entry(manufName="\x1b[31mRig\n", modelId="x" * 500))
    assert (device.manufacturer, device.model) == ("[31mRig", "x" * 64)
    assert only(entry(manufName=7, modelId=" ")).model is None


def test_clusters_that_are_none_are_not_taken_over() -> None:
    (found,) = only(entry(endpoints={"1": endpoint(inClusterList=[6, 0, 6, -1, 65536, "25", None, True], outClusterList=None)})).endpoints
    assert (found.inputs, found.outputs) == ((0, 6), ())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "names no coordinator"),
        (lines(entry()), "names no coordinator"),
        (lines(coordinator(ieeeAddr=5)), "names no coordinator"),
        (lines(coordinator(), entry())[:-20], "line 2, is cut off or damaged"),
        (lines(coordinator()) + b"\n[1]", "line 2, is no entry"),
        (b'{"type": "Coordinator"}\n\xff\xfe', "line 2, is no text"),
        (b"SQLite format 3\x00", "line 1, is cut off or damaged"),
        (b"[" * 200_000, "line 1, is damaged"),
        (b'{"id": ' + b"9" * 10_000 + b"}", "line 1, is damaged"),
    ],
)
def test_a_file_that_is_cut_off_damaged_or_another_one_is_refused_in_one_sentence(data: bytes, words: str) -> None:
    with pytest.raises(AdoptionError) as refused:
        read_database(data, "database.db")
    assert words in str(refused.value)
    assert str(refused.value).startswith("database.db")
    assert "\n" not in str(refused.value)


def test_blank_lines_and_line_ends_of_windows_are_no_damage() -> None:
    data = json.dumps(coordinator()).encode() + b"\r\n\r\n" + json.dumps(entry()).encode() + b"\r\n"
    assert len(read_database(data, "database.db").devices) == 1
