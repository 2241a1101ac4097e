"""An unmodified bellows meets the devices of a whole rig."""

from __future__ import annotations

from typing import Any

import pytest
from ezsp_fakes import running
from tests.rig.medium import initialised

from otagate_rig.air import AirSettings
from otagate_rig.aps import DeviceKind
from otagate_rig.control import build_rig, describe
from otagate_rig.ezsp import EzspNcp
from otagate_rig.rig import Rig
from otagate_rig.spec import DeviceSpec

ROUTER = DeviceSpec(ieee=0x00158D0000000001, file_version=0x10, model="Plug", manufacturer="Works")
SLEEPY = DeviceSpec(ieee=0x00158D0000000002, kind=DeviceKind.SLEEPY, model="Sensor", hops=2, poll_interval=1.0)
CHILD = DeviceSpec(ieee=0x00158D0000000003, kind=DeviceKind.SLEEPY, model="Button", poll_interval=1.0)
AIR = AirSettings(speedup=None, timers=20)


def quiet(**more: Any) -> dict[str, Any]:
    return {"backup_enabled": False, "startup_energy_scan": False, **more}


@pytest.mark.parametrize("port", ["pty", "tcp"])
@pytest.mark.asyncio
async def test_devices_of_a_formed_network_are_interviewed_by_their_announcement(port: str) -> None:
    async with Rig(stack="ezsp", port=port, devices=[ROUTER, SLEEPY, CHILD], air=AIR) as rig, running(rig.path, **quiet()) as app:
        plug, sensor, button = await initialised(app, ROUTER.ieee, SLEEPY.ieee, CHILD.ieee)
        assert (plug.manufacturer, plug.model) == ("Works", "Plug")
        assert (sensor.model, button.model) == ("Sensor", "Button")
        assert plug.node_desc.is_router
        assert not sensor.node_desc.is_receiver_on_when_idle
        assert set(plug.endpoints[1].out_clusters) == {0x0019}
        await plug.endpoints[1].on_off.on()
        assert rig.device(ROUTER.ieee).application.on
        assert rig.device(ROUTER.ieee).violations == []


@pytest.mark.asyncio
async def test_devices_join_an_open_network_and_only_an_open_one() -> None:
    async with Rig(stack="ezsp", devices=[ROUTER, CHILD], formed=False, air=AIR) as rig:
        async with running(rig.path, auto_form=True, **quiet()):
            # Forming resets the stick, and bellows registers its endpoints only when it connects: the session that formed hears no device.
            assert rig.ncp.network_is_up
        async with running(rig.path, **quiet()) as app:
            rig.start_joining()
            assert rig.device(ROUTER.ieee).identity is None
            await app.permit(60)
            plug, button = await initialised(app, ROUTER.ieee, CHILD.ieee)
            assert (plug.model, button.model) == ("Plug", "Button")
            assert rig.device(ROUTER.ieee).identity == rig.ncp.network
            assert isinstance(rig.ncp, EzspNcp)
            assert list(rig.ncp.tokens.children().values()) == [(CHILD.ieee, button.nwk)]


@pytest.mark.asyncio
async def test_devices_tell_their_relays_to_a_host_that_asks_for_source_routing() -> None:
    far = DeviceSpec(ieee=0x00158D0000000009, hops=3, records_route=True, model="Far")
    async with Rig(stack="ezsp", devices=[far], air=AIR) as rig, running(rig.path, source_routing=True, **quiet()) as app:
        (device,) = await initialised(app, far.ieee)
        assert device.model == "Far"
        assert len(device.relays) == 2
        assert device.relays[0] == rig.device(far.ieee).parent


@pytest.mark.asyncio
async def test_a_device_that_is_told_to_leave_is_gone() -> None:
    async with Rig(stack="ezsp", devices=[ROUTER], air=AIR) as rig, running(rig.path, **quiet()) as app:
        (plug,) = await initialised(app, ROUTER.ieee)
        await plug.zdo.leave()
        await rig.device(ROUTER.ieee).wait_until(lambda it: it.identity is None, 5)
        assert rig.network.nwk_of(ROUTER.ieee) is None


@pytest.mark.asyncio
async def test_a_scenario_can_ask_for_this_stack_and_its_state_is_told() -> None:
    async with build_rig({"stack": "ezsp", "port": "tcp", "devices": [{"ieee": "00158d0000000001"}]}) as rig:
        state = describe(rig)
        assert state["ncp"]["resets"] == 1
        assert state["ncp"]["network_is_up"] is False
