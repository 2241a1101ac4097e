"""What a hub costs the machine that it lives on: start, idle CPU, memory, bytes written."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import statistics
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from hil.bench.children import ChildError, child
from hil.bench.verdicts import Figures, Reach
from otagate.model.devices import Device
from otagate.model.facts import Fact, Scalar
from otagate.model.ids import RadioName, zigbee_device_id
from otagate.stores import open_store
from otagate_rig.image import build_image, make_payload
from otagate_rig.spec import DeviceSpec

_BOUND = 120.0
_FIRST_IEEE = 0x00124B0000AA0000
_DAY = 86_400.0
_TRANSFERS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much is measured: `starts`, seconds to settle and of idleness, devices on the radio (four at least), what the store of a lived-in hub
    holds, and the bytes of the image."""

    starts: int = 5
    settle: float = 15.0
    idle: float = 30.0
    devices: int = 500
    facts: int = 20_000
    known: int = 500
    image: int = 240_000


QUICK = Extent(starts=1, settle=0.0, idle=2.0, devices=4, facts=500, known=20, image=5_000)

REACHES = (
    Reach(figure="start_seconds", text="from the start of the process to ready, s", most=3.0),
    Reach(figure="idle_cpu_percent", text="CPU time while nothing happens, % of a core", most=1.0),
    Reach(figure="resident_megabytes", text="resident memory, 500 devices and 3 transfers, MB", most=130.0),
    Reach(figure="written_kibibytes_per_update", text="written for the update of one device, the image excluded, KiB", most=512.0),
    Reach(figure="written_mebibytes_per_idle_day", text="written in a day in which nothing happens, MiB", most=20.0),
)


class Process:
    """A daemon, and what the kernel says of it."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self._process = process
        self._proc = Path("/proc") / str(process.pid)
        self._socket = str(folder / "api.sock")

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def written(self) -> int:
        """Bytes that it caused to be sent to a disk; where its files are in memory, bytes that it handed to files."""
        counts = dict(line.split(": ") for line in (self._proc / "io").read_text().splitlines())
        return int(counts["write_bytes"]) or int(counts["wchar"])

    def resident(self, what: str = "VmRSS") -> float:
        """Memory in MiB: `VmRSS` now, `VmHWM` the most so far."""
        line = next(line for line in (self._proc / "status").read_text().splitlines() if line.startswith(what))
        return int(line.split()[1]) / 1024

    async def call(self, method: str, path: str, **body: Any) -> Any:
        """One call of the API over the unix socket; its JSON. Raises ChildError where the hub says no."""
        connector = aiohttp.UnixConnector(self._socket)
        async with aiohttp.ClientSession(connector=connector) as client, client.request(method, f"http://localhost{path}", **body) as answer:
            told = await answer.json(content_type=None)
        if answer.status >= 400:
            raise ChildError(f"{method} {path}: {told}")
        return told


@asynccontextmanager
async def daemon(folder: Path, radios: Sequence[Mapping[str, object]], *, listen: Sequence[str] = ()) -> AsyncIterator[tuple[Process, float]]:
    """A daemon that has said READY=1, and the seconds that it took from the start of its process; it listens on its socket, and where it is told."""
    config = folder / "otagate.yaml"
    settings = {
        "state_dir": str(folder / "state"),
        "api": {"listen": [f"unix:{folder / 'api.sock'}", *listen]},
        "radios": [dict(each) for each in radios],
        "policy": {"alive_for": "0d"},
    }
    config.write_text(yaml.safe_dump(settings))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line, (folder / "log").open("w") as log:
        address = folder / "notify"
        address.unlink(missing_ok=True)
        line.bind(str(address))
        line.setblocking(False)
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "otagate", "run", "--config", str(config), stderr=log, stdout=log, env=os.environ | {"NOTIFY_SOCKET": str(address)}
        )
        try:
            async with asyncio.timeout(_BOUND):
                while b"READY=1" not in await asyncio.get_running_loop().sock_recv(line, 4096):
                    pass
            yield Process(process, folder), time.monotonic() - began
        finally:
            process.terminate()
            await process.wait()


async def live_in(folder: Path, extent: Extent) -> None:
    """A store as years leave it."""
    now = datetime.now(UTC)  # noqa: TID251 - a bench has no clock of the hub's
    async with open_store("sqlite:///otagate.db", folder / "state") as store, store.transaction():
        for number in range(extent.known):
            await store.devices.put(
                Device(id=zigbee_device_id(_FIRST_IEEE + number), radio=RadioName("zigbee0"), model="Lamp", name=f"Lamp {number}")
            )
        for number in range(extent.facts):
            data: dict[str, Scalar] = {"state": "transferring", "detail": "x" * 100, "bytes_sent": number}
            await store.facts.append(Fact(at=now, subject="update", subject_id=f"u{number // 10:08d}", kind="accepted", data=data))


async def starts(folder: Path, extent: Extent) -> dict[str, float]:
    """Seconds from the start of the process to READY=1, with the store of a lived-in hub; the median."""
    await live_in(folder, extent)
    seconds = []
    for _ in range(extent.starts):
        async with daemon(folder, []) as (process, took):
            seconds.append(took)
            cpu_seconds, resident = process.cpu_seconds(), process.resident()
    return {"start_seconds": statistics.median(seconds), "start_cpu_seconds": cpu_seconds, "start_resident_mebibytes": resident}


async def lives(folder: Path, extent: Extent) -> dict[str, float]:
    """A hub that has started again, with a radio and devices: idle for a while, then one update, then three amid their transfers."""
    spec = DeviceSpec(ieee=_FIRST_IEEE)
    payload = make_payload(extent.image, 1)
    image = build_image(spec.manufacturer_code, spec.image_type, spec.file_version + 1, payload=payload)
    (folder / "image.ota").write_bytes(image)
    devices = [DeviceSpec(ieee=_FIRST_IEEE + number).to_json() for number in range(extent.devices)]
    scenario = {"stack": "znp", "port": "pty", "formed": True, "air": {"speedup": 0}, "devices": devices, "images": [str(folder / "image.ota")]}
    (folder / "scenario.json").write_text(json.dumps(scenario | {"announce_after": 0.5}))
    async with child("rig", ("otagate_rig", str(folder / "scenario.json")), folder) as rig:
        path = str((await rig.hear("ready", _BOUND))["path"])
        radios = [{"name": "zigbee0", "type": "znp", "path": path, "parallel": _TRANSFERS}]
        async with daemon(folder, radios) as (process, _):
            await _known(process, extent.devices)
        async with daemon(folder, radios) as (process, _):
            await process.call("POST", "/api/v1/images", data={"file": image})
            await asyncio.sleep(extent.settle)  # what follows a start is not idleness
            cpu, written = process.cpu_seconds(), process.written()
            await asyncio.sleep(extent.idle)
            found = {
                "idle_cpu_percent": (process.cpu_seconds() - cpu) / extent.idle * 100,
                "idle_resident_mebibytes": process.resident(),
                "written_mebibytes_per_idle_day": (process.written() - written) / extent.idle * _DAY / (1 << 20),
            }
            written = process.written()
            await _update(process, devices[:1], until="succeeded")
            found["written_kibibytes_per_update"] = (process.written() - written) / 1024
            await _update(process, devices[1 : 1 + _TRANSFERS], until="transferring")
            return found | {"resident_megabytes": process.resident() * (1 << 20) / 1e6, "most_resident_mebibytes": process.resident("VmHWM")}


async def _known(process: Process, count: int) -> None:
    async with asyncio.timeout(_BOUND + count):
        while True:
            items = (await process.call("GET", "/api/v1/devices?limit=500"))["items"]
            if sum(any(each["version"] is not None for each in item["components"]) for item in items) == count:
                return
            await asyncio.sleep(0.2)


async def _update(process: Process, devices: Sequence[dict[str, Any]], *, until: str) -> None:
    """All of these at once, until all have come so far. Raises ChildError where one does not end well."""
    made = await process.call("POST", "/api/v1/updates", json={"devices": [f"zigbee-{each['ieee']}" for each in devices]})
    if made["refused"]:
        raise ChildError(f"the hub refused: {made['refused']}")
    async with asyncio.timeout(_BOUND):
        for each in made["updates"]:
            while (told := await process.call("GET", f"/api/v1/updates/{each['id']}"))["state"] != until:
                if told["state"] == "succeeded":
                    break
                if told["finished"] is not None:
                    raise ChildError(f"the update ended as {told['state']}: {told['error']}")
                await asyncio.sleep(0.2)


async def measure(extent: Extent, scratch: Path) -> Figures:
    """Every figure. Raises ChildError, TimeoutError."""
    for name in ("starts", "lives"):
        (scratch / name / "state").mkdir(parents=True)
    return await starts(scratch / "starts", extent) | await lives(scratch / "lives", extent)
