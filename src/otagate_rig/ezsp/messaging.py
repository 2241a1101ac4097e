"""The data path: sends of the host with their confirmations, and frames from the air."""

from __future__ import annotations

import asyncio
import struct
from typing import Final

from otagate_rig.air import asdu_limit
from otagate_rig.aps import BROADCAST_ROUTERS, BROADCAST_RX_ON, COORDINATOR, ApsFrame, Delivery
from otagate_rig.ezsp import frames
from otagate_rig.ezsp.ash import MAX_DATA
from otagate_rig.ezsp.enums import (
    NO_INDEX,
    OPTION_ENABLE_ROUTE_DISCOVERY,
    OPTION_ENCRYPTION,
    OPTION_RETRY,
    ConfigId,
    EmberStatus,
    Incoming,
    Outgoing,
    PolicyId,
    Tally,
)
from otagate_rig.ezsp.networking import NetworkCommands
from otagate_rig.ezsp.stack import MAX_ROUTES, Command, Stack, constant, counted, take_counted
from otagate_rig.ezsp.system import SystemCommands

FIRST_BROADCAST: Final = 0xFFF8
ALL_ENDPOINTS: Final = 0xFF
MGMT_PERMIT_JOINING_REQ: Final = 0x0036
MGMT_LEAVE_REQ: Final = 0x0034

_UNICAST = struct.Struct("<BHHHBBHHBB")
_BROADCAST = struct.Struct("<HHHBBHHBBB")
_MULTICAST = struct.Struct("<HHBBHHBBBB")
_SENT = struct.Struct("<BHHHBBHHBBB")
_INCOMING = struct.Struct("<BHHBBHHBBbHBB")
_RECORD = struct.Struct("<HQBbB")
_MAX_DATA = MAX_DATA - frames.HEADER.size - _INCOMING.size - 1
_DEFAULT_RADIUS = 30
_REMOVE_REJOIN_NOT = 0x00

STATUS_OF: Final = {
    Delivery.SUCCESS: EmberStatus.SUCCESS,
    # The stack itself cannot tell a missing acknowledgement from a missing route.
    Delivery.NO_APS_ACK: EmberStatus.DELIVERY_FAILED,
    Delivery.NO_ROUTE: EmberStatus.DELIVERY_FAILED,
    Delivery.EXPIRED: EmberStatus.MAC_INDIRECT_TIMEOUT,
    Delivery.TOO_LONG: EmberStatus.MESSAGE_TOO_LONG,
    Delivery.CHANNEL_ACCESS_FAILURE: EmberStatus.PHY_TX_CCA_FAIL,
}


class Ledger:
    """The messages under way; a reset starts a new one, so that late ends of old ones are ignored."""

    __slots__ = ("acknowledged", "count")

    def __init__(self) -> None:
        self.count = 0
        self.acknowledged = 0


class MessageCommands:
    """Answers the sends of the host and turns frames from the air into incomingMessageHandler."""

    def __init__(self, stack: Stack, system: SystemCommands, network: NetworkCommands) -> None:
        self._stack = stack
        self._system = system
        self._network = network
        self._loop = asyncio.get_running_loop()
        self._ledger = Ledger()
        self.full = False  # whatever is under way, no message finds a buffer
        self._aps_counter = 0
        self._incoming_counter = 0

    def commands(self) -> dict[int, Command]:
        """Frame id to its implementation."""
        return {
            frames.SEND_UNICAST: self._send_unicast,
            frames.SEND_BROADCAST: self._send_broadcast,
            frames.SEND_MULTICAST: self._send_multicast,
            frames.MAXIMUM_PAYLOAD_LENGTH: constant(bytes((asdu_limit(),))),
            frames.REMOVE_DEVICE: self._remove_device,
        }

    def restart(self) -> None:
        """Forget what is under way: no confirmation of an older life may reach the host."""
        self._ledger = Ledger()
        self.full = False
        self._system.outstanding = 0

    @property
    def outstanding(self) -> int:
        """Messages that hold a buffer now."""
        return self._ledger.count

    # Sends

    def _send_unicast(self, payload: bytes) -> bytes:
        kind, target, *aps, tag = _UNICAST.unpack_from(payload)
        data = take_counted(payload, _UNICAST.size)
        dst = target
        if kind == Outgoing.VIA_ADDRESS_TABLE:
            address = self._stack.addresses.get(target)
            if address is None or address.nwk >= FIRST_BROADCAST:
                return self._refuse(EmberStatus.BAD_ARGUMENT)
            dst = address.nwk
        elif kind != Outgoing.DIRECT:
            return self._refuse(EmberStatus.INVALID_BINDING_INDEX if kind == Outgoing.VIA_BINDING else EmberStatus.BAD_ARGUMENT)
        return self._submit(Outgoing(kind), target, aps, tag, data, dst=dst, radius=_DEFAULT_RADIUS)

    def _send_broadcast(self, payload: bytes) -> bytes:
        dst, *aps, radius, tag = _BROADCAST.unpack_from(payload)
        data = take_counted(payload, _BROADCAST.size)
        if dst < BROADCAST_ROUTERS:
            return self._refuse(EmberStatus.BAD_ARGUMENT)
        return self._submit(Outgoing.BROADCAST, dst, aps, tag, data, dst=dst, radius=radius)

    def _send_multicast(self, payload: bytes) -> bytes:
        *aps, hops, _nonmember_radius, tag = _MULTICAST.unpack_from(payload)
        data = take_counted(payload, _MULTICAST.size)
        return self._submit(Outgoing.MULTICAST, aps[5], aps, tag, data, dst=BROADCAST_RX_ON, radius=hops)

    def _refuse(self, status: EmberStatus) -> bytes:
        self._stack.counters.refusals[status] += 1
        if status is EmberStatus.NO_BUFFERS:
            self._stack.count(Tally.ALLOCATE_PACKET_BUFFER_FAILURE)
        return bytes((status, 0))

    def _submit(self, kind: Outgoing, target: int, aps: list[int], tag: int, data: bytes, *, dst: int, radius: int) -> bytes:
        stack, ledger = self._stack, self._ledger
        profile, cluster, src_ep, dst_ep, options, group, _sequence = aps
        unicast = dst < FIRST_BROADCAST
        ack = bool(options & OPTION_RETRY) and unicast
        encrypted = bool(options & OPTION_ENCRYPTION)
        route = stack.routes.get(dst, ()) if unicast else ()
        stack.counters.sends[cluster, ack] += 1
        refusal = self._obstacle(len(data), ack=ack, encrypted=encrypted, route=route)
        if refusal is not None:
            return self._refuse(refusal)
        frame = ApsFrame(
            src=COORDINATOR,
            src_ep=src_ep,
            dst=dst,
            dst_ep=dst_ep,
            profile=profile,
            cluster=cluster,
            data=data,
            ack=ack,
            encrypted=encrypted,
            radius=radius or _DEFAULT_RADIUS,
            group=group if kind is Outgoing.MULTICAST else None,
            route=route,
        )
        ledger.count += 1
        ledger.acknowledged += ack
        self._system.outstanding = ledger.count
        stack.counters.outstanding_peak = max(stack.counters.outstanding_peak, ledger.count)
        stack.counters.send_tags.append(tag)
        self._aps_counter = sequence = (self._aps_counter + 1) & 0xFF
        head = _SENT.pack(kind, target, profile, cluster, src_ep, dst_ep, options, group, sequence, tag, 0)
        if dst_ep == 0 and cluster == MGMT_PERMIT_JOINING_REQ and dst != COORDINATOR and len(data) > 1:
            # Joining through a router needs the trust centre's consent, which its policy gives at any time.
            self._network.consent(data[1])
        stack.spawn(self._transmit(frame, ledger, head))
        return bytes((EmberStatus.SUCCESS, sequence))

    def _obstacle(self, size: int, *, ack: bool, encrypted: bool, route: tuple[int, ...]) -> EmberStatus | None:
        """Why the stack would not take a message, or None."""
        stack, ledger = self._stack, self._ledger
        if not stack.is_up:
            return EmberStatus.NETWORK_DOWN
        if size > asdu_limit(relays=len(route) if route else None, encrypted=encrypted):
            return EmberStatus.MESSAGE_TOO_LONG
        if ack and ledger.acknowledged >= stack.config[ConfigId.APS_UNICAST_MESSAGE_COUNT]:
            return EmberStatus.MAX_MESSAGE_LIMIT_REACHED
        if self.full or ledger.count >= stack.config[ConfigId.PACKET_BUFFER_COUNT]:
            return EmberStatus.NO_BUFFERS
        return None

    async def _transmit(self, frame: ApsFrame, ledger: Ledger, head: bytes) -> None:
        stack = self._stack
        stack.frames_sent += 1
        if frame.dst == COORDINATOR and stack.coordinator is not None:
            stack.coordinator.frame_received(frame, lqi=0xFF)
            delivery = Delivery.SUCCESS
        else:
            if frame.dst >= FIRST_BROADCAST and frame.dst_ep and self._is_wanted(frame):
                self.deliver(frame, lqi=0xFF)
            delivery = await stack.medium.transmit(frame)
        ledger.count -= 1
        ledger.acknowledged -= frame.ack
        if ledger is not self._ledger:
            return
        self._system.outstanding = ledger.count
        self._confirm(frame, delivery, head)

    def _confirm(self, frame: ApsFrame, delivery: Delivery, head: bytes) -> None:
        stack, status = self._stack, STATUS_OF[delivery]
        stack.counters.confirms[status] += 1
        if frame.dst >= FIRST_BROADCAST:
            stack.count(Tally.APS_TX_BROADCAST)
            stack.count(Tally.MAC_TX_BROADCAST)
        else:
            stack.count(Tally.APS_TX_UNICAST_SUCCESS if status is EmberStatus.SUCCESS else Tally.APS_TX_UNICAST_FAILED)
            stack.count(Tally.MAC_TX_UNICAST_SUCCESS if status is EmberStatus.SUCCESS else Tally.MAC_TX_UNICAST_FAILED)
        contents = frame.data if stack.policies.get(PolicyId.MESSAGE_CONTENTS_IN_CALLBACK) else b""
        stack.call_back(frames.MESSAGE_SENT_HANDLER, head[:-1] + bytes((status,)) + counted(contents))
        if delivery is Delivery.NO_ROUTE and frame.route and stack.routes.pop(frame.dst, None) is not None:
            stack.call_back(frames.INCOMING_ROUTE_ERROR_HANDLER, struct.pack("<BH", EmberStatus.SOURCE_ROUTE_FAILURE, frame.dst))

    def _remove_device(self, payload: bytes) -> bytes:
        nwk, _destination, target = struct.unpack_from("<HQQ", payload)
        stack = self._stack
        if not stack.is_up:
            return bytes((EmberStatus.NETWORK_DOWN,))
        # The Remove-Device command of the APS layer, as the ZDO frame that does the same.
        data = bytes((0,)) + target.to_bytes(8, "little") + bytes((_REMOVE_REJOIN_NOT,))
        leave = ApsFrame(src=COORDINATOR, src_ep=0, dst=nwk, dst_ep=0, profile=0, cluster=MGMT_LEAVE_REQ, data=data)
        stack.spawn(self.send_quietly(leave))
        return bytes((EmberStatus.SUCCESS,))

    async def send_quietly(self, frame: ApsFrame) -> None:
        """Transmit a frame of the stack's own; the host hears nothing of it."""
        self._stack.frames_sent += 1
        await self._stack.medium.transmit(frame)

    # Frames from the air

    def deliver(self, frame: ApsFrame, *, lqi: int) -> None:
        """Hand a frame from the air to the host if an endpoint is there for it."""
        stack = self._stack
        # Only what is addressed to it alone comes behind a route record.
        if frame.route and stack.concentrator and frame.dst == COORDINATOR and stack.routes.get(frame.src) != frame.route:
            self._note_route(frame, lqi)
        if not self._is_wanted(frame) or len(frame.data) > _MAX_DATA:
            stack.counters.dropped_frames += 1
            return
        own = frame.src == COORDINATOR
        if frame.group is not None:
            kind = Incoming.MULTICAST_LOOPBACK if own else Incoming.MULTICAST
        elif frame.dst >= FIRST_BROADCAST:
            kind = Incoming.BROADCAST_LOOPBACK if own else Incoming.BROADCAST
        else:
            kind = Incoming.UNICAST
        stack.count(Tally.APS_RX_UNICAST if kind is Incoming.UNICAST else Tally.APS_RX_BROADCAST)
        stack.count(Tally.MAC_RX_UNICAST if kind is Incoming.UNICAST else Tally.MAC_RX_BROADCAST)
        options = OPTION_ENABLE_ROUTE_DISCOVERY | (OPTION_RETRY if frame.ack else 0) | (OPTION_ENCRYPTION if frame.encrypted else 0)
        self._incoming_counter = (self._incoming_counter + 1) & 0xFF
        address = stack.address_index(frame.src)
        head = _INCOMING.pack(
            kind,
            frame.profile,
            frame.cluster,
            frame.src_ep,
            frame.dst_ep if frame.group is None else ALL_ENDPOINTS,
            options,
            frame.group or 0,
            self._incoming_counter,
            lqi,
            strength(lqi),
            frame.src,
            NO_INDEX,
            NO_INDEX if address is None else address,
        )
        stack.call_back(frames.INCOMING_MESSAGE_HANDLER, head + counted(frame.data))

    def _is_wanted(self, frame: ApsFrame) -> bool:
        stack = self._stack
        if frame.group is not None:
            group = frame.group.to_bytes(2, "little")
            return any(entry[:2] == group and entry[2] in stack.endpoints for entry in stack.groups.values())
        # A unicast is the host's whatever its endpoint: bellows asks endpoint 11 of a lamp from its own 11, which it never registered.
        if frame.dst < FIRST_BROADCAST or frame.dst_ep in stack.endpoints or frame.dst_ep == 0:
            return True
        return frame.dst_ep == ALL_ENDPOINTS and bool(stack.endpoints)

    def _note_route(self, frame: ApsFrame, lqi: int) -> None:
        stack = self._stack
        if frame.src not in stack.routes and len(stack.routes) >= MAX_ROUTES:
            del stack.routes[next(iter(stack.routes))]
        stack.routes[frame.src] = frame.route
        ieee = stack.medium.ieee_of(frame.src) or 0
        relays = struct.pack(f"<{len(frame.route)}H", *reversed(frame.route))
        # A route record is written from the device on: the relay nearest to it comes first.
        head = _RECORD.pack(frame.src, ieee, lqi, strength(lqi), len(frame.route))
        stack.call_back(frames.INCOMING_ROUTE_RECORD_HANDLER, head + relays)


def strength(lqi: int) -> int:
    """A received signal strength in dBm that goes with a link quality."""
    return min(lqi, 0xFF) * 70 // 0xFF - 95
