"""Ours, with much to do: the devices of the errand are updated at once among hundreds that are known, while others read its API."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from hil.bench.host import Caller, Errand
from hil.bench.hub import devices_known, settings
from hil.bench.lag import watched
from hil.bench.upkeep import Extent, live_in
from otagate import logs
from otagate.daemon import running, spare_what_stays
from otagate.engine.views import OrderRequest

KNOWN = Extent(facts=2_000, known=480)
"""Beside the devices of the errand."""


async def run(errand: Errand) -> None:
    """Start on the radio, know the devices, update them all when told to; how late the loop was is told at the next word."""
    caller = await Caller.connect()
    await live_in(errand.state.parent, KNOWN)
    async with running(settings(errand)) as hub:
        spare_what_stays()  # as the daemon does
        await hub.desk.add_image(errand.image, file_name="bench.ota", actor="bench")
        devices = await devices_known(hub, errand.devices)
        token = Path(errand.state / "api-token").read_text().strip()
        sys.stdout.write(json.dumps({"url": hub.server.addresses[0], "token": token}) + "\n")
        await caller.told_to_begin()
        async with watched() as lag:
            result = await hub.desk.order(OrderRequest(devices=devices), actor="bench")
            if result.refused:
                raise RuntimeError(f"the hub refused {result.refused}")
            await caller.told_to_begin()
        sys.stdout.write(json.dumps({"lag": lag.milliseconds()}) + "\n")
        sys.stdout.flush()
        await caller.gone()


if __name__ == "__main__":
    logs.set_up(level="info", form="json")
    asyncio.run(run(Errand.from_arguments(sys.argv[1:])))
