"""Updates through a real zigbee2mqtt, which keeps its coordinator: ordered here, verified here, carried out there."""

from __future__ import annotations

from pathlib import Path

import pytest

from otagate_rig.spec import DeviceSpec
from tests.journeys.hub import IEEE, assert_updated, device_id, ended, image_of, ordered, radio_is, told
from tests.mqtt.mosquitto import needs_mosquitto
from tests.zigbee2mqtt.house import house

pytestmark = needs_mosquitto


@pytest.mark.asyncio
async def test_a_device_of_zigbee2mqtt_is_seen_recognised_and_updated(tmp_path: Path) -> None:
    image = image_of(3_000)
    async with house(tmp_path, [DeviceSpec(ieee=IEEE)], [image]) as home, home.hub() as hub:
        await radio_is(hub.desk, "up")
        await hub.desk.add_image(image, file_name="x.ota", actor="test")
        await told(hub.desk)
        update = await ended(hub.desk, await ordered(hub.desk))
        assert update.state == "succeeded", update.error
        device = (await hub.desk.device(device_id(IEEE))).device
        assert [each.version for each in device.components] == [0x01000001]
        assert_updated(home.rig.device(IEEE), image)
