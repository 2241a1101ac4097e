"""Calls about devices, over a real connection."""

from __future__ import annotations

from typing import Any

import pytest

from otagate.model.errors import DeviceUnreachable, RadioUnavailable
from otagate.model.ids import DeviceId
from tests.api.conftest import Hall, Open
from tests.api.counter import LAMP, PLUG, device

pytestmark = pytest.mark.asyncio


async def test_a_device_has_exactly_the_promised_shape(hall: Hall) -> None:
    document = await hall.json("GET", f"/api/v1/devices/{LAMP}")
    release = document["components"][0].pop("available")
    assert document | {"battery_percent": None} == {
        "id": LAMP,
        "radio": "zigbee0",
        "protocol": "zigbee",
        "name": "Lamp",
        "room": None,
        "groups": [],
        "pin": None,
        "skipped": [],
        "policy": None,
        "manufacturer": "LEDVANCE",
        "model": "LCT001",
        "power": "mains",
        "online": True,
        "last_seen": "2026-05-01T12:00:00Z",
        "last_checked": "2026-05-01T12:00:00Z",
        "battery_percent": None,
        "link": None,
        "update_status": "available",
        "components": [
            {
                "id": "0x1409",
                "version": 0x0102_0509,
                "display_version": "0x01020509",
                "update": None,
                "manufacturer_code": 0x1189,
                "image_type": 0x1409,
                "hardware_version": None,
                "updatable": None,
                "activation": None,
                "applies_unasked": None,
                "rollback": {
                    "version": 0x0101_0000,
                    "display_version": "0x01010000",
                    "image": "ab" * 32,
                    "sentence": "It can go back to 0x01010000, which it proved before.",
                },
            }
        ],
        "node": None,
    }
    assert release["version"] == 0x0102_0600
    assert release["display_version"] == "0x01020600"
    assert release["changelog"] == "Dims better."
    assert release["downgrade"] is False
    assert release["digests"] == {"sha256": "ab" * 32}


async def test_devices_come_in_pages(hall: Hall) -> None:
    first = await hall.json("GET", "/api/v1/devices?limit=1")
    second = await hall.json("GET", f"/api/v1/devices?limit=1&cursor={first['next_cursor']}")
    assert [each["id"] for each in (*first["items"], *second["items"])] == [LAMP, PLUG]
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=plug", [PLUG]),
        ("radio=zigbee0", [LAMP, PLUG]),
        ("radio=other", []),
        ("protocol=zigbee", [LAMP, PLUG]),
        ("protocol=zwave", []),
        ("update_status=available&q=lamp", [LAMP]),
        ("update_status=failed", []),
    ],
)
async def test_devices_are_filtered(hall: Hall, query: str, found: list[DeviceId]) -> None:
    assert [each["id"] for each in (await hall.json("GET", f"/api/v1/devices?{query}"))["items"]] == found


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=501", "limit"),
        ("limit=0", "limit"),
        ("limit=many", "limit"),
        ("protocol=matter", "protocol"),
        ("update_status=fine", "update_status"),
        ("cursor=nonsense", "cursor"),
        ("colour=red", "colour"),
        ("q=a&q=b", "q"),
    ],
)
async def test_a_bad_filter_is_refused_by_name(hall: Hall, query: str, field: str) -> None:
    document = await hall.problem("GET", f"/api/v1/devices?{query}", status=422, slug="invalid-request")
    assert [(each["field"], each["in"]) for each in document["errors"]] == [(field, "query")]


async def test_an_unknown_device_is_a_problem(hall: Hall) -> None:
    document = await hall.problem("GET", "/api/v1/devices/zigbee-ffffffffffffffff", status=404, slug="unknown-device")
    assert "zigbee-ffffffffffffffff" in document["detail"]


async def test_an_id_is_never_a_path(hall: Hall) -> None:
    await hall.problem("GET", "/api/v1/devices/..%2F..%2Fetc%2Fpasswd", status=404, slug="unknown-device")


async def test_a_check_answers_with_the_device(hall: Hall) -> None:
    document = await hall.json("POST", f"/api/v1/devices/{LAMP}/check")
    assert (document["id"], document["check"]) == (LAMP, "done")
    assert hall.desk.orders == [("check", LAMP, "token:admin")]


async def test_a_check_that_takes_long_is_pending(open_hall: Open) -> None:
    hall = await open_hall(check_patience=0.05)
    hall.desk.check_gate.clear()
    document = await hall.json("POST", f"/api/v1/devices/{LAMP}/check", status=202)
    assert (document["id"], document["check"]) == (LAMP, "pending")


@pytest.mark.parametrize(
    ("error", "status", "slug", "retry"),
    [
        (DeviceUnreachable("no answer in 10 s"), 504, "device-unreachable", "later"),
        (RadioUnavailable("zigbee0 is not up"), 503, "radio-unavailable", "later"),
    ],
)
async def test_a_check_that_fails_says_why_and_when_to_try_again(hall: Hall, error: Any, status: int, slug: str, retry: str) -> None:
    hall.desk.trouble["check"] = error
    document = await hall.problem("POST", f"/api/v1/devices/{LAMP}/check", status=status, slug=slug)
    assert (document["detail"], document["retry"]) == (str(error), retry)


async def test_releases_come_with_why_they_would_be_taken_or_not(hall: Hall) -> None:
    newest, oldest = (await hall.json("GET", f"/api/v1/devices/{LAMP}/releases"))["items"]
    assert (newest["component"], newest["verdict"]["decision"], newest["release"]["downgrade"]) == ("0x1409", "allow", False)
    assert newest["verdict"]["problem"] is None
    assert oldest["release"]["downgrade"] is True
    assert oldest["verdict"] == {
        "decision": "refuse",
        "reason": None,
        "sentence": "older than what the device runs",
        "problem": "policy-refused",
        "facts": {"installed": 0x0102_0509},
    }


async def test_names_from_devices_arrive_as_they_are(hall: Hall) -> None:
    hall.desk.known[LAMP] = device(LAMP, '<script>"\x1b[31m\u202e')
    assert (await hall.json("GET", f"/api/v1/devices/{LAMP}"))["name"] == '<script>"\x1b[31m\u202e'


# --- what operators say of a device -----------------------------------------------------------------------------------------------------------

PATH = f"/api/v1/devices/{LAMP}"
POLICY: dict[str, Any] = {"default": "never", "retries": 1, "channel": "beta", "cooldown": "36h", "battery_floor": 30}
SAID = {
    "name": "Desk",
    "room": "Office",
    "groups": ["hall", "lights"],
    "pin": 0x0102_0509,
    "skipped": [1, 2],
    "policy": POLICY,
}


def said(document: dict[str, Any]) -> dict[str, Any]:
    return {name: document[name] for name in SAID}


async def test_what_is_given_is_taken_and_the_rest_stays(hall: Hall) -> None:
    patch = SAID | {"groups": ["lights", "hall", "hall"], "pin": "0x01020509", "skipped": ["0x2", 1]}
    assert said(await hall.json("PATCH", PATH, json=patch)) == SAID
    assert said(await hall.json("PATCH", PATH, json={})) == SAID
    assert said(await hall.json("PATCH", PATH, json={"room": "Hall"})) == SAID | {"room": "Hall"}
    assert said(await hall.json("GET", PATH)) == SAID | {"room": "Hall"}
    assert {actor for _, _, actor in hall.desk.orders} == {"token:admin"}


@pytest.mark.parametrize(
    ("patch", "after"),
    [
        ({"name": None}, {"name": "LCT001"}),
        ({"name": "  "}, {"name": "LCT001"}),
        ({"room": None}, {"room": None}),
        ({"room": ""}, {"room": None}),
        ({"groups": None}, {"groups": []}),
        ({"groups": []}, {"groups": []}),
        ({"pin": None}, {"pin": None}),
        ({"skipped": None}, {"skipped": []}),
        ({"policy": None}, {"policy": None}),
        ({"policy": {}}, {}),
        ({"policy": {"retries": None}}, {"policy": POLICY | {"retries": None}}),
        ({"policy": {"channel": None, "cooldown": None}}, {"policy": POLICY | {"channel": None, "cooldown": None}}),
        ({"policy": dict.fromkeys(POLICY)}, {"policy": None}),
        ({"policy": {"default": "automatic"}}, {"policy": POLICY | {"default": "automatic"}}),
        ({"policy": {"cooldown": "0s", "battery_floor": 0}}, {"policy": POLICY | {"cooldown": "0d", "battery_floor": 0}}),
        ({"policy": {"cooldown": "48h"}}, {"policy": POLICY | {"cooldown": "2d"}}),
    ],
)
async def test_null_clears_and_an_object_is_merged(hall: Hall, patch: dict[str, Any], after: dict[str, Any]) -> None:
    await hall.json("PATCH", PATH, json=SAID)
    assert said(await hall.json("PATCH", PATH, json=patch)) == SAID | after


async def test_a_merge_patch_may_say_what_it_is(hall: Hall) -> None:
    headers = {"Content-Type": "application/merge-patch+json"}
    assert (await hall.json("PATCH", PATH, data=b'{"name": " Desk "}', headers=headers))["name"] == "Desk"
    await hall.problem("POST", f"{PATH}/check", status=415, slug="unsupported-media-type", data=b"{}", headers=headers)


@pytest.mark.parametrize(
    ("patch", "field"),
    [
        ({"title": "x"}, "title"),
        ({"name": "two\nlines"}, "name"),
        ({"name": "\u202eturned"}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": 7}, "name"),
        ({"groups": "hall"}, "groups"),
        ({"groups": ["x"] * 33}, "groups"),
        ({"groups": [None]}, "groups.0"),
        ({"pin": -1}, "pin"),
        ({"pin": 0xFFFF_FFFF}, "pin"),
        ({"pin": "0xFFFFFFFF"}, "pin"),
        ({"pin": "v1.2.3"}, "pin"),
        ({"pin": True}, "pin"),
        ({"skipped": [1.5]}, "skipped.0"),
        ({"skipped": [1] * 65}, "skipped"),
        ({"policy": "automatic"}, "policy"),
        ({"policy": {"default": "sometimes"}}, "policy.default"),
        ({"policy": {"retries": 21}}, "policy.retries"),
        ({"policy": {"window": "night"}}, "policy.window"),
        ({"policy": {"channel": "nightly"}}, "policy.channel"),
        ({"policy": {"cooldown": 14}}, "policy.cooldown"),
        ({"policy": {"cooldown": "a while"}}, "policy.cooldown"),
        ({"policy": {"cooldown": "367d"}}, "policy.cooldown"),
        ({"policy": {"battery_floor": 101}}, "policy.battery_floor"),
        ({"policy": {"battery_floor": -1}}, "policy.battery_floor"),
    ],
)
async def test_a_bad_patch_is_refused_by_field_and_changes_nothing(hall: Hall, patch: dict[str, Any], field: str) -> None:
    document = await hall.problem("PATCH", PATH, status=422, slug="invalid-request", json={"room": "Office"} | patch)
    assert [each["field"] for each in document["errors"]] == [field]
    assert hall.desk.orders == []


async def test_a_device_is_not_pinned_to_a_version_that_it_could_never_run(hall: Hall) -> None:
    for patch in ({"pin": "1.2.3"}, {"skipped": ["1.2.3"]}):
        document = await hall.problem("PATCH", PATH, status=409, slug="policy-refused", json=patch)
        assert "1.2.3 is no version that" in document["detail"]


async def test_nothing_can_be_said_of_a_device_that_is_not_known(hall: Hall) -> None:
    await hall.problem("PATCH", "/api/v1/devices/zigbee-ffffffffffffffff", status=404, slug="unknown-device", json={"name": "x"})


async def test_what_is_no_version_is_told_in_one_sentence(hall: Hall) -> None:
    problem = await hall.problem("PATCH", f"/api/v1/devices/{LAMP}", status=422, slug="invalid-request", json={"pin": "xyz"})
    assert [(each["field"], each["detail"]) for each in problem["errors"]] == [
        ("pin", "it should be a version: 0x01020003, the same as a number, or 1.6.1")
    ]
