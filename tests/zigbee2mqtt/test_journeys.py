"""Updates through a real zigbee2mqtt, which keeps its coordinator: ordered here, verified here, carried out there."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from otagate.model.errors import CannotPause
from otagate.model.ids import UpdateId
from otagate_rig.aps import DeviceKind
from otagate_rig.spec import Behaviours, DeviceSpec
from tests.cli.conftest import otagate
from tests.journeys import readme
from tests.journeys.hub import IEEE, OLD, assert_updated, device_id, ended, fact, image_of, ordered, radio_is, reached, told
from tests.mqtt.mosquitto import ear, needs_mosquitto
from tests.zigbee2mqtt.house import house

pytestmark = needs_mosquitto


RECIPE = "Beside zigbee2mqtt, which keeps its stick"


@pytest.mark.asyncio
async def test_the_configuration_of_the_recipe_is_right(tmp_path: Path) -> None:
    (tmp_path / "otagate.yaml").write_text("\n".join(readme.block(RECIPE, 0)) + "\n")
    outcome = await otagate("check-config", str(tmp_path / "otagate.yaml"))
    assert (outcome.code, outcome.err) == (0, "")
    assert "type: zigbee2mqtt" in outcome.out


@pytest.mark.asyncio
async def test_a_device_of_zigbee2mqtt_is_seen_recognised_and_updated_as_the_recipe_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = image_of(3_000)
    async with house(tmp_path, [DeviceSpec(ieee=IEEE)], [image]) as home, home.hub() as hub:
        await radio_is(hub.desk, "up")
        await hub.desk.add_image(image, file_name="x.ota", actor="test")
        await told(hub.desk)
        monkeypatch.setenv("OTAGATE_URL", hub.server.addresses[0])
        monkeypatch.setenv("OTAGATE_TOKEN_FILE", str(tmp_path / "state" / "api-token"))
        said = [await otagate(*shlex.split(line)[1:]) for line in readme.block(RECIPE, 1)]
        assert [each.code for each in said] == [0, 0, 0], said
        radios, devices, update = (each.out for each in said)
        assert "zigbee2mqtt 2.14.1 at topic zigbee2mqtt, 1 devices" in " ".join(radios.split())
        assert "0x01000000" in devices
        assert "succeeded" in update
        device = (await hub.desk.device(device_id(IEEE))).device
        assert [each.version for each in device.components] == [0x01000001]
        assert_updated(home.rig.device(IEEE), image)


LAMPS = (IEEE, IEEE + 1, IEEE + 2, IEEE + 3)


@pytest.mark.asyncio
@pytest.mark.night
async def test_three_updates_go_one_at_a_time_through_restarts_of_the_broker_and_of_zigbee2mqtt(tmp_path: Path) -> None:
    """The first lives through a restart of the broker, the second through one of zigbee2mqtt; the third fails, and says why."""
    kinds = [0x0083, 0x0084, 0x0085, 0x0086]
    images = [image_of(9_000 + number, image_type=kind) for number, kind in enumerate(kinds)]
    bad = {LAMPS[2]: Behaviours(end_status=0x96)}
    specs = [
        DeviceSpec(ieee=ieee, image_type=kind, model=f"Lamp {kind:x}", behaviours=bad.get(ieee, Behaviours()))
        for ieee, kind in zip(LAMPS, kinds, strict=True)
    ]
    async with house(tmp_path, specs, images) as home, home.hub(policy={"retries": 3}) as hub:
        await radio_is(hub.desk, "up")
        for image in images:
            await hub.desk.add_image(image, file_name="x.ota", actor="test")
        for ieee in LAMPS:
            await told(hub.desk, ieee)
        first, second, third = [await ordered(hub.desk, ieee) for ieee in LAMPS[:3]]
        lamps = [home.rig.device(ieee) for ieee in LAMPS]

        await reached(lamps[0], 0.2)
        assert [each.ota.download for each in lamps[1:]] == [None] * 3
        await home.broker.kill()
        await home.broker.start()
        assert (await ended(hub.desk, first)).state == "succeeded"

        await reached(lamps[1], 0.2)
        await home.program.kill()
        await home.program.start()
        assert (await ended(hub.desk, second)).state == "succeeded"

        failed = await ended(hub.desk, third)
        assert (failed.state, failed.error and failed.error.code) == ("failed", "image-rejected-by-device")
        assert failed.error is not None
        assert "INVALID_IMAGE" in failed.error.detail
        assert_updated(lamps[0], images[0])
        assert_updated(lamps[1], images[1])
        assert [each.file_version for each in lamps[2:]] == [OLD, OLD]
        assert [each.violations for each in lamps[2:]] == [[], []]
        assert [home.orders(ieee) for ieee in LAMPS] == [1, 2, 1, 0]  # what zigbee2mqtt forgot was ordered anew, and nothing else


@pytest.mark.asyncio
@pytest.mark.night
async def test_a_hub_that_ends_in_mid_update_finds_it_again_and_orders_nothing_twice(tmp_path: Path) -> None:
    image = image_of(9_000)
    async with house(tmp_path, [DeviceSpec(ieee=IEEE)], [image]) as home:
        async with home.hub() as hub:
            await radio_is(hub.desk, "up")
            await hub.desk.add_image(image, file_name="x.ota", actor="test")
            await told(hub.desk)
            update = await ordered(hub.desk)
            await reached(home.rig.device(IEEE), 0.2)
        async with home.hub() as hub:
            assert (await ended(hub.desk, update)).state == "succeeded"
        assert_updated(home.rig.device(IEEE), image)
        assert home.orders(IEEE) == 1


@pytest.mark.asyncio
@pytest.mark.night
async def test_what_runs_in_zigbee2mqtt_can_be_cancelled_and_not_paused(tmp_path: Path) -> None:
    image = image_of(20_000)
    async with house(tmp_path, [DeviceSpec(ieee=IEEE)], [image]) as home, home.hub() as hub:
        await radio_is(hub.desk, "up")
        await hub.desk.add_image(image, file_name="x.ota", actor="test")
        await told(hub.desk)
        update = await ordered(hub.desk)
        await reached(home.rig.device(IEEE), 0.1)
        with pytest.raises(CannotPause, match="its radio knows no pause"):
            await hub.desk.pause(update, actor="test")
        await hub.desk.cancel(update, actor="test")
        assert (await ended(hub.desk, update)).state == "cancelled"
        device = home.rig.device(IEEE)
        await device.wait_until(lambda it: it.ota.oracle.counters.aborts == 1, 60)
        assert (device.file_version, device.violations) == (OLD, [])


@pytest.mark.asyncio
@pytest.mark.night
async def test_an_update_that_somebody_begins_in_zigbee2mqtt_itself_is_shown_and_left_alone(tmp_path: Path) -> None:
    image = image_of(9_000)
    (tmp_path / "own.ota").write_bytes(image)
    async with house(tmp_path, [DeviceSpec(ieee=IEEE)], [image]) as home, home.hub() as hub, ear(home.broker) as heard:
        await radio_is(hub.desk, "up")
        await hub.desk.add_image(image, file_name="x.ota", actor="test")
        await told(hub.desk)
        request = {"id": f"0x{IEEE:016x}", "url": str(tmp_path / "own.ota")}
        await heard.say("zigbee2mqtt/bridge/request/device/ota_update/update", json.dumps(request))
        seen = await fact(hub.desk, lambda each: each.subject == "update" and each.data.get("state") == "transferring")
        foreign = await ended(hub.desk, UpdateId(seen.subject_id))
        assert (foreign.foreign, foreign.state) == (True, "succeeded")
        assert_updated(home.rig.device(IEEE), image)
        assert home.orders(IEEE) == 1  # somebody else's


@pytest.mark.asyncio
@pytest.mark.night
async def test_a_device_that_sleeps_takes_its_update_when_it_asks(tmp_path: Path) -> None:
    image = image_of(3_000)
    sensor = DeviceSpec(ieee=IEEE, kind=DeviceKind.SLEEPY, model="Button", poll_interval=1.0)
    async with house(tmp_path, [sensor], [image]) as home, home.hub() as hub:
        await radio_is(hub.desk, "up")
        await hub.desk.add_image(image, file_name="x.ota", actor="test")
        home.rig.announce()
        await told(hub.desk)
        update = await ended(hub.desk, await ordered(hub.desk, force=True))
        assert update.state == "succeeded", update.error
        assert_updated(home.rig.device(IEEE), image)
