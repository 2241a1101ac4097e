"""Devices that joined and could not be interviewed are known all the same, without speaking a word."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from otagate.radios.interviews import Interviews
from otagate.radios.zigbee import ZigbeeRadio
from otagate_rig.rig import Rig, Stack
from otagate_rig.spec import Behaviours, DeviceSpec
from tests.journeys.hub import IEEE, journey, told

MUTE = DeviceSpec(ieee=IEEE, behaviours=Behaviours(returns_silently=True))


@pytest.fixture
def failed(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set when an interview has failed."""
    event, original = asyncio.Event(), Interviews.failed

    def note(self: Interviews, device: Any) -> None:
        original(self, device)
        event.set()

    monkeypatch.setattr(Interviews, "failed", note)
    return event


async def _fail(rig: Rig, failed: asyncio.Event) -> None:
    """The device joins, and is off when it is asked what it is; when its interview has failed it is on again, and says nothing by itself."""
    device, original = rig.device(IEEE), ZigbeeRadio.device_joined

    def joined(self: ZigbeeRadio, joining: Any) -> None:
        original(self, joining)
        device.power_off()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ZigbeeRadio, "device_joined", joined)
        rig.announce()
        async with asyncio.timeout(300):
            await failed.wait()
    device.power_on()


@pytest.mark.asyncio
@pytest.mark.parametrize("stack", ["ezsp", pytest.param("znp", marks=pytest.mark.night)])  # the library of the latter tries for minutes
async def test_a_device_whose_interview_failed_is_asked_again(tmp_path: Path, stack: Stack, failed: asyncio.Event) -> None:
    async with journey(tmp_path, MUTE, stack=stack, announce_after=None) as run:
        await _fail(run.rig, failed)
        await told(run.desk)
