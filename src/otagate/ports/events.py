"""What radios tell the engine, as values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from otagate.model.devices import Component, Device
from otagate.model.ids import ComponentId, DeviceId, RadioName, UpdateId
from otagate.model.lifecycle import Cause
from otagate.model.links import Link, Load
from otagate.model.versions import Version

RadioState = Literal["starting", "up", "retrying", "wrong_network", "in_use", "lent", "disabled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loan:
    """A stick that belongs to another program, which people call `owner`, and how far it is on its way to us and back."""

    owner: str
    stage: Literal["taking", "held", "returning", "returned"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioChanged:
    """A radio's state with a sentence for people; `loan` while its stick is not with its owner, and when it has just gone back.

    `retried`: it is tried again by itself.
    """

    radio: RadioName
    state: RadioState
    sentence: str
    loan: Loan | None = None
    retried: bool = False


RadioNews = Literal["adoption_failed", "network_changed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioNoticed:
    """Something about a radio that people should know, beside its state."""

    radio: RadioName
    kind: RadioNews
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioLoaded:
    """How much a radio had to do in the last minutes; told when it is other than before."""

    radio: RadioName
    load: Load


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFound:
    """A device is known to the radio: identity as far as the interview told it. Components may be empty until it is interrogated."""

    device: Device


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSeen:
    """A device was heard, and how well where that is known; sent at most about once a minute per device."""

    device: DeviceId
    link: Link | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSlept:
    """A sleeping device went back to sleep, for sure: nothing reaches it until it is seen again."""

    device: DeviceId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSilent:
    """The radio tells that a device does not answer."""

    device: DeviceId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReturned:
    """A device announced itself on the network: after a reboot, a power cut or a rejoin."""

    device: DeviceId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceGone:
    """A device left the network."""

    device: DeviceId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAsked:
    """A device told by itself what it runs: it asked what there is for it (Query Next Image), or its driver interviewed it anew."""

    device: DeviceId
    component: Component


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferAdvanced:
    """The conversation about an update reached a cause of the lifecycle.

    `causes` happen in this order and are committed together. The same comes again until its `token` is passed to `Radio.committed`; what the
    device is answered leaves only then. `offset` is the high-water mark in bytes. `held`: the device has the whole image and is told to wait with it
    only because the update is paused. `wants_more`: it has the whole image, and wants another one before it uses either. `code`: what the failure is
    called, where the cause alone says less. `until`: before then there is no use in another attempt. `rest`: seconds for which the device
    says that it will be away.
    """

    update: UpdateId
    causes: tuple[Cause, ...]
    detail: str
    token: int
    offset: int = 0
    held: bool = False
    wants_more: bool = False
    code: str | None = None
    until: datetime | None = None
    rest: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferProgressed:
    """The high-water mark of a transfer rose; sampled, at most a few times a second. `fragments`: sent and in all, where they are counted."""

    update: UpdateId
    offset: int
    fragments: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Knocked:
    """The device of a parked update asks for blocks."""

    update: UpdateId


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignTransfer:
    """Another program updates this device: through the same radio, or in its own cloud; told again until somebody watches it.

    `component` and `to_version` where they are known.
    """

    device: DeviceId
    component: ComponentId | None = None
    to_version: Version | None = None


RadioEvent = (
    RadioChanged
    | RadioNoticed
    | RadioLoaded
    | DeviceFound
    | DeviceSeen
    | DeviceSlept
    | DeviceSilent
    | DeviceReturned
    | DeviceGone
    | DeviceAsked
    | TransferAdvanced
    | TransferProgressed
    | Knocked
    | ForeignTransfer
)
Emit = Callable[[RadioEvent], None]
