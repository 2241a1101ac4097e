"""The bench without hardware, as somebody sets it up who has none yet."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hil.emulated import LISTED
from hil.rigfile import load

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "hil.emulated")


@pytest.mark.parametrize("told_to_end", [signal.SIGINT, signal.SIGTERM])
def test_a_bench_stands_until_it_is_told_to_end_with_a_rig_file_that_can_be_used(told_to_end: signal.Signals) -> None:
    with subprocess.Popen([*COMMAND, "--loss", "5"], cwd=ROOT, stdout=subprocess.PIPE, text=True) as bench:
        try:
            assert bench.stdout is not None
            told = next(line for line in bench.stdout if "--rig " in line)
            rig_file = Path(told.split("--rig ")[1].strip())
            assert load(rig_file).allowed == {f"zigbee-{LISTED:016x}"}
        finally:
            bench.send_signal(told_to_end)
        assert bench.wait(timeout=60) == 0
    assert not rig_file.parent.exists()


@pytest.mark.parametrize("loss", ["51", "-1", "nan", "much"])
def test_an_air_that_loses_too_much_is_refused_with_what_may_be_written(loss: str) -> None:
    ran = subprocess.run([*COMMAND, f"--loss={loss}"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, f"{loss!r} is no share of frames: write percent, 0 to 50" in ran.stderr) == (2, True)
