"""A hub over the real Z-Wave driver, and a firmware service that it asks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from otagate.engine.views import OrderRequest
from otagate.model.updates import Update
from otagate_rig.services.zwave import ZwaveFile, ZwaveService, ZwaveUpdate
from otagate_rig.zwave import ZwaveRig
from tests.journeys.zwave import ZwaveJourney, device_id, hub_at


def product_of(node: int) -> int:
    """Every node of these journeys is a product of its own."""
    return 0x0100 + node


def offered(node: int, version: str, *files: ZwaveFile, **more: Any) -> ZwaveUpdate:
    """An update for a node's product."""
    return ZwaveUpdate(version=version, product_id=product_of(node), files=files, **more)


@asynccontextmanager
async def hub_with(rig: ZwaveRig, state: Path, service: ZwaveService, **policy: Any) -> AsyncIterator[ZwaveJourney]:
    """A hub that asks this service. What the service offers is there before the hub asks."""
    async with service.running() as url:
        sources, http = [{"type": "zwave-js", "url": url}], {"allow_private": ["127.0.0.1"]}
        async with hub_at(rig, state, policy=policy, parallel=2, sources=sources, http=http) as run:
            yield run


async def order(run: ZwaveJourney, *nodes: int) -> tuple[list[Update], dict[str, str]]:
    """Order whatever there is; the updates, and the codes of who is refused."""
    for node in nodes:
        await run.told(node)
    assert (await run.desk.refresh("zwave-js", actor="test")).state == "ok"
    result = await run.desk.order(OrderRequest(devices=tuple(device_id(node, run.rig) for node in nodes)), actor="test")
    return [each.update for each in result.updates], {each.device: each.error.code for each in result.refused}
