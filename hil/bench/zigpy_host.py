"""The peer: zigpy with zigpy-znp or bellows as they are released, and `device.update_firmware` of every device at once."""

from __future__ import annotations

import asyncio
import importlib
import sys
from typing import TYPE_CHECKING, Any

from zigpy.ota import OtaImageWithMetadata
from zigpy.ota.image import parse_ota_image
from zigpy.ota.providers import BaseOtaImageMetadata

from hil.bench.host import READY_BOUND, Caller, Errand

if TYPE_CHECKING:
    from zigpy.device import ZigbeeDevice

LIBRARIES = {"znp": "zigpy_znp.zigbee.application", "ezsp": "bellows.zigbee.application"}


def offer(image: bytes) -> OtaImageWithMetadata:
    """The file as zigpy's own providers would hand it over."""
    firmware, _ = parse_ota_image(image)
    header = firmware.header
    metadata = BaseOtaImageMetadata(
        file_version=header.file_version, manufacturer_id=header.manufacturer_id, image_type=header.image_type, file_size=len(image)
    )
    return OtaImageWithMetadata(metadata=metadata, firmware=firmware)


class Interviews:
    """zigpy's listener: collects the devices whose interview is done."""

    def __init__(self, devices: int) -> None:
        self._devices = devices
        self._all = asyncio.Event()
        self._done: dict[str, ZigbeeDevice] = {}

    def device_initialized(self, device: ZigbeeDevice) -> None:
        """Called by zigpy, for the coordinator too."""
        if int(device.nwk) == 0:
            return
        self._done[str(device.ieee)] = device
        if len(self._done) == self._devices:
            self._all.set()

    async def finished(self) -> list[ZigbeeDevice]:
        """Every device. Raises TimeoutError after 90 s."""
        async with asyncio.timeout(READY_BOUND):
            await self._all.wait()
        return list(self._done.values())


async def run(errand: Errand) -> None:
    """Start on the radio, know the devices, update them all when told to."""
    config: dict[str, Any] = {
        "device": {"path": errand.path},
        "database_path": str(errand.state / "zigpy.db"),
        "ota": {"enabled": False, "broadcast_enabled": False, "providers": []},
        "topology_scan_enabled": False,
    }
    caller = await Caller.connect()
    app = await importlib.import_module(LIBRARIES[errand.stack]).ControllerApplication.new(config, start_radio=False)
    try:
        interviews = Interviews(errand.devices)
        app.add_listener(interviews)
        await app.startup(auto_form=False)
        devices = await interviews.finished()
        await caller.told_to_begin()
        await update(devices, offer(errand.image), caller)
    finally:
        await app.shutdown()


async def update(devices: list[ZigbeeDevice], image: OtaImageWithMetadata, caller: Caller) -> None:
    """All devices at once, until the benchmark has seen enough: zigpy goes on for half a minute after the last block."""
    async with asyncio.TaskGroup() as group:
        updates = [group.create_task(device.update_firmware(image)) for device in devices]
        await caller.gone()
        for each in updates:
            each.cancel()


if __name__ == "__main__":
    asyncio.run(run(Errand.from_arguments(sys.argv[1:])))
