"""An update waits for a topic: while the broker is away, while it says no, and until it says yes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from otagate.config import HubSettings
from otagate.daemon import Pace, running
from otagate.engine import inquiries
from otagate_rig.air import AirSettings
from otagate_rig.rig import Rig
from otagate_rig.spec import DeviceSpec
from tests.journeys.hub import IEEE, fact, hub_settings, image_of, ordered, radio_is, told
from tests.mqtt.mosquitto import Mosquitto, ear, needs_mosquitto

pytestmark = [pytest.mark.asyncio, needs_mosquitto]


async def test_a_broker_that_is_away_holds_updates_back_and_the_hub_up_until_a_topic_says_yes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inquiries, "FRESH", 0.5)
    image, broker = image_of(4_000), Mosquitto(tmp_path)
    more = {
        "mqtt": {"url": broker.url, "home_assistant": False},
        "interlocks": [{"name": "away", "topic": "building/away", "allow": "ON"}],
        "policy": {"interlocks": "away"},
    }
    async with Rig(devices=(DeviceSpec(ieee=IEEE),), images=[image], air=AirSettings(speedup=None)) as rig:
        plain = hub_settings(tmp_path / "state", rig.path).model_dump(by_alias=True, exclude_none=True)
        async with running(HubSettings.model_validate(plain | more), pace=Pace.scaled(100)) as hub:
            await radio_is(hub.desk, "up")
            rig.announce()
            await told(hub.desk)
            await hub.desk.add_image(image, file_name="firmware.ota", actor="test")
            update = await ordered(hub.desk, IEEE)
            await fact(hub.desk, lambda each: each.subject_id == update and each.data.get("reason") == "interlock")
            async with asyncio.timeout(60):
                while "the MQTT broker cannot be asked" not in str((await hub.desk.update(update)).sentence):
                    await asyncio.sleep(0.05)
            async with broker, ear(broker) as world:
                await world.say("building/away", "ON", retain=True)
                await fact(hub.desk, lambda each: each.subject_id == update and each.data.get("state") == "succeeded")
