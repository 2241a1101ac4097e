"""The plugin as a maker of devices meets it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hil.emulated import IMAGES, LISTED, fake_port

ROOT = Path(__file__).parents[2]


def run_pytest(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTAGATE_")} | environ
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:xdist", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=200, env=environment
    )


def rig_file(folder: Path, **device: object) -> Path:
    for name, data in IMAGES.items():
        (folder / name).write_bytes(data)
    entry = {"name": "plug", "address": f"{LISTED:016x}", "images": {"a": "a.ota", "b": "b.ota"}} | device
    file = folder / "rig.yaml"
    file.write_text(json.dumps({"stick": {"type": "znp", "path": "/dev/none"}, "devices": [entry]}))
    return file


def test_without_a_rig_everything_is_skipped_and_says_how_to_name_one() -> None:
    ran = run_pytest("hil", "-rs", "--soak", "2")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "4 skipped" in ran.stdout
    assert ran.stdout.count("no rig: name one with --rig FILE or OTAGATE_RIG") == 4


def test_a_wrong_rig_file_ends_the_run_with_a_line_for_each_error(tmp_path: Path) -> None:
    file = rig_file(tmp_path, address="1", patience="long")
    ran = run_pytest("hil", OTAGATE_RIG=str(file))
    assert ran.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"{file}:1:" in ran.stderr
    assert "devices[0].address: '1' is no IEEE address" in ran.stderr
    assert "devices[0].patience: 'long' is not a duration" in ran.stderr


def test_what_a_rig_does_not_have_is_skipped_and_soak_waits_to_be_asked_for(tmp_path: Path) -> None:
    tests = tmp_path / "test_mine.py"
    tests.write_text("def test_cut(relay): ...\ndef test_pull(plug): ...\ndef test_print(console): ...\n")
    mine = run_pytest("-p", "hil.plugin", "--rig", str(rig_file(tmp_path)), "-rs", str(tests))
    assert mine.returncode == 0, mine.stdout + mine.stderr
    for reason in ("names no power of plug", "names no power of the stick", "names no console of plug"):
        assert reason in mine.stdout
    soak = run_pytest("hil/tests/test_soak.py", "--rig", str(rig_file(tmp_path)), "-rs")
    assert "1 skipped" in soak.stdout
    assert "ask for it with --soak ROUNDS" in soak.stdout


@pytest.mark.asyncio
async def test_a_forbidden_line_on_the_console_fails_a_test_of_ones_own_and_is_shown(tmp_path: Path) -> None:
    tests = tmp_path / "test_mine.py"
    tests.write_text(
        "import pytest\n@pytest.mark.asyncio\nasync def test_starts(console):\n    console.write('go')\n    await console.expect('ready', 50)\n"
    )
    with fake_port() as device:
        device.hear(lambda received: device.says(b"HardFault at 0x1234\r\nready\r\n") if received == b"go" else None)
        file = rig_file(tmp_path, console={"path": device.path, "forbid": ["HardFault"]})
        ran = await asyncio.to_thread(run_pytest, "-p", "hil.plugin", "--rig", str(file), str(tests))
    assert ran.returncode == pytest.ExitCode.TESTS_FAILED, ran.stdout + ran.stderr
    assert "plug printed 'HardFault at 0x1234', which 'HardFault' forbids" in ran.stdout
    assert "log of the device's console" in ran.stdout


def test_a_daemon_that_cannot_have_the_stick_is_told_with_its_log(tmp_path: Path) -> None:
    file = rig_file(tmp_path)
    document = json.loads(file.read_text())
    document["stick"]["patience"] = "3s"
    file.write_text(json.dumps(document))
    results = tmp_path / "results.xml"
    junit = (f"--junit-xml={results}", "-o", "junit_logging=all")
    ran = run_pytest("hil/tests/test_round_trip.py", "--rig", str(file), f"--basetemp={tmp_path / 'run'}", *junit)
    assert ran.returncode == pytest.ExitCode.TESTS_FAILED, ran.stdout + ran.stderr
    assert "the coordinator did not become up: it is " in ran.stdout
    assert "log of the hub, the end of " in ran.stdout
    said = ET.parse(results).getroot().findtext(".//system-out", "")
    assert "hub is running" in said
