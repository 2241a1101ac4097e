"""Commands about radios, sources and images."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.api.conftest import Hall
from tests.api.counter import IMAGE_MAGIC
from tests.cli.conftest import at

pytestmark = pytest.mark.asyncio
DATA = IMAGE_MAGIC + b"firmware"
SHA256 = hashlib.sha256(DATA).hexdigest()


async def test_radios_and_sources_are_listed(hall: Hall) -> None:
    assert "ready for 2 devices" in (await at(hall, "radios")).out
    assert "12 images" in (await at(hall, "sources")).out
    assert (await at(hall, "radios", "--json")).document == await hall.json("GET", "/api/v1/radios")
    assert (await at(hall, "sources", "--json")).document == await hall.json("GET", "/api/v1/sources")


async def test_windows_are_listed_with_their_openings_to_come(hall: Hall) -> None:
    outcome = await at(hall, "windows")
    (line,) = [each for each in outcome.out.splitlines() if "night" in each]
    assert "now" in line
    assert "pause" in line
    assert (await at(hall, "windows", "--json")).document == await hall.json("GET", "/api/v1/windows")


async def test_a_source_is_read_again(hall: Hall) -> None:
    assert (await at(hall, "sources", "--refresh", "directory")).code == 0
    assert hall.desk.orders == [("refresh", "directory", "token:admin")]
    assert (await at(hall, "sources", "--refresh", "other")).code == 2


async def test_one_room_of_a_source_is_read_again(hall: Hall) -> None:
    assert (await at(hall, "sources", "--refresh", "directory", "--room", "r1")).code == 0
    assert hall.desk.orders == [("refresh", ("directory", "r1"), "token:admin")]
    assert (await at(hall, "sources", "--room", "r1")).code == 2


async def test_what_a_service_recorded_is_listed_page_by_page(hall: Hall) -> None:
    shown = await at(hall, "records", "directory", "--list", "updating")
    assert shown.code == 0
    assert "tuya-vdev1" in shown.out
    assert "room Hall" in shown.out
    both = await at(hall, "records", "directory", "--limit", "200", "--json")
    assert [each["device"] for each in both.document["items"]] == ["tuya-vdev1", "tuya-vdev1"]
    refused = await at(hall, "records", "directory", "--only", "room_id=r1")
    assert refused.code == 2
    assert "there is no filter 'room_id'" in refused.err
    assert (await at(hall, "records", "directory", "--only", "room_id")).code == 2


async def test_receivers_of_notifications_are_listed_and_tried(hall: Hall) -> None:
    assert "what was told last has arrived" in (await at(hall, "notify", "list")).out
    assert (await at(hall, "notify", "list", "--json")).document == await hall.json("GET", "/api/v1/notifiers")
    assert (await at(hall, "notify", "test")).out == "office: it has arrived.\n"
    assert (await at(hall, "notify", "test", "attic")).code == 2
    hall.desk.receiver = "notify office: the receiver answers 404"
    refused = await at(hall, "notify", "test", "office")
    assert refused.code == 1
    assert "the receiver answers 404" in refused.err
    assert [each[:2] for each in hall.desk.orders] == [("test_notifier", "office"), ("test_notifier", "attic"), ("test_notifier", "office")]


async def test_a_network_is_opened(hall: Hall) -> None:
    assert (await at(hall, "permit-join", "zigbee0", "--seconds", "30")).out == "zigbee0 takes new devices for 30 s.\n"
    assert hall.desk.orders == [("permit_join", ("zigbee0", 30), "token:admin")]
    assert (await at(hall, "permit-join", "other")).code == 2
    assert (await at(hall, "permit-join", "zigbee0", "--seconds", "255")).code == 2


async def test_a_radio_is_tried_again(hall: Hall) -> None:
    assert (await at(hall, "reattach", "zigbee0")).code == 0
    assert hall.desk.orders == [("reattach", "zigbee0", "token:admin")]


async def test_an_image_is_added_shown_listed_and_removed(hall: Hall, tmp_path: Path) -> None:
    file = tmp_path / "A19 [é] 100%.ota"
    file.write_bytes(DATA)
    added = await at(hall, "images", "add", str(file), "--json")
    assert added.code == 0
    assert [(each["sha256"], each["file_name"]) for each in added.document["items"]] == [(SHA256, "A19 [é] 100%.ota")]
    shown = await at(hall, "images", "show", SHA256)
    assert "0x1189" in shown.out
    assert "every length fits" in shown.out
    assert SHA256 in (await at(hall, "images", "list")).out
    assert (await at(hall, "images", "rm", SHA256)).code == 0
    assert (await at(hall, "images", "show", SHA256)).code == 2


async def test_a_file_that_is_no_image_is_exit_4_and_the_others_are_added(hall: Hall, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.ota", tmp_path / "bad.ota"
    good.write_bytes(DATA)
    bad.write_bytes(b"no image")
    outcome = await at(hall, "images", "add", str(bad), str(good))
    assert outcome.code == 4
    assert outcome.err.startswith(f"otagate: {bad}: The image is damaged: ")
    assert list(hall.desk.stored) == [SHA256]


async def test_a_file_that_is_not_there_is_exit_2(hall: Hall, tmp_path: Path) -> None:
    outcome = await at(hall, "images", "add", str(tmp_path / "none.ota"))
    assert (outcome.code, outcome.err) == (2, f"otagate: cannot read {tmp_path / 'none.ota'}: No such file or directory\n")


async def test_everything_is_halted_shown_and_lifted(hall: Hall) -> None:
    assert (await at(hall, "halt", "--show")).out == "Nothing is halted.\n"
    halted = await at(hall, "halt", "--because", "a lamp smells")
    assert halted.code == 0
    assert "by token:admin: a lamp smells" in halted.out
    assert (await at(hall, "halt", "--show", "--json")).document["because"] == "a lamp smells"
    assert (await at(hall, "halt", "--lift")).out == "Nothing is halted.\n"
    assert [what for what, _, _ in hall.desk.orders] == ["halt", "lift_halt"]


async def test_a_backup_says_where_it_is(hall: Hall) -> None:
    outcome = await at(hall, "backup", "zigbee0")
    assert "zigbee0-20260501T120000Z.json" in outcome.out
    assert (await at(hall, "backup", "zigbee0", "--json")).document["sha256"] == "cd" * 32


async def test_what_is_inside_of_an_image_is_shown(hall: Hall, tmp_path: Path) -> None:
    file = tmp_path / "a.ota"
    file.write_bytes(DATA)
    await at(hall, "images", "add", str(file))
    assert "zigbee-ota (silabs-gbl inside)" in (await at(hall, "images", "show", SHA256)).out


async def test_a_radio_is_paused_shown_as_such_and_resumed(hall: Hall) -> None:
    said = "zigbee0 sends no firmware until `otagate resume-radio zigbee0`.\n"
    assert (await at(hall, "pause-radio", "zigbee0", "--because", "guests sleep")).out == said
    assert "paused by token:admin since" in (await at(hall, "radios")).out
    assert (await at(hall, "resume-radio", "zigbee0")).out == "zigbee0 goes on.\n"
    assert "paused" not in (await at(hall, "radios")).out
    assert (await at(hall, "pause-radio", "other")).code == 2
