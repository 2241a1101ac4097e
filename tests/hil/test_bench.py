"""The benchmark measures what it says; its figures are nobody's pass mark."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hil.bench.__main__ import Options, options
from hil.bench.children import ChildError, child
from hil.bench.measure import Transfer, WrongTransferError, judge
from hil.bench.report import Measured, document, table
from hil.bench.rows import QUICK_ROWS, ROWS, SMALLEST_ROWS

ROOT = Path(__file__).parents[2]
ROW = SMALLEST_ROWS[0]


def run_of(*, seconds: float, cpu_seconds: float) -> Transfer:
    return Transfer(
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        blocks=1_000,
        octets=50_000,
        timeouts=0,
        turnaround_p50_ms=1.0,
        turnaround_p99_ms=2.0,
        lost_requests=0,
    )


TURNAROUND = {"count": 32, "p50": 0.001, "p99": 0.004, "unanswered": 2}


def device(**changes: object) -> dict[str, object]:
    counters = {"blocks": 32, "bytes": 2_048, "timeouts": 0, "first_block_at": 20.0, "last_block_at": 40.0}
    return {"sha256": ROW.digest, "violations": [], "counters": counters} | changes


@pytest.mark.parametrize(
    ("given", "peers"),
    [(["--without-herdsman"], ["zigpy"]), pytest.param([], ["zigpy", "herdsman"], marks=pytest.mark.night)],
    ids=["with-zigpy", "with-zigpy-and-herdsman"],
)
def test_the_smallest_run_has_every_row_with_every_host_and_every_byte_verified(given: list[str], peers: list[str]) -> None:
    command = [sys.executable, "-m", "hil.bench", "--smallest", "--json", *given]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert [(row["stack"], row["name"]) for row in found["rows"]] == [(row.stack, row.name) for row in SMALLEST_ROWS]
    for row in found["rows"]:
        assert list(row["ratios"]) == peers
        for host in ("otagate", *peers):
            assert row[host]["bytes_per_second"] > 0
            assert row[host]["cpu_ms_per_1000_blocks"] > 0
            assert 0 < row[host]["turnaround_p50_ms"] <= row[host]["turnaround_p99_ms"]
            assert row[host]["lost_requests"] >= 0
        assert all(set(each) == {"bytes_per_second", "cpu_ms_per_1000_blocks", "cpu_ms_per_mebibyte"} for each in row["ratios"].values())
    assert found["session"]["microseconds_per_block"] > 0
    assert found["goals"]


@pytest.mark.parametrize("rows", [ROWS, QUICK_ROWS])
def test_one_and_eight_devices_are_measured_with_and_without_airtime_over_both_stacks(rows: tuple) -> None:
    expected = itertools.product(("znp", "ezsp"), (1, 8), (False, True))
    assert {(row.stack, row.devices, row.real_time) for row in rows} == set(expected)
    for row in rows:
        assert len(row.image()) == row.image_bytes
        assert len({spec.ieee for spec in row.specs()}) == row.devices


def test_the_rows_of_one_stack_can_be_run_alone() -> None:
    chosen = options(["--quick", "--stack", "ezsp", "--json", "--without-herdsman"])
    assert chosen == Options(rows=tuple(row for row in QUICK_ROWS if row.stack == "ezsp"), hosts=("otagate", "zigpy"), as_json=True)
    assert len(chosen.rows) == 4
    assert options([]) == Options(rows=ROWS, hosts=("otagate", "zigpy", "herdsman"), as_json=False)


def test_a_ratio_is_the_median_over_turns_and_a_missed_goal_is_told() -> None:
    fast, slow = run_of(seconds=1.0, cpu_seconds=0.1), run_of(seconds=2.0, cpu_seconds=0.1)
    turns = (
        {"otagate": fast, "zigpy": slow, "herdsman": fast},
        {"otagate": fast, "zigpy": slow, "herdsman": fast},
        {"otagate": slow, "zigpy": fast, "herdsman": slow},
    )
    found = document([Measured(row=ROWS[2], turns=turns)], 31.0)
    assert found["rows"][0]["ratios"] == {
        "zigpy": {"bytes_per_second": 2.0, "cpu_ms_per_1000_blocks": 1.0, "cpu_ms_per_mebibyte": 1.0},
        "herdsman": {"bytes_per_second": 1.0, "cpu_ms_per_1000_blocks": 1.0, "cpu_ms_per_mebibyte": 1.0},
    }
    assert [goal["met"] for goal in found["goals"]] == [False, True, False, False]  # CPU and bytes against zigpy, bytes against herdsman, the session
    assert "MISSED  OTA session alone" in table(found)


def test_seconds_run_from_the_first_block_of_any_device_to_the_last_of_all_on_the_clock_of_the_machine() -> None:
    late = {"blocks": 32, "bytes": 2_048, "timeouts": 1, "first_block_at": 30.0, "last_block_at": 60.0}
    found = judge(ROW, "otagate", {"a": device(), "b": device(counters=late)}, TURNAROUND, cpu_seconds=0.5)
    assert found == Transfer(
        seconds=40.0 / ROW.clock,
        cpu_seconds=0.5,
        blocks=64,
        octets=4_096,
        timeouts=1,
        turnaround_p50_ms=1.0,
        turnaround_p99_ms=4.0,
        lost_requests=2,
    )


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"sha256": "00" * 32}, "other bytes"),
        ({"sha256": None}, "other bytes"),
        ({"violations": [{"name": "bytes_changed", "detail": "", "frame": ""}]}, "bytes_changed"),
    ],
)
def test_a_figure_from_wrong_bytes_or_a_broken_rule_is_none(wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(WrongTransferError, match=sentence):
        judge(ROW, "otagate", {"a": device(), "b": device(**wrong)}, TURNAROUND, cpu_seconds=0.5)


def test_a_rule_that_a_peer_breaks_is_counted() -> None:
    broken = device(violations=[{"name": "too_long", "detail": "", "frame": ""}])
    assert judge(ROW, "herdsman", {"a": device(), "b": broken}, TURNAROUND, cpu_seconds=0.5).violations == 1


@pytest.mark.asyncio
async def test_the_cpu_time_is_that_of_the_child_and_grows_while_it_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "worker.py").write_text(
        "import json, sys, time\n"
        "for line in sys.stdin:\n"
        "    begin = time.process_time()\n"
        "    while time.process_time() < begin + json.loads(line)['work']: pass\n"
        "    print(json.dumps({'used': time.process_time()}), flush=True)\n"
    )
    async with child("worker", ("worker",), tmp_path) as worker:
        for work in (0.0, 0.2):
            await worker.tell({"work": work})
            used = (await worker.hear("used", 20))["used"]
            assert worker.cpu_seconds() >= used
    assert used >= 0.2


@pytest.mark.asyncio
async def test_a_child_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(ChildError, match="No such file"):
        async with child("rig", ("otagate_rig", str(tmp_path / "none.json")), tmp_path) as rig:
            await rig.hear("ready", 20)


@pytest.mark.asyncio
async def test_a_child_that_says_nothing_is_waited_for_no_longer_than_was_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "mute.py").write_text("import sys\nsys.stdin.read()\n")
    with pytest.raises(ChildError, match="did not tell 'ready' within 0 s"):
        async with asyncio.timeout(60), child("mute", ("mute",), tmp_path) as mute:
            await mute.hear("ready", 0.05)


@pytest.mark.asyncio
async def test_a_host_that_dies_ends_the_wait_for_the_rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "mute.py").write_text("import sys\nsys.stdin.read()\n")
    (tmp_path / "dying.py").write_text("import sys\nsys.stdin.readline()\nsys.exit('out of luck')\n")
    async with asyncio.timeout(60), child("mute", ("mute",), tmp_path) as mute, child("dying", ("dying",), tmp_path) as dying:
        await dying.tell({})
        with pytest.raises(ChildError, match="dying ended with status 1: out of luck"):
            await mute.hear("ready", 25, beside=dying)
