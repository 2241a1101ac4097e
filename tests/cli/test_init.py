"""`otagate init`, typed on a machine whose sticks are emulated."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from otagate.cli import init
from otagate.radios import probe
from otagate_rig.rig import Rig
from tests.cli.conftest import otagate

pytestmark = pytest.mark.asyncio


async def test_what_is_written_names_the_stick_and_passes_the_check(tmp_path: Path) -> None:
    file = tmp_path / "otagate.yaml"
    async with Rig(stack="znp", devices=[]) as rig:
        made = await otagate("init", rig.path, "--output", str(file), "--yes")
        assert (made.code, made.err, f"otagate check-config {file}" in made.out) == (0, "", True)
        text = file.read_text()
        assert f"    type: znp\n    path: {rig.path}\n    network: existing" in text
        assert "a Zigbee coordinator with Z-Stack" in text
    checked = await otagate("check-config", str(file))
    assert (checked.code, rig.path in checked.out) == (0, True)


async def test_without_a_stick_a_hub_without_radios_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "list_ports", list)
    file = tmp_path / "otagate.yaml"
    assert (await otagate("init", "--output", str(file), "--yes", "--json")).document == {"file": str(file)}
    assert "radios: []" in file.read_text()
    assert (await otagate("check-config", str(file))).code == 0


async def test_what_is_written_as_an_example_is_right_where_its_marks_are_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "list_ports", list)
    file = tmp_path / "otagate.yaml"
    assert (await otagate("init", "--output", str(file), "--yes")).code == 0
    text = file.read_text()
    examples = [line for line in text.splitlines() if line.startswith("# ") and line.rstrip().endswith((":", "}", "window: night", ":1883"))]
    assert [line.removeprefix("# ") for line in examples if line.endswith(":")] == ["windows:", "notify:", "mqtt:"]
    for line in examples:
        text = text.replace(line, line.removeprefix("# "))
    file.write_text(re.sub(r"^#  ", "  ", text.replace("radios: []", "radios:"), flags=re.MULTILINE))
    checked = (await otagate("check-config", str(file), "--json")).document
    assert checked["valid"], checked
    found = checked["configuration"]
    assert [each["type"] for each in found["radios"]] == ["znp", "zwave-js"]
    assert (found["windows"][0]["name"], found["notify"][0]["name"], found["mqtt"]["url"]) == ("night", "phone", "mqtt://127.0.0.1:1883")


async def test_the_folder_that_is_missing_comes_first_of_what_is_to_be_done_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "list_ports", list)
    monkeypatch.setattr(init, "STATE", tmp_path / "none")
    made = await otagate("init", "--output", str(tmp_path / "otagate.yaml"), "--yes")
    assert f'Next: sudo install -d -o "$USER" -m 0700 {tmp_path / "none"}' in made.out


async def test_a_stick_that_calls_itself_lines_of_yaml_is_a_remark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = probe.Port(path="/dev/ttyS0", device="/dev/ttyS0", product="x\nstate_dir: /etc\n\u202e", usb=False)
    monkeypatch.setattr(probe, "list_ports", lambda: [hostile])
    file = tmp_path / "otagate.yaml"
    assert (await otagate("init", "--output", str(file), "--yes")).code == 0
    assert [line for line in file.read_text().splitlines() if line.startswith("state_dir")] == ["state_dir: /var/lib/otagate"]


async def test_a_file_that_is_there_is_never_overwritten_and_nobody_is_not_asked(tmp_path: Path) -> None:
    file = tmp_path / "otagate.yaml"
    file.write_text("mine")
    kept = await otagate("init", "--output", str(file), "--yes")
    assert (kept.code, "is left as it is" in kept.err, file.read_text()) == (2, True, "mine")
    alone = await otagate("init", "--output", str(tmp_path / "other.yaml"))
    assert (alone.code, "give --yes" in alone.err, (tmp_path / "other.yaml").exists()) == (2, True, False)


async def test_a_hub_without_a_configuration_says_how_to_get_one(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "none.yaml")
    assert "/etc/otagate/otagate.yaml" in (await otagate("run", "--help")).out
    for command in (("run", "--config", nowhere), ("check-config", nowhere), ("doctor", "--config", nowhere)):
        outcome = await otagate(*command)
        assert "otagate init" in " ".join((outcome.out + outcome.err).split()), command
    assert "otagate init" in " ".join((await otagate("--help")).out.split())
