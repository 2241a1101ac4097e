"""Traces of what devices did once, played to the server of today."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hil.replay import replay

from hil.traces import Frame, TraceError, first_line, line_of, read

TRACES = sorted((Path(__file__).parent / "traces").glob("*.jsonl"))
ROUND_TRIP = Path(__file__).parent / "traces" / "ezsp-round-trip.jsonl"


@pytest.mark.parametrize("trace", TRACES, ids=lambda trace: trace.stem)
def test_every_answer_of_a_recorded_run_is_given_again_byte_for_byte(trace: Path) -> None:
    outcome = replay(read(trace))
    assert [str(each) for each in outcome.differences] == []
    assert outcome.blocks
    assert outcome.answered > outcome.blocks * 0.9


def test_a_recorded_round_trip_is_two_images_to_their_ends() -> None:
    outcome = replay(read(ROUND_TRIP))
    assert [release.file_version for release in outcome.releases] == [0x01010000, 0x01000000]
    assert outcome.ends == (0, 0)


def altered(frames: list[Frame], which: Callable[[Frame], bool], change: Callable[[bytes], bytes]) -> list[Frame]:
    """The trace with another byte or two in the first frame that fits."""
    place = next(place for place, frame in enumerate(frames) if which(frame))
    return [*frames[:place], replace(frames[place], frame=change(frames[place].frame)), *frames[place + 1 :]]


def is_block(frame: Frame) -> bool:
    return frame.way == "out" and frame.command == 0x05


@pytest.mark.parametrize(
    ("which", "change"),
    [
        (is_block, lambda frame: frame[:3] + b"\x80" + frame[4:]),
        (is_block, lambda frame: frame[:16] + bytes([frame[16] - 1]) + frame[17:-1]),
        (lambda frame: frame.way == "out" and frame.command == 0x02, lambda frame: frame[:3] + b"\x7e"),
        (lambda frame: frame.way == "out" and frame.command == 0x07, lambda frame: frame[:-1] + b"\x09"),
        (lambda frame: frame.way == "in" and frame.command == 0x03, lambda frame: frame[:12] + b"\xff\xff" + frame[14:]),
    ],
    ids=["status", "size", "refusal", "end", "request"],
)
def test_an_answer_that_would_be_another_today_is_found(which: Callable[[Frame], bool], change: Callable[[bytes], bytes]) -> None:
    outcome = replay(altered(read(ROUND_TRIP), which, change))
    assert outcome.differences
    assert "it was" in str(outcome.differences[0])


def test_bytes_of_two_images_in_one_transfer_are_found() -> None:
    frames = read(ROUND_TRIP)
    block = next(frame for frame in frames if is_block(frame))
    again = replace(block, at=frames[-1].at, frame=block.frame[:-1] + b"\xff")
    with pytest.raises(TraceError, match="two different answers for byte 0 and on"):
        replay([*frames, again])


def test_a_trace_is_read_as_it_was_written(tmp_path: Path) -> None:
    frames = read(ROUND_TRIP)
    (tmp_path / "again.jsonl").write_text(first_line("ezsp") + "".join(map(line_of, frames)))
    assert read(tmp_path / "again.jsonl") == frames


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{}",
        "[1]",
        "no json",
        json.dumps({"at": 1, "way": "up", "nwk": "0x1", "endpoint": 1, "frame": "010203"}),
        json.dumps({"at": 1, "way": "in", "nwk": "0x1", "endpoint": 1, "frame": "01"}),
        json.dumps({"at": 1, "way": "in", "nwk": "0x1", "endpoint": 1, "frame": "00" * 300}),
        json.dumps({"at": 1, "way": "in", "nwk": 1, "endpoint": 1, "frame": "010203"}),
        json.dumps({"at": 1, "way": "in", "nwk": "0x1", "endpoint": 1, "frame": "xyz"}),
    ],
)
def test_a_line_that_is_none_of_a_trace_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "trace.jsonl"
    file.write_text(first_line("znp") + line + "\n")
    with pytest.raises(TraceError, match=r"trace\.jsonl:2: is no line of a trace"):
        read(file)


@pytest.mark.parametrize("first", ['{"otagate-trace": 2, "stack": "znp"}', "{}", "hello"])
def test_a_file_that_is_no_trace_is_named(tmp_path: Path, first: str) -> None:
    file = tmp_path / "trace.jsonl"
    file.write_text(first + "\n")
    with pytest.raises(TraceError, match=r"trace\.jsonl:1: "):
        read(file)


@pytest.mark.parametrize(("damaged", "status", "said"), [(False, 0, "132 blocks, 0 differences"), (True, 1, "1 differences")])
def test_the_command_says_what_differs_and_ends_with_1(tmp_path: Path, damaged: bool, status: int, said: str) -> None:
    frames = read(ROUND_TRIP)
    if damaged:
        frames = altered(frames, lambda frame: frame.way == "out" and frame.command == 0x07, lambda frame: frame[:-1] + b"\x09")
    file = tmp_path / "trace.jsonl"
    file.write_text(first_line("ezsp") + "".join(map(line_of, frames)))
    command = [sys.executable, "-m", "hil.replay", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stderr) == (status, "")
    assert said in done.stdout
