"""A coordinator, as a port."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

from otagate.model.devices import Component, Device
from otagate.model.ids import DeviceId, RadioName, UpdateId
from otagate.model.orders import Order
from otagate.model.portraits import Portrait, Setting


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioBackup:
    """A copy of a radio's network in a file that only its owner reads. `size` in bytes; `devices` that the copy knows by key or address."""

    radio: RadioName
    path: Path
    format: str
    sha256: str
    size: int
    devices: int
    created: datetime


class Network(Protocol):
    """The network behind a coordinator: who may join it, and how it moves to another stick."""

    async def permit_joining(self, seconds: int) -> None:
        """Open the network for new devices for 0 to 254 seconds. Raises RadioUnavailable."""

    async def back_up(self) -> RadioBackup:
        """Copy the network to a file below the state directory. Raises RadioUnavailable."""


class Radio(Network, Protocol):
    """One coordinator. Emits typed events; never writes to the store."""

    @property
    def name(self) -> RadioName:
        """The name in the configuration."""

    @property
    def pauses(self) -> bool:
        """Whether a transfer that moves can be made to wait."""

    async def run(self) -> None:
        """One life: connect, serve until the connection is lost. Raises RadioError: retry "later" means start again, "never" means stay off."""

    async def interrogate(self, device: DeviceId) -> Device:
        """Ask the device which firmware it runs, now. Raises DeviceUnreachable, DeviceRefused, RadioUnavailable, UnknownDevice."""

    async def notify(self, device: DeviceId) -> Component:
        """Let the device ask what there is for it, now, and return what it tells by that: some tell their hardware, or all, in no other way.

        Raises DeviceUnreachable where it must not be notified or does not ask, RadioUnavailable, UnknownDevice.
        """

    def command(self, order: Order) -> None:
        """Hand an order to the session of its device; idempotent; survives a restart of the radio."""

    async def stop(self, update: UpdateId) -> None:
        """Make sure that a transfer can be cancelled, breaking it off where it runs elsewhere than in our own session.

        Raises NotCancellable where it is too late, RadioUnavailable where nobody can tell.
        """

    def committed(self, token: int) -> None:
        """What `TransferAdvanced` told is on disk: the held answer may leave."""


@runtime_checkable
class Observant(Protocol):
    """A radio that can tell whether a device is in use."""

    async def is_on(self, device: DeviceId) -> bool | None:
        """Whether the device is switched on, read now; None where it has no switch. Raises RadioError."""


@runtime_checkable
class Keeping(Protocol):
    """A radio that can tell how a device is set, and set it so again."""

    async def portray(self, device: DeviceId, questions: Collection[str] | None = None) -> Portrait:
        """Ask the device for its settings, now: for everything worth knowing, or only these `questions` of an earlier portrait.

        What it does not answer is not known, and no error. Bounded in time and frames. Raises RadioError.
        """

    async def restore(self, device: DeviceId, settings: Sequence[Setting]) -> None:
        """Give these back, in order; what the device refuses is only not so afterwards. Bounded in time. Raises RadioError."""

    def reported(self, device: DeviceId) -> float | None:
        """Seconds since the device reported something by itself; None where it was not heard to, or reports are none of this radio's business."""


@runtime_checkable
class Lendable(Protocol):
    """A radio that can tell devices in mid-transfer that it goes away."""

    async def dismiss(self, updates: Mapping[UpdateId, float], *, within: float) -> None:
        """Have the devices of these updates wait for so many seconds, told at their next request; nothing is sent to them until the radio is back.

        Done when all have been told, and after `within` seconds in any case.
        """

    def back_in(self, update: UpdateId) -> float:
        """Seconds until the device of this update asks again, as it was told by `dismiss`; 0 where it may ask at any moment."""


class Handover(Protocol):
    """A stick that another program has, and lends."""

    @property
    def owed(self) -> bool:
        """Whether it is to be given back: it was taken, or perhaps taken, and never given back since, over restarts too."""

    async def take(self) -> None:
        """Have the other program let go of it; from now on it is owed. Raises RadioUnavailable, and it is owed all the same."""

    async def give_back(self) -> None:
        """Have the other program take it again; then it is owed no more. Idempotent. Raises RadioUnavailable."""
