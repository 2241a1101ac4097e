"""Orders: what the engine tells the session of a device, through its radio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from otagate.model.ids import ComponentId, DeviceId, UpdateId


@dataclass(frozen=True, slots=True, kw_only=True)
class Serve:
    """Serve this image to this device. `adopted`: the device was already being served when the process died, so nothing is announced.

    `image` is the whole file as sent, readable by slices without copying. `from_version` is what the device ran when the update was made.
    """

    update: UpdateId
    device: DeviceId
    component: ComponentId
    manufacturer_code: int
    image_type: int
    file_version: int
    image: memoryview
    from_version: int | None
    hardware_min: int | None = None
    hardware_max: int | None = None
    allow_downgrade: bool = False
    hold_activation: bool = False
    adopted: Literal["offering", "transferring", "staged", "activating"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Park:
    """Keep the image pinned, but answer WAIT_FOR_DATA and report a `Knocked` when the device asks for blocks."""

    update: UpdateId


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw:
    """Serve this update no longer: the device gets ABORT at its next block request."""

    update: UpdateId


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Answer WAIT_FOR_DATA until `Resume`."""

    update: UpdateId


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Answer block requests again."""

    update: UpdateId


@dataclass(frozen=True, slots=True, kw_only=True)
class Activate:
    """Tell the device to use the image it holds."""

    update: UpdateId


Order = Serve | Park | Withdraw | Pause | Resume | Activate
