"""Devices of Tuya's cloud, and what becomes of their updates: every question about a job is a step of it, so no time has to pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

NONE, READY, RUNNING, DONE, FAILED, WAITING, TIMED_OUT = 0, 1, 2, 3, 4, 5, 7
"""`upgrade_status`: 5 is known to commercial lighting alone, 7 to the other API alone."""


@dataclass(slots=True, kw_only=True)
class TuyaFirmware:
    """One firmware of a device. A job takes `steps` questions and ends as `ends`; `jobs` counts those that were begun."""

    current: str = "1.0.0"
    offered: str | None = None
    steps: int = 3
    ends: int = DONE
    installs: str | None = None
    blocked: str | None = None
    status: int = NONE
    asked: int = 0
    jobs: int = 0

    def __post_init__(self) -> None:
        if self.offered is not None and self.status == NONE:
            self.status = READY

    @property
    def progress(self) -> int:
        """In percent."""
        return min(100, 100 * self.asked // self.steps) if self.steps else 100

    def begin(self) -> None:
        """The order of an update, or somebody's word in the app."""
        self.status, self.asked = RUNNING, 0
        self.jobs += 1

    def step(self) -> None:
        """Somebody asked."""
        if self.status != RUNNING:
            return
        self.asked += 1
        if self.asked < self.steps:
            return
        self.status = self.ends
        if self.ends == DONE:
            self.current, self.offered = self.installs or self.offered or self.current, None


@dataclass(slots=True, kw_only=True)
class TuyaDevice:
    """One device, by channel its firmwares. `sleepy`: it takes an order when it wakes up."""

    device_id: str
    name: str = "Lamp"
    room_id: str = "r1"
    room_name: str = "Hall"
    product_id: str = "prod1"
    online: bool = True
    sleepy: bool = False
    firmwares: dict[int, TuyaFirmware] = field(default_factory=lambda: {0: TuyaFirmware(offered="1.0.1")})

    @property
    def main(self) -> TuyaFirmware:
        """The firmware that commercial lighting knows."""
        return self.firmwares[0]

    def row(self) -> dict[str, Any]:
        """As a list of commercial lighting shows it."""
        return {
            "custom_capability": "zigbee",
            "device_id": self.device_id,
            "device_name": self.name,
            "device_saas_id": f"saas-{self.device_id}",
            "group_type": [2],
            "online": self.online,
            "room_name": self.room_name,
            "top_category": "zm",
            "top_category_name": "lighting",
            "upgrade_status": self.main.status,
            "version": self.main.offered or self.main.current,
        }

    def detail(self) -> dict[str, Any]:
        """As commercial lighting tells of it alone."""
        return {
            "current_version": self.main.current,
            "device_id": self.device_id,
            "device_saas_id": f"saas-{self.device_id}",
            "upgrade_status": self.main.status,
            "device": {
                "category": "dj",
                "device_id": self.device_id,
                "device_name": self.name,
                "device_type_value": 0,
                "online": self.online,
                "product_id": self.product_id,
                "room_id": self.room_id,
                "top_category": "zm",
            },
            "device_ext": {"firmware_version": self.main.current, "gateway_name": "Gateway", "mcu_version": ""},
        }

    def channels(self) -> list[dict[str, Any]]:
        """As the other API tells of its firmwares."""
        return [self._channel(number, each) for number, each in self.firmwares.items()]

    def _channel(self, number: int, firmware: TuyaFirmware) -> dict[str, Any]:
        told: dict[str, Any] = {
            "type": number,
            "type_desc": "Main Module",
            "upgrade_status": firmware.status,
            "current_version": firmware.current,
            "dev_type": int(self.sleepy),
            "can_upgrade": firmware.blocked is None,
            "control_type": 0,
            "upgrade_type": 0,
            "timeout": 60,
            "desc": "better",
            "firmware_deploy_time": 1_700_000_000_000,
            "file_size": "4096",
            "md5": "0" * 32,
        }
        if firmware.offered is not None:
            told["version"] = firmware.offered
        return told | ({"remind": firmware.blocked} if firmware.blocked else {})
