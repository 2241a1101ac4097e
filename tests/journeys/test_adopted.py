"""A network that another program formed: its devices are updated without pairing, and the other program finds it as it was."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from otagate.daemon import Hub
from otagate_rig import zdo
from otagate_rig.air import AirSettings
from otagate_rig.aps import DeviceKind
from otagate_rig.rig import Rig
from otagate_rig.spec import DeviceSpec
from tests.journeys.herdsman import Herdsman, installed, write_configuration
from tests.journeys.hub import IEEE, OTHER_IEEE, RADIO, assert_updated, device_id, ended, hub_on, image_of, ordered, radio_is, told

ASLEEP_IEEE = 0x000D6F000A9069E9
NAMES = {IEEE: "küche/lampe", OTHER_IEEE: "on", ASLEEP_IEEE: "0x12"}
HALL = 7
INTERVIEW = (zdo.NODE_DESC_REQ, zdo.ACTIVE_EP_REQ, zdo.SIMPLE_DESC_REQ)
WITHIN = 60.0


def _devices() -> list[DeviceSpec]:
    return [
        DeviceSpec(ieee=IEEE),
        DeviceSpec(ieee=OTHER_IEEE, model="Lamp", image_type=0x0084),
        DeviceSpec(ieee=ASLEEP_IEEE, kind=DeviceKind.SLEEPY, model="Button", image_type=0x0085, poll_interval=1.0),
    ]


async def adopt(folder: Path, rig: Rig, *arguments: str) -> dict[str, Any]:
    """The command itself, in a process of its own; returns what it told."""
    config = folder / "otagate.yaml"
    radio = {"name": RADIO, "type": rig.stack, "path": rig.path}
    config.write_text(yaml.safe_dump({"state_dir": str(folder / "state"), "radios": [radio]}))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "otagate", "adopt", RADIO, *arguments, "--config", str(config), "--json",
        env=os.environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(WITHIN):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert err == b""
    return dict(json.loads(out))


def _interviews(rig: Rig) -> int:
    """Questions of an interview that devices have answered so far."""
    return sum(device.zdo_answers[each] for device in rig.devices.values() for each in INTERVIEW)


async def _names(hub: Hub) -> dict[int, str]:
    return {ieee: (await hub.desk.device(device_id(ieee))).device.name for ieee in NAMES}


@pytest.mark.asyncio
@pytest.mark.parametrize(("stack", "adapter"), [("znp", "zstack")])
async def test_a_network_of_zigbee2mqtt_is_adopted_updated_and_given_back(tmp_path: Path, stack: str, adapter: str) -> None:
    program, data, image = installed(), tmp_path / "zigbee2mqtt", image_of(5_000)
    air = AirSettings(speedup=None)
    async with Rig(stack=stack, port="tcp", formed=False, devices=_devices(), images=[image], air=air, announce_after=0.1) as rig:
        async with Herdsman(program, data, path=rig.path, adapter=adapter) as herdsman:
            assert await herdsman.start() == "reset"
            await herdsman.ask("permit", seconds=200)
            rig.start_joining()
            await herdsman.interviews(len(NAMES))
            await herdsman.ask("group", number=HALL, ieee=f"0x{IEEE:016x}", endpoint=1)
            await herdsman.stop()
        write_configuration(data, devices=NAMES, groups={HALL: "hall"})
        interviews, network, addresses = _interviews(rig), rig.ncp.network, {ieee: device.nwk for ieee, device in rig.devices.items()}

        report = await adopt(tmp_path, rig, str(data), "--from", "z2m")
        assert {each["id"]: each["name"] for each in report["devices"]} == {device_id(ieee): name for ieee, name in NAMES.items()}
        assert report["pinned"] is True
        assert report["left_out"] == report["remarks"] == []

        async with hub_on(rig, tmp_path / "state") as hub:
            await radio_is(hub.desk, "up")
            for ieee in NAMES:
                await told(hub.desk, ieee)
            assert await _names(hub) == NAMES
            assert (await hub.desk.device(device_id(IEEE))).device.groups == ("hall",)
            await hub.desk.add_image(image, file_name="x.ota", actor="test")
            update = await ended(hub.desk, await ordered(hub.desk))
            assert update.state == "succeeded", update.error
            assert await _names(hub) == NAMES
        assert_updated(rig.device(IEEE), image)
        assert _interviews(rig) == interviews
        assert rig.ncp.network == network
        assert {ieee: device.nwk for ieee, device in rig.devices.items()} == addresses

        async with Herdsman(program, data, path=rig.path, adapter=adapter) as herdsman:
            assert await herdsman.start() == "resumed"
            for ieee, device in rig.devices.items():
                answer = await herdsman.read_model(ieee)
                assert answer == {"modelId": device.spec.model, "swBuildId": f"{device.file_version:08x}"}
            await herdsman.stop()
        assert [device.violations for device in rig.devices.values()] == [[]] * len(NAMES)
