"""Ours: a whole hub with its store and its API at the server, ordered to update the nodes of the errand at once."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Collection

from hil.bench.host import Caller
from hil.bench.hub import devices_known
from hil.bench.lag import watched
from hil.bench.zwave_errand import ZwaveErrand, tell_done
from otagate import logs
from otagate.config import HubSettings
from otagate.daemon import Hub, running, spare_what_stays
from otagate.engine.views import OrderRequest
from otagate.model.ids import ComponentId, UpdateId, node_id_of
from otagate.model.lifecycle import State

_FINAL = {State.SUCCEEDED, State.FAILED, State.CANCELLED, State.SUPERSEDED}


def settings(errand: ZwaveErrand) -> HubSettings:
    """One controller on which the nodes may be served at once."""
    radio = {"name": "zwave0", "type": "zwave-js", "url": errand.url, "parallel": len(errand.nodes)}
    return HubSettings.model_validate(
        {"state_dir": str(errand.state), "api": {"listen": "127.0.0.1:0"}, "radios": [radio], "policy": {"alive_for": "0d"}}
    )


async def succeeded(hub: Hub, updates: Collection[UpdateId]) -> None:
    """Wait until every update has succeeded. Raises RuntimeError where one ends otherwise."""
    left = set(updates)
    async for fact in hub.desk.events(after=0):
        state = fact.data.get("state")
        if fact.subject_id not in left or state not in _FINAL:
            continue
        if state != State.SUCCEEDED:
            raise RuntimeError(f"{fact.subject_id} ended {state}: {dict(fact.data)}")
        left.discard(UpdateId(fact.subject_id))
        if not left:
            return


async def run(errand: ZwaveErrand) -> None:
    """Start at the server, know the nodes, update when told to."""
    caller = await Caller.connect()
    async with running(settings(errand)) as hub:
        spare_what_stays()  # as the daemon does
        image = await hub.desk.add_image(errand.image, file_name="bench.bin", actor="bench")
        devices = [each for each in await devices_known(hub, errand.known + 1) if node_id_of(each) in errand.nodes]  # the controller is one too
        await caller.told_to_begin()
        async with watched() as lag:
            began = time.monotonic()
            request = OrderRequest(devices=tuple(devices), image=image.sha256, version=errand.version, component=ComponentId("0"))
            result = await hub.desk.order(request, actor="bench")
            if result.refused:
                raise RuntimeError(f"the hub refused {result.refused}")
            await succeeded(hub, [each.update.id for each in result.updates])
            seconds = time.monotonic() - began
        tell_done(seconds, lag=lag.milliseconds())
        await caller.gone()


if __name__ == "__main__":
    logs.set_up(level="info", form="json")
    asyncio.run(run(ZwaveErrand.from_arguments(sys.argv[1:])))
