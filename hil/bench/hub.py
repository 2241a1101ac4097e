"""Ours: a whole hub with its store and its API, ordered to update every device at once."""

from __future__ import annotations

import asyncio
import sys

from hil.bench.host import Caller, Errand
from otagate import logs
from otagate.config import HubSettings
from otagate.daemon import Hub, running, spare_what_stays
from otagate.engine.views import OrderRequest
from otagate.model.ids import DeviceId

MOST_AT_ONCE = 16
"""What a radio may be told to serve at once."""

_KNOWN_BOUND = 90.0


def settings(errand: Errand) -> HubSettings:
    """One radio on which all devices of the row may be served at once, or as many as may, and take all of the air, as the peer serves them."""
    parallel = min(errand.devices, MOST_AT_ONCE)
    radio = {"name": "zigbee0", "type": errand.stack, "path": errand.path, "network": "existing", "parallel": parallel, "air_share": 100}
    return HubSettings.model_validate(
        {"state_dir": str(errand.state), "api": {"listen": "127.0.0.1:0"}, "radios": [radio], "policy": {"alive_for": "0d"}}
    )


async def devices_known(hub: Hub, count: int) -> tuple[DeviceId, ...]:
    """Wait until the hub knows what every device runs. Raises TimeoutError after 90 s."""
    async with asyncio.timeout(_KNOWN_BOUND):
        while True:
            page = await hub.desk.devices()
            known = [each.device.id for each in page.items if any(part.component.version is not None for part in each.components)]
            if len(known) == count:
                return tuple(known)
            await asyncio.sleep(0.1)


async def run(errand: Errand) -> None:
    """Start on the radio, know the devices, update them all when told to."""
    caller = await Caller.connect()
    async with running(settings(errand)) as hub:
        spare_what_stays()  # as the daemon does
        await hub.desk.add_image(errand.image, file_name="bench.ota", actor="bench")
        devices = await devices_known(hub, errand.devices)
        await caller.told_to_begin()
        result = await hub.desk.order(OrderRequest(devices=devices), actor="bench")
        if result.refused:
            raise RuntimeError(f"the hub refused {result.refused}")
        await caller.gone()


if __name__ == "__main__":
    logs.set_up(level="info", form="json")
    asyncio.run(run(Errand.from_arguments(sys.argv[1:])))
