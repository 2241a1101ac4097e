"""The Z-Wave side of the demo: the real zwave-js driver and server over simulated nodes, where Node.js is there to run them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from otagate.cli.client import Client, Json
from otagate.cli.demo_side import Role
from otagate_rig.services.zwave import ZwaveFile, ZwaveService, ZwaveUpdate
from otagate_rig.zwave import NodeMissingError, RigError, ZwaveRig, installed, is_installed, make_firmware, missing_node

RADIO = "zwave0"
MAKER, PRODUCT = 0x1289, 0x0001
HOME_ID = 0xDE300001
INSTALL_WITHIN = 300.0
"""Seconds that npm gets for the driver, once."""

_PACE = 4.0
"""The driver's longest waits pass this much faster."""

_PATIENCE_MS = 60_000
"""Milliseconds that a node asks for the same fragment: a machine that has much else to do is no driver that died."""

_OLD, _NEW = "1.6", "1.7"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A node, its role, and the update that there is for its kind, by firmware target."""

    spec: Mapping[str, Any]
    role: Role
    update: ZwaveUpdate
    versions: tuple[str, ...]


def _actor(number: int, name: str, story: str, *files: tuple[str, str, int], **spec: Any) -> Actor:
    """`files`: for each target the version that it runs, the one that it gets, and the bytes of its image."""
    images = tuple(ZwaveFile(image=make_firmware(new, size, seed=number), target=target) for target, (_, new, size) in enumerate(files))
    return Actor(
        spec={"id": number, "manufacturerId": MAKER, "productType": PRODUCT, "productId": number, "firmware": [old for old, _, _ in files]}
        | {"patienceMs": _PATIENCE_MS}
        | spec,
        role=Role(device=f"zwave-{HOME_ID:08x}-{number}", name=name, story=story),
        update=ZwaveUpdate(version=files[0][1], files=images, product_id=number, product_type=PRODUCT, manufacturer_id=MAKER),
        versions=tuple(new for _, new, _ in files),
    )


CAST = (
    _actor(2, "Garage plug", "Z-Wave: two firmware targets, one after the other", (_OLD, _NEW, 8_000), ("7.18", "7.19", 4_000)),
    _actor(3, "Porch switch", "Z-Wave: erases its flash before it takes the first byte", (_OLD, _NEW, 6_000), eraseMs=2_000),
    _actor(
        4, "Cellar sensor", "Z-Wave: sleeps, and wakes up now and then", (_OLD, _NEW, 4_000),
        listening="sleeping", battery=80, wakeEveryMs=6_000, awakeMs=2_500,
    ),
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class ZwaveSide:
    """Implements `demo_side.Side`."""

    told: str
    radio: Json
    sources: tuple[Json, ...]
    rig: ZwaveRig
    roles: tuple[Role, ...] = field(default=tuple(actor.role for actor in CAST))

    async def begin(self, client: Client) -> None:
        """Nodes are there already; they get the names that people call them by."""
        for role in self.roles:
            await client.patch("devices", role.device, body={"name": role.name})

    def knows(self, device: Json) -> bool:
        """What each target runs, and what there is for the node: the service names the version of the main one only."""
        parts = device["components"]
        return bool(parts) and parts[0]["available"] is not None and all(each["version"] is not None for each in parts)

    async def wrong(self, role: Role) -> list[str]:
        """What the node itself says."""
        actor = next(each for each in CAST if each.role == role)
        node = await self.rig.node(actor.spec["id"])
        found = [f"the driver broke the protocol: {violation}" for violation in node["violations"]]
        if tuple(node["firmware"]) != actor.versions:
            found.append(f"it runs {', '.join(node['firmware'])}")
        received = {target: told["sha256"] for target, told in node["received"].items()}
        if received != {str(file.target): hashlib.sha256(file.image).hexdigest() for file in actor.update.files}:
            found.append("it received other bytes")
        return found


@asynccontextmanager
async def zwave_side(say: Callable[[str], None]) -> AsyncIterator[ZwaveSide | None]:
    """The driver over its simulated network, while the block lasts; None where it cannot be had, and a sentence why."""
    async with AsyncExitStack() as opened:
        rig = await _started(opened, say)
        if rig is None:
            yield None
            return
        url = await opened.enter_async_context(ZwaveService(updates=[actor.update for actor in CAST]).running())
        yield ZwaveSide(
            told=f"The Z-Wave driver with its server at {rig.url}, a simulated controller, {len(CAST)} simulated nodes; their air takes no time.",
            radio={"name": RADIO, "type": "zwave-js", "url": rig.url, "parallel": 2},
            sources=({"type": "zwave-js", "url": url},),
            rig=rig,
        )


async def _started(opened: AsyncExitStack, say: Callable[[str], None]) -> ZwaveRig | None:
    missing = missing_node()
    if missing is not None:
        say(f"Without Z-Wave: {missing}.")
        return None
    try:
        if not is_installed():
            say(f"Installing the Z-Wave driver, once ({INSTALL_WITHIN / 60:.0f} minutes at most) ...")
        await asyncio.to_thread(installed, within=INSTALL_WITHIN)
        rig = await opened.enter_async_context(ZwaveRig([actor.spec for actor in CAST], home_id=HOME_ID, pace=_PACE))
        await rig.interviewed(*(actor.spec["id"] for actor in CAST))
    except (NodeMissingError, RigError) as error:
        say(f"Without Z-Wave: {' '.join(str(error).split())}")
        return None
    return rig
