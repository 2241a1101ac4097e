"""What is measured: one row is a stack, a number of devices, an image size and an air."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Literal

from otagate_rig.image import build_image, make_payload
from otagate_rig.rig import Stack
from otagate_rig.spec import Behaviours, DeviceSpec

HostName = Literal["otagate", "zigpy", "herdsman", "herdsman-64"]
"""zigbee-herdsman with 50 bytes in a block, as zigbee2mqtt has it by default, or with as many as the device asks for; without its pause."""

HOSTS: tuple[HostName, ...] = ("otagate", "zigpy", "herdsman")
"""Ours first, then the peers."""

JUDGED: tuple[HostName, ...] = ("zigpy", "herdsman")
"""Peers against which something is to be reached."""

HERDSMEN: tuple[HostName, ...] = ("herdsman", "herdsman-64")

ALL_HOSTS: tuple[HostName, ...] = ("otagate", "zigpy", *HERDSMEN)

STACKS: tuple[Stack, ...] = ("znp", "ezsp")

MANUFACTURER_CODE = 0x1189
IMAGE_TYPE = 0x0083
NEW_VERSION = 0x01000001
DEVICE_CLOCK = 10.0
"""Device seconds per second without airtime: how fast simulated devices reboot."""

_FIRST_IEEE = 0x000D6F0000000001


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One configuration. `image_bytes` counts the whole file of each device; `speedup` is that of the air, None for no airtime.

    `page`: bytes that a device asks for with one Image Page Request, 20 ms between blocks; 0 where it asks block by block.
    """

    stack: Stack
    name: str
    devices: int
    image_bytes: int
    speedup: float | None
    hosts: tuple[HostName, ...] = HOSTS
    page: int = 0

    @property
    def title(self) -> str:
        """What people call it."""
        return f"{self.stack}, {self.name}"

    @property
    def clock(self) -> float:
        """Device seconds per second of the machine."""
        return self.speedup or DEVICE_CLOCK

    @property
    def real_time(self) -> bool:
        """Whether the air takes the time that it takes."""
        return self.speedup == 1.0

    def image(self) -> bytes:
        """The OTA file of this row."""
        head = len(build_image(MANUFACTURER_CODE, IMAGE_TYPE, NEW_VERSION, payload=b""))
        return build_image(MANUFACTURER_CODE, IMAGE_TYPE, NEW_VERSION, payload=make_payload(self.image_bytes - head, self.devices))

    @property
    def digest(self) -> str:
        """SHA-256 of the image, in hex."""
        return hashlib.sha256(self.image()).hexdigest()

    def specs(self) -> list[DeviceSpec]:
        """The devices: mains powered neighbours that ask at once for the next block, and would take 64 octets of it."""
        behaviours = Behaviours(page_size=self.page)
        return [
            DeviceSpec(ieee=_FIRST_IEEE + each, manufacturer_code=MANUFACTURER_CODE, image_type=IMAGE_TYPE, max_data_size=64, behaviours=behaviours)
            for each in range(self.devices)
        ]


_WITH_ZIGPY: tuple[HostName, ...] = ("otagate", "zigpy")


def _of_each_stack(*rows: Row) -> tuple[Row, ...]:
    return tuple(replace(row, stack=stack) for stack in STACKS for row in rows)


ROWS = (
    *_of_each_stack(
        Row(stack="znp", name="air off, 1 device", devices=1, image_bytes=65_536, speedup=None, hosts=_WITH_ZIGPY),
        Row(stack="znp", name="air off, 8 devices", devices=8, image_bytes=32_768, speedup=None),
        Row(stack="znp", name="real time, 1 device", devices=1, image_bytes=16_384, speedup=1.0, hosts=_WITH_ZIGPY),
        Row(stack="znp", name="real time, 8 devices", devices=8, image_bytes=8_192, speedup=1.0, hosts=ALL_HOSTS),
    ),
    Row(stack="znp", name="real time, 8 devices, pages", devices=8, image_bytes=4_096, speedup=1.0, page=1_024),
)
"""The full run."""

QUICK_ROWS = (
    Row(stack="znp", name="air off, 8 devices", devices=8, image_bytes=16_384, speedup=None, hosts=_WITH_ZIGPY),
    Row(stack="znp", name="real time, 8 devices", devices=8, image_bytes=2_048, speedup=1.0),
    Row(stack="ezsp", name="real time, 1 device", devices=1, image_bytes=8_192, speedup=1.0, hosts=_WITH_ZIGPY),
)
"""One short turn each."""

SMALLEST_ROWS = (
    Row(stack="znp", name="air off, 1 device", devices=1, image_bytes=2_048, speedup=None),
    Row(stack="ezsp", name="air off, 2 devices", devices=2, image_bytes=1_024, speedup=None),
)
"""Just enough to see that the benchmark works; its figures mean nothing."""
