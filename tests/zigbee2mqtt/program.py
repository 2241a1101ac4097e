"""The real zigbee2mqtt: installed from npm, pinned, into a cache outside of the source tree; on a coordinator of the rig and a real broker."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import yaml

from otagate_rig.node_packages import NodeMissingError, install_packages
from tests.mqtt.mosquitto import Ear, Mosquitto

_SOURCE = Path(__file__).parent
WITHIN = 120.0

PAN_ID = 0x1A62
EXTENDED_PAN_ID = bytes.fromhex("a001020304050607")
NETWORK_KEY = bytes(range(3, 19))


def installed() -> Path:
    """The folder that holds zigbee2mqtt's node_modules; skips the test where it cannot be had."""
    try:
        return install_packages(_SOURCE, "zigbee2mqtt")
    except NodeMissingError as error:
        pytest.skip(f"zigbee2mqtt: {error}")


class Zigbee2mqtt:
    """zigbee2mqtt with its files in `data`; it is started, killed and started again. Its sessions hand out blocks as fast as its settings let it."""

    def __init__(self, data: Path, broker: Mosquitto, *, path: str, adapter: str = "ember", settings: dict[str, Any] | None = None) -> None:
        self._program = installed()
        self._data = data
        self._process: asyncio.subprocess.Process | None = None
        data.mkdir(exist_ok=True)
        document = {
            "version": 5,
            "mqtt": {"base_topic": "zigbee2mqtt", "server": broker.url},
            "serial": {"port": path.replace("socket://", "tcp://"), "adapter": adapter, "baudrate": 115200},
            "advanced": {
                "pan_id": PAN_ID,
                "ext_pan_id": list(EXTENDED_PAN_ID),
                "network_key": list(NETWORK_KEY),
                "channel": 15,
                "log_output": ["console"],
                "log_level": "info",
            },
            "frontend": {"enabled": False},
            "homeassistant": {"enabled": False},
            "ota": {"image_block_response_delay": 50},
        }
        (data / "configuration.yaml").write_text(yaml.safe_dump(document | (settings or {})))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.kill()

    async def start(self) -> None:
        """Start the program; that it is up, it says at the broker."""
        environment = {**os.environ, "ZIGBEE2MQTT_DATA": str(self._data), "Z2M_ONBOARD_NO_SERVER": "1"}
        with (self._data / "log.txt").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                "node", str(self._program / "node_modules" / "zigbee2mqtt" / "cli.js"), env=environment, cwd=self._data, stdout=log, stderr=log
            )

    @property
    def log(self) -> str:
        """What it has told."""
        return (self._data / "log.txt").read_text(errors="replace")

    async def kill(self) -> None:
        """SIGKILL; no error where it is dead already."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()

    async def stop(self) -> None:
        """SIGTERM, as systemd does: it writes everything down."""
        process, self._process = self._process, None
        assert process is not None
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(WITHIN):
            await process.wait()


async def is_up(ear: Ear) -> None:
    """Wait until zigbee2mqtt says that it is there, and which devices it has."""
    await ear.says("zigbee2mqtt/bridge/state", lambda each: each == {"state": "online"}, within=WITHIN)
    await ear.says("zigbee2mqtt/bridge/devices", within=WITHIN)
