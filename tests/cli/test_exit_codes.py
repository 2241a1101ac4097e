"""Every command ends with the code that scripts rely on: 0 done, 1 failed, 2 wrong usage, 3 no daemon, 4 refused."""

from __future__ import annotations

import hashlib
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
import typer.main

from otagate.cli.app import app
from otagate.model.errors import DeviceUnreachable, OtagateError, RadioUnavailable, SourceUnavailable, StoreUnavailable
from otagate.model.ids import DeviceId
from otagate.model.lifecycle import State
from otagate.model.rollouts import RolloutState
from tests.api.conftest import Hall
from tests.api.counter import IMAGE_MAGIC, LAMP, PLUG, device, rollout, update
from tests.cli.conftest import at, otagate

pytestmark = pytest.mark.asyncio
DATA = IMAGE_MAGIC + b"firmware"
SHA256 = hashlib.sha256(DATA).hexdigest()
UNKNOWN = "zigbee-ffffffffffffffff"
GONE = DeviceId(UNKNOWN)
FULL = StoreUnavailable("the disk is full")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A command, how it succeeds, and how it ends otherwise: `usage` is wrong, `fails` and `refused` with what the hub answers to which order."""

    done: tuple[str, ...]
    usage: tuple[str, ...]
    fails: tuple[str, OtagateError] | None = None
    refused: tuple[str, ...] | None = None


CASES = {
    "devices": Case(done=(), usage=("--protocol", "matter"), fails=("devices", FULL)),
    "device": Case(done=(LAMP,), usage=(UNKNOWN,)),
    "check": Case(done=(LAMP,), usage=(UNKNOWN,), fails=("check", DeviceUnreachable("no answer"))),
    "set": Case(done=(LAMP, "--room", "Hall"), usage=(LAMP, "--pin", "1", "--unpin"), fails=("amend", FULL)),
    "plan": Case(done=(LAMP,), usage=(LAMP, "--image", "x"), fails=("plan", FULL), refused=(PLUG, "--force")),
    "update": Case(done=(LAMP,), usage=(), fails=("order", FULL), refused=(PLUG,)),
    "updates": Case(done=(), usage=("--state", "done"), fails=("updates", FULL)),
    "watch": Case(done=(), usage=("--nonsense",)),  # it ends only when it is interrupted
    "cancel": Case(done=("u0001",), usage=("u9999",), fails=("cancel", FULL), refused=("u0002",)),
    "pause": Case(done=("u0001",), usage=("u9999",), fails=("pause", FULL)),
    "resume": Case(done=("u0001",), usage=("u9999",), fails=("resume", FULL)),
    "retry": Case(done=("u0003",), usage=("u9999",), fails=("retry", FULL), refused=("u0001",)),
    "prioritize": Case(done=("u0001", "high"), usage=("u0001", "urgent"), fails=("prioritize", FULL)),
    "approve": Case(done=("u0001",), usage=("u9999",), fails=("approve", FULL)),
    "rollback": Case(done=(LAMP,), usage=(LAMP, "--version", "1"), fails=("order", FULL), refused=(PLUG,)),
    "activate": Case(done=("u0001",), usage=("u9999",), fails=("activate", FULL)),
    "show": Case(done=("u0001",), usage=("u9999",)),
    "log": Case(done=("u0001",), usage=("u9999",)),
    "history": Case(done=(), usage=("--since", "long ago"), fails=("updates", FULL)),
    "audit export": Case(done=(), usage=("--since", "long ago"), fails=("audit", FULL)),
    "audit verify": Case(done=(), usage=("everything",), fails=("verify_chain", FULL)),
    "radios": Case(done=(), usage=("zigbee0",)),
    "permit-join": Case(done=("zigbee0",), usage=("other",), fails=("permit_join", RadioUnavailable("zigbee0 is not up"))),
    "backup": Case(done=("zigbee0",), usage=("other",), fails=("back_up", RadioUnavailable("zigbee0 is not up"))),
    "pause-radio": Case(done=("zigbee0",), usage=("other",), fails=("pause_radio", FULL)),
    "resume-radio": Case(done=("zigbee0",), usage=("other",), fails=("resume_radio", FULL)),
    "reattach": Case(done=("zigbee0",), usage=("other",), fails=("reattach", FULL)),
    "halt": Case(done=("--because", "smoke"), usage=("--because", "two\nlines"), fails=("halt", FULL)),
    "sources": Case(done=("--refresh", "directory"), usage=("--refresh", "other"), fails=("refresh", FULL)),
    "windows": Case(done=(), usage=("night",)),
    "records": Case(done=("directory",), usage=("other",)),
    "rollouts list": Case(done=(), usage=("x",)),
    "rollouts show": Case(done=("r000001",), usage=("r9",)),
    "rollouts start": Case(done=("lamps", "--model", "LCT*"), usage=("lamps", "--wave", "many"), fails=("order_rollout", FULL)),
    "rollouts pause": Case(done=("r000001",), usage=("r9",), fails=("pause_rollout", FULL), refused=("r000002",)),
    "rollouts resume": Case(done=("r000001",), usage=("r9",), fails=("resume_rollout", FULL), refused=("r000002",)),
    "rollouts halt": Case(done=("r000001",), usage=("r9",), fails=("halt_rollout", FULL), refused=("r000002",)),
    "rollouts approve": Case(done=("r000001",), usage=("r9",), fails=("approve_rollout", FULL), refused=("r000002",)),
    "rollouts cancel": Case(done=("r000001",), usage=("r9",), fails=("cancel_rollout", FULL), refused=("r000002",)),
    "notify list": Case(done=(), usage=("x",)),
    "notify test": Case(done=("office",), usage=("attic",), fails=("test_notifier", SourceUnavailable("notify office: away"))),
    "images list": Case(done=(), usage=("x",)),
    "images add": Case(done=("good.ota",), usage=("none.ota",), fails=("add_image", FULL), refused=("bad.ota",)),
    "images show": Case(done=(SHA256,), usage=("ab" * 32,)),
    "images rm": Case(done=(SHA256,), usage=("ab" * 32,), fails=("remove_image", FULL)),
}
LOCAL = {"run", "check-config", "demo", "init", "adopt", "detect", "doctor", "report", "verify-report", "mirror serve"}
"""Commands that ask no daemon, ask one only where it is there, or answer with a file; each has its own tests."""


def commands(group: object, prefix: str = "") -> set[str]:
    """Every command of a click group, by the words that are typed."""
    found: set[str] = set()
    for name, each in getattr(group, "commands", {}).items():
        found |= commands(each, f"{prefix}{name} ") if hasattr(each, "commands") else {prefix + name}
    return found


def options(group: object) -> dict[str, set[str]]:
    """The options of every command of a click group."""
    found: dict[str, set[str]] = {}
    for name, each in getattr(group, "commands", {}).items():
        inner = {f"{name} {key}": value for key, value in options(each).items()} if hasattr(each, "commands") else {}
        found |= inner or {name: {opt for param in each.params for opt in param.opts}}
    return found


async def test_every_command_takes_json() -> None:
    endless = {"run", "mirror serve", "report"}  # they serve until they are stopped, or answer with a file
    assert {name for name, known in options(typer.main.get_command(app)).items() if "--json" not in known} <= endless


@pytest.fixture
def stocked(hall: Hall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hall:
    """Updates: one waits, one is too far to cancel, one failed; rollouts: one runs, one ended; two files, and a plug that policy refuses."""
    monkeypatch.chdir(tmp_path)
    Path("good.ota").write_bytes(DATA)
    Path("bad.ota").write_bytes(b"no firmware")
    hall.desk.known[PLUG] = device(PLUG, "Young")
    hall.desk.jobs = {each.id: each for each in (update(1, GONE), update(2, GONE, State.ACTIVATING), update(3, GONE, State.FAILED))}
    hall.desk.campaigns = {each.rollout.id: each for each in (rollout(1), rollout(2, state=RolloutState.FINISHED))}
    return hall


async def typed(hall: Hall, command: str, *arguments: str) -> int:
    if command in ("images show", "images rm") and SHA256 in arguments:
        await at(hall, "images", "add", "good.ota")
    outcome = await at(hall, *command.split(), *arguments)
    if outcome.code:
        assert "Traceback" not in outcome.err
        assert outcome.err
    return outcome.code


async def test_every_command_has_its_case() -> None:
    assert commands(typer.main.get_command(app)) == set(CASES) | LOCAL


@pytest.mark.parametrize("command", [each for each in CASES if each != "watch"])
async def test_what_is_done_is_exit_0(stocked: Hall, command: str) -> None:
    assert await typed(stocked, command, *CASES[command].done) == 0


@pytest.mark.parametrize("command", [each for each, case in CASES.items() if case.fails])
async def test_what_fails_is_exit_1(stocked: Hall, command: str) -> None:
    case = CASES[command]
    assert case.fails is not None
    stocked.desk.trouble[case.fails[0]] = case.fails[1]
    assert await typed(stocked, command, *case.done) == 1


@pytest.mark.parametrize("command", CASES)
async def test_wrong_usage_is_exit_2(stocked: Hall, command: str) -> None:
    assert await typed(stocked, command, *CASES[command].usage) == 2
    assert await typed(stocked, command, "--no-such-option") == 2


@pytest.mark.parametrize("command", CASES)
async def test_no_daemon_is_exit_3(stocked: Hall, command: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    outcome = await otagate(*command.split(), *CASES[command].done, "--url", url)
    assert (outcome.code, outcome.out) == (3, "")
    assert outcome.err.startswith("otagate: cannot reach the daemon")


@pytest.mark.parametrize("command", [each for each, case in CASES.items() if case.refused])
async def test_what_is_refused_is_exit_4(stocked: Hall, command: str) -> None:
    case = CASES[command]
    assert case.refused is not None
    assert await typed(stocked, command, *case.refused) == 4


@pytest.mark.parametrize("command", [each for each in CASES if each != "watch"])
async def test_every_command_answers_in_json(stocked: Hall, command: str) -> None:
    if SHA256 in CASES[command].done:
        await at(stocked, "images", "add", "good.ota")
    outcome = await at(stocked, *command.split(), *CASES[command].done, "--json")
    assert (outcome.code, outcome.err) == (0, "")
    assert isinstance(outcome.document, dict)
