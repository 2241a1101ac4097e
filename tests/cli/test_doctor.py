"""`otagate doctor`: every ailment has its sentence and what mends it, with and without a daemon."""

from __future__ import annotations

import shutil
import socket
import sqlite3
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from otagate.cli import checkup, doctor, session
from otagate.engine import timers
from otagate.radios.holders import Holder, Holding
from otagate.stores import open_store
from tests.api.conftest import Hall, Open
from tests.api.counter import LAMP
from tests.cli.conftest import Outcome, otagate
from tests.radios.test_probe import held, stick

pytestmark = pytest.mark.asyncio
Room = namedtuple("Room", "total used free")
IS_TAKEN = checkup.is_taken


@pytest.fixture(autouse=True)
def _sound_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine happens to be like is none of the tests' business."""
    monkeypatch.setattr(checkup, "clock_state", lambda: 0)
    monkeypatch.setattr(checkup, "UNIT", Path("/nowhere"))
    monkeypatch.setattr(checkup, "_processes", lambda: iter(()))
    monkeypatch.setattr(checkup, "is_taken", lambda *_: False)  # 8377 may be another hub's here
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Room(10**10, 0, 10**10))


class _Unset:
    """A clock that was never set."""

    def now(self) -> datetime:
        return datetime(1970, 1, 1, tzinfo=UTC)


class Home:
    """A hub's files: a configuration, a state folder, a token, a store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.config = folder / "otagate.yaml"
        self.lines: list[str] = []
        self.state.mkdir(mode=0o700)
        self.token.write_text("a-token-of-this-hub-and-no-other\n")
        self.token.chmod(0o600)

    @property
    def token(self) -> Path:
        return self.state / "api-token"

    @property
    def store(self) -> Path:
        return self.state / "otagate.db"

    async def examined(self, *arguments: str) -> list[dict[str, Any]]:
        """The findings, those of the daemon's absence left out."""
        self.config.write_text("\n".join([f"state_dir: {self.state}", *self.lines]))
        outcome = await otagate("doctor", "--config", str(self.config), "--url", "http://127.0.0.1:1", "--json", *arguments)
        findings = [each for each in outcome.document["findings"] if each["check"] != "daemon"]
        assert outcome.code == 1  # the daemon is down
        assert all((each["remedy"] is None) == (each["result"] == "ok") for each in findings)
        return findings

    async def ailments(self) -> list[tuple[str, str, str, str]]:
        """What is not as it should be."""
        return [tuple(each[name] for name in ("check", "result", "sentence", "remedy")) for each in await self.examined() if each["result"] != "ok"]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


async def test_a_sound_hub_has_no_ailments(home: Home) -> None:
    async with open_store("sqlite:///otagate.db", home.state):
        pass
    assert await home.ailments() == []
    assert {each["check"] for each in await home.examined()} == {"python", "clock", "configuration", "state folder", "disk", "store", "token"}


Stage = Callable[[Home, pytest.MonkeyPatch], object]
AILMENTS: dict[str, tuple[Stage, str, str, str, str]] = {
    "old Python": (lambda _, m: m.setattr(checkup, "OLDEST_PYTHON", (9, 9)), "python", "bad", "is too old", "install Python"),
    "old SQLite": (lambda _, m: m.setattr(checkup, "OLDEST_SQLITE", (9, 9)), "python", "bad", "SQLite", "install a Python"),
    "clock of 1970": (lambda _, m: m.setattr(timers, "SystemClock", _Unset), "clock", "bad", "shows 1970-01-01", "sudo timedatectl set-ntp true"),
    "clock": (lambda _, m: m.setattr(checkup, "clock_state", lambda: 5), "clock", "warning", "not synchronised", "sudo timedatectl set-ntp true"),
    "bad key": (lambda home, _: home.lines.append("radioes: []"), "configuration", "bad", "radioes: unknown key", "otagate check-config"),
    "open to the network": (
        lambda home, _: home.lines.append("api: {listen: 0.0.0.0:8377}"),
        "configuration",
        "warning",
        "open to other machines",
        "edit ",
    ),
    "state folder open": (lambda home, _: home.state.chmod(0o755), "state folder", "bad", "open to others (mode 0755)", "sudo chmod 0700"),
    "disk full": (lambda _, m: m.setattr(shutil, "disk_usage", lambda _: Room(1, 1, 0)), "disk", "bad", "is full", "make room"),
    "disk nearly full": (lambda _, m: m.setattr(shutil, "disk_usage", lambda _: Room(1, 1, 10**8)), "disk", "warning", "100.0 MB", "make room"),
    "store damaged": (lambda home, _: home.store.write_bytes(b"SQLite format 3\0" + b"\xa5" * 5_000), "store", "bad", "is damaged", "sudo mv"),
    "store too new": (lambda home, _: _store_of_the_future(home.store), "store", "bad", "by a newer otagate", "install the newer otagate again"),
    "token readable": (
        lambda home, _: home.token.chmod(0o644),
        "configuration",
        "bad",
        "can be read or changed by others (mode 0644)",
        "sudo chmod 0600",
    ),
    "stick gone": (
        lambda home, _: home.lines.append("radios: [{name: zigbee0, type: znp, path: /dev/serial/by-id/none}]"),
        "radio zigbee0",
        "bad",
        "does not exist",
        "otagate detect",
    ),
    "images gone": (
        lambda home, _: home.lines.append(f"sources: [{{type: directory, path: {home.folder}/none}}]"),
        "source directory",
        "warning",
        "does not exist",
        "sudo install -d",
    ),
}


def _store_of_the_future(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 999")
    connection.close()


@pytest.mark.parametrize("name", AILMENTS)
async def test_an_ailment_is_found_and_what_mends_it_is_said(home: Home, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    stage, check, result, sentence, remedy = AILMENTS[name]
    stage(home, monkeypatch)
    (found,) = await home.ailments()
    assert found[:2] == (check, result)
    assert sentence in found[2]
    assert remedy in found[3]


async def test_a_configuration_that_is_not_there_is_said_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    outcome = await otagate("doctor", "--config", str(tmp_path / "none.yaml"), "--url", "http://127.0.0.1:1")
    assert outcome.code == 1
    assert f"{tmp_path / 'none.yaml'} does not exist" in outcome.out
    assert "ok     python" in outcome.out


async def test_a_stick_that_another_program_holds_names_the_program_and_how_to_stop_it(home: Home) -> None:
    async with stick(lambda _: b"") as path, held(path) as pid:
        home.lines.append(f"radios: [{{name: zigbee0, type: znp, path: {path}}}]")
        ((check, result, sentence, remedy),) = await home.ailments()
    assert (check, result, remedy) == ("radio zigbee0", "bad", f"sudo kill {pid}")
    assert f"(process {pid})" in sentence


async def test_a_port_that_another_program_has_is_said_while_the_hub_does_not_run(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "is_taken", IS_TAKEN)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        home.lines.append(f"api: {{listen: '127.0.0.1:{port}'}}")
        ((check, result, sentence, remedy),) = await home.ailments()
        assert (check, result, f"127.0.0.1:{port} is another program's" in sentence, f"sport = :{port}" in remedy) == ("port", "bad", True, True)
        monkeypatch.setattr(doctor, "store_owner", lambda _: 4711)
        assert await home.ailments() == []
    monkeypatch.undo()
    assert not IS_TAKEN("127.0.0.1", port)


async def test_known_programs_are_stopped_by_their_service(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    held_by = Holding(holders=(Holder(pid=7, program="node /opt/zigbee2mqtt/index.js"),), blind=False)
    async with stick(lambda _: b"") as path:
        monkeypatch.setattr("otagate.radios.holders.holding", lambda asked: held_by if asked == path else Holding(holders=(), blind=False))
        home.lines.append(f"radios: [{{name: zigbee0, type: znp, path: {path}}}]")
        ((_, _, _, remedy),) = await home.ailments()
    assert remedy == "sudo systemctl stop zigbee2mqtt"


async def test_a_program_that_opens_every_port_is_named(home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "comm").write_text("ModemManager\n")
    monkeypatch.setattr(checkup, "_processes", lambda: iter([tmp_path / "7"]))
    ((check, result, _, remedy),) = await home.ailments()
    assert (check, result, remedy) == ("other programs", "warning", "sudo systemctl disable --now ModemManager")


async def test_a_user_outside_of_the_group_is_told_how_to_join(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    async with stick(lambda _: b"") as path:
        home.lines.append(f"radios: [{{name: zigbee0, type: znp, path: {path}}}]")
        monkeypatch.setattr(checkup.os, "geteuid", lambda: 1000)
        monkeypatch.setattr(checkup.os, "access", lambda where, _: str(where) != path)
        ((check, _, sentence, remedy),) = await home.ailments()
        group = Path(path).group()
    assert check == "radio zigbee0"
    assert group in sentence
    assert remedy == f'sudo usermod -aG {group} "$USER", then log in again'


async def test_a_library_that_is_missing_is_named_with_its_extra(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup.importlib.util, "find_spec", lambda name: None)
    async with stick(lambda _: b"") as path:
        home.lines.append(f"radios: [{{name: zigbee0, type: ezsp, path: {path}}}]")
        ((_, _, sentence, remedy),) = await home.ailments()
    assert "bellows" in sentence
    assert "pip install" in remedy


async def test_looking_at_a_store_leaves_it_as_it_is(home: Home) -> None:
    async with open_store("sqlite:///otagate.db", home.state) as store, store.transaction():
        await store.settings.put("halt", "yes")
    before = {each.name: each.read_bytes() for each in home.state.iterdir()}
    await home.examined()
    assert {each.name: each.read_bytes() for each in home.state.iterdir()} == before


async def test_a_store_that_this_user_may_not_look_at_is_said_and_the_rest_is_looked_at(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    exists = Path.exists

    def refused(path: Path, **how: Any) -> bool:
        if path == home.store:
            raise PermissionError(13, "Permission denied")  # root would be let in
        return exists(path, **how)

    monkeypatch.setattr(Path, "exists", refused)
    (ailment,) = await home.ailments()
    assert ailment[:2] == ("store", "warning")
    assert ailment[3] == f"sudo otagate doctor --config {home.config}"


async def test_a_store_that_a_daemon_has_open_is_left_to_it(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "store_owner", lambda _: 4711)
    home.store.write_bytes(b"half a page")
    (store,) = [each for each in await home.examined() if each["check"] == "store"]
    assert (store["result"], store["sentence"]) == ("ok", f"{home.store} is open in process 4711")


# --- with a daemon ----------------------------------------------------------------------------------------------------------------------------


async def asked(hall: Hall, home: Home, *arguments: str) -> Outcome:
    home.config.write_text(f"state_dir: {home.state}\n")
    return await otagate("doctor", "--config", str(home.config), "--url", hall.base, "--token-file", str(hall.settings.token_file), *arguments)


async def test_a_hub_that_is_well_is_exit_0(hall: Hall, home: Home) -> None:
    outcome = await asked(hall, home)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.endswith("Nothing is wrong.\n")
    assert "zigbee0: up: ready for 2 devices" in outcome.out


async def test_what_the_daemon_says_is_told_with_what_mends_it(hall: Hall, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    hall.desk.ready = False
    hall.desk.broker = "it has not been reached yet"
    hall.desk.receiver = "notify office: the receiver answers 404"
    hall.desk.known[LAMP] = replace(hall.desk.known[LAMP], components=())
    await hall.json("POST", "/api/v1/halt", json={"because": "a lamp smells"})
    monkeypatch.setattr(doctor, "__version__", "9.9.9")
    outcome = await asked(hall, home, "--json")
    found = {each["check"]: (each["result"], each["remedy"]) for each in outcome.document["findings"] if each["result"] != "ok"}
    assert outcome.code == 1
    assert found == {
        "daemon": ("warning", "sudo systemctl restart otagate"),
        "halt": ("warning", "otagate halt --lift"),
        "radio zigbee0": ("bad", "stop the other program, then: otagate reattach zigbee0"),
        "devices": ("warning", f"otagate check {LAMP}"),
        "mqtt": ("warning", "start the broker (sudo systemctl start mosquitto), or put mqtt.url right"),
        "receiver office": ("warning", "otagate notify test office"),
    }


async def test_the_packaged_hub_is_asked_at_the_socket_that_its_unit_adds(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.config.write_text(f"state_dir: {home.state}\n")
    monkeypatch.setattr(doctor, "DEFAULT_CONFIG", home.config)
    monkeypatch.setattr(session, "DEFAULT_SOCKET", tmp_path / "otagate.sock")
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(str(tmp_path / "otagate.sock"))  # and nobody listens
        outcome = await otagate("doctor", "--config", str(home.config))
    assert f"the daemon at unix:{tmp_path / 'otagate.sock'}" in outcome.out


@pytest.mark.parametrize("everywhere", ["0.0.0.0", "[::]"])
async def test_a_hub_that_listens_everywhere_is_asked_at_home(open_hall: Open, home: Home, monkeypatch: pytest.MonkeyPatch, everywhere: str) -> None:
    monkeypatch.setattr(doctor, "store_owner", lambda _: 4711)
    hall = await open_hall(listen=(f"{everywhere}:0",))
    port = hall.base.rpartition(":")[2]
    (home.state / "api-token").touch(mode=0o600)
    (home.state / "api-token").write_text(hall.token)
    home.config.write_text(f"state_dir: {home.state}\napi: {{listen: '{everywhere}:{port}'}}\n")
    outcome = await otagate("doctor", "--config", str(home.config), "--json")
    (daemon,) = [each for each in outcome.document["findings"] if each["check"] == "daemon"]
    assert daemon["result"] == "ok", daemon


async def test_a_wrong_token_is_said(hall: Hall, home: Home) -> None:
    home.config.write_text(f"state_dir: {home.state}\n")
    outcome = await otagate("doctor", "--config", str(home.config), "--url", hall.base)
    assert outcome.code == 1
    assert "wants its token" in outcome.out


@pytest.mark.parametrize("unit", [True, False])
async def test_a_daemon_that_is_down_is_started_the_way_it_is_installed(home: Home, monkeypatch: pytest.MonkeyPatch, unit: bool) -> None:
    monkeypatch.setattr(checkup, "UNIT", home.config if unit else Path("/nowhere"))
    home.config.write_text(f"state_dir: {home.state}\n")
    outcome = await otagate("doctor", "--config", str(home.config), "--url", "http://127.0.0.1:1")
    assert outcome.code == 1
    assert ("sudo systemctl start otagate" if unit else f"otagate run --config {home.config}") in outcome.out


async def test_a_key_of_reports_that_others_may_read_is_said(home: Home) -> None:
    key = home.state / "report-key.pem"
    key.touch(mode=0o600)
    assert await home.ailments() == []
    key.chmod(0o644)
    ((check, result, sentence, remedy),) = await home.ailments()
    assert (check, result, f"others may read {key}" in sentence, f"sudo rm {key}" in remedy) == ("report key", "bad", True, True)
