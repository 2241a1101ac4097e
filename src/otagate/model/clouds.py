"""Devices that their own cloud updates, as the cloud tells of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from otagate.model.ids import DeviceId, RadioName, iotaap_device_id, tuya_device_id

THE_CLOUD = RadioName("the cloud")
"""What stands for a radio where a device has none: no radio of a configuration can be called so."""

CloudStatus = Literal["none", "available", "waiting", "updating", "updated", "failed", "timed_out", "unknown"]
"""One vocabulary for every cloud. `waiting`: the device sleeps and takes it when it wakes up; `unknown`: a number that no document explains."""

UNDER_WAY: frozenset[CloudStatus] = frozenset({"waiting", "updating"})
"""The cloud is at it."""

OFFERED: frozenset[CloudStatus] = frozenset({"available", "failed", "timed_out"})
"""The cloud would begin it, for the first time or again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudChannel:
    """One firmware of a cloud's device. `raw_status` is the cloud's own number; `progress` is in percent; `timeout` in seconds.

    `blocked`: why the cloud would not update it now. `released`: since when it offers the version, `changed`: when the last update was. `facts` is
    what the cloud says besides, to be shown and never interpreted.
    """

    channel: str
    status: CloudStatus
    raw_status: int
    current_version: str | None = None
    offered_version: str | None = None
    progress: int | None = None
    timeout: int | None = None
    blocked: str | None = None
    notes: str | None = None
    changed: datetime | None = None
    released: datetime | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudDevice:
    """One device as its cloud tells of it. `online` is None where the cloud did not say; a sleepy device is not offline when it is silent."""

    device_id: str
    cloud: Literal["tuya", "iotaap"] = "tuya"
    name: str = ""
    online: bool | None = None
    sleepy: bool = False
    product: str | None = None
    room: str | None = None
    channels: tuple[CloudChannel, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> DeviceId:
        """Our id of it."""
        return tuya_device_id(self.device_id) if self.cloud == "tuya" else iotaap_device_id(self.device_id)

    def channel(self, name: str) -> CloudChannel | None:
        """The channel with this name."""
        return next((each for each in self.channels if each.channel == name), None)


Started = Literal["started", "not-started", "already-running"]
"""What became of an order."""
