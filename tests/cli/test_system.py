"""Commands that run on this machine: configuration errors, and a daemon from start to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from otagate.cli.app import app
from otagate.cli.client import Client
from otagate.cli.stops import Stop
from tests.cli.conftest import otagate


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The configuration of a hub without radios, on a port that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    file = tmp_path / "otagate.yaml"
    file.write_text(f"state_dir: {tmp_path / 'state'}\napi:\n  listen: 127.0.0.1:{port}\nradios: []\n")
    return file


@pytest.mark.asyncio
async def test_a_good_configuration_is_printed_as_it_is_in_force(config: Path, tmp_path: Path) -> None:
    outcome = await otagate("check-config", str(config))
    assert (outcome.code, outcome.err) == (0, "")
    assert f"state_dir: {tmp_path / 'state'}" in outcome.out
    assert not (tmp_path / "state").exists(), "nothing is opened by a check"


@pytest.mark.asyncio
@pytest.mark.parametrize("arguments", [("check-config",), ("run", "--config")])
async def test_each_error_of_a_configuration_is_one_line_and_exit_78(config: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    config.write_text(config.read_text() + "colour: red\nschedule:\n  interrogate: sometimes\n")
    outcome = await otagate(*arguments, str(config))
    assert (outcome.code, outcome.out) == (78, "")
    lines = outcome.err.splitlines()
    assert len(lines) == 2
    for line, number, key in zip(lines, (5, 7), ("colour", "interrogate"), strict=True):
        assert line.startswith(f"otagate: {config}:{number}:")
        assert key in line
    assert not (tmp_path / "state").exists()


@pytest.mark.asyncio
async def test_a_check_answers_in_json_what_is_in_force_or_every_error_with_its_line_and_column(config: Path, tmp_path: Path) -> None:
    good = await otagate("check-config", str(config), "--json")
    assert (good.code, good.err, good.document["valid"], good.document["warnings"]) == (0, "", True, [])
    assert good.document["configuration"]["state_dir"] == str(tmp_path / "state")
    config.write_text(config.read_text() + "  colour: red\n")
    bad = await otagate("--json", "check-config", str(config))
    assert (bad.code, bad.document["valid"]) == (78, False)
    assert [each.startswith(f"{config}:5:") for each in bad.document["errors"]] == [True]


@pytest.mark.asyncio
async def test_a_configuration_that_is_not_there_is_exit_78(tmp_path: Path) -> None:
    outcome = await otagate("check-config", str(tmp_path / "none.yaml"))
    assert outcome.code == 78
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [("check-config",), ("run", "--config")])
def test_a_configuration_that_may_not_be_read_is_exit_78(config: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")  # root would be let in

    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    monkeypatch.setattr(Path, "open", refuse)
    outcome = CliRunner().invoke(app, [*arguments, str(config)])
    assert (outcome.exit_code, outcome.stdout) == (78, "")
    assert outcome.stderr == f"otagate: {config}: cannot be read: Permission denied: let this user read it, or ask as one who may\n"


@pytest.mark.asyncio
async def test_an_address_in_use_is_exit_78(config: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config.write_text(f"state_dir: {config.parent / 'state'}\napi:\n  listen: 127.0.0.1:{taken.getsockname()[1]}\n")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "otagate", "run", "--config", str(config), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(60):
            _, err = await process.communicate()
    assert process.returncode == 78
    assert b"api.listen" in err.splitlines()[-1]
    assert b"Traceback" not in err


@pytest.mark.asyncio
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_daemon_serves_until_it_is_told_to_stop(config: Path, tmp_path: Path, number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "otagate", "run", "--config", str(config), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    url = "http://" + config.read_text().splitlines()[2].split()[-1]
    token_file = tmp_path / "state" / "api-token"
    async with asyncio.timeout(60):
        while not token_file.exists() or not await answers(url, token_file):
            assert process.returncode is None
            await asyncio.sleep(0.05)
        outcome = await otagate("radios", "--json", "--url", url, "--token-file", str(token_file))
        process.send_signal(number)
        await process.communicate()
    assert outcome.document == {"items": [], "next_cursor": None}
    assert process.returncode == 0


async def answers(url: str, token_file: Path) -> bool:
    try:
        async with Client(url, token_file.read_text().strip()) as client:
            await client.get("radios")
    except Stop:
        return False
    return True


@pytest.mark.asyncio
async def test_the_list_of_commands_says_each_in_one_whole_line() -> None:
    shown = (await otagate("--help")).out.partition("Set up and run:")[2]
    assert shown
    assert [line for line in shown.splitlines() if line.endswith("...")] == []


@pytest.mark.asyncio
async def test_every_command_stands_in_one_section_of_the_help() -> None:
    sections = (await otagate("--help")).out.partition("Set up and run:")[2]
    told = [line.split()[0] for line in sections.splitlines() if line.startswith("  ")]
    assert sorted(told) == sorted(get_command(app).commands)  # type: ignore[attr-defined]
