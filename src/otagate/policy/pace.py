"""How long an update is likely to take: by what transfers to its device reached here, else by what is slow for its kind."""

from __future__ import annotations

from datetime import timedelta

from otagate.model.devices import Device
from otagate.model.lifecycle import State
from otagate.model.updates import Update

QUICK = 200.0
SLOW = 60.0
"""Bytes a second before anything is learned: what a busy mesh leaves to a mains device, and to one that sleeps or listens now and then."""

AROUND = timedelta(minutes=5)
"""What comes before and after the blocks: the offer, the check of the image, the reboot and the fresh version."""

_LEARNED = 0.5


def rate_of(update: Update, device: Device | None) -> float:
    """Bytes a second to be reckoned with."""
    component = None if device is None else device.component(update.component)
    if component is not None and component.rate:
        return component.rate
    return SLOW if device is not None and device.slow else QUICK


def expected(update: Update, device: Device | None) -> timedelta | None:
    """How long the update is likely to take from now, or None where nobody knows its size."""
    if update.bytes_total <= 0:
        return None
    sent = update.bytes_sent if update.state in (State.OFFERING, State.TRANSFERRING) else 0
    return AROUND + timedelta(seconds=max(0, update.bytes_total - sent) / rate_of(update, device))


def learned(before: float | None, size: int, seconds: float) -> float | None:
    """The rate after one more transfer of `size` bytes, of which the last one tells half; what took no time teaches nothing."""
    if size <= 0 or seconds <= 0:
        return before
    rate = size / seconds
    return round(rate if before is None else before * (1 - _LEARNED) + rate * _LEARNED, 1)
