"""`python -m hil.bench [--quick | --smallest] [--stack znp|ezsp] [--json]`: run every row, print figures, ratios and goals."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hil.bench.children import ChildError
from hil.bench.measure import Transfer, WrongTransferError, measure
from hil.bench.report import Measured, document, table
from hil.bench.rows import HOSTS, QUICK_ROWS, ROWS, SMALLEST_ROWS, STACKS, HostName, Row
from hil.bench.session import microseconds_per_block
from otagate_rig.node_packages import NodeMissingError


async def run(rows: Sequence[Row], hosts: Sequence[HostName], scratch: Path) -> list[Measured]:
    """Measure every row in turns: ours, the peers, ours, the peers. Raises WrongTransferError, ChildError, NodeMissingError."""
    measured = []
    for place, row in enumerate(rows):
        turns = []
        for number in range(row.rounds):
            turn: dict[HostName, Transfer] = {}
            for host in hosts:
                turn[host] = await measure(row, host, scratch / f"{place}-{number}-{host}")
                sys.stderr.write(f"{row.stack}, {row.name}, {host}: {turn[host].bytes_per_second:,.0f} bytes/s\n")
            turns.append(turn)
        measured.append(Measured(row=row, turns=tuple(turns)))
    return measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to run, and how to tell it."""

    rows: tuple[Row, ...]
    hosts: tuple[HostName, ...]
    as_json: bool


def options(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line. Exits where it is wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m hil.bench", description="The hub against the OTA servers of zigpy and zigbee-herdsman on the same simulated radio."
    )
    parser.add_argument("--quick", action="store_const", const=QUICK_ROWS, default=ROWS, dest="rows", help="one short round of every row")
    parser.add_argument("--smallest", action="store_const", const=SMALLEST_ROWS, dest="rows", help="see that it works: the figures mean nothing")
    parser.add_argument("--stack", choices=STACKS, help="the rows of one radio stack only")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    parser.add_argument("--without-herdsman", action="store_true", help="no Node.js: zigpy is the only peer")
    chosen = parser.parse_args(arguments)
    rows = tuple(row for row in chosen.rows if chosen.stack in (None, row.stack))
    hosts = tuple(host for host in HOSTS if host != "herdsman" or not chosen.without_herdsman)
    return Options(rows=rows, hosts=hosts, as_json=chosen.json)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every byte arrived as it should; goals are told, they do not change the status."""
    chosen = options(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="otagate-bench-") as scratch:
            measured = asyncio.run(run(chosen.rows, chosen.hosts, Path(scratch)))
    except (ChildError, WrongTransferError, NodeMissingError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    found = document(measured, microseconds_per_block())
    print(json.dumps(found, indent=2) if chosen.as_json else table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
