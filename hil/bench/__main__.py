"""`python -m hil.bench [--quick | --smallest] [--stack znp|ezsp] [--json]`: run every row, print figures, ratios and goals."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hil.bench.children import ChildError
from hil.bench.measure import Transfer, WrongTransferError, measure
from hil.bench.report import Measured, document, table
from hil.bench.rows import HOSTS, QUICK_ROWS, ROWS, SMALLEST_ROWS, STACKS, HostName, Row
from hil.bench.session import microseconds_per_block


async def run(rows: Sequence[Row], scratch: Path) -> list[Measured]:
    """Measure every row in pairs: ours, the peer, ours, the peer. Raises WrongTransferError, ChildError."""
    measured = []
    for place, row in enumerate(rows):
        pairs = []
        for number in range(row.rounds):
            pair: dict[HostName, Transfer] = {}
            for host in HOSTS:
                pair[host] = await measure(row, host, scratch / f"{place}-{number}-{host}")
                sys.stderr.write(f"{row.stack}, {row.name}, {host}: {pair[host].bytes_per_second:,.0f} bytes/s\n")
            pairs.append(pair)
        measured.append(Measured(row=row, pairs=tuple(pairs)))
    return measured


def options(arguments: Sequence[str] | None = None) -> tuple[tuple[Row, ...], bool]:
    """The rows to run, and whether to print JSON. Exits where the arguments are wrong."""
    parser = argparse.ArgumentParser(prog="python -m hil.bench", description="The hub against zigpy's own OTA server on the same simulated radio.")
    parser.add_argument("--quick", action="store_const", const=QUICK_ROWS, default=ROWS, dest="rows", help="one short round of every row")
    parser.add_argument("--smallest", action="store_const", const=SMALLEST_ROWS, dest="rows", help="see that it works: the figures mean nothing")
    parser.add_argument("--stack", choices=STACKS, help="the rows of one radio stack only")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    chosen = parser.parse_args(arguments)
    return tuple(row for row in chosen.rows if chosen.stack in (None, row.stack)), chosen.json


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every byte arrived as it should; goals are told, they do not change the status."""
    rows, as_json = options(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="otagate-bench-") as scratch:
            measured = asyncio.run(run(rows, Path(scratch)))
    except (ChildError, WrongTransferError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    found = document(measured, microseconds_per_block())
    print(json.dumps(found, indent=2) if as_json else table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
