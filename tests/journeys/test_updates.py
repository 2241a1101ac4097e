"""One device from an order to its new version, as an operator would see it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import zigpy_znp.zigbee.application

from otagate.radios import stacks
from otagate_rig.aps import DeviceKind
from otagate_rig.spec import Behaviours, DeviceSpec
from tests.journeys.hub import IEEE, NEW, assert_updated, device_id, ended, fact, image_of, journey, radio_is, state_is, told


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("stack", "port", "kind"),
    [
        ("znp", "pty", DeviceKind.ROUTER),
        ("znp", "pty", DeviceKind.END_DEVICE),
        ("znp", "tcp", DeviceKind.ROUTER),
        ("znp", "tcp", DeviceKind.SLEEPY),
        ("ezsp", "pty", DeviceKind.SLEEPY),
        ("ezsp", "tcp", DeviceKind.ROUTER),
    ],
)
async def test_a_device_gets_new_firmware_and_tells_its_version(tmp_path: Path, stack: str, port: str, kind: DeviceKind) -> None:
    image = image_of(3_000 if kind is DeviceKind.SLEEPY else 20_000)
    async with journey(tmp_path, DeviceSpec(ieee=IEEE, kind=kind, poll_interval=1.0), images=[image], stack=stack, port=port) as run:
        update = await ended(run.desk, await run.order())
        assert update.state == "succeeded", update.error
        assert_updated(run.device(), image)
        assert run.device().counters.downloads_completed == 1
        view = await run.desk.device(update.device)
        assert [each.component.version for each in view.components] == [NEW]
        assert view.update_status == "updated"


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["deconz", "xbee", "zigate"])
async def test_a_radio_of_any_zigpy_library_is_driven_through_its_public_interface(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """By its name; under that name stands a library for which there is a coordinator here."""
    monkeypatch.setitem(sys.modules, stacks.STACKS[name].module, zigpy_znp.zigbee.application)
    image = image_of(5_000)
    async with journey(tmp_path, images=[image], radio={"type": name}) as run:
        up = await radio_is(run.desk, "up")
        assert re.fullmatch(r"channel \d+, PAN 0x[0-9a-f]{4}, .*Z-Stack.*; OTA over the library's public interface", str(up.data["sentence"]))
        update = await ended(run.desk, await run.order())
        assert update.state == "succeeded", update.error
        assert_updated(run.device(), image)


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_no_device_is_notified_before_there_is_anything_for_it(tmp_path: Path, stack: str) -> None:
    """Some devices query without an end once they were notified, and zigpy notifies every device at its interview."""
    async with journey(tmp_path, stack=stack) as run:
        await told(run.desk)
        assert run.device().counters.notifies == 0
        assert run.device().counters.queries == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_a_device_that_asks_by_itself_is_told_that_there_is_nothing_and_is_known_from_then_on(tmp_path: Path, stack: str) -> None:
    async with journey(tmp_path, DeviceSpec(ieee=IEEE, hardware_version=7), stack=stack) as run:
        await told(run.desk)
        run.device().check_for_image()
        asked = await fact(run.desk, lambda each: each.kind == "asked")
        assert "0x0083=0x01000000" in str(asked.data["versions"])
        (component,) = (await run.desk.device(device_id(IEEE))).device.components
        assert component.hardware_version == 7
        assert run.device().violations == []
        assert run.device().counters.aborts == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_a_sleeping_device_is_notified_when_it_wakes(tmp_path: Path, stack: str) -> None:
    """Nothing reaches it when the update begins; what it says later, by itself, is the moment to tell it."""
    image = image_of(2_000)
    sleeper = DeviceSpec(ieee=IEEE, kind=DeviceKind.SLEEPY, poll_interval=1.0, behaviours=Behaviours(checks_in=300.0))
    async with journey(tmp_path, sleeper, images=[image], stack=stack) as run:
        await told(run.desk)
        run.device().power_off()  # not even its parent's queue will reach it
        update = await run.order()
        await state_is(run.desk, update, "offering")
        run.device().power_on()
        done = await ended(run.desk, update)
        assert done.state == "succeeded", done.error
        assert_updated(run.device(), image)


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["znp", "ezsp"])
async def test_a_device_at_the_end_of_a_source_route_gets_blocks_that_fit_their_frame(tmp_path: Path, stack: str) -> None:
    """It asks for 64 octets, and the route in the frame leaves room for 57."""
    image = image_of(5_000)
    far = DeviceSpec(ieee=IEEE, hops=4, records_route=True, max_data_size=64)
    async with journey(tmp_path, far, images=[image], stack=stack) as run:
        update = await ended(run.desk, await run.order())
        assert update.state == "succeeded", update.error
        assert_updated(run.device(), image)
        link = (await run.desk.device(device_id(IEEE))).link
        assert link is not None, "every stack tells how well a device is heard"
        assert link.lqi == 95
        assert run.device().counters.downloads_completed == 1
        assert run.device().counters.timeouts <= 3, "a block that does not fit was sent again and again"
        assert run.device().counters.blocks <= len(image) / 57 + 2, "a frame was not filled"
