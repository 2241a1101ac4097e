"""zigbee2mqtt's `database.db`: one JSON object a line, as zigbee-herdsman writes it.

It keeps addresses, endpoints and what the Basic cluster told, but no node descriptor: that is made from the kind of the device and its power source.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from otagate.adoption.values import ieee_address, label, mapping, read_json, sequence, whole
from otagate.model.errors import AdoptionError
from otagate.model.networks import (
    ENDPOINTS,
    GROUPS,
    WORDS,
    KnownDevice,
    KnownEndpoint,
    KnownGroup,
    LeftOut,
    make_descriptor,
    reconcile,
    spell_ieee,
)

_MOST_CLUSTERS = 255  # a simple descriptor counts them in one byte
_DEVICES = ("Router", "EndDevice", "Unknown")
_SLEEPS_NOT = ("Mains", "Emergency mains", "DC Source")
_LATEST = 4_102_444_800.0  # the year 2100


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """What the file tells; devices and groups have no names yet."""

    coordinator: int
    devices: tuple[KnownDevice, ...]
    groups: tuple[KnownGroup, ...]
    left_out: tuple[LeftOut, ...]


class _UnfitError(Exception):
    """An entry that makes no device; its text is the reason."""


def read_database(data: bytes, shown: str) -> Database:
    """Raises AdoptionError where a line cannot be read, or where there is no coordinator: then the file is another one, or a part of one."""
    entries: dict[str, dict[str, Any]] = {}  # by address; the last of one address counts, as zigbee2mqtt itself has it
    groups: list[KnownGroup] = []
    coordinator: int | None = None
    for place, entry in _entries(data, shown):
        match entry.get("type"):
            case "Coordinator":
                coordinator = ieee_address(entry.get("ieeeAddr"))
            case "Group":
                groups += _group(entry)
            case _:
                ieee = ieee_address(entry.get("ieeeAddr"))
                entries[spell_ieee(ieee) if ieee is not None else place] = entry
    if coordinator is None:
        raise AdoptionError(f"{shown} names no coordinator: it is no database of zigbee2mqtt, or only a part of one")
    devices: list[KnownDevice] = []
    left_out: list[LeftOut] = []
    for what, entry in entries.items():
        try:
            devices.append(_device(entry))
        except _UnfitError as error:
            left_out.append(LeftOut(what=what, why=str(error)))
    usable, unusable = reconcile(tuple(devices))
    return Database(coordinator=coordinator, devices=usable, groups=tuple(groups), left_out=(*left_out, *unusable))


def _entries(data: bytes, shown: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            place = f"line {number}"
            entry = read_json(line, f"{shown}, {place},")
            if not isinstance(entry, dict):
                raise AdoptionError(f"{shown}, {place}, is no entry of zigbee2mqtt's database")
            yield place, entry


def _group(entry: dict[str, Any]) -> list[KnownGroup]:
    number = whole(entry.get("groupID"), GROUPS)
    if number is None:
        return []
    members = [
        (ieee, endpoint)
        for each in map(mapping, sequence(entry.get("members")))
        if (ieee := ieee_address(each.get("deviceIeeeAddr"))) is not None and (endpoint := whole(each.get("endpointID"), ENDPOINTS)) is not None
    ]
    return [KnownGroup(number=number, name="", members=tuple(members))]


def _device(entry: dict[str, Any]) -> KnownDevice:
    kind = entry.get("type")
    if kind == "GreenPower":
        raise _UnfitError("a Green Power device has no firmware to update")
    if kind not in _DEVICES:
        raise _UnfitError("it is of no type that is known here")
    ieee, nwk = ieee_address(entry.get("ieeeAddr")), whole(entry.get("nwkAddr"), WORDS)
    if ieee is None or nwk is None:
        raise _UnfitError("it has no address")
    interviewed = entry.get("interviewState") == "SUCCESSFUL" or entry.get("interviewCompleted") is True
    power = entry.get("powerSource")
    router = kind == "Router"
    return KnownDevice(
        ieee=ieee,
        nwk=nwk,
        descriptor=make_descriptor(
            router=router,
            mains=router or (isinstance(power, str) and power.startswith(_SLEEPS_NOT)),
            manufacturer_code=whole(entry.get("manufId"), WORDS) or 0,
        ),
        endpoints=tuple(_endpoints(entry)) if interviewed else (),
        manufacturer=label(entry.get("manufName")) or None,
        model=label(entry.get("modelId")) or None,
        battery=_battery(entry),
        last_seen=_moment(entry.get("lastSeen")),
    )


def _endpoints(entry: dict[str, Any]) -> Iterator[KnownEndpoint]:
    for each in map(mapping, mapping(entry.get("endpoints")).values()):
        number, profile, device_type = (whole(each.get(key), among) for key, among in (("epId", ENDPOINTS), ("profId", WORDS), ("devId", WORDS)))
        if number is not None and profile is not None and device_type is not None:
            yield KnownEndpoint(
                number=number,
                profile=profile,
                device_type=device_type,
                inputs=_clusters(each.get("inClusterList")),
                outputs=_clusters(each.get("outClusterList")),
            )


def _clusters(listed: object) -> tuple[int, ...]:
    found = {each for each in sequence(listed) if whole(each, WORDS) is not None}
    return tuple(sorted(found)[:_MOST_CLUSTERS])


def _battery(entry: dict[str, Any]) -> int | None:
    for each in map(mapping, mapping(entry.get("endpoints")).values()):
        power = mapping(mapping(each.get("clusters")).get("genPowerCfg"))
        left = whole(mapping(power.get("attributes")).get("batteryPercentageRemaining"), range(201))
        if left is not None:
            return left
    return None


def _moment(milliseconds: object) -> datetime | None:
    if not isinstance(milliseconds, int | float) or isinstance(milliseconds, bool) or not math.isfinite(milliseconds):
        return None
    seconds = milliseconds / 1000
    return datetime.fromtimestamp(seconds, UTC) if 0 < seconds < _LATEST else None
