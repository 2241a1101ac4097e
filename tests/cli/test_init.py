"""`otagate init`, typed on a machine whose sticks are emulated."""

from __future__ import annotations

from pathlib import Path

import pytest

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
    for command in (("run", "--config"), ("check-config",), ("doctor", "--config")):
        outcome = await otagate(*command, str(tmp_path / "none.yaml"))
        assert "otagate init" in " ".join((outcome.out + outcome.err).split()), command
    assert "otagate init" in " ".join((await otagate("--help")).out.split())
