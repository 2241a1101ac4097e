"""What a hub costs its machine can be measured; the figures are nobody's pass mark."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hil.bench import desk
from hil.bench.upkeep import GOALS

ROOT = Path(__file__).parents[2]


def test_a_quick_run_finds_every_figure_of_a_daemon_as_it_is_shipped() -> None:
    ran = subprocess.run([sys.executable, "-m", "hil.bench.upkeep", "--quick", "--json"], cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert set(GOALS) <= set(found["figures"])
    assert set(found["goals"]) == set(GOALS)
    for name in ("start_seconds", "start_cpu_seconds", "idle_resident_mebibytes", "most_resident_mebibytes", "written_kibibytes_per_update"):
        assert found["figures"][name] > 0, name
    for name, goal in found["goals"].items():
        assert goal["kept"] is (found["figures"][name] <= goal["most"]) or found["figures"][name] == pytest.approx(goal["most"])


@pytest.mark.night
def test_a_quick_run_reads_the_api_while_devices_are_updated_and_loses_no_request() -> None:
    ran = subprocess.run([sys.executable, "-m", "hil.bench.desk", "--quick", "--json"], cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["figures"]["lost_requests"] == 0
    assert 0 < found["figures"]["read_p50_ms"] <= found["figures"]["read_p99_ms"]
    assert found["goals"]["reads_per_second"]["least"] == desk.LEAST["reads_per_second"]


@pytest.mark.night
def test_a_quick_run_finds_what_a_queue_costs() -> None:
    ran = subprocess.run([sys.executable, "-m", "hil.bench.queue", "--quick", "--json"], cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert ran.returncode == 0, ran.stderr
    figures = json.loads(ran.stdout)["figures"]
    assert figures.keys() == {"milliseconds_per_look", "milliseconds_per_decision", "seconds_per_order"}
    assert figures["milliseconds_per_look"] > 0
