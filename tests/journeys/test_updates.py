"""One device from an order to its new version, as an operator would see it."""

from __future__ import annotations

from pathlib import Path

import pytest

from otagate_rig.aps import DeviceKind
from otagate_rig.spec import DeviceSpec
from tests.journeys.hub import IEEE, NEW, assert_updated, ended, image_of, journey


@pytest.mark.asyncio
@pytest.mark.parametrize("port", ["pty", "tcp"])
@pytest.mark.parametrize("kind", list(DeviceKind))
async def test_a_device_gets_new_firmware_and_tells_its_version(tmp_path: Path, port: str, kind: DeviceKind) -> None:
    image = image_of(6_000 if kind is DeviceKind.SLEEPY else 20_000)
    async with journey(tmp_path, DeviceSpec(ieee=IEEE, kind=kind), images=[image], port=port) as run:
        update = await ended(run.desk, await run.order())
        assert update.state == "succeeded", update.error
        assert_updated(run.device(), image)
        assert run.device().counters.downloads_completed == 1
        view = await run.desk.device(update.device)
        assert [each.component.version for each in view.components] == [NEW]
        assert view.update_status == "updated"
