"""An unmodified zigpy-znp interviews the devices of a rig as it would real ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from zigpy_znp.zigbee.application import ControllerApplication

from otagate_rig.air import AirSettings
from otagate_rig.aps import DeviceKind
from otagate_rig.rig import Rig
from otagate_rig.spec import Behaviours, DeviceSpec
from tests.rig.medium import initialised

ROUTER = DeviceSpec(ieee=0x00158D0000000001, file_version=0x10, model="Plug", manufacturer="Works", node_manufacturer_code=0x1166)
SLEEPY = DeviceSpec(
    ieee=0x00158D0000000002,
    kind=DeviceKind.SLEEPY,
    model="Sensor",
    hops=2,
    poll_interval=1.0,
    behaviours=Behaviours(checks_in=30.0),
)
OTA_ATTRIBUTES = ["current_file_version", "manufacturer_id", "image_type_id", "image_upgrade_status"]
AIR = AirSettings(speedup=None, timers=20)


@asynccontextmanager
async def host(path: str) -> AsyncIterator[ControllerApplication]:
    config = {
        "device": {"path": path},
        "ota": {"enabled": False},
        "topology_scan_enabled": False,
        "backup_enabled": False,
        "database_path": None,
        "startup_energy_scan": False,
    }
    app = ControllerApplication(config)
    await app.startup(auto_form=True)
    try:
        yield app
    finally:
        await app.shutdown()


@pytest.mark.asyncio
@pytest.mark.parametrize("port", ["pty", "tcp"])
async def test_devices_of_a_formed_network_are_interviewed_by_their_announcement(port: str) -> None:
    async with Rig(port=port, devices=[ROUTER, SLEEPY], air=AIR) as rig, host(rig.path) as app:
        plug, sensor = await initialised(app, ROUTER.ieee, SLEEPY.ieee)
        assert (plug.manufacturer, plug.model) == ("Works", "Plug")
        assert (sensor.manufacturer, sensor.model) == ("Rig Works", "Sensor")
        assert plug.node_desc.is_mains_powered
        assert plug.node_desc.is_router
        assert not sensor.node_desc.is_receiver_on_when_idle
        assert plug.node_desc.manufacturer_code == 0x1166 != ROUTER.manufacturer_code
        assert set(plug.endpoints[1].in_clusters) == {0x0000, 0x0003, 0x0004, 0x0006}
        assert set(plug.endpoints[1].out_clusters) == {0x0019}
        assert set(sensor.endpoints[1].in_clusters) == {0x0000, 0x0001, 0x0003, 0x0006, 0x0020}


@pytest.mark.asyncio
async def test_devices_join_an_open_network_and_only_an_open_one() -> None:
    async with Rig(devices=[ROUTER], formed=False, air=AIR) as rig, host(rig.path) as app:
        rig.start_joining()
        assert rig.device(ROUTER.ieee).identity is None
        await app.permit(60)
        await rig.device(ROUTER.ieee).wait_until(lambda it: it.identity is not None, 5)
        (plug,) = await initialised(app, ROUTER.ieee)
        assert plug.model == "Plug"
        assert rig.device(ROUTER.ieee).identity == rig.ncp.network


@pytest.mark.asyncio
async def test_ordinary_traffic_and_ota_attributes_answer() -> None:
    async with Rig(devices=[ROUTER], air=AIR, announce_after=None) as rig, host(rig.path) as app:
        rig.announce()
        (plug,) = await initialised(app, ROUTER.ieee)
        await plug.endpoints[1].on_off.on()
        assert rig.device(ROUTER.ieee).application.on
        read, failed = await plug.endpoints[1].basic.read_attributes(["sw_build_id", "app_version", "location_desc"])
        assert read["sw_build_id"] == "00000010"
        assert failed == {"location_desc": 0x86}
        read, failed = await plug.endpoints[1].out_clusters[0x0019].read_attributes(OTA_ATTRIBUTES)
        assert read == {"current_file_version": 0x10, "manufacturer_id": 0x1189, "image_type_id": 0x83, "image_upgrade_status": 0}
        assert [seen.command for seen in rig.device(ROUTER.ieee).commands] == [1]
        assert rig.device(ROUTER.ieee).violations == []


@pytest.mark.asyncio
async def test_a_device_that_is_told_to_leave_is_gone() -> None:
    async with Rig(devices=[ROUTER], air=AIR, announce_after=None) as rig, host(rig.path) as app:
        rig.announce()
        (plug,) = await initialised(app, ROUTER.ieee)
        await plug.zdo.leave()
        await rig.device(ROUTER.ieee).wait_until(lambda it: it.identity is None, 5)
        assert rig.network.nwk_of(ROUTER.ieee) is None
