"""The hub and its peers over the same radio, the same devices and the same air: one turn of every row, and what that says."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from hil.bench.children import ChildError
from hil.bench.measure import Transfer, WrongTransferError, measure
from hil.bench.rows import JUDGED, HostName, Row
from hil.bench.verdicts import Figures, Json, Reach

FIGURES = (
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
_LEAST = {("zigpy", False): 2.5, ("zigpy", True): 1.7, ("herdsman", False): 1.0, ("herdsman", True): 1.2}
"""Of bytes per second with 8 devices: by peer, and by whether the air takes its time."""

_MOST_CPU = {"znp": 450.0, "ezsp": 500.0}
"""Milliseconds for 1,000 blocks of one device."""

_MOST_OF_ZIGPYS_CPU = 0.20
"""The same beside zigpy in real time: a processor that sleeps between blocks wakes at another speed every minute, and both at the same."""


async def turn(rows: Sequence[Row], scratch: Path, *, without: Collection[HostName] = ()) -> Figures:
    """Measure every row once: ours, then its peers. A transfer that fails is told and counted, and has no figures. Raises NodeMissingError."""
    figures: dict[str, float] = {"failed_transfers": 0.0, "failed_transfers_of_peers": 0.0}
    for place, row in enumerate(rows):
        found: dict[HostName, Transfer] = {}
        for host in row.hosts:
            if host not in without:
                try:
                    found[host] = await measure(row, host, scratch / f"{place}-{host}")
                except (ChildError, WrongTransferError, TimeoutError) as error:
                    figures["failed_transfers" if host == "otagate" else "failed_transfers_of_peers"] += 1
                    sys.stderr.write(f"{row.title}, {host}: {error}\n")
                else:
                    sys.stderr.write(f"{row.title}, {host}: {found[host].bytes_per_second:,.0f} bytes/s\n")
        figures |= _figures(row, found)
    lost = [value for name, value in figures.items() if name.endswith("/otagate/lost_requests")]
    return figures | {"lost_requests": sum(lost)}


def _figures(row: Row, found: dict[HostName, Transfer]) -> dict[str, float]:
    """Of one turn of a row, by row, host and name; of a peer too, what ours come to of its own."""
    figures = {f"{row.title}/{host}/{name}": float(getattr(transfer, name)) for host, transfer in found.items() for name in FIGURES}
    ours = found.get("otagate")
    for host, transfer in found.items():
        if ours is not None and host != "otagate":
            figures |= {f"{row.title}/{host}/of_{name}": getattr(ours, name) / getattr(transfer, name) for name in _RATIOS}
    return figures


def reaches(rows: Sequence[Row]) -> tuple[Reach, ...]:
    """What these rows should come to."""
    found = [reach for row in rows for reach in _reaches(row)]
    return (
        *found,
        Reach(figure="lost_requests", text="block requests that the hub lost, all rows", most=0),
        Reach(figure="failed_transfers", text="transfers of the hub that failed, all rows", most=0),
    )


def _reaches(row: Row) -> list[Reach]:
    if row.devices == 1:
        return _of_one_device(row)
    if row.devices < 8 or row.page:
        return []
    text, figure = "bytes/s, of those of", "of_bytes_per_second"
    return [
        Reach(figure=f"{row.title}/{peer}/{figure}", text=f"{row.title}: {text} {peer}", least=_LEAST[peer, row.real_time])
        for peer in JUDGED
        if peer in row.hosts
    ]


def _of_one_device(row: Row) -> list[Reach]:
    text, figure = f"{row.title}: CPU time of the process for 1,000 blocks", "cpu_ms_per_1000_blocks"
    found = [Reach(figure=f"{row.title}/otagate/{figure}", text=f"{text}, ms", most=_MOST_CPU[row.stack])]
    if row.real_time and "zigpy" in row.hosts:
        found.append(Reach(figure=f"{row.title}/zigpy/of_{figure}", text=f"{text}, of that of zigpy", most=_MOST_OF_ZIGPYS_CPU))
    return found


_HEADS = (
    f"{'':36}{'host':12}{'bytes/s':>9}{'blocks/s':>10}{'CPU ms/1000 blocks':>20}"
    f"{'turnaround ms p50':>19}{'p99':>8}{'lost':>6}{'ours, of its':>14}{'CPU':>7}"
)


def table(part: Json, rows: Sequence[Row]) -> list[str]:
    """Medians by row and host, for people."""
    figures, lines = part["figures"], [_HEADS]
    names = (*FIGURES, *(f"of_{each}" for each in _RATIOS))
    for row in rows:
        title = row.title
        for host in row.hosts:
            own = {name: figures[key]["median"] for name in names if (key := f"{row.title}/{host}/{name}") in figures}
            if own:
                lines.append(f"{title:36}{host:12}{_columns(own)}")
                title = ""
    return lines


def _columns(own: Json) -> str:
    rates = f"{own['bytes_per_second']:>9,.0f}{own['blocks_per_second']:>10,.1f}{own['cpu_ms_per_1000_blocks']:>20,.0f}"
    waits = f"{own['turnaround_p50_ms']:>19,.2f}{own['turnaround_p99_ms']:>8,.2f}{own['lost_requests']:>6,.0f}"
    ratios = f"{own['of_bytes_per_second']:>13,.2f}x{own['of_cpu_ms_per_1000_blocks']:>7,.2f}" if "of_bytes_per_second" in own else ""
    return rates + waits + ratios
