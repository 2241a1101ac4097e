"""The one seam of the rig: what an emulated coordinator and a simulated network say to each other.

An emulated NCP (ZNP, EZSP, ...) turns serial bytes into calls of `Medium`; the simulated network answers through `Coordinator`. Neither
side knows the other's class, so a further NCP is one more implementation of `Coordinator` over the same devices.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol

COORDINATOR = 0x0000
BROADCAST_ALL = 0xFFFF
BROADCAST_RX_ON = 0xFFFD
BROADCAST_ROUTERS = 0xFFFC


class Delivery(enum.Enum):
    """How a transmission ended, in the stack's own terms (the NCP maps it to its status bytes)."""

    SUCCESS = "success"
    NO_APS_ACK = "no_aps_ack"
    NO_ROUTE = "no_route"
    EXPIRED = "expired"  # an indirect frame that a sleeping child never polled for
    TOO_LONG = "too_long"
    CHANNEL_ACCESS_FAILURE = "channel_access_failure"


class DeviceKind(enum.Enum):
    """The logical type of a node (Zigbee Node Descriptor)."""

    ROUTER = "router"
    END_DEVICE = "end_device"  # receiver on when idle
    SLEEPY = "sleepy"  # polls its parent


@dataclass(frozen=True, slots=True, kw_only=True)
class ApsFrame:
    """One APS data frame. `src`/`dst` are network addresses; `group` is set for a groupcast; `data` is the ASDU (a ZCL or ZDO frame)."""

    src: int
    src_ep: int
    dst: int
    dst_ep: int
    profile: int
    cluster: int
    data: bytes
    ack: bool = False
    encrypted: bool = False
    radius: int = 30
    group: int | None = None
    route: tuple[int, ...] = ()  # relays of a source route, nearest the destination last


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkIdentity:
    """What makes a network that network; a device that was joined under another identity hears nothing of this one."""

    pan_id: int
    extended_pan_id: int
    channel: int
    network_key: bytes


class Coordinator(Protocol):
    """What the network may tell an emulated NCP. Never blocks and never raises."""

    def frame_received(self, frame: ApsFrame, *, lqi: int) -> None:
        """A frame for the coordinator (unicast, group or broadcast) came in from the air."""

    def device_joined(self, *, ieee: int, nwk: int, parent: int, rejoined: bool) -> None:
        """The trust centre admitted a device; its Device_annce follows as an ordinary ZDO frame."""

    def device_left(self, *, ieee: int, nwk: int, rejoin: bool) -> None:
        """A device left the network."""


class Medium(Protocol):
    """What an emulated NCP may ask of the simulated network."""

    def attach(self, coordinator: Coordinator, *, ieee: int) -> None:
        """Make `coordinator` the receiver of the frames for address 0x0000."""

    def network_up(self, identity: NetworkIdentity) -> None:
        """The coordinator has started this network; devices joined under the same identity hear it from now on."""

    def network_down(self) -> None:
        """The coordinator is silent (reset, power loss): nothing is delivered to or from it until `network_up`."""

    async def transmit(self, frame: ApsFrame) -> Delivery:
        """Put one frame on the air; returns when the stack would confirm it (after the APS ack where one was asked for)."""

    def permit_joining(self, seconds: int) -> None:
        """Open (or close, with 0) the network for joining."""

    def ieee_of(self, nwk: int) -> int | None:
        """The IEEE address of a joined device."""

    def nwk_of(self, ieee: int) -> int | None:
        """The network address of a joined device."""

    def kind_of(self, nwk: int) -> DeviceKind | None:
        """The kind of a joined device."""
