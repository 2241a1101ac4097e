"""What the API promises of a device it promises of every one, whatever its protocol: the same calls, the same fields, the same words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from otagate.cli.client import Json
from otagate.cli.stops import ProblemStop, slug_of
from tests.contracts.houses import House, zigbee_house, zwave_house

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

HOUSES = {"zigbee": zigbee_house, "zwave": zwave_house}
FINAL = ("succeeded", "failed", "cancelled", "superseded")
EXPECTED_FACTS = ["created", "admitted", "verified", "accepted", "version_matches"]
"""Of every update that goes well, in this order, whatever stands between them."""


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=list(HOUSES))
async def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder: Path = tmp_path_factory.mktemp(request.param)
    async with HOUSES[request.param](folder) as made:
        yield made


async def refused(house: House, *path: str, body: Json | None = None, **wanted: object) -> str:
    """The word of the problem that a call gets."""
    with pytest.raises(ProblemStop) as told:
        await house.client.post(*path, body=body)
    assert told.value.problem["detail"]
    for key, value in wanted.items():
        assert told.value.problem[key] == value
    return slug_of(told.value.problem)


async def test_a_device_is_told_with_everything_that_the_list_shows(house: House) -> None:
    device = await house.device("plain")
    assert (device["protocol"], device["radio"], device["power"], device["online"]) == (house.protocol, "radio0", "mains", True)
    assert device["name"] == device["model"] != ""  # until somebody names it
    assert (device["room"], device["groups"], device["pin"], device["skipped"], device["policy"]) == (None, [], None, [], None)
    assert device["last_seen"] is not None
    assert device["last_checked"] is not None
    assert device["update_status"] == "available"
    (component,) = device["components"]
    assert isinstance(component["manufacturer_code"], int)
    assert (component["id"], component["version"], component["update"]) == (house.component["plain"], house.old, None)
    assert component["display_version"]
    available = component["available"]
    assert (available["version"], available["source"], available["channel"], available["downgrade"]) == (house.new, house.source, "stable", False)
    alone = await house.client.get("devices", house.devices["plain"])
    assert alone["components"][0].pop("rollback")["sentence"]  # where it could go back to, of one device only
    assert component.pop("rollback") is None
    assert device == alone


async def test_what_an_operator_says_of_a_device_is_kept_and_shown(house: House) -> None:
    await house.device("patched")
    said = {
        "name": "Cellar",
        "room": "cellar",
        "groups": ["dark"],
        "pin": house.old,
        "skipped": [house.new],
        "policy": {"default": "never", "retries": 1, "channel": None, "cooldown": None, "battery_floor": None},
    }
    patched = await house.client.patch("devices", house.devices["patched"], body=said)
    shown = await house.client.get("devices", house.devices["patched"])
    assert {key: shown[key] for key in said} == {key: patched[key] for key in said} == said


async def test_a_device_is_asked_for_its_version_when_an_operator_wants_it(house: House) -> None:
    await house.device("plain")
    checked = await house.client.post("devices", house.devices["plain"], "check")
    assert checked["check"] == "done"
    assert checked["components"][0]["version"] == house.old
    assert await refused(house, "devices", "zigbee-0000000000000000", "check", status=404) == "unknown-device"


async def test_the_releases_of_a_device_come_with_the_verdict_of_policy(house: House) -> None:
    await house.device("plain")
    (offer,) = await house.client.items("devices", house.devices["plain"], "releases")
    assert (offer["component"], offer["release"]["version"], offer["release"]["source"]) == (house.component["plain"], house.new, house.source)
    assert (offer["verdict"]["decision"], offer["verdict"]["problem"]) == ("ask", None)
    assert offer["verdict"]["sentence"]


async def test_a_plan_says_what_an_order_would_do_and_does_nothing(house: House) -> None:
    await house.device("plain")
    plan = await house.client.post("updates", body={"devices": [house.devices["plain"]], "dry_run": True})
    assert (plan["dry_run"], plan["refused"]) == (True, [])
    (planned,) = plan["updates"]
    assert (planned["device"], planned["component"]) == (house.devices["plain"], house.component["plain"])
    assert (planned["from_version"], planned["to_version"], planned["state"]) == (house.old, house.new, "queued")
    assert await house.client.items("updates", query={"device": house.devices["plain"]}) == []


async def test_an_image_is_stored_shown_given_back_and_deleted(house: House) -> None:
    file = house.folder / "uploaded.bin"
    file.write_bytes(house.uploaded)
    stored = await house.client.upload(file)
    shown = await house.client.get("images", stored["sha256"])
    assert (shown["file_name"], shown["bytes"]) == ("uploaded.bin", len(house.uploaded))
    assert shown["format"]
    assert stored["sha256"] in [each["sha256"] for each in await house.client.items("images")]
    await house.client.delete("images", stored["sha256"])
    assert stored["sha256"] not in [each["sha256"] for each in await house.client.items("images")]


async def test_an_update_goes_from_the_order_to_the_version_that_was_read_back_and_every_page_tells_of_it(house: House) -> None:
    made = await house.order("quick")
    assert (made["state"], made["radio"], made["actor"], made["foreign"]) == ("queued", "radio0", "token:admin", False)
    told = await house.update_is(made["id"], *FINAL)
    assert (told["state"], told["error"], told["reason"]) == ("succeeded", None, None)
    assert (told["from_version"], told["to_version"], told["steps"]) == (house.old, house.new, 1)
    assert told["from_display_version"]
    assert told["to_display_version"]
    assert made["created"] <= told["started"] <= told["finished"]
    size = len(house.images["quick"])
    progress = told["progress"]
    assert (progress["bytes_sent"], progress["bytes_total"], progress["percent"]) == (size, size, 100)
    assert await house.runs("quick") == house.new
    kinds = [each["kind"] for each in await house.client.items("updates", made["id"], "log", query={})]
    assert [each for each in kinds if each in EXPECTED_FACTS] == EXPECTED_FACTS, kinds
    device = await house.client.get("devices", house.devices["quick"])
    assert (device["components"][0]["version"], device["components"][0]["available"]) == (house.new, None)
    assert device["update_status"] == "updated"
    assert await house.client.items("updates", query={"device": house.devices["quick"], "state": "succeeded"}) == [told]


async def test_what_happened_is_told_again_as_events_with_the_same_fields(house: House) -> None:
    updates = await house.client.items("updates", query={"device": house.devices["quick"]})
    assert updates, "the update of the test before"
    states = []
    async with house.client.events(after="0") as events:
        async for event in events:
            if event.event == "update" and event.data["id"] == updates[0]["id"]:
                states.append(event.data["state"])
                assert set(updates[0]) <= set(event.data)
                if event.data["state"] in FINAL:
                    break
    assert states[0] == "queued"
    assert [each for each in states if each in ("transferring", "confirming", "succeeded")][-1] == "succeeded"


async def test_a_transfer_is_cancelled_and_the_device_keeps_its_version(house: House) -> None:
    made = await house.order("cancelled")
    await house.update_is(made["id"], "transferring")
    cancelled = await house.client.post("updates", made["id"], "cancel")
    assert cancelled["id"] == made["id"]
    assert (await house.update_is(made["id"], *FINAL))["state"] == "cancelled"
    assert await house.runs("cancelled") == house.old
    assert await refused(house, "updates", made["id"], "cancel", status=409) in ("wrong-state", "not-cancellable")


async def test_a_transfer_pauses_where_the_radio_can_and_says_so_where_it_cannot(house: House) -> None:
    made = await house.order("paused")
    await house.update_is(made["id"], "transferring")
    second = await house.client.post("updates", body={"devices": [house.devices["paused"]]})
    assert [slug_of(each["problem"]) for each in second["refused"]] == ["already-updating"]
    if house.pauses:
        paused = await house.client.post("updates", made["id"], "pause")
        assert (paused["state"], paused["reason"]) == ("transferring", "paused")
        await house.client.post("updates", made["id"], "resume")
    else:
        assert await refused(house, "updates", made["id"], "pause", status=409) == "cannot-pause"
    assert (await house.update_is(made["id"], *FINAL))["state"] == "succeeded"
    assert await house.runs("paused") == house.new


async def test_what_cannot_be_ordered_is_refused_with_the_same_words(house: House) -> None:
    await house.device("refused")
    unknown = await house.client.post("updates", body={"devices": [house.devices["refused"][:-1] + "f"]})
    assert [slug_of(each["problem"]) for each in unknown["refused"]] == ["unknown-device"]
    missing = await house.client.post("updates", body={"devices": [house.devices["refused"]], "image": "00" * 32})
    assert [slug_of(each["problem"]) for each in missing["refused"]] == ["unknown-image"]
    absent = await house.client.post("updates", body={"devices": [house.devices["refused"]], "component": "0x7777"})
    assert [slug_of(each["problem"]) for each in absent["refused"]] == ["no-release"]
    assert await house.runs("refused") == house.old


async def test_what_a_radio_does_not_do_it_says_and_names_who_does(house: House) -> None:
    (radio,) = await house.client.items("radios")
    assert (radio["name"], radio["state"]) == ("radio0", "up")
    assert radio["sentence"]
    if house.forms_network:
        assert (await house.client.post("radios", "radio0", "permit-join", body={"seconds": 1}))["seconds"] == 1
        assert (await house.client.post("radios", "radio0", "backup"))["radio"] == "radio0"
    else:
        assert await refused(house, "radios", "radio0", "permit-join", body={"seconds": 1}, status=409) == "not-on-this-radio"
        assert await refused(house, "radios", "radio0", "backup", status=409) == "not-on-this-radio"
