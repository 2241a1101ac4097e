"""What the benchmark consists of: every part with what it should come to, and how long or short it may be."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hil.bench import aps, desk, fleet, page, peers, queue, upkeep, zwave
from hil.bench.rows import QUICK_ROWS, ROWS, SMALLEST_ROWS, HostName, Row
from hil.bench.verdicts import Figures, Reach

Size = Literal["full", "quick", "smallest"]

SIZES: tuple[Size, ...] = ("full", "quick", "smallest")
"""To be believed, to be looked at, and to see that it works."""

OF_ROWS: dict[Size, tuple[Row, ...]] = {"full": ROWS, "quick": QUICK_ROWS, "smallest": SMALLEST_ROWS}

Run = Callable[[Path], Awaitable[Figures]]
"""One run, in an empty folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """`run` by size; a part that lacks one is left out there. `once`: one run says it, because it is the same each time or repeats itself inside."""

    reaches: Sequence[Reach]
    run: dict[Size, Run]
    once: bool = False


def parts(size: Size, *, stack: str | None = None, without: Collection[HostName] = ()) -> dict[str, Part]:
    """Every part by its name; rows of one `stack` only, and `without` some peers."""
    rows = tuple(row for row in OF_ROWS[size] if stack in (None, row.stack))
    found = {
        "peers": Part(reaches=peers.reaches(rows), run=dict.fromkeys(SIZES, lambda folder: peers.turn(rows, folder, without=without))),
        "aps": Part(
            reaches=aps.REACHES,
            run={"full": lambda _: aps.measure(), "quick": lambda _: aps.measure(), "smallest": lambda _: aps.measure(blocks=512)},
        ),
        "fleet": Part(
            reaches=fleet.REACHES,
            run={
                "full": lambda _: fleet.figures(),
                "quick": lambda _: fleet.figures(size=32_768, circumstances_size=4_096),
                "smallest": lambda _: fleet.figures(devices=5, size=1_024, circumstances_size=512),
            },
            once=True,
        ),
        "upkeep": Part(
            reaches=upkeep.REACHES,
            run={
                "full": lambda folder: upkeep.measure(upkeep.Extent(), folder),
                "quick": lambda folder: upkeep.measure(dataclasses.replace(upkeep.QUICK, facts=20_000, known=500, settle=8.0, idle=5.0), folder),
                "smallest": lambda folder: upkeep.measure(upkeep.QUICK, folder),
            },
            once=True,
        ),
        "desk": Part(
            reaches=desk.REACHES,
            run={
                "full": lambda folder: desk.measure(desk.Extent(), folder),
                "quick": lambda folder: desk.measure(desk.Extent(devices=8, image=4_096), folder),
                "smallest": lambda folder: desk.measure(desk.QUICK, folder),
            },
        ),
        "queue": Part(
            reaches=queue.REACHES,
            run={
                "full": lambda folder: queue.measure(queue.Extent(), folder),
                "quick": lambda folder: queue.measure(queue.Extent(looks=5), folder),
                "smallest": lambda folder: queue.measure(queue.QUICK, folder),
            },
        ),
        "zwave": Part(
            reaches=zwave.REACHES,
            run={"full": lambda folder: zwave.measure(zwave.Extent(), folder), "smallest": lambda folder: zwave.measure(zwave.QUICK, folder)},
        ),
        "page": Part(
            reaches=page.REACHES,
            run={
                "full": lambda folder: page.measure(upkeep.Extent(facts=0), folder),
                "smallest": lambda folder: page.measure(upkeep.QUICK, folder),
            },
            once=True,
        ),
    }
    return {name: part for name, part in found.items() if size in part.run}
