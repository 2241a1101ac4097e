"""Round trip after round trip."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from hil.console import Console
from hil.hub import Hub
from hil.rigfile import DeviceUnderTest
from hil.rounds import round_trip


@pytest.mark.soak
@pytest.mark.asyncio
async def test_a_device_makes_many_round_trips(
    hub: Hub, device: DeviceUnderTest, any_console: Console | None, soak_rounds: int, record_property: Callable[[str, object], None]
) -> None:
    """Every one must end well; how long each took is written to the JUnit file."""
    await hub.begin_with(device, device.images.a)
    for number in range(1, soak_rounds + 1):
        begun = time.monotonic()
        await round_trip(hub, device, any_console)
        record_property(f"round {number} of {soak_rounds}, seconds", round(time.monotonic() - begun, 1))
