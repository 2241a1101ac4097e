"""A rig in a process of its own: a scenario in, JSON lines out and in.

The first line out is `{"ready": true, "path": ...}`. Each line in is an object with `command` and its fields, and is answered by one line with `ok`
and, where the command had one, its `id`; `notify_me` adds a line with `event` later. The rig ends at `stop` or when its input closes.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otagate_rig.air import AirSettings
from otagate_rig.image import BadImageError
from otagate_rig.rig import Rig
from otagate_rig.spec import DeviceSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otagate_rig.device import Device

MOST_LINE_BYTES = 1 << 20
_SCENARIO_KEYS = {"stack", "port", "formed", "air", "devices", "images", "baud", "link", "tcp_port", "announce_after"}


class BadScenarioError(ValueError):
    """The scenario names something that no rig has."""


class BadCommandError(ValueError):
    """A control line that cannot be carried out."""


def build_rig(scenario: Mapping[str, Any]) -> Rig:
    """Make the rig that a scenario describes; raise BadScenarioError with what is wrong with it."""
    unknown = set(scenario) - _SCENARIO_KEYS
    if unknown:
        raise BadScenarioError(f"unknown keys: {', '.join(sorted(unknown))}")
    fields = dict(scenario)
    try:
        fields["devices"] = [DeviceSpec.from_json(device) for device in fields.get("devices", ())]
        fields["images"] = [Path(path).read_bytes() for path in fields.get("images", ())]
        fields["air"] = AirSettings(**fields.get("air", {}))
        if fields.get("link") is not None:
            fields["link"] = Path(fields["link"])
        return Rig(**fields)
    except (TypeError, ValueError, OSError, BadImageError) as error:
        raise BadScenarioError(str(error)) from error


def describe_device(device: Device) -> dict[str, Any]:
    """Return the state of a device as JSON values; times are seconds on the device's clock."""
    download = device.ota.download
    return {
        "nwk": device.nwk,
        "joined": device.identity is not None,
        "powered": device.powered,
        "file_version": device.file_version,
        "versions": [[image_type, version] for image_type, version in device.ota.versions.items()],
        "phase": device.ota.phase.value,
        "offset": None if download is None else download.offset,
        "size": None if download is None else download.size,
        "received_bytes": len(device.ota.received),
        "sha256": hashlib.sha256(device.ota.received).hexdigest() if device.ota.received else None,
        "violations": [dataclasses.asdict(violation) for violation in device.violations],
        "counters": dataclasses.asdict(device.counters),
        "polls": device.polls,
        "on": device.application.on,
        "commands": len(device.commands),
    }


def describe(rig: Rig) -> dict[str, Any]:
    """Return the state of the whole rig as JSON values."""
    return {
        "devices": {f"{ieee:016x}": describe_device(device) for ieee, device in rig.devices.items()},
        "ncp": {**_plain(rig.ncp.counters), "network_is_up": rig.ncp.network_is_up},
        "air": dataclasses.asdict(rig.network.air.counters),
        "turnaround": rig.network.turnaround.to_json(),
        "port": {"path": rig.path, "plugged": rig.port.is_plugged, "open": rig.port.is_open},
    }


def _plain(counters: Any) -> dict[str, Any]:
    """Return the countable fields of a dataclass; a Counter becomes a list of [key, count]."""
    plain: dict[str, Any] = {}
    for field in dataclasses.fields(counters):
        value = getattr(counters, field.name)
        if isinstance(value, int):
            plain[field.name] = value
        elif isinstance(value, Counter):
            plain[field.name] = [[key, count] for key, count in value.items()]
    return plain


class Control:
    """Carries out control lines on a running rig."""

    def __init__(self, rig: Rig, *, write: Callable[[dict[str, Any]], None], tasks: asyncio.TaskGroup) -> None:
        self._rig = rig
        self._write = write
        self._tasks = tasks
        self._watches: set[asyncio.Task[None]] = set()
        self._commands: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "join": self._join,
            "power": self._power,
            "state": lambda _: describe(rig),
            "query": self._query,
            "commands": self._seen,
            "notify_me": self._notify_me,
        }

    async def perform(self, line: str) -> bool:
        """Carry out one line and write its answer; False when it was `stop`."""
        answer: dict[str, Any] = {}
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise BadCommandError("a control line is a JSON object")
            answer = {"id": request["id"]} if "id" in request else {}
            command = request.get("command")
            if command == "stop":
                self._write({**answer, "ok": True})
                return False
            result = await self._fault(request) if command == "fault" else self._run(command, request)
            self._write({**answer, "ok": True, **result})
        except (ValueError, KeyError, TypeError) as error:
            self._write({**answer, "ok": False, "error": f"{type(error).__name__}: {error}"})
        return True

    def close(self) -> None:
        """Forget what somebody wanted to be told."""
        for watch in self._watches:
            watch.cancel()

    def _run(self, command: Any, request: dict[str, Any]) -> dict[str, Any]:
        act = self._commands.get(command) if isinstance(command, str) else None
        if act is None:
            raise BadCommandError(f"unknown command {command!r}")
        return act(request)

    def _device(self, request: Mapping[str, Any]) -> Device:
        return self._rig.device(int(str(request["ieee"]), 16))

    def _join(self, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("ieee") is None:
            self._rig.start_joining()
            self._rig.announce()
            return {}
        device = self._device(request)
        if device.identity is None:
            self._rig.start_joining(device.ieee)
        else:
            device.announce()
        return {}

    def _power(self, request: dict[str, Any]) -> dict[str, Any]:
        device = self._device(request)
        if request["on"]:
            device.power_on()
        else:
            device.power_off(request.get("seconds"))
        return {}

    def _query(self, request: dict[str, Any]) -> dict[str, Any]:
        self._device(request).check_for_image()
        return {}

    def _seen(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer with every application command of a device: its arrival on the monotonic clock and its seconds on the way."""
        return {"commands": [dataclasses.asdict(seen) for seen in self._device(request).commands]}

    def _notify_me(self, request: dict[str, Any]) -> dict[str, Any]:
        """Write an `event` line once a device has reached `file_version`, `phase` or `offset` (or after `timeout` seconds has not)."""
        device = self._device(request)
        wanted: dict[str, Any] = {key: request[key] for key in ("file_version", "phase", "offset") if key in request}
        if not wanted:
            raise BadCommandError("notify_me wants file_version, phase or offset")
        watch = self._tasks.create_task(self._watch(device, wanted, float(request.get("timeout", 60)), request.get("id")))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)
        return {}

    async def _watch(self, device: Device, wanted: Mapping[str, Any], timeout: float, mark: Any) -> None:
        def reached(it: Device) -> bool:
            download = it.ota.download
            return (
                wanted.get("file_version") in (None, it.file_version if it.powered else -1)
                and wanted.get("phase") in (None, it.ota.phase.value)
                and ("offset" not in wanted or (download is not None and download.offset >= wanted["offset"]))
            )

        try:
            await device.wait_until(reached, timeout)
            event = "reached"
        except TimeoutError:
            event = "timeout"
        self._write({"event": event, "id": mark, "ieee": f"{device.ieee:016x}", **wanted})

    async def _fault(self, request: Mapping[str, Any]) -> dict[str, Any]:
        kind = request.get("kind")
        if kind == "plug":
            await self._rig.port.plug()
            return {"path": self._rig.path}
        faults: dict[Any, Callable[[], None]] = {
            "reset": self._rig.ncp.reset_unexpectedly,
            "hang": self._rig.ncp.hang,
            "resume": self._rig.ncp.resume_answers,
            "corrupt": lambda: self._rig.ncp.corrupt_next(int(request.get("count", 1))),
            "unplug": self._rig.port.unplug,
        }
        if kind not in faults:
            raise BadCommandError(f"unknown fault {kind!r}")
        faults[kind]()
        return {}


def write_line(value: dict[str, Any]) -> None:
    """Write one JSON line to the standard output."""
    sys.stdout.write(json.dumps(value, separators=(",", ":")) + "\n")
    sys.stdout.flush()


async def serve(scenario: Mapping[str, Any]) -> None:
    """Run the rig of a scenario until it is told to stop or the standard input (a pipe) closes."""
    reader = asyncio.StreamReader(limit=MOST_LINE_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with build_rig(scenario) as rig, asyncio.TaskGroup() as tasks:
        control = Control(rig, write=write_line, tasks=tasks)
        write_line({"ready": True, "path": rig.path})
        while line := await reader.readline():
            if not await control.perform(line.decode("utf-8", "replace")):
                break
        control.close()
