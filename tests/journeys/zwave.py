"""A whole hub over the real Z-Wave driver and its server, and what every journey asks of it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from otagate.config import HubSettings
from otagate.daemon import Hub, Pace, running
from otagate.engine.desk import Desk
from otagate.engine.views import OrderRequest
from otagate.model.ids import ComponentId, DeviceId, Sha256, UpdateId, zwave_device_id
from otagate.model.updates import Update
from otagate.sessions.zwave_patience import Patience
from otagate_rig.zwave import ZwaveRig, make_firmware, missing_node
from tests.journeys.hub import WITHIN, ended, fact, radio_is
from tests.zwave.program import program_at

RADIO = "zwave0"
PACE = 20.0
OLD, NEW = "1.6", "1.7"
SECTIONS = ("sources", "http")
CALM = replace(Patience().scaled(PACE), begin=90.0, silence=90.0, end=90.0)
"""The pace of the rig, but a machine that is busy with other things is no driver that hangs."""


def require_node() -> None:
    """Skip where the rig cannot run."""
    missing = missing_node()
    if missing is not None:
        pytest.skip(missing)


def hub_settings(state_dir: Path, *, policy: Mapping[str, Any] | None = None, **given: Any) -> HubSettings:
    """The configuration of a hub with one Z-Wave controller; what is no section is a setting of the radio."""
    sections = {key: value for key, value in given.items() if key in SECTIONS}
    radio = {key: value for key, value in given.items() if key not in SECTIONS}
    return HubSettings.model_validate(
        {
            "state_dir": state_dir,
            "api": {"listen": ["127.0.0.1:0"]},
            "radios": [{"name": RADIO, "type": "zwave-js"} | radio],
            "policy": {"alive_for": "0d"} | dict(policy or {}),
        }
        | sections
    )


def device_id(node: int, rig: ZwaveRig) -> DeviceId:
    """The id of a node of the rig."""
    return zwave_device_id(rig.home_id, node)


@dataclass(frozen=True)
class ZwaveJourney:
    """A hub and the simulated network behind the real driver."""

    hub: Hub
    rig: ZwaveRig

    @property
    def desk(self) -> Desk:
        return self.hub.desk

    async def told(self, node: int) -> None:
        """Wait until the node has been asked what firmware it has. What the driver knows of it by itself is less."""
        device = device_id(node, self.rig)
        await fact(self.desk, lambda each: each.subject_id == device and each.kind == "interrogated")

    async def store(self, image: bytes, file_name: str = "firmware.bin") -> Sha256:
        """Store a file of firmware."""
        return (await self.desk.add_image(image, file_name=file_name, actor="test")).sha256

    async def order(
        self, node: int, image: bytes, *, version: str | None = NEW, target: int = 0, file_name: str = "firmware.bin", **wanted: Any
    ) -> UpdateId:
        """Order one image for one target of a node."""
        await self.told(node)
        sha256 = await self.store(image, file_name)
        request = OrderRequest(devices=(device_id(node, self.rig),), image=sha256, version=version, component=ComponentId(str(target)), **wanted)
        result = await self.desk.order(request, actor="test")
        assert not result.refused, [str(each.error) for each in result.refused]
        return result.updates[0].update.id

    async def ended(self, update: UpdateId, *, within: float = WITHIN) -> Update:
        """Wait until the update has ended."""
        return await ended(self.desk, update, within=within)

    @asynccontextmanager
    async def waking(self, node: int, *, every: float = 0.5) -> AsyncIterator[None]:
        """A sleeping node wakes up again and again while the block lasts."""

        async def wake() -> None:
            while True:
                await self.rig.wake(node)
                await asyncio.sleep(every)

        async with asyncio.TaskGroup() as group:
            waker = group.create_task(wake())
            yield
            waker.cancel()

    async def wake_until_told(self, node: int) -> None:
        """Let a sleeping node wake up until it has been interviewed and asked."""
        async with self.waking(node):
            await self.told(node)

    async def falls_asleep(self, node: int) -> None:
        """Wait until a node sleeps. The driver need not know."""
        async with asyncio.timeout(WITHIN):
            while not (await self.rig.node(node))["asleep"]:
                await asyncio.sleep(0.1)

    async def assert_updated(self, node: int, image: bytes, *, version: str = NEW, target: int = 0) -> None:
        """The node runs the new version, received exactly these bytes, and saw no rule broken."""
        state = await self.rig.node(node)
        assert state["violations"] == []
        assert state["firmware"][target] == version
        assert state["received"][str(target)] == {"sha256": hashlib.sha256(image).hexdigest(), "bytes": len(image)}


@asynccontextmanager
async def hub_at(
    rig: ZwaveRig, state_dir: Path, *, policy: Mapping[str, Any] | None = None, patience: Patience = CALM, **radio: Any
) -> AsyncIterator[ZwaveJourney]:
    """A hub at a rig that runs, up. `radio`: settings of the radio, and whole sections of the configuration."""
    settings = hub_settings(state_dir, policy=policy, **({"url": rig.url} | radio))
    async with running(settings, pace=replace(Pace.scaled(PACE), zwave=patience)) as hub:
        await radio_is(hub.desk, "up")
        yield ZwaveJourney(hub, rig)


@asynccontextmanager
async def journey(tmp_path: Path, *nodes: Mapping[str, Any], radio: Mapping[str, Any] | None = None, **rig: Any) -> AsyncIterator[ZwaveJourney]:
    """A rig of its own, and a hub at it."""
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(ZwaveRig(nodes, **rig))
        yield await stack.enter_async_context(hub_at(made, tmp_path / "state", **(radio or {})))


def firmware(version: str = NEW, size: int = 4_000, *, seed: int = 0) -> bytes:
    """An image that makes this version of a node of the rig."""
    return make_firmware(version, size, seed=seed)


@asynccontextmanager
async def foreign_update(rig: ZwaveRig, node: int, image: bytes) -> AsyncIterator[None]:
    """Another program at the same server sends an image while the block lasts, and sees it succeed."""
    async with program_at(rig.url) as program:
        number = await program.begin(node, image)
        yield
        answer = await program.answer(number)
        assert answer["result"]["result"]["success"], answer
