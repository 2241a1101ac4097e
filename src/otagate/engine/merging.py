"""What a device tells now, joined with what was known of it: nobody takes away what they were not asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from otagate.model.devices import Component, Device

_T = TypeVar("_T")


def known_better(device: Device, known: Device) -> Device:
    """What an interview tells, with what it does not know kept from before."""
    return replace(
        device,
        name=known.name or device.name,
        manufacturer=device.manufacturer or known.manufacturer,
        model=device.model or known.model,
        manufacturer_code=_or(device.manufacturer_code, known.manufacturer_code),
        battery_percent=_or(device.battery_percent, known.battery_percent),
        components=known.components,
        online=known.online,
        last_checked=known.last_checked,
        last_seen=known.last_seen,
        pin=known.pin,
        skipped=known.skipped,
        room=known.room or device.room,
        groups=known.groups or device.groups,
        policy=known.policy,
    )


def adopted(device: Device, known: Device | None) -> Device:
    """The same of what another program of its network knows, which may have heard it later than we."""
    if known is None:
        return device
    heard = max((each for each in (device.last_seen, known.last_seen) if each is not None), default=None)
    return replace(known_better(device, known), last_seen=heard)


def merged_components(known: Iterable[Component], told: Iterable[Component]) -> tuple[Component, ...]:
    """Components told now replace those of the same id. Once one is known with its image type, those without one were a guess, and go."""
    merged = {each.id: each for each in known}
    for each in told:
        before = merged.get(each.id)
        merged[each.id] = each if before is None else _component_better(each, before)
    known_type = any(each.image_type is not None for each in merged.values())
    return tuple(each for each in merged.values() if each.image_type is not None or not known_type)


def _component_better(told: Component, before: Component) -> Component:
    """A way of asking that does not tell everything takes nothing away."""
    return replace(
        told,
        version=before.version if told.version is None else told.version,
        manufacturer_code=_or(told.manufacturer_code, before.manufacturer_code),
        hardware_version=_or(told.hardware_version, before.hardware_version),
        firmware_id=_or(told.firmware_id, before.firmware_id),
        updatable=_or(told.updatable, before.updatable),
        floor=before.floor,
        rate=before.rate,
        drain=before.drain,
        inner_format=before.inner_format,
        holds=_or(told.holds, before.holds),
        activation=told.activation or before.activation,
        applies_unasked=_or(told.applies_unasked, before.applies_unasked),
    )


def differs(device: Device, known: Device | None) -> bool:
    """Whether more is new than when it was heard and asked."""
    return known is None or replace(device, last_seen=known.last_seen, last_checked=known.last_checked) != known


def with_status_of(device: Device, known: Device) -> Device:
    """The device with the status of the other: one that only woke up or went to sleep is no other one."""
    if device.node is None or known.node is None:
        return device
    return replace(device, node=replace(device.node, status=known.node.status))


def _or(told: _T | None, before: _T | None) -> _T | None:
    return before if told is None else told
