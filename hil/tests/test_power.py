"""What a device and a coordinator live through in the middle of a transfer."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from hil.console import Console
from hil.hub import Hub
from hil.relay import Relay
from hil.rigfile import DeviceUnderTest
from hil.rounds import see_boot

IN_THE_MIDDLE = 30.0
"""Percent."""


@pytest.mark.asyncio
async def test_a_device_that_loses_its_power_in_mid_transfer_ends_with_the_new_version(
    hub: Hub, device: DeviceUnderTest, relay: Relay, any_console: Console | None
) -> None:
    """Whether it keeps what it had or begins again is its own affair."""
    await hub.begin_with(device, device.images.a)
    async with nullcontext() if any_console is None else any_console.watched():
        update = await hub.order(device, device.images.b)
        await hub.reaches(device, update, IN_THE_MIDDLE)
        await relay.cut(device.off_for.total_seconds())
        assert (await hub.update(update))["progress"]["percent"] < 100, "the power was cut too late: the image had gone over already"
        await hub.succeeds(device, update)
        assert await hub.version(device) == device.images.b.version
        await see_boot(device, device.images.b, any_console)


@pytest.mark.asyncio
async def test_a_coordinator_that_is_unplugged_in_mid_transfer_comes_back_and_the_update_is_finished(
    hub: Hub, device: DeviceUnderTest, plug: Relay, any_console: Console | None
) -> None:
    """The hub says what is missing, and goes on by itself once it is there again."""
    await hub.begin_with(device, device.images.a)
    async with nullcontext() if any_console is None else any_console.watched():
        update = await hub.order(device, device.images.b)
        await hub.reaches(device, update, IN_THE_MIDDLE)
        await plug.off()
        await hub.radio_is("retrying")
        await plug.on()
        await hub.radio_is("up")
        await hub.succeeds(device, update)
        assert await hub.version(device) == device.images.b.version
        await see_boot(device, device.images.b, any_console)
