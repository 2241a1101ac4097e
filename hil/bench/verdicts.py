"""Figures of repeated runs: their medians with the spread, held against what should be reached, as JSON values and as lines for people."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

Json = dict[str, Any]

Figures = Mapping[str, float]
"""By name, of one run."""

_PACKAGES = ("otagate", "zigpy", "zigpy-znp", "bellows", "aiohttp", "zwave-js-server-python")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What a figure should come to: at most or at least so much. `text` says for people what is measured, and in what."""

    figure: str
    text: str
    most: float | None = None
    least: float | None = None

    def is_met(self, value: float) -> bool:
        """Whether a value is as good."""
        return (self.most is None or value <= self.most) and (self.least is None or value >= self.least)

    @property
    def words(self) -> str:
        """As a bound in words."""
        bounds = (("at least", self.least), ("at most", self.most))
        return " and ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)


def spread(repeats: Sequence[Figures]) -> Json:
    """The median of every figure that any run has, with the lowest and the highest."""
    names = dict.fromkeys(name for figures in repeats for name in figures)
    found: Json = {}
    for name in names:
        values = [figures[name] for figures in repeats if name in figures]
        found[name] = {"median": _short(statistics.median(values)), "low": _short(min(values)), "high": _short(max(values))}
    return found


def _short(value: float) -> float:
    """To five digits, as no figure here is truer."""
    return float(f"{value:.5g}")


def judged(figures: Json, reaches: Sequence[Reach]) -> list[Json]:
    """Every reach whose figure was measured, and whether its median meets it."""
    return [
        {"figure": each.figure, "text": each.text, **figures[each.figure], "reach": each.words, "met": each.is_met(figures[each.figure]["median"])}
        for each in reaches
        if each.figure in figures
    ]


def machine() -> Json:
    """Where it was measured, and with which releases."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": [round(each, 2) for each in os.getloadavg()],
        "versions": {name: found for name in _PACKAGES if (found := _version(name))},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def lines_of(part: Json) -> list[str]:
    """One part for people: what should be reached, then what else was found."""
    told = {verdict["figure"] for verdict in part["reaches"]}
    lines = [_line("met   " if each["met"] else "MISSED", each["text"], each, f"   {each['reach']}") for each in part["reaches"]]
    lines += [_line("      ", name.replace("_", " "), values) for name, values in part["figures"].items() if name not in told]
    return lines


def _line(verdict: str, text: str, values: Json, reach: str = "") -> str:
    between = "" if values["low"] == values["high"] else f"{values['low']:,g} to {values['high']:,g}"
    return f"{verdict}  {text:74}{values['median']:>12,g}  {between:22}{reach}".rstrip()
