"""What the tests of both emulated coordinators stand on: a small fake of `Medium`, and waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import zigpy.device
import zigpy.types
from zigpy.application import ControllerApplication

from otagate_rig.aps import ApsFrame, Coordinator, Delivery, DeviceKind, NetworkIdentity

DEVICE_IEEE = 0x00158D0000AABB01
DEVICE_NWK = 0x4E21
IDENTITY = NetworkIdentity(pan_id=0x1A62, extended_pan_id=0xDDCC_BBAA_9988_7766, channel=15, network_key=bytes(range(1, 17)))


class FakeMedium:
    """One device that is there or not; everything sent is kept in `sent`."""

    def __init__(self) -> None:
        self.coordinator: Coordinator | None = None
        self.ieee = 0
        self.identity: NetworkIdentity | None = None
        self.ups: list[NetworkIdentity] = []
        self.sent: list[ApsFrame] = []
        self.permits: list[int] = []
        self.delivery = Delivery.SUCCESS
        self.hold: asyncio.Event | None = None
        self.present = True
        self.kind = DeviceKind.ROUTER

    def attach(self, coordinator: Coordinator, *, ieee: int) -> None:
        self.coordinator, self.ieee = coordinator, ieee

    def network_up(self, identity: NetworkIdentity) -> None:
        self.identity = identity
        self.ups.append(identity)

    def network_down(self) -> None:
        self.identity = None

    def permit_joining(self, seconds: int) -> None:
        self.permits.append(seconds)

    def ieee_of(self, nwk: int) -> int | None:
        return DEVICE_IEEE if self.present and nwk == DEVICE_NWK else None

    def nwk_of(self, ieee: int) -> int | None:
        return DEVICE_NWK if self.present and ieee == DEVICE_IEEE else None

    def kind_of(self, nwk: int) -> DeviceKind | None:
        return self.kind if self.ieee_of(nwk) is not None else None

    async def transmit(self, frame: ApsFrame) -> Delivery:
        self.sent.append(frame)
        if self.hold is not None:
            await self.hold.wait()
        return self.delivery

    def join(self, *, parent: int = 0, kind: DeviceKind = DeviceKind.ROUTER, rejoined: bool = False) -> None:
        """The device joins."""
        assert self.coordinator is not None
        self.present, self.kind = True, kind
        self.coordinator.device_joined(ieee=DEVICE_IEEE, nwk=DEVICE_NWK, parent=parent, rejoined=rejoined)

    def say(self, cluster: int, data: bytes, *, ep: int = 0, dst: int = 0, profile: int | None = None, lqi: int = 180, **more: Any) -> None:
        """A frame of the device to the coordinator."""
        assert self.coordinator is not None
        profile = (0x0104 if ep else 0) if profile is None else profile
        frame = ApsFrame(src=DEVICE_NWK, src_ep=ep, dst=dst, dst_ep=ep, profile=profile, cluster=cluster, data=data, **more)
        self.coordinator.frame_received(frame, lqi=lqi)


async def until(condition: Callable[[], bool], *, seconds: float = 10) -> None:
    """Wait for something to become true; fails after `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def initialised(app: ControllerApplication, *ieees: int, timeout: float = 30.0) -> list[zigpy.device.Device]:
    """The host's view of some devices once it has interviewed them."""
    ready = asyncio.Event()
    done: set[zigpy.types.EUI64] = set()  # a device's own `is_initialized` is true before its names are read

    class Listener:
        def device_initialized(self, device: zigpy.device.Device) -> None:
            done.add(device.ieee)
            ready.set()

    app.add_listener(Listener())
    keys = [zigpy.types.EUI64(ieee.to_bytes(8, "little")) for ieee in ieees]
    async with asyncio.timeout(timeout):
        while not done.issuperset(keys):
            ready.clear()
            await ready.wait()
    return [app.devices[key] for key in keys]
