"""A Zigbee network as another program on the same coordinator knows it: what is taken over, without asking a single device."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Program = Literal["zigbee2mqtt", "zha"]

UNICAST = range(0x0001, 0xFFF8)
"""Network addresses of devices: 0 is the coordinator, from 0xFFF8 on they are broadcasts."""

ENDPOINTS = range(1, 255)
"""Endpoints of applications: 0 is ZDO, 255 means all."""

GROUPS = range(0x0001, 0xFFF8)

WORDS = range(1 << 16)
"""Profiles, device types, clusters, manufacturer codes."""

_IEEE = range(1, (1 << 64) - 1)

# logical type; APS flags and frequency band; MAC capabilities; manufacturer code; buffer; incoming; server mask; outgoing; descriptor capabilities
_DESCRIPTOR = struct.Struct("<BBBHBHHHB")
_ROUTER, _END_DEVICE, _2400_MHZ = 1, 2, 8 << 3
_FULL_FUNCTION, _MAINS, _LISTENS, _ALLOCATE = 0x02, 0x04, 0x08, 0x80
_FRAME = 82
"""Octets that every device takes in one frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkIdentity:
    """What makes a network that network. The key serves its fingerprint only: it is never shown."""

    extended_pan_id: int
    coordinator: int
    key: bytes = field(repr=False)
    pan_id: int | None = None
    channel: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEndpoint:
    """A simple descriptor (ZDO 2.4.2.5): `inputs` are server clusters, `outputs` client clusters."""

    number: int
    profile: int
    device_type: int
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDevice:
    """One device: addresses, descriptors, and what people call it.

    `descriptor` is the node descriptor as on the air (ZDO 2.4.2.3); `battery` counts half percents, as attribute 0x0021 of Power Configuration does.
    """

    ieee: int
    nwk: int
    descriptor: bytes
    endpoints: tuple[KnownEndpoint, ...]
    manufacturer: str | None = None
    model: str | None = None
    battery: int | None = None
    last_seen: datetime | None = None
    name: str = ""
    room: str = ""

    @property
    def manufacturer_code(self) -> int:
        """From the node descriptor."""
        return int.from_bytes(self.descriptor[3:5], "little")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownGroup:
    """A group of endpoints; `members` are (IEEE address, endpoint)."""

    number: int
    name: str
    members: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Something that was found and is not taken over, and why."""

    what: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownNetwork:
    """Everything that one program knows; `identity` is None where it does not tell. `remarks` are for the operator."""

    program: Program
    identity: NetworkIdentity | None
    devices: tuple[KnownDevice, ...]
    groups: tuple[KnownGroup, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    remarks: tuple[str, ...] = ()


def spell_ieee(ieee: int) -> str:
    """An address as people write it, most significant byte first: `00:0d:6f:00:0a:90:69:e7`."""
    return ieee.to_bytes(8, "big").hex(":")


def make_descriptor(*, router: bool, mains: bool, manufacturer_code: int) -> bytes:
    """A node descriptor (13 bytes) of what is known without one: routers always listen, an end device where it need not save a battery."""
    listens = router or mains
    capabilities = _ALLOCATE | (_FULL_FUNCTION if router else 0) | (_MAINS if mains else 0) | (_LISTENS if listens else 0)
    return _DESCRIPTOR.pack(_ROUTER if router else _END_DEVICE, _2400_MHZ, capabilities, manufacturer_code, _FRAME, _FRAME, 0, _FRAME, 0)


def reconcile(devices: tuple[KnownDevice, ...]) -> tuple[tuple[KnownDevice, ...], tuple[LeftOut, ...]]:
    """What can stand beside each other on one network, and what cannot: of two devices at one network address the one heard last has it."""
    holders: dict[int, KnownDevice] = {}
    left_out: list[LeftOut] = []
    for device in devices:
        why = _unusable(device)
        if why is not None:
            left_out.append(LeftOut(what=spell_ieee(device.ieee), why=why))
            continue
        other = holders.setdefault(device.nwk, device)
        if other is not device:
            kept, stale = (device, other) if _heard(device) >= _heard(other) else (other, device)
            holders[device.nwk] = kept
            why = f"its network address 0x{device.nwk:04x} belongs to {spell_ieee(kept.ieee)}, which was heard later"
            left_out.append(LeftOut(what=spell_ieee(stale.ieee), why=why))
    return tuple(holders.values()), tuple(left_out)


def _unusable(device: KnownDevice) -> str | None:
    if device.ieee not in _IEEE:
        return "it has no address of a device"
    if device.nwk not in UNICAST:
        return f"0x{device.nwk:04x} is no network address of a device"
    if not device.endpoints:
        return "its interview never finished; it is interviewed when it is heard"
    if not all(_possible(each) for each in device.endpoints):
        return "an endpoint of it is none that a device can have"
    return None


def _possible(endpoint: KnownEndpoint) -> bool:
    words = (endpoint.profile, endpoint.device_type, *endpoint.inputs, *endpoint.outputs)
    return endpoint.number in ENDPOINTS and all(each in WORDS for each in words)


def _heard(device: KnownDevice) -> float:
    return device.last_seen.timestamp() if device.last_seen is not None else 0.0
