"""Commands about devices."""

from __future__ import annotations

import pytest

from otagate.model.errors import DeviceUnreachable
from tests.api.conftest import Hall, Open
from tests.api.counter import LAMP, PLUG, device
from tests.cli.conftest import at

pytestmark = pytest.mark.asyncio


async def test_devices_are_listed_for_people(hall: Hall) -> None:
    outcome = await at(hall, "devices")
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0].split()[:3] == ["Device", "Name", "Model"]
    assert [line.split()[0] for line in lines[1:]] == [LAMP, PLUG]
    assert all("0x01020509" in line and "0x01020600" in line for line in lines[1:])


async def test_devices_are_listed_for_programs(hall: Hall) -> None:
    outcome = await at(hall, "devices", "--json")
    assert outcome.document == await hall.json("GET", "/api/v1/devices")


async def test_filters_reach_the_daemon(hall: Hall) -> None:
    outcome = await at(hall, "devices", "--json", "--q", "plug", "--radio", "zigbee0", "--protocol", "zigbee", "--update-status", "available")
    assert [each["id"] for each in outcome.document["items"]] == [PLUG]


async def test_a_long_list_is_read_page_by_page(hall: Hall) -> None:
    for number in range(1100):
        key = f"zigbee-{number:016x}"
        hall.desk.known[key] = device(key)
    outcome = await at(hall, "devices", "--json")
    assert len(outcome.document["items"]) == 1102


async def test_one_device_is_shown_with_what_is_offered(hall: Hall) -> None:
    outcome = await at(hall, "device", LAMP)
    assert outcome.code == 0
    assert "LEDVANCE" in outcome.out
    assert "older than what the device runs" in outcome.out
    assert "0x1409: It can go back to 0x01010000, which it proved before." in outcome.out
    assert (await at(hall, "device", LAMP, "--json")).document == await hall.json("GET", f"/api/v1/devices/{LAMP}")


async def test_an_unknown_device_is_wrong_usage(hall: Hall) -> None:
    outcome = await at(hall, "device", "zigbee-ffffffffffffffff")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("otagate: No device has the id")
    assert outcome.err.endswith("otagate devices tells what there is\n")
    assert outcome.err.count("\n") == 1


async def test_the_problem_is_there_for_programs_too(hall: Hall) -> None:
    outcome = await at(hall, "device", "zigbee-ffffffffffffffff", "--json")
    assert (outcome.code, outcome.document["problem"]["type"]) == (2, "/problems/unknown-device")


async def test_named_devices_are_checked(hall: Hall) -> None:
    outcome = await at(hall, "check", LAMP, "--json")
    assert outcome.code == 0
    assert [(each["id"], each["check"]) for each in outcome.document["items"]] == [(LAMP, "done")]
    assert hall.desk.orders == [("check", LAMP, "token:admin")]


async def test_every_device_is_checked_where_none_is_named(hall: Hall) -> None:
    outcome = await at(hall, "check", "--json")
    assert [each["id"] for each in outcome.document["items"]] == [LAMP, PLUG]


async def test_a_device_that_does_not_answer_fails_its_check_alone(hall: Hall) -> None:
    hall.desk.trouble["check"] = DeviceUnreachable("no answer in 10 s")
    outcome = await at(hall, "check", LAMP, PLUG)
    assert outcome.code == 1
    assert outcome.err == "".join(f"otagate: {each}: The device does not answer: no answer in 10 s\n" for each in (LAMP, PLUG))


async def test_a_check_that_goes_on_is_said(open_hall: Open) -> None:
    hall = await open_hall(check_patience=0.05)
    hall.desk.check_gate.clear()
    outcome = await at(hall, "check", LAMP)
    assert (outcome.code, outcome.err) == (0, f"otagate: {LAMP} has not answered yet; the check goes on\n")


HOSTILE = "\x1b]0;owned\x07\x1b[2J[bold red]x[/] \u202eevil\r\n:bomb: \x9b31m"


@pytest.mark.parametrize("arguments", [("devices",), ("device", LAMP), ("check", LAMP), ("devices", "--json")])
async def test_a_name_cannot_drive_the_terminal(hall: Hall, arguments: tuple[str, ...]) -> None:
    hall.desk.known[LAMP] = device(LAMP, HOSTILE)
    outcome = await at(hall, *arguments)
    assert outcome.code == 0
    for character in "\x1b\x07\x9b\u202e\r":
        assert character not in outcome.out
    if "--json" in arguments:
        assert outcome.document["items"][0]["name"] == HOSTILE
    else:
        assert "[bold red]x[/]" in outcome.out, "markup is text here"
        assert ":bomb:" in outcome.out


async def test_a_daemon_that_stops_while_it_checks_is_exit_3(hall: Hall) -> None:
    hall.server.drain()
    outcome = await at(hall, "check", LAMP, PLUG)
    assert outcome.code == 3


async def test_what_an_operator_says_is_said_to_the_hub_and_shown(hall: Hall) -> None:
    arguments = ("--name", "Desk", "--room", "Office", "--group", "hall", "--pin", "0x01020509", "--skip", "5", "--policy", "never", "--retries", "1")
    outcome = await at(hall, "set", LAMP, *arguments)
    assert outcome.code == 0
    for place in (outcome.out, (await at(hall, "device", LAMP)).out):
        assert all(each in place for each in ("Desk", "Office", "hall", "0x01020509", "0x00000005", "default never, retries 1"))


async def test_lists_grow_and_shrink_and_the_rest_stays(hall: Hall) -> None:
    await at(hall, "set", LAMP, "--group", "hall", "--group", "lights", "--skip", "1", "--skip", "0x2", "--room", "Office")
    outcome = await at(hall, "set", LAMP, "--group", "upstairs", "--ungroup", "hall", "--unskip", "2", "--json")
    (device_now,) = outcome.document["items"]
    assert (device_now["groups"], device_now["skipped"], device_now["room"]) == (["lights", "upstairs"], [1], "Office")


async def test_what_was_said_is_taken_back(hall: Hall) -> None:
    await at(hall, "set", LAMP, "--name", "Desk", "--room", "Office", "--pin", "5", "--policy", "automatic", "--retries", "2")
    outcome = await at(hall, "set", LAMP, "--name", "", "--room", "", "--unpin", "--policy", "rules", "--retries", "-1", "--json")
    (now,) = outcome.document["items"]
    assert (now["name"], now["room"], now["pin"], now["policy"]) == ("LCT001", None, None, None)


async def test_channel_cooldown_and_battery_floor_are_said_of_one_device_and_taken_back(hall: Hall) -> None:
    outcome = await at(hall, "set", LAMP, "--channel", "beta", "--cooldown", "7d", "--battery-floor", "30")
    assert "channel beta, cooldown 7d, battery_floor 30" in outcome.out
    outcome = await at(hall, "set", LAMP, "--channel", "rules", "--cooldown", "rules", "--battery-floor", "-1", "--json")
    assert outcome.document["items"][0]["policy"] is None
    assert (await at(hall, "set", LAMP, "--cooldown", "soon")).code == 2


async def test_several_devices_are_grouped_at_once_and_none_shares_a_name(hall: Hall) -> None:
    outcome = await at(hall, "set", LAMP, PLUG, "--group", "hall", "--json")
    assert [each["groups"] for each in outcome.document["items"]] == [["hall"], ["hall"]]
    assert (await at(hall, "set", LAMP, PLUG, "--name", "Desk")).code == 2
    assert (await at(hall, "set", LAMP, "--policy", "sometimes")).code == 2
    assert (await at(hall, "set", LAMP)).code == 2
