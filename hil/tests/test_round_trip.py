"""A device goes to the newer image and back."""

from __future__ import annotations

import pytest

from hil.console import Console
from hil.hub import Hub, OrderRefused
from hil.rigfile import DeviceUnderTest
from hil.rounds import take


@pytest.mark.asyncio
async def test_a_device_goes_from_a_to_b_and_back_to_a(hub: Hub, device: DeviceUnderTest, any_console: Console | None) -> None:
    """Each way is read back from the device; the way back must be allowed explicitly."""
    a, b = device.images.a, device.images.b
    await hub.begin_with(device, a)
    there = await take(hub, device, b, any_console)
    assert (there["from_version"], there["to_version"]) == (a.version, b.version)
    with pytest.raises(OrderRefused) as refused:
        await hub.order(device, a)
    assert refused.value.slug == "downgrade-refused"
    back = await take(hub, device, a, any_console, allow_downgrade=True)
    assert (back["from_version"], back["to_version"]) == (b.version, a.version)
