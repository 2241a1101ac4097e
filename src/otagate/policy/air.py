"""What the air bears at one moment: the radios, the devices behind them, and who reaches whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from otagate.model.devices import Device
from otagate.model.ids import DeviceId, RadioName, UpdateId
from otagate.model.lifecycle import State
from otagate.model.links import Load
from otagate.model.updates import Update
from otagate.model.verdicts import Verdict, hold
from otagate.policy.guards import House, PolicyOf
from otagate.policy.settings import PolicySettings

AWAKE_FOR = timedelta(minutes=5)
"""A sleeping device that was heard within this time may be offered an image; radios tell of it at most about once a minute."""

ON_THE_AIR = frozenset({State.FETCHING, State.OFFERING, State.TRANSFERRING})
"""The states that take a slot: a staged, activating or confirming device sends next to nothing."""

Lane = tuple[RadioName, bool]
"""A radio, and whether it is the lane of slow devices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioAir:
    """What a radio can bear: transfers at once to mains devices (`parallel`) and to slow ones (`slow`).

    Where it is not `up`, `reason` is the word to wait with and `sentence` says why. `load` is what it has to do beside transfers.
    """

    up: bool = True
    parallel: int = 2
    slow: int = 8
    reason: str = "offline"
    sentence: str = "The radio is not up."
    paused: str | None = None
    load: Load | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Air:
    """The world at the moment of the question. `halted` stops every radio; `paused` names single updates; `asleep`: nothing reaches these devices.

    `twins`: under what other ids the same device is known, to its cloud or to a radio. `held`: what waits for its rollout or a step, and why.
    `policy_of` gives the settings of a device, and `house` is what the guards know. `trouble_of` says why the source that an update needs is left
    alone until an operator acts. `listened`: for how long this hub has heard devices without a break.
    """

    radios: Mapping[RadioName, RadioAir]
    devices: Mapping[DeviceId, Device]
    halted: bool = False
    paused: frozenset[UpdateId] = field(default=frozenset())
    asleep: Set[DeviceId] = field(default=frozenset())
    twins: Mapping[DeviceId, Set[DeviceId]] = field(default_factory=dict)
    held: Mapping[UpdateId, Verdict] = field(default_factory=dict)
    listened: timedelta = timedelta(0)
    policy_of: PolicyOf = field(default=lambda _: PolicySettings())
    house: House = field(default_factory=House)
    trouble_of: Callable[[Update], str | None] = field(default=lambda _: None)


def lane_of(update: Update, air: Air) -> Lane:
    """The lane that it uses: its radio, and whether its device is slow."""
    device = air.devices.get(update.device)
    return (update.radio, device is not None and device.slow)


def unreachable(update: Update, air: Air, now: datetime) -> Verdict | None:
    """Hold it (`offline`, `in_use`, `asleep`) where nothing reaches its device now: the radio is not up, the device is away, or sleeps."""
    return radio_away(update, air) or device_away(update, air, now)


def radio_away(update: Update, air: Air) -> Verdict | None:
    """Hold it where its radio is not up."""
    radio = air.radios.get(update.radio)
    if radio is None:
        return hold("offline", f"There is no radio {update.radio!r}.")
    return None if radio.up else hold(radio.reason, radio.sentence)


def device_away(update: Update, air: Air, now: datetime) -> Verdict | None:
    """Hold it (`offline`, `asleep`) where its device is away, or sleeps."""
    device = air.devices.get(update.device)
    if device is None:
        return hold("offline", "The device is not known to any radio now.")
    if not device.online:
        return hold("offline", "The device does not answer.")
    if device.sleepy and (device.id in air.asleep or device.last_seen is None or abs(now - device.last_seen) > AWAKE_FOR):
        return hold("asleep", "The device sleeps; the update starts when it wakes.")
    return None
