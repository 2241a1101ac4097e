"""One way of a round trip, and what may be seen of it from beside the radio."""

from __future__ import annotations

from contextlib import nullcontext

from hil.console import Console
from hil.firmware import Firmware
from hil.hub import Hub
from hil.rigfile import DeviceUnderTest
from otagate.cli.client import Json

_BOOT_BOUND = 60.0
"""Seconds after the hub has read the new version within which the console must have told it too."""


async def take(hub: Hub, device: DeviceUnderTest, firmware: Firmware, console: Console | None, *, allow_downgrade: bool = False) -> Json:
    """Update the device, read its version back over the air, and see it boot on its console where there is one.

    A line that the console must not print ends the wait at once.
    """
    if console is not None:
        console.forget()
    async with nullcontext() if console is None else console.watched():
        update = await hub.bring(device, firmware, allow_downgrade=allow_downgrade)
        await see_boot(device, firmware, console)
    return update


async def see_boot(device: DeviceUnderTest, firmware: Firmware, console: Console | None) -> None:
    """Wait until the console tells the start of this image, where the rig file says how it does. Raises ConsoleError."""
    if console is not None and device.console is not None and device.console.boots is not None:
        boots = device.console.boots
        await console.expect(boots.a if firmware is device.images.a else boots.b, _BOOT_BOUND)


async def round_trip(hub: Hub, device: DeviceUnderTest, console: Console | None) -> None:
    """From A to B and back to A."""
    await take(hub, device, device.images.b, console)
    await take(hub, device, device.images.a, console, allow_downgrade=True)
