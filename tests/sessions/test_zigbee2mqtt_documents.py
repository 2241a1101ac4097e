"""What zigbee2mqtt publishes is read as it is, and whatever else comes is no harm."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otagate.sessions import zigbee2mqtt_documents as documents
from otagate.sessions.zigbee2mqtt_documents import Answer, Failure, Peer, Reading, UpdateState

LAMP: dict[str, Any] = {
    "ieee_address": "0x000d6f000a9069e7",
    "type": "Router",
    "friendly_name": "hall/lamp",
    "disabled": False,
    "power_source": "Mains (single phase)",
    "software_build_id": "01000000",
    "model_id": "Plug S",
    "manufacturer": "Rig Works",
    "interview_completed": True,
    "interview_state": "SUCCESSFUL",
    "endpoints": {"1": {"clusters": {"input": ["genBasic"], "output": []}}, "11": {"clusters": {"input": [], "output": ["genOta"]}}},
}


def devices(*entries: Any) -> Any:
    return documents.read_devices(json.dumps(entries).encode())


def test_a_device_is_read_with_the_endpoint_of_its_ota_client() -> None:
    wanted = Peer(ieee=0x000D6F000A9069E7, name="hall/lamp", model="Plug S", manufacturer="Rig Works", endpoint=11, build="01000000")
    assert devices(LAMP) == [wanted]


def test_only_an_end_device_on_a_battery_sleeps() -> None:
    told = [{"type": "EndDevice", "power_source": "Battery"}, {"type": "EndDevice"}, {"type": "Router", "power_source": "Battery"}]
    found = devices(*(LAMP | {"ieee_address": f"0x{number:016x}"} | each for number, each in enumerate(told)))
    assert [(each.sleepy, each.battery) for each in found] == [(True, True), (False, False), (False, True)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "Coordinator"},
        {"disabled": True},
        {"ieee_address": "0x1"},
        {"ieee_address": "0xzzzzzzzzzzzzzzzz"},
        {"ieee_address": "0x-000000000000001"},
        {"ieee_address": "0x0000_0000_000_01"},
        {"ieee_address": None},
        {"friendly_name": ""},
        {"friendly_name": "x" * 1_000},
        {"friendly_name": 7},
        {"friendly_name": "hall/+"},
        {"friendly_name": "hall/#"},
        {"friendly_name": "hall/\x1b[2J"},
        {"friendly_name": "hall/\ud800"},
    ],
)
def test_what_is_no_device_of_ours_is_left_out_and_costs_no_other(wrong: dict[str, Any]) -> None:
    other = LAMP | {"ieee_address": "0x0000000000000001"}
    assert [each.ieee for each in devices(LAMP | wrong, 7, other)] == [1]


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        {"1": None},
        {"x": LAMP["endpoints"]["11"]},
        {"900": LAMP["endpoints"]["11"]},
        {"1": {"clusters": []}},
        {"1" * 5_000: LAMP["endpoints"]["11"]},
    ],
)
def test_endpoints_that_make_no_sense_carry_no_ota_client(wrong: Any) -> None:
    assert [each.endpoint for each in devices(LAMP | {"endpoints": wrong})] == [None]


def test_no_more_devices_are_read_than_a_network_has() -> None:
    many = (LAMP | {"ieee_address": f"0x{number:016x}"} for number in range(documents.MOST_DEVICES + 10))
    assert len(devices(*many)) == documents.MOST_DEVICES


def test_a_device_that_is_still_interviewed_is_known_and_said_so() -> None:
    assert [each.interviewed for each in devices(LAMP | {"interview_state": "IN_PROGRESS", "interview_completed": False})] == [False]


@pytest.mark.parametrize(
    ("payload", "online"),
    [
        (b'{"state": "online"}', True),
        (b'{"state": "offline"}', False),
        (b"online", True),
        (b"offline", False),
        (b"{}", None),
        (b"7", None),
        (b"", None),
    ],
)
def test_both_ways_of_saying_that_it_is_there_are_read(payload: bytes, online: bool | None) -> None:
    assert documents.read_online(payload) is online


@pytest.mark.parametrize(
    ("version", "release"),
    [("2.14.1", (2, 14, 1)), ("2.14.1-dev", (2, 14, 1)), ("2.14", None), ("x", None), (7, None), ("99999.1.1", None), ("1.1.99999", None)],
)
def test_the_version_is_read_as_three_numbers(version: Any, release: tuple[int, int, int] | None) -> None:
    assert documents.read_release(json.dumps({"version": version}).encode()) == release


def test_a_state_tells_of_firmware_battery_and_link() -> None:
    told = {"update": {"state": "updating", "progress": 12.34, "remaining": 7, "installed_version": 16}, "battery": 80, "linkquality": 200}
    wanted = Reading(update=UpdateState(stage="updating", progress=12.34, installed=16), battery=80, linkquality=200)
    assert documents.read_reading(json.dumps(told).encode()) == wanted


@pytest.mark.parametrize("update", [None, 7, {}, {"state": "flying"}, {"state": 7}, []])
def test_a_state_that_says_nothing_of_firmware_says_nothing(update: Any) -> None:
    assert documents.read_reading(json.dumps({"update": update}).encode()) == Reading()


@pytest.mark.parametrize(
    "wrong", [{"progress": 101}, {"progress": -1}, {"progress": True}, {"installed_version": -1}, {"installed_version": 1 << 32}]
)
def test_a_number_out_of_its_range_is_none(wrong: dict[str, Any]) -> None:
    found = documents.read_reading(json.dumps({"update": {"state": "updating"} | wrong}).encode())
    assert found.update == UpdateState(stage="updating")


NAME = "'0x000d6f000a9069e7'"


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (f"OTA update or check for update already in progress for {NAME}", "busy"),
        (f"Device {NAME} does not exist", "unknown"),
        (f"Failed to check if OTA update available for {NAME} (Device didn't respond to OTA request)", "silent"),
        (f"Failed to check if OTA update available for {NAME} (fetch failed)", "image"),
        (f"Failed to check if OTA update available for {NAME} (Invalid response from http://x status=404)", "image"),
        (f"Update of {NAME} failed (No image currently available)", "image"),
        (f"OTA update of {NAME} failed (OTA update of 0x0 failed with reason: INVALID_IMAGE)", "refused"),
        (f"OTA update of {NAME} failed (Device 0x0 did not start/finish firmware download after being notified. (Timeout))", "stalled"),
        (f"OTA update of {NAME} failed (OTA for device 0x0 was aborted)", "aborted"),
        (f"No OTA in progress to abort for device {NAME}", "other"),
    ],
)
def test_what_zigbee2mqtt_says_of_a_failure_has_a_kind(error: str, failure: Failure) -> None:
    payload = json.dumps({"data": {}, "status": "error", "error": error, "transaction": "t"}).encode()
    assert documents.read_answer(payload) == Answer(transaction="t", failure=failure, error=error.replace("http://x", "(an address)"))


def test_an_address_in_a_failure_is_not_repeated_because_its_last_word_is_a_key() -> None:
    error = "Update failed (Invalid response from http://hub:8377/api/v1/handouts/s3cret status=502, see 'HTTPS://hub/api/v1/handouts/s3cret')"
    told = documents.read_answer(json.dumps({"status": "error", "transaction": "t", "error": error}).encode())
    assert told is not None
    assert told.error == "Update failed (Invalid response from (an address) status=502, see (an address)"
    assert told.failure == "image"


def test_an_answer_without_a_transaction_is_not_ours_and_one_without_a_reason_is_a_failure() -> None:
    assert documents.read_answer(b'{"status": "ok", "data": {}}') is None
    assert documents.read_answer(b'{"status": "error", "transaction": "t"}') == Answer(transaction="t", failure="other", error="it gave no reason")
    long = documents.read_answer(json.dumps({"status": "error", "transaction": "t", "error": "a\n" * 10_000}).encode())
    assert long is not None
    assert "\n" not in long.error
    assert len(long.error) <= 300


@given(
    payload=st.one_of(
        st.binary(max_size=300),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda each: (
                st.lists(each) | st.dictionaries(st.sampled_from(["update", "state", "data", "type", "transaction", "version", "ieee_address"]), each)
            ),
        ).map(lambda each: json.dumps(each).encode()),
    )
)
def test_whatever_comes_is_read_or_left(payload: bytes) -> None:
    for read in (
        documents.read_devices,
        documents.read_online,
        documents.read_reading,
        documents.read_answer,
        documents.read_event,
        documents.read_release,
    ):
        read(payload)


def test_a_document_that_is_nested_without_end_is_none() -> None:
    assert documents.read_devices(b"[" * 100_000) is None
