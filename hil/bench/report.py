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

_FIGURES = ("bytes_per_second", "blocks_per_second", "cpu_ms_per_1000_blocks", "cpu_ms_per_mebibyte", "timeouts")
_RATIOS = ("bytes_per_second", "cpu_ms_per_1000_blocks", "cpu_ms_per_mebibyte")

MOST_CPU_RATIO = 0.5
LEAST_BYTES_RATIO = 1.4
MOST_SESSION_MICROSECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The pairs of one row, each measured right after the other."""

    row: Row
    pairs: tuple[dict[HostName, Transfer], ...]


def document(measured: Sequence[Measured], session_microseconds: float) -> Json:
    """Everything that was found, as JSON values."""
    rows = [_row(each) for each in measured]
    return {
        "machine": {
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "versions": {name: version(name) for name in ("zigpy", "zigpy-znp")},
        },
        "rows": rows,
        "session": {"microseconds_per_block": round(session_microseconds, 2)},
        "goals": _goals(rows, session_microseconds),
    }


def _row(measured: Measured) -> Json:
    row = measured.row
    ratios = {
        name: round(statistics.median(getattr(pair["otagate"], name) / getattr(pair["zigpy"], name) for pair in measured.pairs), 3)
        for name in _RATIOS
    }
    hosts: dict[str, Json] = {}
    for host in ("otagate", "zigpy"):
        runs = [pair[host] for pair in measured.pairs]
        hosts[host] = {name: round(statistics.median(getattr(run, name) for run in runs), 1) for name in _FIGURES}
    return {
        "name": row.name,
        "devices": row.devices,
        "image_bytes": row.image_bytes,
        "real_time": row.real_time,
        "pairs": len(measured.pairs),
        **hosts,
        "ratios": ratios,
    }


def _goals(rows: Sequence[Json], session_microseconds: float) -> list[Json]:
    goals = []
    for row in rows:
        ratio = row["ratios"]["cpu_ms_per_1000_blocks"]
        goals.append(_goal(f"{row['name']}: CPU per block, ours / zigpy", ratio, f"at most {MOST_CPU_RATIO}", met=ratio <= MOST_CPU_RATIO))
        if row["real_time"]:
            ratio = row["ratios"]["bytes_per_second"]
            goals.append(_goal(f"{row['name']}: bytes/s, ours / zigpy", ratio, f"at least {LEAST_BYTES_RATIO}", met=ratio >= LEAST_BYTES_RATIO))
    met = session_microseconds <= MOST_SESSION_MICROSECONDS
    goals.append(_goal("OTA session alone, µs per block", round(session_microseconds, 2), f"at most {MOST_SESSION_MICROSECONDS:.0f}", met=met))
    return goals


def _goal(name: str, value: float, goal: str, *, met: bool) -> Json:
    return {"name": name, "value": value, "goal": goal, "met": met}


def table(found: Json) -> str:
    """The same for people."""
    head = f"{'':24}{'host':10}{'bytes/s':>10}{'blocks/s':>10}{'CPU ms/1000 blocks':>20}{'CPU ms/MiB':>12}"
    lines = [head]
    for row in found["rows"]:
        for host in ("otagate", "zigpy"):
            figures = row[host]
            lines.append(
                f"{row['name'] if host == 'otagate' else '':24}{host:10}{figures['bytes_per_second']:>10,.0f}{figures['blocks_per_second']:>10,.1f}"
                f"{figures['cpu_ms_per_1000_blocks']:>20,.0f}{figures['cpu_ms_per_mebibyte']:>12,.0f}"
            )
        ratios = row["ratios"]
        cpu = f"{ratios['cpu_ms_per_1000_blocks']:>20.2f}{ratios['cpu_ms_per_mebibyte']:>12.2f}"
        lines.append(f"{'':24}{'ratio':10}{ratios['bytes_per_second']:>10.2f}{'':10}{cpu}")
    lines.append("")
    lines += [f"{'met   ' if goal['met'] else 'MISSED'}  {goal['name']}: {goal['value']} ({goal['goal']})" for goal in found["goals"]]
    return "\n".join(lines)
