"""Rollouts: one release for many devices, in waves, each of which must prove itself before the next one begins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Literal, NewType

from otagate.model.devices import Device
from otagate.model.ids import DeviceId

RolloutId = NewType("RolloutId", str)
"""`r` and a number that rises."""

Gate = Literal["auto", "manual"]

MOST_WAVES = 20
"""Waves that a rollout has at most, the last one that takes the rest included."""


class RolloutState(StrEnum):
    """Where a rollout stands; the words are hawkBit's. A halted one is paused with everything that it had on the air."""

    RUNNING = "running"
    WAITING_FOR_APPROVAL = "waiting_for_approval"
    PAUSED = "paused"
    HALTED = "halted"
    FINISHED = "finished"
    STOPPED = "stopped"

    @property
    def ended(self) -> bool:
        """Whether it stays as it is."""
        return self in (RolloutState.FINISHED, RolloutState.STOPPED)


WaveState = Literal["scheduled", "running", "finished", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WavePlan:
    """What a wave must show. `share` of all devices (0 to 1); `success`: the share of its devices that must have succeeded; `error`: the share that
    may have failed; `soak`: for so long after that nothing more may fail; `gate`: who opens the wave behind it.
    """

    share: float
    success: float = 0.95
    error: float = 0.02
    soak: timedelta = timedelta(hours=24)
    gate: Gate = "auto"


DEFAULT_WAVES = (WavePlan(share=0.01, success=1.0, error=0.0), WavePlan(share=0.05), WavePlan(share=0.25))
"""One device first, then few, then a quarter, then the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How the devices of a wave did; `excused` ones neither succeeded nor failed: cancelled, superseded, or their infrastructure failed."""

    succeeded: int = 0
    failed: int = 0
    excused: int = 0
    pending: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.succeeded + self.failed + self.excused + self.pending


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """A wave with its devices. `opened`: since when they may be updated; `proved`: since when it has shown enough; `forgiven`: failures that an
    operator has seen and goes on in spite of; `result`: how it did in all, once its rollout has ended.
    """

    plan: WavePlan
    devices: tuple[DeviceId, ...]
    opened: datetime | None = None
    proved: datetime | None = None
    forgiven: int = 0
    result: Tally | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Whom a rollout or an order is for: every given one must fit. `model` may hold `*`; nothing at all means every device."""

    model: str | None = None
    group: str | None = None
    radio: str | None = None
    devices: tuple[DeviceId, ...] | None = None

    def fits(self, device: Device) -> bool:
        """Whether a device is meant."""
        return (
            (self.devices is None or device.id in self.devices)
            and (self.model is None or fnmatchcase(device.model or "", self.model))
            and (self.group is None or self.group in device.groups)
            and self.radio in (None, device.radio)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """`version` is what was asked for, as text; None means the newest for each. `sentence` says why it stands where it does."""

    id: RolloutId
    name: str
    select: Selection
    version: str | None
    waves: tuple[Wave, ...]
    state: RolloutState
    sentence: str
    actor: str
    created: datetime
    finished: datetime | None = None

    @property
    def opened(self) -> int:
        """How many waves are open."""
        return sum(wave.opened is not None for wave in self.waves)

    @property
    def size(self) -> int:
        """How many devices it is for."""
        return sum(len(wave.devices) for wave in self.waves)
