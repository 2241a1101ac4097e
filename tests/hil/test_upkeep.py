"""What a hub costs its machine can be measured; the figures are nobody's pass mark."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hil.bench import desk, upkeep

ROOT = Path(__file__).parents[2]


def smallest(part: str) -> dict[str, float]:
    """The figures of the shortest run."""
    command = [sys.executable, "-m", "hil.bench", part, "--smallest", "--json"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert ran.returncode == 0, ran.stderr + ran.stdout
    return {name: values["median"] for name, values in json.loads(ran.stdout)["parts"][part]["figures"].items()}


def test_the_smallest_run_finds_every_figure_of_a_daemon_as_it_is_shipped() -> None:
    found = smallest("upkeep")
    assert {each.figure for each in upkeep.REACHES} <= found.keys()
    for name in ("start_seconds", "start_cpu_seconds", "idle_resident_mebibytes", "most_resident_mebibytes", "written_kibibytes_per_update"):
        assert found[name] > 0, name


@pytest.mark.night
def test_the_smallest_run_reads_the_api_while_devices_are_updated_and_loses_no_request() -> None:
    found = smallest("desk")
    assert {each.figure for each in desk.REACHES} <= found.keys()
    assert found["lost_requests"] == 0
    assert 0 < found["read_p50_ms"] <= found["read_p99_ms"]
