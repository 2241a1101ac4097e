"""A network that another program formed: its devices are updated without pairing, and the other program finds it as it was."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from zigpy.application import ControllerApplication
from zigpy.types import EUI64

from otagate.radios.stacks import application_class
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
WITHIN = 200.0


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


def _state_of(rig: Rig) -> object:
    """The network, each device's place in it, and how many questions of an interview it has answered: none of it may change."""
    interviews = {ieee: sum(device.zdo_answers[each] for each in INTERVIEW) for ieee, device in rig.devices.items()}
    return rig.ncp.network, {ieee: (device.nwk, device.identity) for ieee, device in rig.devices.items()}, interviews


async def _updated(folder: Path, rig: Rig, image: bytes) -> None:
    """A hub on the adopted network knows every device by its name, and one of them gets new firmware."""
    async with hub_on(rig, folder / "state") as hub:
        await radio_is(hub.desk, "up")
        for ieee in NAMES:
            await told(hub.desk, ieee)
        await hub.desk.add_image(image, file_name="x.ota", actor="test")
        update = await ended(hub.desk, await ordered(hub.desk))
        assert update.state == "succeeded", update.error
        devices = [(await hub.desk.device(device_id(ieee))).device for ieee in NAMES]
        assert [each.name for each in devices] == list(NAMES.values())
        assert [each.groups for each in devices] == [("hall",), (), ()]
    assert_updated(rig.device(IEEE), image)


@pytest.mark.asyncio
@pytest.mark.parametrize(("stack", "adapter"), [pytest.param("znp", "zstack", marks=pytest.mark.night), ("ezsp", "ember")])  # znp: see test_lent
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
        before = _state_of(rig)

        report = await adopt(tmp_path, rig, str(data), "--from", "z2m")
        assert {each["id"]: each["name"] for each in report["devices"]} == {device_id(ieee): name for ieee, name in NAMES.items()}
        assert report["pinned"] is True
        assert report["left_out"] == report["remarks"] == []
        await _updated(tmp_path, rig, image)
        assert _state_of(rig) == before

        async with Herdsman(program, data, path=rig.path, adapter=adapter) as herdsman:
            assert await herdsman.start() == "resumed"
            for ieee, device in rig.devices.items():
                answer = await herdsman.read_model(ieee)
                assert answer == {"modelId": device.spec.model, "swBuildId": f"{device.file_version:08x}"}
            await herdsman.stop()
        assert [device.violations for device in rig.devices.values()] == [[]] * len(NAMES)


# --- ZHA: zigpy itself, with its own database -------------------------------------------------------------------------------------------------


@asynccontextmanager
async def zigpy_on(stack: str, path: str, database: Path, *, auto_form: bool = True) -> AsyncIterator[ControllerApplication]:
    """zigpy as ZHA runs it, without ZHA's quirks; with `auto_form` it forms a network where there is none."""
    config = {
        "device": {"path": path},
        "database_path": str(database),
        "ota": {"enabled": False, "providers": []},
        "topology_scan_enabled": False,
    }
    app = await application_class(stack).new(config | ({"use_thread": False} if stack == "ezsp" else {}), auto_form=auto_form)
    try:
        yield app
    finally:
        await app.shutdown()


class Interviews:
    """Listens to zigpy until these devices are known, and kept in its database."""

    def __init__(self, app: ControllerApplication, devices: Iterable[int]) -> None:
        self._missing = set(devices)
        self._done = asyncio.Event()
        app.add_listener(self)

    def device_initialized(self, device: Any) -> None:
        self._missing.discard(int.from_bytes(device.ieee.serialize(), "little"))
        if not self._missing:
            self._done.set()

    async def wait(self) -> None:
        async with asyncio.timeout(WITHIN):
            await self._done.wait()


def eui64(ieee: int) -> EUI64:
    return EUI64(ieee.to_bytes(8, "little"))


@pytest.mark.asyncio
@pytest.mark.parametrize(("stack", "port"), [("znp", "pty"), ("ezsp", "pty")])
async def test_a_network_of_zha_is_adopted_updated_and_given_back(tmp_path: Path, stack: str, port: str) -> None:
    home, image = tmp_path / "home", image_of(5_000)
    home.mkdir()
    air = AirSettings(speedup=None)
    async with Rig(stack=stack, port=port, formed=False, devices=_devices(), images=[image], air=air, announce_after=0.1) as rig:
        async with zigpy_on(stack, rig.path, home / "zigbee.db"):
            pass  # a life to form it: EmberZNet forgets the host's endpoints by that
        async with zigpy_on(stack, rig.path, home / "zigbee.db") as app:
            interviews = Interviews(app, NAMES)
            await app.permit(200)
            rig.start_joining()
            await interviews.wait()
            app.groups.add_group(HALL, "hall").add_member(app.devices[eui64(IEEE)].endpoints[1])
            await app.backups.create_backup()
        write_registries(home, NAMES)
        before = _state_of(rig)

        report = await adopt(tmp_path, rig, str(home / "zigbee.db"), "--from", "zha")
        assert {each["id"]: each["name"] for each in report["devices"]} == {device_id(ieee): name for ieee, name in NAMES.items()}
        assert report["pinned"] is True
        assert report["left_out"] == report["remarks"] == []
        await _updated(tmp_path, rig, image)
        assert _state_of(rig) == before

        async with zigpy_on(stack, rig.path, home / "zigbee.db") as app:
            assert len(app.devices) == len(NAMES) + 1
            for ieee, device in rig.devices.items():
                basic = app.devices[eui64(ieee)].endpoints[1].in_clusters[0]
                answer, _ = await basic.read_attributes(["model"], allow_cache=False)
                assert answer == {"model": device.spec.model}
        assert [device.violations for device in rig.devices.values()] == [[]] * len(NAMES)


def write_registries(home: Path, names: dict[int, str]) -> None:
    """Names and rooms as Home Assistant keeps them."""
    (home / ".storage").mkdir()
    devices = [{"connections": [["zigbee", str(eui64(ieee))]], "name_by_user": name, "area_id": "attic"} for ieee, name in names.items()]
    for name, data in (("device", {"devices": devices}), ("area", {"areas": [{"id": "attic", "name": "Attic"}]})):
        (home / ".storage" / f"core.{name}_registry").write_text(json.dumps({"version": 1, "key": f"core.{name}_registry", "data": data}))
