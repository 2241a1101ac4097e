"""Real firmware over a lossy air: every byte arrives, and no rule of the specification is broken on the way."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from zigpy.device import Device

from otagate.model.ids import zigbee_component_id
from otagate_rig.air import AirSettings
from otagate_rig.image import read_header
from otagate_rig.spec import DeviceSpec
from tests.formats.real_images import RealImage, real_images
from tests.journeys.hub import IEEE, assert_updated, ended, journey, ordered, told

LOSSES = [0.0, 0.05, 0.20]
ALL = real_images("zigbee-images")


@pytest.fixture(autouse=True)
def _brisk_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """zigpy gives every answer five seconds, however fast its devices live: here that is as long as an image takes."""
    whole = Device.request

    async def request(self: Device, *frame: Any, **given: Any) -> Any:
        return await whole(self, *frame, **given | {"timeout": 1.0})

    monkeypatch.setattr(Device, "request", request)


def _smallest(count: int) -> list[RealImage]:
    images = [each.values[0] for each in ALL if each.values[0] is not None]
    return sorted(images, key=lambda each: len(each.bytes))[:count]


async def _update_all(tmp_path: Path, images: list[bytes], loss: float, stack: str) -> None:
    headers = [read_header(each) for each in images]
    specs = [
        DeviceSpec(
            ieee=IEEE + number,
            manufacturer_code=header.manufacturer_code,
            image_type=header.image_type,
            file_version=max(header.file_version - 1, 0),
            hardware_version=header.hardware_range[0] if header.hardware_range else None,
            reboot_seconds=200.0,  # half a second here, so that no frame outlives the life that it is for
        )
        for number, header in enumerate(headers)
    ]
    air = AirSettings(speedup=None, timers=400, seed=7)
    async with journey(tmp_path, *specs, images=images, stack=stack, air=air, radio={"parallel": 4}) as run:
        for spec in specs:
            await told(run.desk, spec.ieee)
        medium = run.rig.network.air
        medium.settings = dataclasses.replace(medium.settings, loss=loss)  # from here on: an interview is not what is tried
        updates = {spec.ieee: await ordered(run.desk, spec.ieee) for spec in specs}
        for spec, header, image in zip(specs, headers, images, strict=True):
            update = await ended(run.desk, updates[spec.ieee], within=500)
            assert update.state == "succeeded", update.error
            assert update.component == zigbee_component_id(header.image_type)
            assert_updated(run.device(spec.ieee), image, version=header.file_version)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("stack", "loss"),
    [*(("znp", each) for each in LOSSES), *(pytest.param("ezsp", each, marks=[] if each == max(LOSSES) else pytest.mark.night) for each in LOSSES)],
)
async def test_three_real_images_reach_their_devices_byte_for_byte(tmp_path: Path, stack: str, loss: float) -> None:
    images = _smallest(3)
    if not images:
        pytest.skip("no real images: set OTAGATE_TEST_DATA")
    await _update_all(tmp_path, [each.bytes for each in images], loss, stack)


@pytest.mark.night
@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("image", ALL)
async def test_every_real_image_reaches_its_device_byte_for_byte(tmp_path: Path, image: Any, stack: str, loss: float) -> None:
    await _update_all(tmp_path, [image.bytes], loss, stack)
