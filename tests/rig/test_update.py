"""A whole update of simulated devices by the little server: what a user of the rig relies on first."""

from __future__ import annotations

import pytest

from otagate_rig.air import AirSettings
from otagate_rig.aps import DeviceKind
from otagate_rig.image import build_image, make_payload
from otagate_rig.network import Network
from otagate_rig.ota_commands import ImageId
from otagate_rig.spec import DeviceSpec
from tests.rig.little_server import IDENTITY, LittleServer

PATIENT = 3_000.0  # a minute here, whatever the machine does meanwhile
ROUTER = DeviceSpec(ieee=0x00158D0000000001, file_version=1, request_timeout=PATIENT)
SLEEPY = DeviceSpec(
    ieee=0x00158D0000000002, file_version=1, request_timeout=PATIENT, kind=DeviceKind.SLEEPY, poll_interval=2.0, fast_poll_interval=0.05
)
IMAGE = build_image(0x1189, 0x0083, 2, payload=make_payload(3000))
KNOWN = {ImageId(0x1189, 0x0083, 2): IMAGE}
FAST = AirSettings(speedup=None, timers=50)


@pytest.mark.asyncio
@pytest.mark.parametrize("ack", [False, True])
async def test_a_router_and_a_sleepy_device_take_an_image_and_come_back_with_the_new_version(ack: bool) -> None:
    async with Network([ROUTER, SLEEPY], air=FAST, identity=IDENTITY, known=KNOWN) as network, LittleServer(network, IMAGE, ack=ack) as server:
        for device in network.devices.values():
            server.notify(device.nwk)
        for device in network.devices.values():
            await device.wait_until(lambda it: it.file_version == 2 and it.powered, 100)
            assert device.ota.received == IMAGE
            assert device.violations == []
            assert device.counters.bytes_again == 0
            assert device.counters.queries == 1
            assert device.counters.block_requests == device.counters.blocks == -(-len(IMAGE) // 63)
            await server.next_frame(lambda frame, nwk=device.nwk: frame.cluster == 0x0013 and frame.src == nwk)
