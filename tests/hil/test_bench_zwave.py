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

from otagate_rig.zwave import missing_node

ROOT = Path(__file__).parents[2]


@pytest.mark.night
@pytest.mark.timeout(300)
def test_the_smallest_run_measures_both_hosts_and_every_byte_is_verified() -> None:
    if (missing := missing_node()) is not None:
        pytest.skip(missing)
    command = [sys.executable, "-m", "hil.bench", "zwave", "--smallest", "--json"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert ran.returncode == 0, ran.stderr
    found = {name: values["median"] for name, values in json.loads(ran.stdout)["parts"]["zwave"]["figures"].items()}
    assert found["seconds"] > found["transfer_seconds"] > 0
    assert found["client_seconds"] > found["client_transfer_seconds"] > 0
    assert 0 < found["lag_p50_ms"] <= found["lag_p99_ms"] <= found["lag_most_ms"]
    assert found["lag_own_most_ms"] <= found["lag_most_ms"]
    assert {each.figure for each in zwave.REACHES} <= found.keys()


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
