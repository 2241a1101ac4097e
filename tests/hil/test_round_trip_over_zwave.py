"""The round trip for real hardware, run as its owner runs it, through the real Z-Wave driver and server; only the nodes are simulated."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
import yaml

from otagate_rig.zwave import HOME_ID, ZwaveRig, make_firmware, missing_node

ROOT = Path(__file__).parents[2]
LISTED, FOREIGN = 7, 8
A, B = "1.6", "1.7"


def write_rig_file(folder: Path, url: str) -> Path:
    for version in (A, B):
        (folder / f"plug-{version}.bin").write_bytes(make_firmware(version, 2_000))
    images = {key: {"file": f"plug-{version}.bin", "version": version} for key, version in (("a", A), ("b", B))}
    device = {"name": "plug", "address": f"zwave-{HOME_ID:08x}-{LISTED}", "images": images, "patience": "120s"}
    file = folder / "rig.yaml"
    file.write_text(yaml.safe_dump({"stick": {"type": "zwave-js", "url": url}, "devices": [device]}))
    return file


@pytest.mark.timeout(300)
@pytest.mark.asyncio
async def test_a_listed_node_goes_from_a_to_b_and_back_and_no_other_node_is_touched(tmp_path: Path) -> None:
    if (missing := missing_node()) is not None:
        pytest.skip(missing)
    async with ZwaveRig([{"id": LISTED}, {"id": FOREIGN}]) as rig:
        await rig.interviewed(LISTED, FOREIGN)
        file = write_rig_file(tmp_path, rig.url)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pytest", "-p", "no:xdist", "--rig", str(file), f"--basetemp={tmp_path / 'run'}", "-rs", "hil/tests"),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(280):
            said = (await process.communicate())[0].decode()
        assert process.returncode == 0, said
        assert "1 passed, 3 skipped" in said  # it names no power, and nobody asked for soaking
        listed, foreign = await rig.node(LISTED), await rig.node(FOREIGN)
    assert (listed["firmware"], listed["counters"]["completed"], listed["violations"]) == ([A], 2, [])
    assert (foreign["firmware"], foreign["counters"]["requests"]) == ([A], 0)
