"""The server clusters of a simulated device besides OTA Upgrade: attributes and commands for interviews and ordinary traffic."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from otagate_rig import zcl
from otagate_rig.aps import DeviceKind
from otagate_rig.zcl import Attribute, DataType, Status

if TYPE_CHECKING:
    from otagate_rig.spec import DeviceSpec

BASIC = 0x0000
POWER_CONFIGURATION = 0x0001
IDENTIFY = 0x0003
GROUPS = 0x0004
ON_OFF = 0x0006
POLL_CONTROL = 0x0020
START_UP_ON_OFF = 0x4003

POWER_MAINS = 0x01
POWER_BATTERY = 0x03


@dataclass(slots=True)
class Application:
    """The state of a device's application; `fast_poll_seconds` is what the last Check-in Response asked for.

    `reports`: by cluster and attribute, as configured. `forgot`: what the last firmware took with it.
    """

    spec: DeviceSpec
    on: bool = False
    groups: set[int] = field(default_factory=set)
    written: dict[tuple[int, int], Attribute] = field(default_factory=dict)
    reports: dict[tuple[int, int], bytes] = field(default_factory=dict)
    forgot: tuple[str, ...] = ()
    fast_poll_seconds: float = 0.0

    def __post_init__(self) -> None:
        """Be as the description says."""
        self.on = self.spec.switched_on
        self.groups = set(self.spec.groups)
        for cluster, attribute, least, longest in self.spec.reporting:
            kind = (self.attributes(cluster, 0) or {})[attribute].type
            change = b"" if kind in (DataType.BOOLEAN, DataType.BITMAP8, DataType.ENUM8) else bytes(zcl.size_of(kind))
            self.reports[cluster, attribute] = struct.pack("<BHH", kind, least, longest) + change

    def forget(self) -> None:
        """New firmware begins its life."""
        self.forgot = self.spec.behaviours.forgets
        if "groups" in self.forgot:
            self.groups.clear()
        if "reporting" in self.forgot:
            self.reports.clear()
        if "start_up" in self.forgot:
            self.written = {key: each for key, each in self.written.items() if key != (ON_OFF, START_UP_ON_OFF)}
        if "switch" in self.forgot:
            self.on = not self.on

    def takes(self, what: str) -> bool:
        """Whether the device can be set so."""
        return not (self.spec.behaviours.for_good and what in self.forgot)

    def servers(self) -> tuple[int, ...]:
        """The clusters that the device serves."""
        true = self.spec.behaviours.true_version_at
        own = () if true is None else (true[0],)
        if self.spec.kind is not DeviceKind.SLEEPY:
            return (BASIC, IDENTIFY, GROUPS, ON_OFF, *own)
        served = (BASIC, POWER_CONFIGURATION, IDENTIFY, ON_OFF, *own)
        return served if self.spec.behaviours.checks_in is None else (*served, POLL_CONTROL)

    def attributes(self, cluster: int, file_version: int) -> dict[int, Attribute] | None:
        """The attributes of a cluster as they are now, None for one that the device does not serve."""
        if cluster not in self.servers():
            return None
        values = self._values(cluster, file_version)
        found = {key: Attribute(key, kind, value, writable) for key, kind, value, writable in values}
        for (where, key), attribute in self.written.items():
            if where == cluster:
                found[key] = attribute
        return found

    def _values(self, cluster: int, file_version: int) -> tuple[tuple[int, DataType, int | str, bool], ...]:
        spec = self.spec
        if cluster == BASIC:
            battery = spec.kind is DeviceKind.SLEEPY
            power = spec.power_source if spec.power_source is not None else (POWER_BATTERY if battery else POWER_MAINS)
            return (
                (0x0000, DataType.UINT8, 8, False),
                (0x0001, DataType.UINT8, file_version & 0xFF, False),
                (0x0002, DataType.UINT8, 3, False),
                (0x0003, DataType.UINT8, (spec.hardware_version or 1) & 0xFF, False),
                (0x0004, DataType.STRING, spec.manufacturer, False),
                (0x0005, DataType.STRING, spec.model, False),
                (0x0006, DataType.STRING, "20260101", False),
                (0x0007, DataType.ENUM8, power, False),
                (0x4000, DataType.STRING, f"{file_version:08x}", False),
            )
        if cluster == POWER_CONFIGURATION:
            return (
                (0x0020, DataType.UINT8, 20 + spec.battery_percent // 10, False),
                (0x0021, DataType.UINT8, 2 * spec.battery_percent, False),
            )
        if cluster == IDENTIFY:
            return ((0x0000, DataType.UINT16, 0, True),)
        if cluster == GROUPS:
            return ((0x0000, DataType.BITMAP8, 0, False),)
        if cluster == ON_OFF:
            switch = ((0x0000, DataType.BOOLEAN, self.on, False),)
            if spec.start_up_on_off is None:
                return switch
            start_up = 0xFF if "start_up" in self.forgot else spec.start_up_on_off
            return (*switch, (START_UP_ON_OFF, DataType.ENUM8, start_up, self.takes("start_up")))
        true = spec.behaviours.true_version_at
        if true is not None and cluster == true[0]:
            return ((true[1], DataType.UINT32, file_version, False),)
        quarters = tuple(round(4 * seconds) for seconds in (spec.behaviours.checks_in or 0, spec.poll_interval, spec.fast_poll_interval))
        return (
            (0x0000, DataType.UINT32, quarters[0], True),
            (0x0001, DataType.UINT32, quarters[1], False),
            (0x0002, DataType.UINT16, quarters[2], False),
            (0x0003, DataType.UINT16, 40, True),
        )

    def command(self, cluster: int, frame: zcl.Frame) -> zcl.Answer:
        """Carry out a command of a cluster that the device serves."""
        if frame.manufacturer is not None:
            return zcl.Answer(Status.UNSUP_COMMAND)
        if cluster == ON_OFF and frame.command <= 2:
            self.on = not self.on if frame.command == 2 else bool(frame.command)
            return zcl.Answer()
        if cluster == GROUPS:
            return self._groups(frame)
        if cluster == POLL_CONTROL:
            return self._poll_control(frame)
        if (cluster, frame.command) in ((BASIC, 0), (IDENTIFY, 0)):
            return zcl.Answer()
        return zcl.Answer(Status.UNSUP_COMMAND)

    def _groups(self, frame: zcl.Frame) -> zcl.Answer:
        if frame.command == 4:
            self.groups.clear()
            return zcl.Answer()
        if frame.command not in (0, 2, 3):
            return zcl.Answer(Status.UNSUP_COMMAND)
        if len(frame.payload) < (1 if frame.command == 2 else 2):
            return zcl.Answer(Status.MALFORMED_COMMAND)
        control = zcl.CLUSTER_SPECIFIC | zcl.FROM_SERVER | zcl.NO_DEFAULT_RESPONSE
        if frame.command == 2:  # of all groups: nobody asks for some
            told = struct.pack(f"<BB{len(self.groups)}H", 0xFE, len(self.groups), *sorted(self.groups))
            return zcl.Answer(response=zcl.encode(control, frame.tsn, frame.command, told))
        (group,) = struct.unpack_from("<H", frame.payload)
        status = Status.SUCCESS
        if frame.command == 3:
            self.groups.discard(group)
        elif self.takes("groups"):
            self.groups.add(group)
        else:
            status = Status.INSUFFICIENT_SPACE
        return zcl.Answer(response=zcl.encode(control, frame.tsn, frame.command, struct.pack("<BH", status, group)))

    def _poll_control(self, frame: zcl.Frame) -> zcl.Answer:
        if frame.command == 0 and len(frame.payload) == 3:
            start, quarters = struct.unpack("<BH", frame.payload)
            self.fast_poll_seconds = (quarters or 40) / 4 if start else 0.0
            return zcl.Answer()
        if frame.command == 1:
            self.fast_poll_seconds = 0.0
            return zcl.Answer()
        return zcl.Answer(Status.UNSUP_COMMAND if frame.command > 3 else Status.SUCCESS)
