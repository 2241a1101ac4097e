"""Medians, ratios and goals, as JSON values and as a table for people."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from hil.bench.measure import Transfer
from hil.bench.rows import HostName, Row

Json = dict[str, Any]

_FIGURES = (
    "bytes_per_second",
    "blocks_per_second",
    "cpu_ms_per_1000_blocks",
    "cpu_ms_per_mebibyte",
    "turnaround_p50_ms",
    "turnaround_p99_ms",
    "lost_requests",
    "timeouts",
    "violations",
)
_RATIOS = ("bytes_per_second", "cpu_ms_per_1000_blocks", "cpu_ms_per_mebibyte")

MOST_CPU_RATIO = 0.333
LEAST_RATIOS = {"zigpy": {False: 2.5, True: 1.7}, "herdsman": {False: 1.0, True: 1.2}}
"""Of bytes per second: by peer, and by whether the air takes its time."""

MOST_SESSION_MICROSECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The turns of one row: ours and every peer, each measured right after the other."""

    row: Row
    turns: tuple[dict[HostName, Transfer], ...]


def document(measured: Sequence[Measured], session_microseconds: float) -> Json:
    """Everything that was found, as JSON values."""
    rows = [_row(each) for each in measured]
    return {
        "machine": {
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "versions": {name: version(name) for name in ("zigpy", "zigpy-znp", "bellows")},
        },
        "rows": rows,
        "session": {"microseconds_per_block": round(session_microseconds, 2)},
        "goals": _goals(rows, session_microseconds),
    }


def _row(measured: Measured) -> Json:
    row = measured.row
    peers = [host for host in measured.turns[0] if host != "otagate"]
    ratios = {
        peer: {
            name: round(statistics.median(getattr(turn["otagate"], name) / getattr(turn[peer], name) for turn in measured.turns), 3)
            for name in _RATIOS
        }
        for peer in peers
    }
    hosts: dict[str, Json] = {}
    for host in measured.turns[0]:
        runs = [turn[host] for turn in measured.turns]
        hosts[host] = {name: round(statistics.median(getattr(run, name) for run in runs), 2) for name in _FIGURES}
    return {
        "stack": row.stack,
        "name": row.name,
        "devices": row.devices,
        "image_bytes": row.image_bytes,
        "real_time": row.real_time,
        "turns": len(measured.turns),
        **hosts,
        "ratios": ratios,
    }


def _goals(rows: Sequence[Json], session_microseconds: float) -> list[Json]:
    goals = [goal for row in rows for peer in row["ratios"] for goal in _goals_of(row, peer)]
    met = session_microseconds <= MOST_SESSION_MICROSECONDS
    goals.append(_goal("OTA session alone, µs per block", round(session_microseconds, 2), f"at most {MOST_SESSION_MICROSECONDS:.0f}", met=met))
    return goals


def _goals_of(row: Json, peer: str) -> list[Json]:
    title, ratios, goals = f"{row['stack']}, {row['name']}", row["ratios"][peer], []
    if peer == "zigpy":
        ratio = ratios["cpu_ms_per_1000_blocks"]
        goals.append(_goal(f"{title}: CPU per block, ours / zigpy", ratio, f"at most {MOST_CPU_RATIO}", met=ratio <= MOST_CPU_RATIO))
    if row["devices"] > 1 or row["real_time"]:
        least = LEAST_RATIOS[peer][row["real_time"]]
        ratio = ratios["bytes_per_second"]
        goals.append(_goal(f"{title}: bytes/s, ours / {peer}", ratio, f"at least {least}", met=ratio >= least))
    return goals


def _goal(name: str, value: float, goal: str, *, met: bool) -> Json:
    return {"name": name, "value": value, "goal": goal, "met": met}


def table(found: Json) -> str:
    """The same for people."""
    lines = [
        f"{'':28}{'host':10}{'bytes/s':>9}{'blocks/s':>10}{'CPU ms/1000 blocks':>20}{'CPU ms/MiB':>12}{'turnaround ms p50':>19}{'p99':>8}{'lost':>6}"
    ]
    for row in found["rows"]:
        for host in ("otagate", *row["ratios"]):
            title = f"{row['stack']}, {row['name']}" if host == "otagate" else ""
            lines.append(f"{title:28}{host:10}{_columns(row[host])}")
        for peer, ratios in row["ratios"].items():
            cpu = f"{ratios['cpu_ms_per_1000_blocks']:>20.2f}{ratios['cpu_ms_per_mebibyte']:>12.2f}"
            lines.append(f"{'':28}{'/ ' + peer:10}{ratios['bytes_per_second']:>9.2f}{'':10}{cpu}")
    lines.append("")
    lines += [f"{'met   ' if goal['met'] else 'MISSED'}  {goal['name']}: {goal['value']} ({goal['goal']})" for goal in found["goals"]]
    return "\n".join(lines)


def _columns(figures: Json) -> str:
    rates = f"{figures['bytes_per_second']:>9,.0f}{figures['blocks_per_second']:>10,.1f}"
    cpu = f"{figures['cpu_ms_per_1000_blocks']:>20,.0f}{figures['cpu_ms_per_mebibyte']:>12,.0f}"
    return f"{rates}{cpu}{figures['turnaround_p50_ms']:>19,.2f}{figures['turnaround_p99_ms']:>8,.2f}{figures['lost_requests']:>6,.0f}"
