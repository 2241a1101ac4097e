"""What the API answers, and how late the loop is, while firmware flows and a large file comes in."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

import aiohttp

from hil.bench.children import Child, ChildError, child
from hil.bench.measure import judge
from hil.bench.rows import Row
from hil.bench.verdicts import Figures, Reach
from otagate_rig.image import build_image

_BOUND = 300.0
_PAGES_EVERY = 50
"""One read of so many is a page of a hundred devices."""

REACHES = (
    Reach(figure="reads_per_second", text="reads of the API a second during 20 transfers, 16 at once, pages of 500 devices among them", least=1_000),
    Reach(figure="read_p99_ms", text="the same, ms, p99", most=25),
    Reach(figure="lag_own_p99_ms", text="lag of the event loop meanwhile, while 16 MiB are taken in too, ms, p99", most=20),
    Reach(figure="lost_requests", text="block requests that were lost meanwhile", most=0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """`devices` are updated with images of so many bytes while `readers` read at once; `upload` is the file that is taken in meanwhile."""

    devices: int = 20
    image: int = 16_384
    readers: int = 4
    upload: int = (16 << 20) - 1_024  # and its header: the most that a hub takes


QUICK = Extent(devices=2, image=2_048, readers=2, upload=1 << 20)


@dataclass(slots=True)
class Readers:
    """Clients that read again as soon as they were answered; `waits` in seconds."""

    session: aiohttp.ClientSession
    url: str
    devices: Sequence[str]
    over: bool = False
    waits: list[float] = field(default_factory=list)

    async def run(self) -> None:
        """Until it is over. Raises ChildError where the hub says no."""
        for number in itertools.count():
            if self.over:
                return
            page = number % _PAGES_EVERY == 0
            path = "/api/v1/devices?limit=100" if page else f"/api/v1/devices/{self.devices[number % len(self.devices)]}"
            began = time.perf_counter()
            async with self.session.get(self.url + path) as answer:
                await answer.read()
            self.waits.append(time.perf_counter() - began)
            if answer.status != 200:
                raise ChildError(f"GET {path}: {answer.status}")


async def measure(extent: Extent, scratch: Path) -> Figures:
    """Every figure. Raises ChildError, WrongTransferError."""
    row = Row(stack="znp", name="busy", devices=extent.devices, image_bytes=extent.image, speedup=1.0)
    (scratch / "state").mkdir()
    (scratch / "image.ota").write_bytes(row.image())
    scenario = {
        "stack": row.stack, "port": "pty", "formed": True, "air": {"speedup": row.speedup, "timers": row.clock}, "announce_after": 0.5,
        "devices": [each.to_json() for each in row.specs()], "images": [str(scratch / "image.ota")],
    }  # fmt: skip
    (scratch / "scenario.json").write_text(json.dumps(scenario))
    async with child("rig", ("otagate_rig", str(scratch / "scenario.json")), scratch) as rig:
        path = (await rig.hear("ready", _BOUND))["path"]
        errand = ("hil.bench.busy_hub", row.stack, path, str(scratch / "image.ota"), str(row.devices), str(scratch / "state"))
        async with child("hub", errand, scratch) as hub:
            told = await hub.hear("url", _BOUND)
            await hub.hear("ready", _BOUND)
            headers = {"Authorization": f"Bearer {told['token']}"}
            async with aiohttp.ClientSession(headers=headers) as session:
                figures = await _read(row, extent, rig, hub, Readers(session, told["url"], [f"zigbee-{each.ieee:016x}" for each in row.specs()]))
            await rig.tell({"command": "state"})
            state = await rig.hear("devices", _BOUND)
    transfer = judge(row, "otagate", state["devices"], state["turnaround"], cpu_seconds=0.0)
    return figures | {"turnaround_p99_ms": transfer.turnaround_p99_ms, "lost_requests": float(transfer.lost_requests)}


async def _read(row: Row, extent: Extent, rig: Child, hub: Child, readers: Readers) -> dict[str, float]:
    """Have everything updated, read all the while, and hand in a file once."""
    for spec in row.specs():
        watch = {"command": "notify_me", "id": 1, "ieee": f"{spec.ieee:016x}", "offset": row.image_bytes, "timeout": _BOUND}
        await rig.tell(watch)
    await hub.tell({"begin": True})
    async with asyncio.TaskGroup() as group:
        began = time.perf_counter()
        for _ in range(extent.readers):
            group.create_task(readers.run())
        large = build_image(0x1234, 1, 1, payload=bytes(extent.upload))
        async with readers.session.post(readers.url + "/api/v1/images", data={"file": large}) as answer:
            if answer.status != 201:
                raise ChildError(f"the file was refused: {await answer.text()}")
        for _ in row.specs():
            await rig.hear("event", _BOUND, beside=hub)
        readers.over = True
        seconds = time.perf_counter() - began
    await hub.tell({"begin": True})
    lag = (await hub.hear("lag", _BOUND))["lag"]
    cuts = quantiles(readers.waits, n=100)
    return {
        "reads_per_second": len(readers.waits) / seconds,
        "read_p50_ms": cuts[49] * 1_000,
        "read_p99_ms": cuts[98] * 1_000,
        "lag_p99_ms": lag["p99"],
        "lag_own_p99_ms": lag["own_p99"],
        "lag_most_ms": lag["most"],
    }
