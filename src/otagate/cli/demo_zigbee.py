"""The Zigbee side of the demo: a simulated coordinator behind a pseudo-terminal, and devices with real OTA clients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from otagate.cli.client import Client, Json
from otagate.cli.demo_side import Role
from otagate_rig.air import AirSettings
from otagate_rig.aps import DeviceKind
from otagate_rig.image import build_image, make_payload
from otagate_rig.rig import Rig, Stack
from otagate_rig.services.index import IndexService
from otagate_rig.spec import Behaviours, DeviceSpec

MAKER = 0x1289
LAMP, SOCKET, SENSOR, DIMMER = 0x0101, 0x0102, 0x0103, 0x0104
OLD, NEW = 0x01000000, 0x01020003
SPEED = 5.0
"""Simulated air and devices live this much faster than real ones."""

COORDINATORS = {"znp": "Z-Stack", "ezsp": "EmberZNet"}
RADIO = "zigbee0"
INDEXED = "sensor.zigbee"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A device and its role."""

    spec: DeviceSpec
    role: Role


def _actor(number: int, model: str, image_type: int, story: str, *, succeeds: bool = True, **fields: Any) -> Actor:
    values: dict[str, Any] = {"manufacturer": "Demo Works", "manufacturer_code": MAKER, "file_version": OLD, "hardware_version": 2} | fields
    spec = DeviceSpec(ieee=0x00124B00_0DE30000 + number, model=model, image_type=image_type, **values)
    return Actor(spec=spec, role=Role(device=f"zigbee-{spec.ieee:016x}", name=model, story=story, succeeds=succeeds))


CAST = (
    _actor(1, "Hall lamp", LAMP, "an ordinary router"),
    _actor(2, "Kitchen lamp", LAMP, "two hops away", hops=2),
    _actor(
        3,
        "Desk socket",
        SOCKET,
        "loses power half-way and resumes",
        behaviours=Behaviours(power_cut_at=(0.5,), power_cut_seconds=8.0),
    ),
    _actor(4, "Window sensor", SENSOR, "a sleepy end device on battery", kind=DeviceKind.SLEEPY, poll_interval=2.0, power_source=3),
    _actor(5, "Old dimmer", DIMMER, "hardware 1: the image is for hardware 2 to 4", hardware_version=1, succeeds=False),
    _actor(6, "New dimmer", DIMMER, "hardware 3: the image fits", hardware_version=3),
)


def make_images() -> dict[str, bytes]:
    """The demo's own firmware, by file name."""
    return {
        "lamp.zigbee": build_image(MAKER, LAMP, NEW, payload=make_payload(49_152, 1), header_string="Demo lamp"),
        "socket.zigbee": build_image(MAKER, SOCKET, NEW, payload=make_payload(32_768, 2), header_string="Demo socket"),
        "sensor.zigbee": build_image(MAKER, SENSOR, NEW, payload=make_payload(8_192, 3), header_string="Demo sensor"),
        "dimmer.zigbee": build_image(MAKER, DIMMER, NEW, payload=make_payload(24_576, 4), header_string="Demo dimmer", hardware_range=(2, 4)),
    }


@dataclass(slots=True, kw_only=True)
class ZigbeeSide:
    """Implements `demo_side.Side`."""

    told: str
    radio: Json
    sources: tuple[Json, ...]
    rig: Rig
    roles: tuple[Role, ...] = field(default=tuple(actor.role for actor in CAST))

    async def begin(self, client: Client) -> None:
        """Open the network; the devices join."""
        await client.post("radios", RADIO, "permit-join", body={"seconds": 180})
        self.rig.start_joining()

    def knows(self, device: Json) -> bool:
        """Its version; where an image asks for it, its hardware; and what the index has for the sensor."""
        return bool(device["components"]) and all(
            each["version"] is not None
            and (each["image_type"] != DIMMER or each["hardware_version"] is not None)
            and (each["image_type"] != SENSOR or each["available"] is not None)
            for each in device["components"]
        )

    async def wrong(self, role: Role) -> list[str]:
        """What the device itself says."""
        device = self.rig.device(int(role.device.removeprefix("zigbee-"), 16))
        found = [f"the server broke the protocol: {violation}" for violation in device.violations]
        return found if (device.file_version == NEW) == role.succeeds else [f"it runs 0x{device.file_version:08x}", *found]


@asynccontextmanager
async def zigbee_side(stack: Stack, home: Path, *, seed: int = 1) -> AsyncIterator[ZigbeeSide]:
    """The simulated hardware, and an index on the web that has the sensor's image; the others lie in a folder."""
    images = make_images()
    index = IndexService(files={INDEXED: images[INDEXED]})
    folder = home / "images"
    folder.mkdir()
    for name, data in images.items():
        if name not in index.files:
            (folder / name).write_bytes(data)
    specs = [actor.spec for actor in CAST]
    simulated = Rig(stack=stack, port="pty", devices=specs, formed=False, air=AirSettings(speedup=SPEED, seed=seed), images=images.values())
    async with index.running() as url, simulated as rig:
        hardware = f"A simulated {COORDINATORS[stack]} coordinator on {rig.path}, {len(CAST)} simulated devices"
        yield ZigbeeSide(
            told=f"{hardware}; air and devices run {SPEED:.0f} x real time; one image comes from an index.",
            radio={"name": RADIO, "type": stack, "path": rig.path, "network": "form", "channel": 15, "parallel": 3, "air_share": 100},
            sources=({"type": "directory", "path": str(folder)}, {"type": "z2m-index", "url": f"{url}/index.json"}),
            rig=rig,
        )
