"""The tests for real hardware, run as its owner runs them, on a bench that is emulated from the stick's port on."""

from __future__ import annotations

import asyncio
import signal
import sys
import xml.etree.ElementTree as ET
from contextlib import suppress
from pathlib import Path

import pytest
from hil.emulated import A, B, Bench, emulated_bench

from otagate_rig.rig import Stack

ROOT = Path(__file__).parents[2]
BOUND = 280.0
"""Seconds; what has not ended by then shows how far it came."""


async def run_pytest(bench: Bench, *arguments: str) -> tuple[int | None, str]:
    folder = bench.rig_file.parent
    log = folder / "pytest.log"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pytest", "-p", "no:xdist", "--rig", str(bench.rig_file), f"--basetemp={folder / 'run'}", *arguments),
            cwd=ROOT,
            stdout=out,
            stderr=out,
        )
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(BOUND):
                await process.wait()
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)  # so that it ends the daemon too
            await process.wait()
    return process.returncode, log.read_text(errors="replace")


@pytest.mark.asyncio
@pytest.mark.parametrize(("stack", "formed"), [("znp", False), pytest.param("ezsp", True, marks=pytest.mark.night)])
async def test_every_test_for_hardware_passes_on_the_emulated_stick_and_no_other_device_is_touched(
    tmp_path: Path, stack: Stack, formed: bool
) -> None:
    results = tmp_path / "results.xml"
    async with emulated_bench(tmp_path, stack=stack, formed=formed) as bench:
        status, said = await run_pytest(bench, "hil/tests", "--soak", "1", f"--junit-xml={results}")
        assert status == 0, said
        # What the coordinator still repeats when the power comes back answers a request that the device has forgotten.
        assert len(bench.listed.violations) <= bench.cuts
        assert {violation.name for violation in bench.listed.violations} <= {"unsolicited", "wrong_tsn"}
        assert bench.foreign.violations == []
        assert bench.listed.file_version in (A, B)
        assert (bench.cuts, bench.pulls) == (1, 1)
        assert (bench.foreign.file_version, bench.foreign.counters.blocks) == (A, 0)
        assert bench.foreign.counters.queries > 0  # it asked, and was offered nothing
    cases = ET.parse(results).getroot().findall(".//testcase")
    assert len(cases) == 4
    assert all(case.get("name", "").endswith("[plug]") and case.find("skipped") is None for case in cases)
    rounds = [each.get("name") for each in cases[-1].iter("property")]
    assert rounds == ["round 1 of 1, seconds"]
