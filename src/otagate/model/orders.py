"""Orders: what the engine tells the session of a device, through its radio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from otagate.model.ids import ComponentId, DeviceId, Sha256, UpdateId
from otagate.model.versions import Version

Adopted = Literal["offering", "transferring", "staged", "activating"]
"""Where a session takes up an update that this process did not begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serve:
    """Serve this image to this Zigbee device. `adopted`: it was already being served when the process died, so nothing is announced.

    `image` is the whole file as sent, readable by slices without copying. `from_version` is what the device ran when the update was made.
    `hold_activation`: it waits with the whole image until it is told to use it; `released`: that was said already, so it is told when it asks.
    `together`: with so many devices this begins for the same image at one moment, itself included. `begun`: the device may hold a part of this very
    image from an earlier attempt; else what it goes on with in the middle is a part of another file, be it of the same version. `digest` tells the
    image from others: what the device got of it under an order that was withdrawn is a part of it too.
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
    released: bool = False
    together: int = 1
    begun: bool = False
    digest: Sha256 | None = None
    adopted: Adopted | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Have this image sent to this firmware target of a Z-Wave node. `adopted`: the driver may be at it already, so it is asked first.

    `image` is the decoded firmware, exactly the bytes that the node is sent. `to_version` is None where nobody knows which one that is.
    """

    update: UpdateId
    device: DeviceId
    component: ComponentId
    image: memoryview
    from_version: Version | None
    to_version: Version | None
    hold_activation: bool = False
    adopted: Adopted | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegate:
    """Have the cloud of this device update it, by way of this `source`: to what the cloud offers, or to an `image` that is published there.

    `adopted`: that may have been ordered already, and is not ordered again.
    """

    update: UpdateId
    device: DeviceId
    component: ComponentId
    source: str
    to_version: Version | None
    image: Sha256 | None = None
    adopted: Adopted | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Tell what becomes of an update that another program began at this component of a device."""

    update: UpdateId
    device: DeviceId
    component: ComponentId


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
class Dismiss:
    """The radio goes away: answer WAIT_FOR_DATA with so many seconds until it is back."""

    update: UpdateId
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Activate:
    """Tell the device to use the image it holds."""

    update: UpdateId


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Hold the image back no longer: the device is told to use it when it asks, which may be hours from now, or never."""

    update: UpdateId


Order = Serve | Send | Delegate | Watch | Park | Withdraw | Pause | Resume | Dismiss | Activate | Release
