"""Radio libraries by name. Everything that differs between them stands in this table and in the fast path that it names."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from otagate.model.errors import RadioUnavailable

if TYPE_CHECKING:
    from zigpy.application import ControllerApplication


class FastPathUnavailable(Exception):
    """The radio library is not built as the fast path expects: use zigpy's public API."""


class Busy(Exception):
    """The coordinator has no buffer for the frame now."""


Take = Callable[[int, int, int, int, bytes], bool]
"""(source network address, source endpoint, destination endpoint, LQI, ZCL frame) → whether it was taken. Must not raise."""


class FastPath(Protocol):
    """OTA frames in and out beside the radio library's own packet pipeline."""

    def attach(self, app: ControllerApplication, *, take: Take, lost: Callable[[str], None], too_long: Callable[[int], None]) -> None:
        """Begin. Raises FastPathUnavailable.

        `lost` is called with a sentence when the coordinator reset itself; `too_long` with the network address to which a frame did not fit.
        """

    def detach(self) -> None:
        """Leave everything as it was; idempotent."""

    async def send(self, *, nwk: int, endpoint: int, frame: bytes, ack: bool) -> None:
        """Hand one ZCL frame of cluster 0x0019 to the coordinator, without waiting for its delivery.

        Raises Busy, DeviceUnreachable, or FastPathUnavailable when the library has changed underneath.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """One radio library: where its application class is, the extra that installs it, and its fast path as `module:class`."""

    module: str
    extra: str | None = None
    fast_path: str | None = None
    config: dict[str, Any] | None = None


STACKS: dict[str, Stack] = {
    "znp": Stack(module="zigpy_znp.zigbee.application", fast_path="otagate.radios.znp_path:ZnpPath"),
    "ezsp": Stack(module="bellows.zigbee.application", config={"use_thread": False}),
    "deconz": Stack(module="zigpy_deconz.zigbee.application", extra="deconz"),
    "xbee": Stack(module="zigpy_xbee.zigbee.application", extra="xbee"),
    "zigate": Stack(module="zigpy_zigate.zigbee.application", extra="zigate"),
}
"""Radio type of the configuration → library."""


def application_class(radio_type: str) -> type[ControllerApplication]:
    """The library's application class, imported only now (a radio library costs a second). Raises RadioUnavailable naming the extra."""
    stack = STACKS[radio_type]
    try:
        module = importlib.import_module(stack.module)
    except ImportError as error:
        how = f"install otagate[{stack.extra}]" if stack.extra else "install otagate again"
        raise RadioUnavailable(f"radio type {radio_type!r} needs the library {stack.module.split('.')[0]}: {how} ({error})") from None
    chosen: type[ControllerApplication] = module.ControllerApplication
    return chosen


def fast_path(radio_type: str) -> FastPath | None:
    """A new fast path for this radio type, or None where there is none."""
    name = STACKS[radio_type].fast_path
    if name is None:
        return None
    module, _, attribute = name.partition(":")
    path: FastPath = getattr(importlib.import_module(module), attribute)()
    return path


def zigpy_config(
    radio_type: str, *, path: str, database: Path, baudrate: int | None = None, flow_control: str | None = None, channel: int | None = None
) -> dict[str, Any]:
    """The plain configuration for the application's constructor: OTA answers, providers, broadcasts and topology scans of zigpy are off."""
    device: dict[str, Any] = {"path": path}
    if baudrate is not None:
        device["baudrate"] = baudrate
    if flow_control is not None:
        device["flow_control"] = None if flow_control == "none" else flow_control
    config: dict[str, Any] = {
        "device": device,
        "database_path": str(database),
        "ota": {"enabled": False, "broadcast_enabled": False, "providers": []},
        "topology_scan_enabled": False,
    }
    if channel is not None:
        config["network"] = {"channel": channel}
    return config | (STACKS[radio_type].config or {})
