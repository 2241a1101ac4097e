"""The Zigbee Device Object of the coordinator: what the stack answers itself, and what it leaves to the host."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from otagate_rig import zdo
from otagate_rig.aps import COORDINATOR, ApsFrame, DeviceKind
from otagate_rig.ezsp.enums import HOST_ANSWERS_UNSUPPORTED, ZDO_REQUESTS_REACH_HOST, ConfigId
from otagate_rig.ezsp.messaging import FIRST_BROADCAST, MGMT_PERMIT_JOINING_REQ, MessageCommands
from otagate_rig.ezsp.networking import CHANNELS, NetworkCommands, noise_floor
from otagate_rig.ezsp.stack import Stack

SYSTEM_SERVER_DISCOVERY_REQ: Final = 0x0015
PARENT_ANNCE: Final = 0x001F
MGMT_NWK_UPDATE_REQ: Final = 0x0038

_SERVER_MASK = 0x0041
_MANUFACTURER_CODE = 0x1049
# Coordinator, 2.4 GHz, all MAC capabilities of a mains-powered FFD, buffer 82, transfers of 255, stack revision 22.
_NODE_DESCRIPTOR = struct.pack("<BBBHBHHHB", 0x00, 0x40, 0x8F, _MANUFACTURER_CODE, 82, 255, 22 << 9 | _SERVER_MASK, 255, 0x00)
_MAX_SCAN_DURATION = 5
_CHANNEL_CHANGE = 0xFE
_NEIGHBOURS_PER_ANSWER = 3
_UNANSWERED = frozenset({zdo.DEVICE_ANNCE, PARENT_ANNCE})
_BY_STACK_ALONE = frozenset(
    {zdo.NWK_ADDR_REQ, zdo.IEEE_ADDR_REQ, zdo.POWER_DESC_REQ, zdo.SIMPLE_DESC_REQ, zdo.ACTIVE_EP_REQ, zdo.MATCH_DESC_REQ, zdo.MGMT_RTG_REQ}
    | {zdo.BIND_REQ, zdo.UNBIND_REQ, zdo.MGMT_BIND_REQ}
)


class CoordinatorZdo:
    """Processes frames for endpoint 0."""

    def __init__(self, stack: Stack, messages: MessageCommands, network: NetworkCommands) -> None:
        self._stack = stack
        self._messages = messages
        self._network = network
        self._bindings: set[bytes] = set()
        self._answers: dict[int, Callable[[bytes], bytes]] = {
            zdo.NODE_DESC_REQ: self._node_desc,
            SYSTEM_SERVER_DISCOVERY_REQ: self._system_server,
            zdo.MGMT_LQI_REQ: self._mgmt_lqi,
            MGMT_PERMIT_JOINING_REQ: self._permit_joining,
            MGMT_NWK_UPDATE_REQ: self._nwk_update,
        }

    def restart(self) -> None:
        """Forget the bindings."""
        self._bindings.clear()

    def receive(self, frame: ApsFrame, *, lqi: int) -> None:
        """Process a frame for endpoint 0: the host hears of it, or the stack answers, or both, as the host has configured it."""
        if not frame.data:
            self._stack.counters.dropped_frames += 1
            return
        if frame.cluster == zdo.DEVICE_ANNCE and len(frame.data) >= 11:
            nwk, ieee = struct.unpack_from("<HQ", frame.data, 1)
            self._stack.moved(ieee, nwk)
        if frame.cluster & zdo.RESPONSE or frame.cluster in _UNANSWERED:
            self._messages.deliver(frame, lqi=lqi)
            return
        flags = self._stack.config[ConfigId.APPLICATION_ZDO_FLAGS]
        if frame.cluster in self._answers or frame.cluster in _BY_STACK_ALONE:
            if flags & ZDO_REQUESTS_REACH_HOST:
                self._messages.deliver(frame, lqi=lqi)
        elif flags & HOST_ANSWERS_UNSUPPORTED:
            self._messages.deliver(frame, lqi=lqi)
            return
        self._answer(frame)

    def _answer(self, frame: ApsFrame) -> None:
        unicast = frame.dst < FIRST_BROADCAST
        body = self._body(frame.cluster, frame.data, unicast=unicast)
        if body is None:
            return
        response = ApsFrame(
            src=COORDINATOR, src_ep=0, dst=frame.src, dst_ep=0, profile=0, cluster=frame.cluster | zdo.RESPONSE, data=frame.data[:1] + body
        )
        if frame.src == COORDINATOR:
            self._messages.deliver(response, lqi=0xFF)
            return
        self._stack.counters.zdo_answers[frame.cluster] += 1
        self._stack.spawn(self._messages.send_quietly(response))

    def _body(self, cluster: int, data: bytes, *, unicast: bool) -> bytes | None:
        own = self._answers.get(cluster)
        if own is None:
            reply = zdo.answer(self._node(), cluster, data, unicast=unicast)
            return None if reply is None else reply.payload[1:]
        if not unicast and cluster != SYSTEM_SERVER_DISCOVERY_REQ:
            return None
        try:
            return own(data[1:])
        except (struct.error, IndexError):
            return None

    def _node(self) -> zdo.Node:
        stack = self._stack
        return zdo.Node(
            ieee=stack.ieee,
            kind=DeviceKind.ROUTER,
            manufacturer_code=_MANUFACTURER_CODE,
            endpoints=tuple(stack.endpoints.values()),
            nwk=COORDINATOR,
            parent=COORDINATOR,
            extended_pan_id=stack.identity.extended_pan_id if stack.identity is not None else 0,
            bindings=self._bindings,
        )

    def _node_desc(self, data: bytes) -> bytes:
        (nwk,) = struct.unpack_from("<H", data)
        if nwk != COORDINATOR:
            return struct.pack("<BH", zdo.DEVICE_NOT_FOUND, nwk)
        return struct.pack("<BH", zdo.SUCCESS, nwk) + _NODE_DESCRIPTOR

    def _system_server(self, data: bytes) -> bytes:
        (mask,) = struct.unpack_from("<H", data)
        return struct.pack("<BH", zdo.SUCCESS, mask & _SERVER_MASK)

    def _mgmt_lqi(self, data: bytes) -> bytes:
        start = data[0]
        stack = self._stack
        # Router, receiver on, no relative; end device, receiver unknown, child.
        known = [(ieee, nwk, 0x25) for ieee, nwk in stack.neighbours.items()] + [(ieee, nwk, 0x1A) for ieee, nwk in stack.children.values()]
        part = known[start : start + _NEIGHBOURS_PER_ANSWER]
        extended = stack.identity.extended_pan_id if stack.identity is not None else 0
        records = b"".join(struct.pack("<QQHBBBB", extended, ieee, nwk, relation, 2, 1, 200) for ieee, nwk, relation in part)
        return bytes((zdo.SUCCESS, min(len(known), 0xFF), start, len(part))) + records

    def _permit_joining(self, data: bytes) -> bytes:
        seconds, _significance = struct.unpack_from("<BB", data)
        self._network.open_for(seconds)
        return bytes((zdo.SUCCESS,))

    def _nwk_update(self, data: bytes) -> bytes:
        mask, duration = struct.unpack_from("<IB", data)
        channels = [channel for channel in CHANNELS if mask >> channel & 1]
        if duration == _CHANNEL_CHANGE and channels:
            self._network.change_channel(channels[0])
        if duration > _MAX_SCAN_DURATION:
            channels = []
        energies = bytes(noise_floor(channel) + 120 for channel in channels)
        scanned = sum(1 << channel for channel in channels)
        return struct.pack("<BIHHB", zdo.SUCCESS, scanned, 0, 0, len(energies)) + energies
