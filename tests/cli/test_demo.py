"""The first thing a newcomer types."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from otagate.cli import demo_zwave
from otagate.cli.demo_hub import chosen_port, daemon, open_client, write_config
from otagate.cli.stops import Stop
from otagate_rig.zwave import missing_node

FIRST_BLOCK_WITHIN = 90.0
"""Seconds; 20 are promised for a machine that has nothing else to do."""

ZIGBEE = ("Hall lamp", "Kitchen lamp", "Desk socket", "Window sensor", "New dimmer")


def run_demo(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "otagate", "demo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=280, check=False, env=os.environ | {"NO_COLOR": "1"} | environ)


def followed(run: subprocess.Popen[str]) -> tuple[str, str]:
    """What a demo says to people to its end, and the page of its hub as it is when the first firmware moves."""
    assert run.stderr is not None
    said, page, address = [], "", ""
    for line in run.stderr:
        said.append(line)
        if line.startswith("The page: "):
            address = line.split()[2].partition("#")[0]
        if "transferring" in line and not page:
            with urllib.request.urlopen(address, timeout=60) as answer:
                page = answer.read().decode()
    return "".join(said), page


def program(folder: Path, name: str, script: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def assert_the_zigbee_devices_are_updated(done: subprocess.CompletedProcess[str], coordinator: str) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    for device in ZIGBEE:
        assert re.search(rf"{device} 0x010\d to 0x01020003: succeeded", done.stdout)
    assert (
        "zigbee-00124b000de30005: The image is for another device: The release is for hardware versions 2 to 4, the component has 1." in done.stderr
    )
    assert f"A simulated {coordinator} coordinator" in done.stdout
    assert re.search(r"API: http://127\.0\.0\.1:\d+/api/v1", done.stdout)
    assert "no device saw a protocol error" in done.stdout
    first = re.search(r"The first block left (\d+\.\d) s after the daemon was started\.", done.stdout)
    assert first is not None
    assert float(first[1]) < FIRST_BLOCK_WITHIN


def test_the_demo_updates_zigbee_and_zwave_devices_side_by_side_refuses_one_with_its_reason_and_exits_with_0() -> None:
    missing = missing_node()
    if missing is not None:
        pytest.skip(missing)
    done = run_demo()
    assert_the_zigbee_devices_are_updated(done, "Z-Stack")
    table = done.stdout[: done.stdout.index("transferring")]
    for known in ("Hall lamp", "Garage plug", "Porch switch", "Cellar sensor", "the controller"):
        assert known in table  # one list
    for target in ("Garage plug 0 to 1.7 (step 1 of 2)", "Porch switch 0 to 1.7", "Cellar sensor 0 to 1.7"):
        assert f"{target}: succeeded" in done.stdout
    assert re.search(r"Garage plug 1 to .*: queued - .*waits for the step before", done.stdout)
    assert re.search(r"Garage plug 1 to .*: succeeded", done.stdout)
    assert "8 devices run their new firmware" in done.stdout


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("npm", "sentences"),
    [
        (
            "echo 'npm error code EAI_AGAIN' >&2; echo 'npm error request to the registry failed' >&2; exit 1",
            [
                r"Installing the Z-Wave driver, once \(\d+ minutes at most\) \.\.\.",
                "Without Z-Wave: .* status 1: code EAI_AGAIN request to the .* failed",
            ],
        ),
        ("exec sleep 60", ["Installing the Z-Wave driver, once .*", "Without Z-Wave: npm ci did not end within 1 s in .*"]),
    ],
)
async def test_an_installation_that_fails_or_does_not_end_is_said_and_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, npm: str, sentences: list[str]
) -> None:
    program(tmp_path, "node", "echo v22.1.0")
    program(tmp_path, "npm", npm)
    monkeypatch.setenv("PATH", f"{tmp_path}:{Path(shutil.which('sleep') or '/bin/sleep').parent}")
    monkeypatch.setenv("OTAGATE_RIG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(demo_zwave, "INSTALL_WITHIN", 1.0)
    said: list[str] = []
    async with demo_zwave.zwave_side(said.append) as side:
        assert side is None
    assert [re.fullmatch(sentence, told) is not None for sentence, told in zip(sentences, said, strict=True)] == [True, True], said


@pytest.mark.asyncio
async def test_a_node_that_is_too_old_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "node", "echo v18.19.0")
    program(tmp_path, "npm", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    said: list[str] = []
    async with demo_zwave.zwave_side(said.append) as side:
        assert side is None
    assert said == ["Without Z-Wave: Node.js 20.19 or newer is needed; this is v18.19.0."]


def test_without_node_the_demo_goes_on_with_zigbee_alone_and_two_of_one_seed_end_with_the_same_document_byte_for_byte(tmp_path: Path) -> None:
    """The second one runs beside the first, over the same stack; what is missing is said to people and in the document."""
    command = [sys.executable, "-m", "otagate", "demo", "--once", "--seed", "1", "--json", "--radio", "ezsp"]
    environ = os.environ | {"NO_COLOR": "1", "PATH": str(tmp_path)}
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ) for _ in range(2)]
    told, page = followed(runs[0])
    (one, _), (two, _) = (each.communicate(timeout=280) for each in runs)
    assert page.startswith("<!doctype html>")
    assert told.startswith("A hub with simulated radios")
    assert one == two, told
    assert_the_zigbee_devices_are_updated(subprocess.CompletedProcess(command, runs[0].returncode, stdout=told, stderr=told), "EmberZNet")
    assert "Without Z-Wave: Node.js 20.19 or newer with npm is needed; node was not found." in told
    assert "5 devices run their new firmware" in told
    assert "zwave" not in told.replace("Without Z-Wave", "")
    (line,) = one.splitlines()
    document = json.loads(line)
    assert document["missing"] == ["Without Z-Wave: Node.js 20.19 or newer with npm is needed; node was not found."]
    assert document["good"] is True
    ids = [each["device"] for each in document["devices"]]
    assert ids == sorted(ids)
    ends = {each["name"]: (each["refused"], [update["state"] for update in each["updates"]]) for each in document["devices"]}
    assert ends["Hall lamp"] == (None, ["succeeded"])
    assert ends["Old dimmer"] == ("incompatible-image", [])
    assert "Next: otagate init" in told


def test_a_demo_that_is_told_to_end_takes_its_hub_and_its_folder_with_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "otagate", "demo", "--stay"]
    environ = os.environ | {"NO_COLOR": "1", "PATH": str(tmp_path), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as run:
        assert run.stdout is not None
        address = next(line.split()[2].partition("#")[0] for line in run.stdout if line.startswith("The page: "))
        run.terminate()
        run.stdout.read()
        assert run.wait(timeout=120) == 130
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address, timeout=60)
    assert list(tmp_path.iterdir()) == []


def test_two_demos_that_choose_at_the_same_time_never_choose_the_same_port() -> None:
    with chosen_port() as one, chosen_port() as two:
        assert one != two


@pytest.mark.asyncio
async def test_a_demo_whose_daemon_ends_at_its_start_says_why_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config, url = write_config(tmp_path, taken.getsockname()[1], [], [])
        with pytest.raises(Stop, match="the daemon ended at its start, with exit code 78"):
            async with daemon(tmp_path, config) as process, open_client(process, tmp_path, url):
                pytest.fail("something else answers there")
    assert "Address already in use" in capsys.readouterr().err


def test_once_and_stay_contradict_each_other() -> None:
    done = run_demo("--once", "--stay")
    assert (done.returncode, "contradict each other" in done.stderr) == (2, True)
