"""One transfer of one row by one host, with the bytes verified by the devices that received them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hil.bench.children import PYTHON, Child, ChildError, child
from hil.bench.rows import HostName, Row
from otagate_rig.node_packages import install_packages

HERDSMAN_BLOCKS: Mapping[HostName, int] = {"herdsman": 50, "herdsman-64": 64}
"""Bytes that zigbee-herdsman is told to send in a block at most."""

_HERE = Path(__file__).parent
_START_BOUND = 120.0
_TRANSFER_BOUND = 150.0
_QUIET_SECONDS = 1.0
_MOST_LOOKS = 60


class WrongTransferError(Exception):
    """A device did not receive the image byte for byte, or the server broke a rule of the protocol: a figure would be worth nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What one run came to. Seconds run from the first block that any device received to the last; CPU is the whole host process's in that time.

    Turnarounds are milliseconds from a block request that reaches the coordinator to the block that it hands to the air; a request is lost where none
    came before its device asked again. Both are 0 where devices ask page by page.
    """

    seconds: float
    cpu_seconds: float
    blocks: int
    octets: int
    timeouts: int
    turnaround_p50_ms: float
    turnaround_p99_ms: float
    lost_requests: int
    violations: int = 0

    @property
    def bytes_per_second(self) -> float:
        """Image bytes delivered per second, over all devices."""
        return self.octets / self.seconds

    @property
    def blocks_per_second(self) -> float:
        """Blocks delivered per second, over all devices."""
        return self.blocks / self.seconds

    @property
    def cpu_ms_per_1000_blocks(self) -> float:
        """Milliseconds of CPU time per 1,000 blocks."""
        return self.cpu_seconds * 1_000_000 / self.blocks

    @property
    def cpu_ms_per_mebibyte(self) -> float:
        """Milliseconds of CPU time per MiB: what counts where the hosts choose other block sizes."""
        return self.cpu_seconds * 1_000 * (1 << 20) / self.octets


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    image: bytes
    file: Path
    scenario: Path
    state: Path


async def measure(row: Row, host: HostName, scratch: Path) -> Transfer:
    """Run a fresh rig and a fresh host. Raises WrongTransferError, ChildError, NodeMissingError."""
    bench = _lay_out(row, scratch, formed=host not in HERDSMAN_BLOCKS)
    interpreter, program = _program(host)
    async with child("rig", ("otagate_rig", str(bench.scenario)), scratch) as rig:
        path = (await rig.hear("ready", _START_BOUND))["path"]
        errand = (*program, row.stack, path, str(bench.file), str(row.devices), str(bench.state))
        async with child(host, errand, scratch, interpreter=interpreter) as server:
            if host in HERDSMAN_BLOCKS:
                await server.hear("open", _START_BOUND)
                await rig.tell({"command": "join"})
            await server.hear("ready", _START_BOUND)
            await _quiet(rig)
            cpu_seconds = await _transfer(row, rig, server, len(bench.image))
            await rig.tell({"command": "state"})
            told = await rig.hear("devices", _START_BOUND)
    return judge(row, host, told["devices"], told["turnaround"], cpu_seconds=cpu_seconds)


def _program(host: HostName) -> tuple[Sequence[str], Sequence[str]]:
    """What runs a host, and with which arguments before those of its errand. zigbee-herdsman lies where the tests install it."""
    if host in HERDSMAN_BLOCKS:
        packages = install_packages(_HERE.parents[1] / "tests" / "herdsman", "herdsman")
        return ("node",), (str(_HERE / "herdsman.js"), str(packages), str(HERDSMAN_BLOCKS[host]))
    return PYTHON, ("hil.bench.hub" if host == "otagate" else "hil.bench.zigpy_host",)


def _lay_out(row: Row, scratch: Path, *, formed: bool) -> _Bench:
    bench = _Bench(image=row.image(), file=scratch / "image.ota", scenario=scratch / "scenario.json", state=scratch / "state")
    bench.state.mkdir(parents=True)
    bench.file.write_bytes(bench.image)
    bench.scenario.write_text(json.dumps(_scenario(row, bench.file) | {"formed": formed}))
    return bench


def _scenario(row: Row, file: Path) -> dict[str, Any]:
    return {
        "stack": row.stack,
        "port": "pty",
        "air": {"speedup": row.speedup, "timers": row.clock},
        "devices": [each.to_json() for each in row.specs()],
        "images": [str(file)],
        "announce_after": 0.5,
    }


async def _quiet(rig: Child) -> None:
    """Wait until interviews and what follows them are over: no frame on the air for a second."""
    frames = -1
    for _ in range(_MOST_LOOKS):
        await rig.tell({"command": "state"})
        now = (await rig.hear("air", _START_BOUND))["air"]["frames"]
        if now == frames:
            return
        frames = now
        await asyncio.sleep(_QUIET_SECONDS)
    raise ChildError(f"the air was not quiet within {_MOST_LOOKS * _QUIET_SECONDS:.0f} s after the devices were known")


async def _transfer(row: Row, rig: Child, server: Child, size: int) -> float:
    """Begin; return the CPU time of the host from the first block of any device to the last of all."""
    for spec in row.specs():
        for offset in (1, size):
            watch = {"command": "notify_me", "id": offset, "ieee": f"{spec.ieee:016x}", "offset": offset, "timeout": _TRANSFER_BOUND}
            await rig.tell(watch)
    await server.tell({"begin": True})
    began: float | None = None
    left = row.devices
    while left:
        event = await rig.hear("event", _TRANSFER_BOUND, beside=server)
        if event["event"] != "reached":
            raise WrongTransferError(f"{row.name}, {server.name}: device {event['ieee']} did not get to offset {event['id']}")
        if began is None:
            began = server.cpu_seconds()
        left -= event["id"] == size
    return server.cpu_seconds() - (began or 0.0)


def judge(row: Row, host: HostName, devices: Mapping[str, Any], turnaround: Mapping[str, Any], *, cpu_seconds: float) -> Transfer:
    """What the devices and the coordinator, as the rig describes them, saw of a transfer. Raises WrongTransferError.

    A rule of the protocol that a peer breaks is counted; one that we break makes our figures worthless.
    """
    for ieee, device in devices.items():
        if device["sha256"] != row.digest:
            raise WrongTransferError(f"{row.name}: device {ieee} received other bytes than the image")
        if device["violations"] and host == "otagate":
            raise WrongTransferError(f"{row.name}: device {ieee} saw {device['violations'][0]['name']}")
    counters = [device["counters"] for device in devices.values()]
    first, last = min(each["first_block_at"] for each in counters), max(each["last_block_at"] for each in counters)
    return Transfer(
        seconds=(last - first) / row.clock,
        cpu_seconds=cpu_seconds,
        blocks=sum(each["blocks"] for each in counters),
        octets=sum(each["bytes"] for each in counters),
        timeouts=sum(each["timeouts"] for each in counters),
        turnaround_p50_ms=(turnaround["p50"] or 0.0) * 1_000,
        turnaround_p99_ms=(turnaround["p99"] or 0.0) * 1_000,
        lost_requests=turnaround["unanswered"],
        violations=sum(len(device["violations"]) for device in devices.values()),
    )
