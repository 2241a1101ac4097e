"""`python -m hil.bench.zwave [--quick] [--json]`: what the hub adds to the Z-Wave driver's own time, and how late its event loop is under load.

The driver and its server are real, the nodes simulated. The peer is the client library alone: the same command to the same driver, in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import statistics
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hil.bench.children import ChildError, child
from hil.bench.lag import watched
from hil.bench.measure import WrongTransferError
from otagate_rig.zwave import NodeMissingError, RigError, ZwaveRig, make_firmware

_BOUND = 600.0
_HOSTS = {"otagate": "hil.bench.zwave_hub", "client": "hil.bench.zwave_client"}
_FIRST_NODE = 2

MOST_OVERHEAD_PERCENT = 2.0
MOST_LAG_MS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much is measured. `hop`: milliseconds that a frame takes in the air, one way; `pace`: the driver's longest waits pass so much faster.

    `judged`: the figures are held against the goals.
    """

    rounds: int = 5
    image: int = 16_000
    hop: int = 14
    pace: float = 1.0
    nodes: int = 20
    at_once: int = 4
    loaded_image: int = 20_000
    judged: bool = True


QUICK = Extent(rounds=1, image=800, hop=0, pace=20.0, nodes=3, at_once=2, loaded_image=1_200, judged=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One host's update of some nodes. `seconds`: from the order until the last version was read back; `transfer_seconds`: from the request that
    the first node got to its last fragment, by the node's clock.
    """

    seconds: float
    transfer_seconds: float
    lag: dict[str, float]


class Course:
    """Turns on one rig, each with an image of its own."""

    def __init__(self, rig: ZwaveRig, scratch: Path, *, known: int) -> None:
        self._rig = rig
        self._scratch = scratch
        self._known = known
        self._number = 0

    async def turn(self, host: str, nodes: Sequence[int], size: int) -> Turn:
        """Have a host of its own update these nodes. Raises WrongTransferError, ChildError."""
        self._number += 1
        version = f"2.{self._number}"
        image = make_firmware(version, size)
        folder = self._scratch / f"{self._number}-{host}"
        (folder / "state").mkdir(parents=True)
        (folder / "image.bin").write_bytes(image)
        arguments = (str(folder / "image.bin"), version, ",".join(map(str, nodes)), str(self._known), str(folder / "state"))
        async with child(host, (_HOSTS[host], self._rig.url, *arguments), folder) as process:
            await process.hear("ready", _BOUND)
            await process.tell({"begin": True})
            told = await process.hear("done", _BOUND)
        lasted = [await self._verified(node, image, version) for node in nodes]
        sys.stderr.write(f"{host}, {len(nodes)} at once: {told['done']:.2f} s\n")
        return Turn(seconds=told["done"], transfer_seconds=lasted[0], lag=told.get("lag", {}))

    async def _verified(self, node: int, image: bytes, version: str) -> float:
        state = await self._rig.node(node)
        if state["violations"] or state["firmware"] != [version] or state["received"]["0"]["sha256"] != hashlib.sha256(image).hexdigest():
            raise WrongTransferError(f"node {node} is not as it should be: {state}")
        return float(state["lastedMs"]) / 1000


async def compared(extent: Extent, scratch: Path) -> dict[str, Any]:
    """The same transfer by the hub and by the client alone, in turns."""
    async with ZwaveRig([{"id": _FIRST_NODE}], tx_delay=extent.hop, pace=extent.pace) as rig:
        await rig.interviewed(_FIRST_NODE)
        course = Course(rig, scratch, known=1)
        pairs = [{host: await course.turn(host, [_FIRST_NODE], extent.image) for host in _HOSTS} for _ in range(extent.rounds)]
    hosts = {host: {name: _median(getattr(pair[host], name) for pair in pairs) for name in ("seconds", "transfer_seconds")} for host in _HOSTS}
    percent = {name: _percent(pairs, name) for name in ("seconds", "transfer_seconds")}
    return {**hosts, "overhead_percent": percent["seconds"], "transfer_overhead_percent": percent["transfer_seconds"], "pairs": len(pairs)}


def _median(values: Iterable[float]) -> float:
    return round(statistics.median(values), 3)


def _percent(pairs: Sequence[dict[str, Turn]], name: str) -> float:
    ratios: list[float] = [getattr(pair["otagate"], name) / getattr(pair["client"], name) for pair in pairs]
    return round(100 * (statistics.median(ratios) - 1), 2)


async def loaded(extent: Extent, scratch: Path) -> dict[str, Any]:
    """Many nodes known, some updated at once by the hub: how late its loop is, and how late an idle one on the same machine in the same time."""
    numbers = range(_FIRST_NODE, _FIRST_NODE + extent.nodes)
    async with ZwaveRig([{"id": each} for each in numbers], pace=extent.pace) as rig:
        await rig.interviewed(*numbers)
        course = Course(rig, scratch, known=extent.nodes)
        async with watched() as idle:
            turn = await course.turn("otagate", list(numbers[: extent.at_once]), extent.loaded_image)
    return {"seconds": round(turn.seconds, 2), "lag_ms": turn.lag, "idle_lag_ms": idle.milliseconds()}


async def measure(extent: Extent, scratch: Path) -> dict[str, Any]:
    """Both, and which goals are met: a quick run, without the air's own time, says nothing about them."""
    overhead = await compared(extent, scratch / "compared")
    load = await loaded(extent, scratch / "loaded")
    goals = [
        _goal("what the hub adds to the driver's time, percent", overhead["overhead_percent"], MOST_OVERHEAD_PERCENT),
        _goal("lag of the hub's event loop by its own work, ms, p99", load["lag_ms"]["own_p99"], MOST_LAG_MS),
        _goal("lag of the hub's event loop by its own work, ms, most", load["lag_ms"]["own_most"], MOST_LAG_MS),
    ]
    return {"extent": asdict(extent), "overhead": overhead, "load": load, "goals": goals if extent.judged else []}


def _goal(name: str, value: float, most: float) -> dict[str, Any]:
    return {"name": name, "value": value, "goal": f"at most {most:g}", "met": value <= most}


def table(found: dict[str, Any]) -> str:
    """The same for people."""
    extent, overhead, load = found["extent"], found["overhead"], found["load"]
    lines = [f"one node, {extent['image']:,} bytes, {extent['hop']} ms a frame, {overhead['pairs']} pairs{'seconds':>20}{'of them transfer':>20}"]
    lines += [f"{host:54}{overhead[host]['seconds']:>14.2f}{overhead[host]['transfer_seconds']:>20.2f}" for host in _HOSTS]
    lines.append(f"{'the hub adds, percent':54}{overhead['overhead_percent']:>14.2f}{overhead['transfer_overhead_percent']:>20.2f}")
    lines.append("")
    title = f"{extent['nodes']} nodes, {extent['at_once']} at once, {extent['loaded_image']:,} bytes each, {load['seconds']:.1f} s"
    lines.append(f"{title:54}{'lag ms p50':>14}{'p99':>10}{'most':>10}")
    for name, lag, part in (
        ("event loop of the hub", load["lag_ms"], ""),
        ("of that by its own work", load["lag_ms"], "own_"),
        ("an idle loop in the same time", load["idle_lag_ms"], ""),
    ):
        lines.append(f"{name:54}{lag[f'{part}p50']:>14.2f}{lag[f'{part}p99']:>10.2f}{lag[f'{part}most']:>10.2f}")
    if found["goals"]:
        lines.append("")
    lines += [f"{'met   ' if goal['met'] else 'MISSED'}  {goal['name']}: {goal['value']} ({goal['goal']})" for goal in found["goals"]]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when everything could be measured, or where Node.js is missing, which is said; goals are told, they do not change the status."""
    parser = argparse.ArgumentParser(prog="python -m hil.bench.zwave", description="The hub over the Z-Wave driver, and the driver's own time.")
    parser.add_argument("--quick", action="store_const", const=QUICK, default=Extent(), dest="extent", help="see that it works; figures mean little")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of lines")
    chosen = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="otagate-bench-") as scratch:
            found = asyncio.run(measure(chosen.extent, Path(scratch)))
    except NodeMissingError as missing:
        sys.stderr.write(f"Z-Wave is not measured: {missing}\n")
        return 0
    except (ChildError, RigError, WrongTransferError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    print(json.dumps(found, indent=2) if chosen.json else table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
