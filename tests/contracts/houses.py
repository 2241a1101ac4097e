"""Two houses that differ in nothing but their radio: a hub with its API over HTTP, a service of firmware, and devices that all run the old version.

Zigbee is real zigpy over an emulated coordinator, Z-Wave the real driver and server over simulated nodes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from otagate.cli.client import Client, Json
from otagate.config import HubSettings
from otagate.daemon import Hub, Pace, running
from otagate.model.ids import zigbee_device_id, zwave_device_id
from otagate_rig.air import AirSettings
from otagate_rig.image import build_image, make_payload
from otagate_rig.rig import Rig
from otagate_rig.services.index import IndexService
from otagate_rig.services.server import FakeService
from otagate_rig.services.zwave import ZwaveFile, ZwaveService, ZwaveUpdate
from otagate_rig.spec import DeviceSpec
from otagate_rig.zwave import HOME_ID, ZwaveRig, make_firmware
from tests.journeys.hub import announced
from tests.journeys.zwave import require_node

Part = Literal["plain", "patched", "quick", "cancelled", "paused", "refused"]
PARTS: tuple[Part, ...] = ("plain", "patched", "quick", "cancelled", "paused", "refused")
SLOW: tuple[Part, ...] = ("cancelled", "paused")
"""Their transfers take a few seconds, so that something can be done meanwhile."""

PACE = 20.0
WITHIN = 60.0
MAKER, QUICK_TYPE, SLOW_TYPE = 0x1189, 0x0083, 0x0084
_FIRST_IEEE = 0x000D6F0000AA0001
_FIRST_NODE = 2


@dataclass(frozen=True, kw_only=True)
class House:
    """What a contract asks of either. `old` and `new` as the API writes versions; `uploaded` is an image that no source offers."""

    protocol: str
    radio: str
    source: str
    client: Client
    devices: Mapping[Part, str]
    component: Mapping[Part, str]
    old: int | str
    new: int | str
    images: Mapping[Part, bytes]
    uploaded: bytes
    pauses: bool
    forms_network: bool
    folder: Path
    rig: Rig | ZwaveRig

    async def runs(self, part: Part) -> int | str:
        """The version that the device itself runs now, asked of nobody but it; it has seen no rule broken."""
        if isinstance(self.rig, Rig):
            device = self.rig.device(_FIRST_IEEE + PARTS.index(part))
            assert device.violations == []
            return device.file_version
        node = await self.rig.node(_FIRST_NODE + PARTS.index(part))
        assert node["violations"] == []
        version: str = node["firmware"][0]
        return version

    async def device(self, part: Part) -> Json:
        """A device, when it is known what it runs and what there is for it."""
        async with asyncio.timeout(WITHIN):
            while True:
                found = {each["id"]: each for each in await self.client.items("devices", query={})}.get(self.devices[part])
                if found is not None and found["components"] and found["components"][0]["available"] is not None:
                    return found
                await asyncio.sleep(0.1)

    async def order(self, part: Part, **wanted: Any) -> Json:
        """The one update of an order that is not refused."""
        await self.device(part)
        answer = await self.client.post("updates", body={"devices": [self.devices[part]], **wanted})
        assert answer["refused"] == []
        (made,) = answer["updates"]
        update: Json = made
        return update

    async def update_is(self, update: str, *states: str) -> Json:
        """Wait until an update is in one of these states."""
        async with asyncio.timeout(WITHIN):
            while (told := await self.client.get("updates", update))["state"] not in states:
                await asyncio.sleep(0.05)
        return told


@asynccontextmanager
async def _hub(folder: Path, radio: Json, source: str, url: str) -> AsyncIterator[tuple[Hub, Client]]:
    settings = HubSettings.model_validate(
        {
            "state_dir": folder / "state",
            "api": {"listen": ["127.0.0.1:0"]},
            "radios": [radio | {"parallel": 4}],
            "policy": {"alive_for": "0d"},
            "sources": [{"type": source, "url": url}],
            "http": {"allow_private": ["127.0.0.1"]},
        }
    )
    async with running(settings, pace=Pace.scaled(PACE)) as hub:
        base = next(each for each in hub.server.addresses if each.startswith("http"))
        async with Client(base, (folder / "state" / "api-token").read_text().strip()) as client:
            yield hub, client


def _zigbee_image(image_type: int, version: int, size: int) -> bytes:
    return build_image(MAKER, image_type, version, payload=make_payload(size, image_type))


@asynccontextmanager
async def zigbee_house(folder: Path) -> AsyncIterator[House]:
    """Six routers on an emulated Z-Stack coordinator."""
    old, new = 0x01000000, 0x01000001
    types = {part: SLOW_TYPE if part in SLOW else QUICK_TYPE for part in PARTS}
    images = {QUICK_TYPE: _zigbee_image(QUICK_TYPE, new, 4_000), SLOW_TYPE: _zigbee_image(SLOW_TYPE, new, 150_000)}
    service: FakeService = IndexService(files={f"{image_type:04x}.ota": image for image_type, image in images.items()})
    specs = [
        DeviceSpec(ieee=_FIRST_IEEE + number, manufacturer_code=MAKER, image_type=types[part], file_version=old) for number, part in enumerate(PARTS)
    ]
    made = Rig(devices=specs, images=images.values(), air=AirSettings(speedup=PACE, server_clock=PACE), announce_after=None)
    async with made as rig, service.running() as url:
        radio = {"name": "radio0", "type": "znp", "path": rig.path}
        async with _hub(folder, radio, "z2m-index", f"{url}/index.json") as (hub, client):
            await announced(hub, rig, radio="radio0")
            yield House(
                protocol="zigbee",
                radio="radio0",
                source="z2m-index",
                client=client,
                devices={part: zigbee_device_id(_FIRST_IEEE + number) for number, part in enumerate(PARTS)},
                component={part: f"0x{types[part]:04x}" for part in PARTS},
                old=old,
                new=new,
                images={part: images[types[part]] for part in PARTS},
                uploaded=_zigbee_image(0x0099, 7, 500),
                pauses=True,
                forms_network=True,
                folder=folder,
                rig=rig,
            )


@asynccontextmanager
async def zwave_house(folder: Path) -> AsyncIterator[House]:
    """Six mains nodes behind the driver."""
    require_node()
    old, new = "1.6", "1.7"
    products: dict[Part, int] = {part: number for number, part in enumerate(PARTS, 1)} | {"plain": 0x0082}  # that one the driver knows by name
    images = {part: make_firmware(new, 6_000 if part in SLOW else 2_000, seed=number) for part, number in products.items()}
    service: FakeService = ZwaveService(
        updates=[ZwaveUpdate(version=new, files=(ZwaveFile(image=images[part]),), product_id=number) for part, number in products.items()]
    )
    nodes = [
        {"id": _FIRST_NODE + at, "productId": products[part], "faults": {"pauseAt": 2_000, "pauseMs": 3_000} if part in SLOW else {}}
        for at, part in enumerate(PARTS)
    ]
    async with ZwaveRig(nodes) as rig, service.running() as url:
        await rig.interviewed(*(node["id"] for node in nodes))
        radio = {"name": "radio0", "type": "zwave-js", "url": rig.url}
        async with _hub(folder, radio, "zwave-js", url) as (_, client):
            yield House(
                protocol="zwave",
                radio="radio0",
                source="zwave-js",
                client=client,
                devices={part: zwave_device_id(HOME_ID, _FIRST_NODE + number) for number, part in enumerate(PARTS)},
                component=dict.fromkeys(PARTS, "0"),
                old=old,
                new=new,
                images=images,
                uploaded=make_firmware("3.0", 500),
                pauses=False,
                forms_network=False,
                folder=folder,
                rig=rig,
            )
