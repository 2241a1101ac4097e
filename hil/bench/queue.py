"""What a queue of hundreds costs: one look at who may begin, and one order for everybody."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hil.bench.verdicts import Figures, Reach
from otagate.config import HubSettings
from otagate.config.policies import PolicyBook
from otagate.engine.journal import Journal
from otagate.engine.ledger import Ledger
from otagate.engine.timers import SystemClock
from otagate.model.devices import Component, Device
from otagate.model.ids import RadioName, UpdateId, zigbee_component_id, zigbee_device_id
from otagate.model.lifecycle import State
from otagate.model.updates import Update
from otagate.policy.admit import admit
from otagate.policy.air import Air, RadioAir
from otagate.stores import open_store

_RADIOS = tuple(RadioName(f"zigbee{number}") for number in range(3))
_MAIN = zigbee_component_id(0x1409)
_RULES = [{"match": {"model": f"Other {number}*"}, "use": {"default": "never"}} for number in range(20)]

REACHES = (
    Reach(figure="milliseconds_per_decision", text="CPU time of one look at the queue of 500, by device, ms", most=5),
    Reach(figure="seconds_per_order", text="CPU time of one order for all of them, s", most=2),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How many devices wait, half of them asleep, and how often the queue is looked at."""

    devices: int = 500
    looks: int = 50


QUICK = Extent(devices=20, looks=3)


def house(count: int, now: datetime) -> list[Device]:
    """Devices of three radios, every second one asleep."""
    component = Component(id=_MAIN, version=1, manufacturer_code=0x117C, image_type=0x1409)
    return [
        Device(
            id=zigbee_device_id(number + 1),
            radio=_RADIOS[number % 3],
            model="Lamp",
            sleepy=number % 2 == 0,
            last_seen=now - timedelta(hours=1),
            components=(component,),
        )
        for number in range(count)
    ]


def draft(device: Device, now: datetime) -> Update:
    """An order for a device."""
    return Update(
        id=UpdateId(f"u{device.id}"),
        device=device.id,
        component=_MAIN,
        radio=RadioName(device.radio or ""),
        from_version=1,
        to_version=2,
        source="upload",
        image=None,
        state=State.QUEUED,
        bytes_total=240_000,
        created=now,
        manufacturer_code=0x117C,
        image_type=0x1409,
        actor="bench",
    )


def look(extent: Extent, now: datetime) -> float:
    """Milliseconds of CPU time of one look at the whole queue, with twenty rules of policy; the median."""
    settings = HubSettings.model_validate({"policy": {"rules": _RULES}})
    devices = house(extent.devices, now)
    radios = {name: RadioAir() for name in _RADIOS}
    air = Air(radios=radios, devices={each.id: each for each in devices}, policy_of=PolicyBook(settings.policy_of))
    queue = [draft(each, now) for each in devices]
    took = []
    for _ in range(extent.looks):
        began = time.process_time()
        admit(queue, [], air=air, now=now)
        took.append((time.process_time() - began) * 1_000)
    return statistics.median(took)


async def order(extent: Extent, now: datetime, folder: Path) -> float:
    """Seconds of CPU time of one order for everybody, in one transaction of the store."""
    async with open_store("sqlite:///otagate.db", folder) as store:
        clock = SystemClock()
        ledger = Ledger(store, Journal(store, clock), clock)
        began = time.process_time()
        await ledger.create([draft(each, now) for each in house(extent.devices, now)])
        return time.process_time() - began


async def measure(extent: Extent, folder: Path) -> Figures:
    """Every figure."""
    now = datetime.now(UTC)  # noqa: TID251 - a bench has no clock of the hub's
    whole = look(extent, now)
    figures = {"milliseconds_per_look": whole, "milliseconds_per_decision": whole / extent.devices}
    return figures | {"seconds_per_order": await order(extent, now, folder)}
