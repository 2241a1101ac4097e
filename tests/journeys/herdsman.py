"""zigbee-herdsman as zigbee2mqtt uses it: installed from npm, pinned, into a cache outside of the source tree; steered over its driver."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import yaml

from otagate_rig.node_packages import NodeMissingError, install_packages

_SOURCE = Path(__file__).parent.parent / "herdsman"
_ANSWER_WITHIN = 120.0

PAN_ID = 0x1A62
EXTENDED_PAN_ID = bytes.fromhex("a001020304050607")
NETWORK_KEY = bytes(range(3, 19))


def installed() -> Path:
    """The folder that holds herdsman's node_modules; skips the test where it cannot be had."""
    try:
        return install_packages(_SOURCE, "herdsman")
    except NodeMissingError as error:
        pytest.skip(f"zigbee-herdsman: {error}")


class Herdsman:
    """One life of the program on a coordinator; its files are in `data`, where zigbee2mqtt would have them."""

    def __init__(self, program: Path, data: Path, *, path: str, adapter: str) -> None:
        self._program = program
        self._data = data
        self._path = path.replace("socket://", "tcp://")
        self._adapter = adapter
        self._process: asyncio.subprocess.Process
        self._events: list[dict[str, Any]] = []

    async def __aenter__(self) -> Self:
        self._data.mkdir(exist_ok=True)
        self._process = await asyncio.create_subprocess_exec(
            "node", str(_SOURCE / "driver.js"), str(self._program),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 20,
        )  # fmt: skip
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line, "herdsman has ended"
        return json.loads(line)

    async def ask(self, what: str, **fields: Any) -> dict[str, Any]:
        """Give one command; returns its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": what} | fields).encode() + b"\n")
        async with asyncio.timeout(_ANSWER_WITHIN):
            while "interviewed" in (answer := await self._hear()):
                self._events.append(answer)
        assert "error" not in answer, answer
        return answer

    async def start(self) -> str:
        """Start on the coordinator as zigbee2mqtt does; returns what became of its network: `reset` is a new one, `resumed` the same."""
        options = {
            "network": {"panID": PAN_ID, "extendedPanID": list(EXTENDED_PAN_ID), "channelList": [15], "networkKey": list(NETWORK_KEY)},
            "transport": {"path": self._path, "adapter": self._adapter, "baudRate": 115200, "rtscts": False},
            "databasePath": str(self._data / "database.db"),
            "databaseBackupPath": str(self._data / "database.db.backup"),
            "backupPath": str(self._data / "coordinator_backup.json"),
            "adapter": {"disableLED": False},
        }
        return str((await self.ask("start", options=options))["started"])

    async def interviews(self, count: int) -> None:
        """Wait until so many devices have been interviewed, all of them with success."""
        async with asyncio.timeout(_ANSWER_WITHIN):
            while len(self._events) < count:
                self._events.append(await self._hear())
        assert [each["status"] for each in self._events] == ["successful"] * count

    async def read_model(self, ieee: int, endpoint: int = 1) -> dict[str, Any]:
        """Ask a device for its model and software build, over the air."""
        return dict((await self.ask("read", ieee=f"0x{ieee:016x}", endpoint=endpoint))["read"])

    async def stop(self) -> None:
        """Stop as zigbee2mqtt does at its end: everything is written."""
        await self.ask("stop")
        assert self._process.stdin is not None
        self._process.stdin.close()
        async with asyncio.timeout(_ANSWER_WITHIN):
            await self._process.wait()


def write_configuration(data: Path, *, devices: dict[int, str], groups: dict[int, str]) -> None:
    """What zigbee2mqtt keeps beside herdsman's files."""
    document = {
        "mqtt": {"base_topic": "zigbee2mqtt", "server": "mqtt://localhost"},
        "advanced": {"pan_id": PAN_ID, "ext_pan_id": list(EXTENDED_PAN_ID), "network_key": list(NETWORK_KEY), "channel": 15},
        "devices": {f"0x{ieee:016x}": {"friendly_name": name} for ieee, name in devices.items()},
        "groups": {str(number): {"friendly_name": name} for number, name in groups.items()},
    }
    (data / "configuration.yaml").write_text(yaml.safe_dump(document, allow_unicode=True))
