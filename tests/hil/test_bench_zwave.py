"""The Z-Wave benchmark measures what it says; its figures are nobody's pass mark."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hil.bench import zwave
from hil.bench.lag import EVERY, Lag, watched
from hil.bench.zwave import table

from otagate_rig.zwave import missing_node

ROOT = Path(__file__).parents[2]


def run_bench(**environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hil.bench.zwave", "--quick", "--json"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, env=environ or None)


@pytest.mark.night
@pytest.mark.timeout(300)
def test_the_quick_run_measures_both_hosts_in_turns_and_every_byte_is_verified() -> None:
    if (missing := missing_node()) is not None:
        pytest.skip(missing)
    ran = run_bench()
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    for host in ("otagate", "client"):
        assert found["overhead"][host]["seconds"] > found["overhead"][host]["transfer_seconds"] > 0
    for loop in ("lag_ms", "idle_lag_ms"):
        lag = found["load"][loop]
        assert lag["looks"] > 10
        assert 0 < lag["p50"] <= lag["p99"] <= lag["most"]
        assert lag["own_most"] <= lag["most"]
    assert found["goals"] == [], "a quick run is too short to be judged"
    assert "MISSED" not in table(found)


@pytest.mark.asyncio
async def test_a_whole_run_is_held_against_its_goals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lag = {"p50": 0.1, "p99": 1.0, "most": 30.0, "own_p50": 0.1, "own_p99": 1.0, "own_most": 25.0}
    host = {"seconds": 1.0, "transfer_seconds": 0.5}
    overhead = {"otagate": host, "client": host, "overhead_percent": 1.9, "transfer_overhead_percent": 0.0, "pairs": 1}

    async def compared(*_: object) -> object:
        return overhead

    async def loaded(*_: object) -> object:
        return {"seconds": 1.0, "lag_ms": lag, "idle_lag_ms": lag}

    monkeypatch.setattr(zwave, "compared", compared)
    monkeypatch.setattr(zwave, "loaded", loaded)
    told = await zwave.measure(zwave.Extent(), tmp_path)
    assert [goal["met"] for goal in told["goals"]] == [True, True, False]
    assert table(told).count("MISSED") == 1
    assert table(await zwave.measure(zwave.QUICK, tmp_path)).count("met") == 0


def test_without_node_it_says_so_and_the_other_benchmarks_go_on(tmp_path: Path) -> None:
    ran = run_bench(PATH=str(tmp_path), PYTHONPATH=str(ROOT / "src"))
    assert (ran.returncode, ran.stdout) == (0, "")
    assert ran.stderr.startswith("Z-Wave is not measured: Node.js")


@pytest.mark.asyncio
async def test_a_loop_that_is_blocked_is_late_by_that_time_and_it_is_its_own_work() -> None:
    async with watched() as lag:
        await looked(lag, 3)
        until = time.process_time() + 0.1
        while time.process_time() < until:
            pass
        await looked(lag, 3)
    told = lag.milliseconds()
    assert told["most"] >= told["own_most"] > 80
    assert told["looks"] == len(lag.own) >= 6


async def looked(lag: Lag, times: int) -> None:
    wanted = len(lag.late) + times
    async with asyncio.timeout(30):
        while len(lag.late) < wanted:
            await asyncio.sleep(EVERY)
