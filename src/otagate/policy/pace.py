"""How long an update is likely to take: by what transfers to its device reached here, else those to others of its model, else what its kind bears."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from statistics import median
from typing import Literal

from otagate.model.devices import Device
from otagate.model.ids import ComponentId
from otagate.model.lifecycle import State
from otagate.model.updates import Update

QUICK = 200.0
SLOW = 60.0
"""Bytes a second before anything is learned: what a busy mesh leaves to a mains device, and to one that sleeps or listens now and then."""

AROUND = timedelta(minutes=5)
"""What comes before and after the blocks: the offer, the check of the image, the reboot and the fresh version."""

_LEARNED = 0.5

Known = Literal["measured here", "as others of its model", "estimate"]
"""How a figure is known."""

_Kind = tuple[str | None, str | None, ComponentId]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number, and how it is known."""

    value: float
    known: Known = "estimate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kin:
    """What devices of one model reached here, in bytes a second, by manufacturer, model and component."""

    rates: Mapping[_Kind, float] = field(default_factory=dict)

    @classmethod
    def of(cls, devices: Iterable[Device]) -> Kin:
        """The median of each model."""
        found: dict[_Kind, list[float]] = {}
        for device in devices:
            for component in device.components:
                if component.rate and device.model:
                    found.setdefault(_kind(device, component.id), []).append(component.rate)
        return cls(rates={kind: median(rates) for kind, rates in found.items()})

    def rate(self, device: Device, component: ComponentId) -> float | None:
        """What others of the model of this device reached."""
        return self.rates.get(_kind(device, component))


STRANGERS = Kin()


def rate_of(component: ComponentId, device: Device | None, kin: Kin = STRANGERS) -> Figure:
    """Bytes a second to be reckoned with."""
    own = None if device is None else device.component(component)
    if own is not None and own.rate:
        return Figure(value=own.rate, known="measured here")
    other = None if device is None else kin.rate(device, component)
    if other is not None:
        return Figure(value=other, known="as others of its model")
    return Figure(value=SLOW if device is not None and device.slow else QUICK)


def expected(update: Update, device: Device | None, kin: Kin = STRANGERS) -> timedelta | None:
    """How long the update is likely to take from now, or None where nobody knows its size."""
    if update.bytes_total <= 0:
        return None
    sent = update.bytes_sent if update.state in (State.OFFERING, State.TRANSFERRING) else 0
    return AROUND + timedelta(seconds=max(0, update.bytes_total - sent) / rate_of(update.component, device, kin).value)


def learned(before: float | None, size: int, seconds: float) -> float | None:
    """The rate after one more transfer of `size` bytes, of which the last one tells half; what took no time teaches nothing."""
    if size <= 0 or seconds <= 0:
        return before
    rate = size / seconds
    return round(rate if before is None else before * (1 - _LEARNED) + rate * _LEARNED, 1)


def _kind(device: Device, component: ComponentId) -> _Kind:
    return (device.manufacturer, device.model, component)
