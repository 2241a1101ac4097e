"""Home Assistant at a real broker: sees the devices of a hub, presses install, follows it to the end; and everything that could mislead it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from otagate.config import HubSettings, MqttSettings
from otagate.daemon import Pace, running
from otagate.engine.patches import DevicePatch
from otagate.homeassistant import farewell, mirror
from otagate.homeassistant.discovery import readable
from otagate_rig.air import AirSettings
from otagate_rig.rig import Rig
from otagate_rig.spec import DeviceSpec
from tests.journeys.hub import IEEE, NEW, OTHER_IEEE, device_id, hub_settings, image_of, radio_is, told
from tests.mqtt.home_assistant import check_message, check_state
from tests.mqtt.mosquitto import Mosquitto, ear, needs_mosquitto

pytestmark = [pytest.mark.asyncio, needs_mosquitto]

CONFIG = f"homeassistant/device/otagate_{device_id(IEEE)}/config"
OTHER_CONFIG = f"homeassistant/device/otagate_{device_id(OTHER_IEEE)}/config"
STATE = f"otagate/devices/{device_id(IEEE)}"
UPDATE = f"{STATE}/components/0x0083"
INSTALL = f"otagate/orders/{device_id(IEEE)}/install/0x0083"
HOSTILE = "<script>\u202egnp.exe\x1b[2J/+#" + "x" * 4096


def with_broker(rig: Rig, folder: Path, broker: Mosquitto, **mqtt: Any) -> HubSettings:
    settings = hub_settings(folder, rig.path)
    told = {"mqtt": {"url": broker.url, **mqtt}, "notify": [{"name": "house", "type": "mqtt", "severity": "info"}]}
    return HubSettings.model_validate(settings.model_dump(by_alias=True, exclude_none=True) | told)


async def test_home_assistant_installs_through_a_broker_that_dies_meanwhile_and_learns_all_again_when_it_is_born(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "EVERY", 0.05)
    monkeypatch.setattr(mirror, "PROGRESS", 0.2)
    image = image_of(30_000)
    rig = Rig(devices=(DeviceSpec(ieee=IEEE), DeviceSpec(ieee=OTHER_IEEE)), images=[image], air=AirSettings(speedup=10))
    async with Mosquitto(tmp_path) as broker, rig as hardware:
        async with ear(broker) as world:
            await world.say("homeassistant/device/otagate_zigbee-00000000000000ff/config", _left_behind(), retain=True)
            await world.say("homeassistant/device/other/config", '{"origin": {"name": "else"}}', retain=True)
            await world.say(INSTALL, "INSTALL", retain=True)  # never carried out
        async with running(with_broker(hardware, tmp_path / "state", broker), pace=Pace.scaled(30)) as hub:
            desk = hub.desk
            await radio_is(desk, "up")
            hardware.announce()
            async with ear(broker) as world:
                await told(desk)
                await told(desk, OTHER_IEEE)
                await desk.amend(device_id(OTHER_IEEE), DevicePatch(name=HOSTILE), actor="test")
                await desk.add_image(image, file_name="firmware.ota", actor="test")
                await world.says(UPDATE, lambda said: said.get("latest_version") == "0x01000001")
                hostile = await world.says(OTHER_CONFIG, lambda said: bool(said) and "script" in said["device"]["name"])
                check_message(OTHER_CONFIG, hostile)
                assert len(hostile["device"]["name"]) < 80
                assert hostile["device"]["name"].isprintable()
                message = await world.says(CONFIG)
                check_message(CONFIG, message)
                assert message["components"]["update_0x0083"]["command_topic"] == INSTALL
                assert message["device"]["identifiers"] != hostile["device"]["identifiers"]
                await world.until(lambda: not world.last.get("homeassistant/device/otagate_zigbee-00000000000000ff/config"))
                assert world.last["homeassistant/device/other/config"]
                assert [each.update.state for each in (await desk.updates()).items] == []

                for payload in (b"\xff" * 5000, b"install", b""):
                    await world.say(INSTALL, payload)
                await world.say("otagate/orders/<script>\u202enobody/install/0", "INSTALL")
                await world.say(INSTALL, "INSTALL")
                moving = await world.says(UPDATE, lambda said: said["update_percentage"] is not None)
                check_state(moving)
                await broker.kill()
            await broker.start()
            async with ear(broker) as world:
                await world.says(UPDATE, lambda said: said.get("installed_version") == "0x01000001" and not said["in_progress"])
                assert await world.says(STATE, lambda said: said["state"] == "succeeded")
                notices = (await world.says("otagate/notices/house"))["notices"]
                assert [each["text"] for each in notices] == [f"The update of {device_id(IEEE)} succeeded."]
                assert b"otagate_mqtt_up 1.0" in generate_latest(hub.desk.metrics)
                assert (await hub.desk.health()).broker == "ok"
                for state in world.documents(UPDATE):
                    check_state(state)
                (update,) = (await desk.updates()).items
                assert update.update.actor == "mqtt"
                before = len(world.documents(CONFIG))
                await world.say("homeassistant/status", "online")
                await world.until(lambda: len(world.documents(CONFIG)) > before)
                check_message(CONFIG, await world.says(CONFIG))


async def test_the_version_that_was_chosen_there_is_the_one_that_is_installed_also_after_a_restart_of_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "EVERY", 0.05)
    target = "target_0x0083"
    async with Mosquitto(tmp_path) as broker, Rig(devices=(DeviceSpec(ieee=IEEE),), air=AirSettings(speedup=20)) as hardware, ear(broker) as world:
        settings = with_broker(hardware, tmp_path / "state", broker)
        async with running(settings, pace=Pace.scaled(30)) as hub:
            await radio_is(hub.desk, "up")
            hardware.announce()
            await told(hub.desk)
            for version in (NEW, NEW + 1):
                await hub.desk.add_image(image_of(3_000, version=version), file_name=f"{version}.ota", actor="test")
            chooses = ["newest", "0x01000002", "0x01000001"]
            await world.says(CONFIG, lambda said: said["components"].get(target, {}).get("options") == chooses)
            await world.say(f"otagate/orders/{device_id(IEEE)}/target/0x0083", "0x01000001")
            await world.says(STATE, lambda said: said.get(target) == "0x01000001")
        world.last.clear()
        async with running(settings, pace=Pace.scaled(30)) as hub:
            await radio_is(hub.desk, "up")
            assert (await world.says(STATE))[target] == "0x01000001", "the first that is said"
            await world.say(INSTALL, "INSTALL")
            await world.says(UPDATE, lambda said: said.get("installed_version") == "0x01000001" and not said["in_progress"])
            assert (await world.says(STATE, lambda said: said["state"] == "available"))[target] == "newest", "and the newest is offered again"


async def test_discovery_that_is_turned_off_leaves_nothing_of_this_hub_at_the_broker_and_all_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in (mirror, farewell):
        monkeypatch.setattr(each, "EVERY", 0.05)
    settings = HubSettings.model_validate({"state_dir": tmp_path / "state", "api": {"listen": ["127.0.0.1:0"]}})
    foreign, hub_config, hub_state = "homeassistant/device/other/config", "homeassistant/device/otagate_hub/config", "otagate/hub"
    async with Mosquitto(tmp_path) as broker, ear(broker) as world:
        shown, hidden = (settings.model_copy(update={"mqtt": MqttSettings(url=broker.url, home_assistant=each)}) for each in (True, False))
        await world.say(foreign, '{"origin": {"name": "else"}}', retain=True)
        async with running(shown, pace=Pace.scaled(30)):
            await world.says(hub_config)
            await world.says(hub_state)
        await world.say(CONFIG, json.dumps(json.loads(_left_behind()) | {"components": {"update_0x0083": {"platform": "update"}}}), retain=True)
        await world.say(UPDATE, "{}", retain=True)
        async with running(hidden, pace=Pace.scaled(30)):
            await world.until(lambda: all(world.last.get(each) == b"" for each in (hub_config, hub_state, CONFIG, STATE, UPDATE)))
        async with ear(broker) as later:
            await later.says(foreign)
            await later.says("otagate/status", lambda said: said is None or said)
    assert set(later.retained) == {foreign, "otagate/status"}


def _left_behind() -> str:
    return json.dumps({"origin": {"name": "otagate"}, "availability": [{"topic": "otagate/status"}]})


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\u202eb\x1b[2J", "a b [2J"), ("  ", ""), ("x" * 65, "x" * 63 + "…"), ("Küche 灯", "Küche 灯"), ("a\nb\ud800", "a b")],
)
async def test_names_from_outside_are_one_readable_line(text: str, shown: str) -> None:
    assert readable(text) == shown
