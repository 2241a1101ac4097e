"""A whole hub against simulated hardware, and what every journey asks of it: wait for a fact, order an update, judge what the device saw."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otagate.config import HubSettings
from otagate.daemon import Hub, Pace, running
from otagate.engine.desk import Desk
from otagate.engine.views import OrderRequest
from otagate.model.facts import Fact
from otagate.model.ids import DeviceId, UpdateId, zigbee_device_id
from otagate.model.updates import Update
from otagate_rig.air import AirSettings
from otagate_rig.device import Device
from otagate_rig.image import build_image, make_payload
from otagate_rig.rig import Rig
from otagate_rig.spec import DeviceSpec

IEEE = 0x000D6F000A9069E7
OTHER_IEEE = 0x000D6F000A9069E8
RADIO = "zigbee0"
PACE = 20.0
WITHIN = 200.0

MANUFACTURER = 0x1189
IMAGE_TYPE = 0x0083
OLD, NEW = 0x01000000, 0x01000001


def image_of(size: int = 20_000, *, version: int = NEW, image_type: int = IMAGE_TYPE, manufacturer: int = MANUFACTURER) -> bytes:
    """A firmware file that the devices of the rig take."""
    return build_image(manufacturer, image_type, version, payload=make_payload(size, version & 0xFF))


def hub_settings(
    state_dir: Path, path: str, *, policy: dict[str, Any] | None = None, sources: Sequence[dict[str, Any]] = (), **radio: Any
) -> HubSettings:
    """The configuration of a hub with one Z-Stack radio behind `path`."""
    return HubSettings.model_validate(
        {
            "state_dir": state_dir,
            "policy": {"alive_for": "0d"} | (policy or {}),
            "sources": list(sources),
            "api": {"listen": ["127.0.0.1:0"]},
            "radios": [{"name": RADIO, "type": "znp", "path": path, "air_share": 100} | radio],
        }
    )


@asynccontextmanager
async def hub_at(path: str, state_dir: Path, *, pace: float = PACE, **radio: Any) -> AsyncIterator[Hub]:
    """A hub whose radio is at that path."""
    async with running(hub_settings(state_dir, path, **radio), pace=Pace.scaled(pace)) as hub:
        yield hub


@asynccontextmanager
async def hub_on(rig: Rig, state_dir: Path, *, pace: float = PACE, **radio: Any) -> AsyncIterator[Hub]:
    """A hub that drives the coordinator of a rig."""
    async with hub_at(rig.path, state_dir, pace=pace, **{"type": rig.stack} | radio) as hub:
        yield hub


@dataclass(frozen=True)
class Journey:
    """A hub and the simulated hardware that it drives."""

    hub: Hub
    rig: Rig

    @property
    def desk(self) -> Desk:
        return self.hub.desk

    def device(self, ieee: int = IEEE) -> Device:
        return self.rig.device(ieee)

    async def order(self, *ieees: int, **wanted: Any) -> UpdateId:
        """Order an update of devices that have told what they run; returns the first update."""
        for ieee in ieees or (IEEE,):
            await told(self.desk, ieee)
        return await ordered(self.desk, *ieees, **wanted)


@asynccontextmanager
async def journey(
    tmp_path: Path,
    *specs: DeviceSpec,
    images: Iterable[bytes] = (),
    stored: Sequence[bytes] | None = None,
    air: AirSettings | None = None,
    pace: float = PACE,
    radio: dict[str, Any] | None = None,
    policy: dict[str, Any] | None = None,
    **rig: Any,
) -> AsyncIterator[Journey]:
    """A hub, up, with `images` stored (or `stored`, where the devices must know more than the hub), on a rig of these devices.

    They announce themselves when the hub can hear them. There is no airtime and every clock runs ten times faster, unless `air` says otherwise.
    """
    images = list(images)
    made = Rig(devices=specs or (DeviceSpec(ieee=IEEE),), images=images, air=air or AirSettings(speedup=None), **{"announce_after": None} | rig)
    async with made as hardware, hub_on(hardware, tmp_path / "state", pace=pace, policy=policy, **radio or {}) as hub:
        await announced(hub, hardware)
        for each in images if stored is None else stored:
            await hub.desk.add_image(each, file_name="firmware.ota", actor="test")
        yield Journey(hub, hardware)


# --- waiting ----------------------------------------------------------------------------------------------------------------------------------


async def fact(desk: Desk, fits: Callable[[Fact], bool], *, after: int = 0, within: float = WITHIN) -> Fact:
    """The first fact that fits, past ones included; TimeoutError with everything that was told where there is none in time."""
    seen: list[Fact] = []
    try:
        async with asyncio.timeout(within):
            async for each in desk.events(after=after):
                seen.append(each)
                if fits(each):
                    return each
    except TimeoutError:
        told = "\n".join(f"{each.number} {each.subject} {each.subject_id} {each.kind} {dict(each.data)}" for each in seen)
        raise TimeoutError(f"it did not come to that within {within:.0f} s:\n{told}") from None
    raise AssertionError("the hub stopped meanwhile")


async def radio_is(desk: Desk, state: str, *, after: int = 0, within: float = WITHIN) -> Fact:
    """Wait until the radio tells that state."""
    return await fact(desk, lambda each: each.subject == "radio" and each.data.get("state") == state, after=after, within=within)


async def announced(hub: Hub, rig: Rig, *, radio: str = RADIO) -> None:
    """Let the devices announce themselves once the hub can hear them."""
    await fact(hub.desk, lambda each: (each.subject, each.subject_id, each.data.get("state")) == ("radio", radio, "up"))
    rig.announce()


async def last_number(hub: Hub) -> int:
    """The number of the newest fact."""
    return await hub.store.facts.last_number()


async def told(desk: Desk, ieee: int = IEEE, *, within: float = WITHIN) -> None:
    """Wait until the device has told which firmware it runs."""
    device = device_id(ieee)
    await fact(
        desk,
        lambda each: each.subject_id == device and each.kind in ("interrogated", "asked") and bool(each.data.get("versions")),
        within=within,
    )


async def state_is(desk: Desk, update: UpdateId, *states: str, after: int = 0, within: float = WITHIN) -> Fact:
    """Wait until the update is told to be in one of these states."""
    return await fact(desk, lambda each: each.subject_id == update and each.data.get("state") in states, after=after, within=within)


async def ended(desk: Desk, update: UpdateId, *, within: float = WITHIN) -> Update:
    """Wait until the update has ended; returns it."""
    await state_is(desk, update, "succeeded", "failed", "cancelled", "superseded", within=within)
    return (await desk.update(update)).update


async def reached(device: Device, share: float, *, within: float = WITHIN) -> None:
    """Wait until the device has received that share of its image."""

    def far_enough(it: Device) -> bool:
        download = it.ota.download
        return download is not None and bool(download.size) and download.offset >= share * download.size

    await device.wait_until(far_enough, within)


# --- doing ------------------------------------------------------------------------------------------------------------------------------------


def device_id(ieee: int) -> DeviceId:
    """The id of a device of the rig."""
    return zigbee_device_id(ieee)


async def ordered(desk: Desk, *ieees: int, **wanted: Any) -> UpdateId:
    """Order an update; fails where any device is refused."""
    return await ordered_of(desk, *(device_id(ieee) for ieee in ieees or (IEEE,)), **wanted)


async def ordered_of(desk: Desk, *devices: DeviceId, **wanted: Any) -> UpdateId:
    """The same, by the hub's own ids."""
    result = await desk.order(OrderRequest(devices=devices, **wanted), actor="test")
    assert not result.refused, [str(each.error) for each in result.refused]
    return result.updates[0].update.id


# --- judging ----------------------------------------------------------------------------------------------------------------------------------


def assert_updated(device: Device, image: bytes, *, version: int = NEW) -> None:
    """The device runs the new version, received exactly these bytes, and saw no rule broken."""
    assert device.violations == [], device.violations
    assert device.file_version == version
    assert bytes(device.ota.received) == image
