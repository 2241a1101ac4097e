"""`otagate adopt` as it is typed, in a process of its own: what it prints, how it ends, and what it never tells."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from otagate.model.ids import zigbee_device_id
from otagate.stores import open_store
from tests.adoption.foreign import BUTTON, KEY, LAMP, PLUG, backup, button, coloned, coordinator, entry, lines, write_zigbee2mqtt, write_zigpy
from tests.cli.conftest import Outcome


class Desk:
    """A terminal on a hub that does not run."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.config = folder / "otagate.yaml"
        self.config.write_text("state_dir: ./state\nradios:\n  - {name: zigbee0, type: znp, path: /dev/none}\n")
        self.data = write_zigbee2mqtt(folder / "zigbee2mqtt")

    async def adopt(self, *arguments: str, radio: str = "zigbee0", program: str = "z2m", where: Path | None = None) -> Outcome:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "otagate", "adopt", radio, str(where or self.data), "--from", program, "--config", str(self.config), *arguments,
            env=os.environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(60):
            out, err = await process.communicate()
        outcome = Outcome(code=process.returncode or 0, out=out.decode(), err=err.decode())
        for secret in (KEY.hex(), str(list(KEY)), KEY.hex(":")):
            assert secret not in outcome.out + outcome.err
        return outcome


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.asyncio
async def test_what_was_taken_over_is_shown_with_what_was_not(desk: Desk) -> None:
    database = lines(coordinator(), entry(), button(), entry(PLUG, type="GreenPower"))
    write_zigbee2mqtt(desk.data, database=database, configuration="devices: none.yaml")
    outcome = await desk.adopt()
    assert (outcome.code, outcome.err) == (0, "")
    told = outcome.out.splitlines()
    assert told[1].split() == [zigbee_device_id(LAMP), "Lamp", "Rig", "Works", "Lamp", "new"]
    assert f"left out: {coloned(PLUG)}: a Green Power device has no firmware to update" in told
    assert any(each.startswith("note: ") and "none.yaml" in each for each in told)
    assert told[-1].startswith("Adopted 2 devices and 0 groups of network 00:12:4b:00:29:a1:c3:d5 for zigbee0. ")
    async with open_store("sqlite:///otagate.db", desk.state) as store:
        assert len(await store.devices.all()) == 2


@pytest.mark.asyncio
async def test_a_dry_run_tells_the_same_and_changes_nothing(desk: Desk) -> None:
    dry = await desk.adopt("--dry-run")
    assert dry.code == 0
    assert dry.out.splitlines()[-1].endswith("Nothing was changed.")
    assert not desk.state.exists()
    document = (await desk.adopt("--dry-run", "--json")).document
    assert (document["dry_run"], document["pinned"]) == (True, True)
    assert document["network"] == {
        "extended_pan_id": "00:12:4b:00:29:a1:c3:d5",
        "pan_id": 0x1A62,
        "channel": 15,
        "coordinator": "00:12:4b:00:29:a1:c3:d5",
    }
    assert [(each["id"], each["name"], each["outcome"]) for each in document["devices"]] == [
        (zigbee_device_id(LAMP), "kitchen/lamp", None),
        (zigbee_device_id(PLUG), "on", None),
        (zigbee_device_id(BUTTON), "Button", None),
    ]
    assert document["groups"] == [{"number": 7, "name": "hall", "members": 1}]
    assert not desk.state.exists()


@pytest.mark.asyncio
async def test_zha_is_read_with_what_stands_in_its_log_only(desk: Desk, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    outcome = await desk.adopt("--json", program="zha", where=write_zigpy(home / "zigbee.db", 16, devices=(LAMP, PLUG), log=True))
    assert (outcome.code, outcome.err) == (0, "")
    document = outcome.document
    assert [each["outcome"] for each in document["devices"]] == ["new", "new"]
    assert (document["from"], document["network"], document["pinned"]) == ("zha", None, False)


@pytest.mark.asyncio
async def test_a_radio_that_is_not_configured_is_exit_2(desk: Desk) -> None:
    outcome = await desk.adopt(radio="zigbee7")
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == "otagate: there is no radio 'zigbee7' in the configuration; it has zigbee0\n"


@pytest.mark.asyncio
async def test_a_radio_without_a_zigbee_network_is_exit_2(desk: Desk) -> None:
    desk.config.write_text("radios:\n  - {name: zwave0, type: zwave-js, url: 'ws://127.0.0.1:3000'}\n")
    outcome = await desk.adopt(radio="zwave0")
    assert (outcome.code, outcome.out) == (2, "")
    assert "only a Zigbee coordinator has a network to adopt" in outcome.err


@pytest.mark.asyncio
async def test_a_program_that_is_not_known_is_exit_2(desk: Desk) -> None:
    outcome = await desk.adopt(program="deconz")
    assert outcome.code == 2
    assert "deconz" in outcome.err


@pytest.mark.asyncio
async def test_a_wrong_configuration_is_exit_78(desk: Desk) -> None:
    desk.config.write_text("radios: [{name: zigbee0, type: toaster, path: /dev/none}]")
    outcome = await desk.adopt()
    assert outcome.code == 78
    assert outcome.err.startswith(f"otagate: {desk.config}:1:")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("program", "data"),
    [("z2m", b"{"), ("z2m", b"\x00" * 4096), ("z2m", lines(coordinator(), entry())[:-9]), ("zha", b"SQLite format 3\x00" + b"\xff" * 9000)],
)
async def test_a_damaged_file_is_one_sentence_and_exit_4(desk: Desk, program: str, data: bytes) -> None:
    where = desk.data
    if program == "zha":
        where = desk.data / "zigbee.db"
        where.write_bytes(data)
    else:
        write_zigbee2mqtt(desk.data, database=data)
    outcome = await desk.adopt(program=program, where=where)
    assert (outcome.code, outcome.out) == (4, "")
    assert outcome.err.startswith(f"otagate: {desk.data}/")
    assert outcome.err.count("\n") == 1
    assert not desk.state.exists()


@pytest.mark.asyncio
async def test_a_hub_that_runs_is_exit_4_and_is_told_to_be_stopped(desk: Desk) -> None:
    async with open_store("sqlite:///otagate.db", desk.state):
        outcome = await desk.adopt()
    assert outcome.code == 4
    assert outcome.err.startswith("otagate: the hub runs, and keeps what it knows for itself: stop it, adopt, and start it again")
    assert str(os.getpid()) in outcome.err


@pytest.mark.asyncio
async def test_another_network_is_exit_4(desk: Desk) -> None:
    assert (await desk.adopt()).code == 0
    write_zigbee2mqtt(desk.data, stored=backup(network_key={"key": "a5" * 16}), configuration="{}")
    outcome = await desk.adopt()
    assert outcome.code == 4
    assert "the network key changed" in outcome.err
    assert "a5a5" not in outcome.err


@pytest.mark.asyncio
async def test_what_the_superuser_writes_belongs_to_the_hubs_user(desk: Desk) -> None:
    owner = (12345, 23456) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    desk.state.mkdir()
    os.chown(desk.state, *owner)
    assert (await desk.adopt()).code == 0
    written = list(desk.state.iterdir())
    assert len(written) >= 4
    assert {(each.stat().st_uid, each.stat().st_gid) for each in written} == {owner}
