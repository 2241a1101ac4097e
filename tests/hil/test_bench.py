"""The benchmark measures what it says; its figures are nobody's pass mark."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hil.bench import peers
from hil.bench.__main__ import Options, document, lines, main, options
from hil.bench.children import ChildError, child
from hil.bench.measure import Transfer, WrongTransferError, judge, measure
from hil.bench.parts import SIZES, parts
from hil.bench.rows import ALL_HOSTS, HERDSMEN, HOSTS, QUICK_ROWS, ROWS, SMALLEST_ROWS
from hil.bench.verdicts import Reach, judged, lines_of, spread

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
    ("given", "hosts"),
    [(["--without-herdsman"], ["otagate", "zigpy"]), pytest.param([], [*HOSTS], marks=pytest.mark.night)],
    ids=["with-zigpy", "with-zigpy-and-herdsman"],
)
def test_the_smallest_run_has_every_row_with_every_host_and_every_byte_verified(given: list[str], hosts: list[str], tmp_path: Path) -> None:
    out = tmp_path / "build" / "bench.json"
    command = [sys.executable, "-m", "hil.bench", "peers", "--smallest", "--json", "--out", str(out), *given]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert json.loads(out.read_text()) == found
    part = found["parts"]["peers"]
    for row, host in itertools.product(SMALLEST_ROWS, hosts):
        own = {name: part["figures"][f"{row.title}/{host}/{name}"]["median"] for name in peers.FIGURES}
        assert own["bytes_per_second"] > 0
        assert own["cpu_ms_per_1000_blocks"] > 0
        assert 0 < own["turnaround_p50_ms"] <= own["turnaround_p99_ms"]
        assert own["lost_requests"] >= 0
        assert host == "otagate" or part["figures"][f"{row.title}/{host}/of_bytes_per_second"]["median"] > 0
    assert part["reaches"] == [], "so short a run is held against nothing"
    assert SMALLEST_ROWS[1].title in lines(found)


def test_every_part_of_the_hub_alone_finds_the_figures_that_it_is_held_against() -> None:
    found = document(options(["aps", "fleet", "queue", "--smallest"]))
    assert list(found["parts"]) == ["aps", "fleet", "queue"]
    for name, part in parts("smallest").items():
        if name in found["parts"]:
            assert {each.figure for each in part.reaches} <= set(found["parts"][name]["figures"]), name
    assert found["parts"]["aps"]["figures"]["mixed_image_bytes"]["median"] == 0
    assert {"processor", "cores", "python", "versions", "load"} <= set(found["machine"])


def test_a_part_that_cannot_be_measured_is_told_in_its_place_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert main(["queue", "zwave", "--smallest"]) == 0
    told = capsys.readouterr().out
    assert "zwave: not measured, Node.js" in told
    assert "milliseconds per look" in told


@pytest.mark.parametrize("stack", ["znp", "ezsp"])
def test_one_and_eight_devices_are_measured_with_and_without_airtime_over_both_stacks(stack: str) -> None:
    rows = [row for row in ROWS if row.stack == stack and not row.page]
    assert {(row.devices, row.real_time) for row in rows} == set(itertools.product((1, 8), (False, True)))
    for row in rows:
        assert len(row.image()) == row.image_bytes
        assert len({spec.ieee for spec in row.specs()}) == row.devices
        assert row.hosts == (HOSTS[:2] if row.devices == 1 else ALL_HOSTS if row.real_time else HOSTS)


def test_both_stacks_and_airtime_or_none_are_in_a_quick_run() -> None:
    assert {row.stack for row in QUICK_ROWS} == {"znp", "ezsp"}
    assert {row.real_time for row in QUICK_ROWS} == {True, False}


def test_one_part_of_one_stack_can_be_run_alone() -> None:
    chosen = options(["peers", "--quick", "--stack", "ezsp", "--json", "--without-herdsman"])
    assert chosen == Options(size="quick", names=("peers",), stack="ezsp", without=HERDSMEN, repeats=1, as_json=True)
    assert options([]) == Options(size="full", repeats=3)
    with pytest.raises(SystemExit):
        options(["pears"])


@pytest.mark.parametrize("size", SIZES)
def test_every_reach_has_one_figure_in_one_part(size: Any) -> None:
    for name, part in parts(size).items():
        assert len({each.figure for each in part.reaches}) == len(part.reaches), name
        assert all((each.most is None) != (each.least is None) for each in part.reaches), name


def test_a_figure_is_the_median_with_its_spread_and_a_missed_reach_is_told() -> None:
    found = spread([{"rate": 3.0, "late": 9.0}, {"rate": 1.0, "late": 9.0}, {"rate": 2.0, "late": 9.0}])
    assert found == {"rate": {"median": 2.0, "low": 1.0, "high": 3.0}, "late": {"median": 9.0, "low": 9.0, "high": 9.0}}
    reaches = (
        Reach(figure="rate", text="rate of it", least=2.5),
        Reach(figure="late", text="how late", most=9),
        Reach(figure="else", text="", most=1),
    )
    verdicts = judged(found, reaches)
    assert [(each["figure"], each["met"], each["reach"]) for each in verdicts] == [("rate", False, "at least 2.5"), ("late", True, "at most 9")]
    missed, met = lines_of({"reaches": verdicts, "figures": found})
    assert missed.split() == ["MISSED", "rate", "of", "it", "2", "1", "to", "3", "at", "least", "2.5"]
    assert met.startswith("met ")


@pytest.mark.asyncio
async def test_a_ratio_is_of_the_peer_of_the_same_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {"otagate": 1.0, "zigpy": 2.0, "herdsman": 0.5}

    async def measured(row: object, host: str, folder: Path) -> Transfer:
        return run_of(seconds=seconds[host], cpu_seconds=0.1 / seconds[host])

    monkeypatch.setattr(peers, "measure", measured)
    row = ROWS[1]
    figures = await peers.turn([row], tmp_path)
    assert figures[f"{row.title}/zigpy/of_bytes_per_second"] == 2.0
    assert figures[f"{row.title}/herdsman/of_bytes_per_second"] == 0.5
    assert figures[f"{row.title}/zigpy/of_cpu_ms_per_1000_blocks"] == 2.0
    verdicts = judged(spread([figures]), peers.reaches([row]))
    assert [each["met"] for each in verdicts] == [False, False, True, True], "2.5 of zigpy's, all of herdsman's, no request lost, none failed"


@pytest.mark.asyncio
async def test_a_transfer_that_fails_costs_its_own_figures_and_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = ["zigpy"]

    async def measured(row: object, host: str, folder: Path) -> Transfer:
        if host in failing:
            raise ChildError("it ended")
        return run_of(seconds=1.0, cpu_seconds=0.1)

    monkeypatch.setattr(peers, "measure", measured)
    row = ROWS[1]
    figures = await peers.turn([row], tmp_path)
    assert (figures["failed_transfers"], figures["failed_transfers_of_peers"]) == (0, 1)
    assert figures[f"{row.title}/herdsman/of_bytes_per_second"] == 1.0
    assert f"{row.title}/zigpy/bytes_per_second" not in figures
    failing.append("otagate")
    figures = await peers.turn([row], tmp_path)
    assert figures["failed_transfers"] == 1
    assert figures[f"{row.title}/herdsman/bytes_per_second"] > 0
    verdict = judged(spread([figures]), peers.reaches([row]))[-1]
    assert (verdict["text"], verdict["met"]) == ("transfers of the hub that failed, all rows", False)


@pytest.mark.night
@pytest.mark.asyncio
async def test_devices_that_ask_page_by_page_are_measured_too(tmp_path: Path) -> None:
    row = dataclasses.replace(next(row for row in ROWS if row.page), devices=2, image_bytes=4_096)
    found = await measure(row, "otagate", tmp_path / "run")
    assert found.bytes_per_second > 0


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
