"""What the hub adds to the Z-Wave driver's own time, and how late its event loop is under load.

The driver and its server are real, the nodes simulated. The peer is the client library alone: the same command to the same driver, in turns.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from hil.bench.children import child
from hil.bench.lag import watched
from hil.bench.measure import WrongTransferError
from hil.bench.verdicts import Figures, Reach
from otagate_rig.zwave import ZwaveRig, make_firmware

_BOUND = 600.0
_HOSTS = {"otagate": "hil.bench.zwave_hub", "client": "hil.bench.zwave_client"}
_FIRST_NODE = 2

REACHES = (
    Reach(figure="added_percent", text="Z-Wave: what the hub adds to the driver's own time, %", most=2),
    Reach(figure="lag_own_p99_ms", text="Z-Wave: lag of the event loop by its own work, ms, p99", most=20),
    Reach(figure="lag_own_most_ms", text="Z-Wave: the same, most", most=20),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much is measured. `hop`: milliseconds that a frame takes in the air, one way; `pace`: the driver's longest waits pass so much faster."""

    image: int = 10_000
    hop: int = 14
    pace: float = 1.0
    nodes: int = 20
    at_once: int = 4
    loaded_image: int = 10_000


QUICK = Extent(image=800, hop=0, pace=20.0, nodes=3, at_once=2, loaded_image=1_200)


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


async def compared(extent: Extent, scratch: Path) -> dict[str, float]:
    """The same transfer by the hub and by the client alone. A driver gets faster from one to the next, the most after its first: that one does
    not count, and the client's is held against what ours before and after it took.
    """
    async with ZwaveRig([{"id": _FIRST_NODE}], tx_delay=extent.hop, pace=extent.pace) as rig:
        await rig.interviewed(_FIRST_NODE)
        course = Course(rig, scratch, known=1)
        _, before, theirs, after = [await course.turn(host, [_FIRST_NODE], extent.image) for host in ("client", "otagate", "client", "otagate")]
    seconds = fmean((before.seconds, after.seconds))
    return {
        "seconds": seconds,
        "transfer_seconds": fmean((before.transfer_seconds, after.transfer_seconds)),
        "client_seconds": theirs.seconds,
        "client_transfer_seconds": theirs.transfer_seconds,
        "added_percent": 100 * (seconds / theirs.seconds - 1),
    }


async def loaded(extent: Extent, scratch: Path) -> dict[str, float]:
    """Many nodes known, some updated at once by the hub: how late its loop is, and how late an idle one on the same machine in the same time."""
    numbers = range(_FIRST_NODE, _FIRST_NODE + extent.nodes)
    async with ZwaveRig([{"id": each} for each in numbers], pace=extent.pace) as rig:
        await rig.interviewed(*numbers)
        course = Course(rig, scratch, known=extent.nodes)
        async with watched() as idle:
            turn = await course.turn("otagate", list(numbers[: extent.at_once]), extent.loaded_image)
    names = ("p50", "p99", "most", "own_p99", "own_most")
    return {"loaded_seconds": turn.seconds} | {f"lag_{name}_ms": turn.lag[name] for name in names} | {"idle_lag_p99_ms": idle.milliseconds()["p99"]}


async def measure(extent: Extent, scratch: Path) -> Figures:
    """Every figure. Raises ChildError, RigError, WrongTransferError, NodeMissingError."""
    return await compared(extent, scratch / "compared") | await loaded(extent, scratch / "loaded")
