"""The ZDO subsystem: ZDO requests of the host, and everything that arrives for endpoint 0."""

from __future__ import annotations

import asyncio
import struct
from typing import Final

from otagate_rig.air_side import MalformedCommandError, take
from otagate_rig.aps import BROADCAST_RX_ON, COORDINATOR, ApsFrame
from otagate_rig.zdo import pack_clusters
from otagate_rig.znp import mt
from otagate_rig.znp.frames import MAX_PAYLOAD
from otagate_rig.znp.mt import AddressMode, Status
from otagate_rig.znp.nvram import ZDO_DIRECT_CB
from otagate_rig.znp.stack import Command, Stack
from otagate_rig.znp.zdo_server import (
    DEVICE_ANNCE,
    IEEE_ADDR_REQ,
    MATCH_DESC_REQ,
    MGMT_NWK_UPDATE_REQ,
    MGMT_PERMIT_JOINING_REQ,
    NWK_ADDR_REQ,
    RESPONSE,
    ZdoServer,
)

FIRST_BROADCAST: Final = 0xFFF8
ALL_CLUSTERS: Final = 0xFFFF
_MSG_CB = struct.Struct("<HBHBBH")
_NWK_INFO = struct.Struct("<HBHHQQB")  # own address, device state, PAN, parent, extended PAN, parent's IEEE address, channel
_MAX_BODY = MAX_PAYLOAD - _MSG_CB.size
_OK = bytes((Status.SUCCESS,))
_ROUTE_FAIL = b"\x01"
_MGMT_LEAVE_REQ = 0x0034
_BIND_GROUP = 0x01
_ADDRESS_RESPONSES = (RESPONSE | NWK_ADDR_REQ, RESPONSE | IEEE_ADDR_REQ)
_STATUS_ONLY = frozenset({0x8021, 0x8022, 0x8034, 0x8035, 0x8036})
_DIRECT = frozenset({*range(0x8000, 0x8007), *_STATUS_ONLY, 0x8031, 0x8032, 0x8033, 0x8038})
# Host requests that are "destination, then the ZDO body as it is"; the cluster is the low byte of the command.
_PLAIN = (
    mt.ZDO_NODE_DESC_REQ,
    mt.ZDO_POWER_DESC_REQ,
    mt.ZDO_SIMPLE_DESC_REQ,
    mt.ZDO_ACTIVE_EP_REQ,
    mt.ZDO_MATCH_DESC_REQ,
    mt.ZDO_MGMT_LQI_REQ,
    mt.ZDO_MGMT_RTG_REQ,
    mt.ZDO_MGMT_BIND_REQ,
)


class ZdoCommands:
    """Answers the ZDO commands and processes frames for endpoint 0."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._server = ZdoServer(stack)
        self._loop = asyncio.get_running_loop()
        self._tsn = 0

    def commands(self) -> dict[int, Command]:
        """Command code to its implementation."""
        table: dict[int, Command] = {command: self._plain(command & 0xFF) for command in _PLAIN}
        table |= {
            mt.ZDO_NWK_ADDR_REQ: lambda payload: self._send(BROADCAST_RX_ON, NWK_ADDR_REQ, take(payload, 0, 10)),
            mt.ZDO_IEEE_ADDR_REQ: lambda payload: self._send(_nwk(payload), IEEE_ADDR_REQ, take(payload, 0, 4)),
            mt.ZDO_BIND_REQ: lambda payload: self._bind(0x0021, payload),
            mt.ZDO_UNBIND_REQ: lambda payload: self._bind(0x0022, payload),
            mt.ZDO_MGMT_LEAVE_REQ: self._mgmt_leave,
            mt.ZDO_MGMT_PERMIT_JOIN_REQ: self._mgmt_permit_join,
            mt.ZDO_MGMT_NWK_UPDATE_REQ: self._mgmt_nwk_update,
            mt.ZDO_SEND_DATA: self._send_data,
            mt.ZDO_MSG_CB_REGISTER: self._register,
            mt.ZDO_MSG_CB_REMOVE: self._unregister,
            mt.ZDO_EXT_ROUTE_CHK: self._route_check,
            mt.ZDO_EXT_ROUTE_DISC: self._route_discovery,
            mt.ZDO_EXT_ADD_GROUP: self._add_group,
            mt.ZDO_EXT_REMOVE_GROUP: self._remove_group,
            mt.ZDO_EXT_REMOVE_ALL_GROUPS: self._remove_all_groups,
            mt.ZDO_EXT_FIND_GROUP: self._find_group,
            mt.ZDO_EXT_COUNT_ALL_GROUPS: lambda _: bytes((sum(map(len, self._stack.groups.values())) & 0xFF,)),
            mt.ZDO_EXT_NWK_INFO: self._nwk_info,
        }
        return table

    def receive(self, frame: ApsFrame) -> None:
        """Process a frame for endpoint 0: copies for the host first, then the coordinator's own answer, as Z-Stack orders them."""
        if not frame.data or len(frame.data) - 1 > _MAX_BODY:
            self._stack.counters.dropped_frames += 1
            return
        tsn, body = frame.data[0], frame.data[1:]
        broadcast = frame.dst >= FIRST_BROADCAST
        self._forward(frame, tsn, body, broadcast=broadcast)
        answer = self._server.answer(frame.cluster, body, broadcast=broadcast)
        if answer is None:
            return
        response = ApsFrame(
            src=COORDINATOR,
            src_ep=0,
            dst=frame.src,
            dst_ep=0,
            profile=0,
            cluster=frame.cluster | RESPONSE,
            data=bytes((tsn,)) + answer,
        )
        if frame.src == COORDINATOR:
            self.receive(response)
            return
        self._stack.counters.zdo_answers[frame.cluster] += 1
        self._stack.spawn(self._transmit(response))
        if frame.cluster == MATCH_DESC_REQ:
            self._tell_match(frame.src, body)

    def _forward(self, frame: ApsFrame, tsn: int, body: bytes, *, broadcast: bool) -> None:
        stack, cluster = self._stack, frame.cluster
        if ALL_CLUSTERS in stack.zdo_callbacks or cluster in stack.zdo_callbacks:
            head = _MSG_CB.pack(frame.src, broadcast, cluster, frame.encrypted, tsn, frame.dst)
            stack.send(mt.ZDO_MSG_CB_INCOMING, head + body)
        if stack.nvram.get(ZDO_DIRECT_CB) != b"\x01":
            return
        source = frame.src.to_bytes(2, "little")
        if cluster == DEVICE_ANNCE and len(body) >= 11:
            stack.send(mt.ZDO_END_DEVICE_ANNCE_IND, source + body[:11])
        elif cluster in _DIRECT and body and (body[0] == 0 or cluster in _STATUS_ONLY):
            command = mt.ZDO_DIRECT_RSP + (cluster & 0xFF)
            if cluster in _ADDRESS_RESPONSES:
                stack.send(command, body if len(body) > 11 else body + b"\x00\x00")
            else:
                stack.send(command, source + body)

    def _tell_match(self, nwk: int, body: bytes) -> None:
        for endpoint in self._server.matching(body):
            told = nwk.to_bytes(2, "little") + pack_clusters(endpoint.inputs) + pack_clusters(endpoint.outputs)
            self._stack.send(mt.ZDO_MATCH_DESC_RSP_SENT, told)

    async def _transmit(self, frame: ApsFrame) -> None:
        await self._stack.medium.transmit(frame)

    def _send(self, dst: int, cluster: int, body: bytes, *, tsn: int | None = None) -> bytes:
        if not self._stack.is_up:
            return bytes((Status.NWK_INVALID_REQUEST,))
        if tsn is None:
            self._tsn = tsn = (self._tsn + 1) & 0xFF
        frame = ApsFrame(src=COORDINATOR, src_ep=0, dst=dst, dst_ep=0, profile=0, cluster=cluster, data=bytes((tsn,)) + body)
        if dst == COORDINATOR:
            # After the SRSP: the host learns first that its request was taken.
            self._loop.call_soon(self.receive, frame)
        else:
            self._stack.spawn(self._transmit(frame))
        return _OK

    def _plain(self, cluster: int) -> Command:
        return lambda payload: self._send(_nwk(payload), cluster, payload[2:])

    def _bind(self, cluster: int, payload: bytes) -> bytes:
        dst, source, endpoint, bound, mode, target, target_ep = struct.unpack_from("<HQBHBQB", payload.ljust(23, b"\x00"))
        body = struct.pack("<QBHB", source, endpoint, bound, mode)
        body += struct.pack("<H", target & 0xFFFF) if mode == _BIND_GROUP else struct.pack("<QB", target, target_ep)
        return self._send(dst, cluster, body)

    def _mgmt_leave(self, payload: bytes) -> bytes:
        dst, ieee, flags = struct.unpack_from("<HQB", payload)
        options = (flags & 1) << 7 | (flags >> 1 & 1) << 6
        return self._send(dst, _MGMT_LEAVE_REQ, struct.pack("<QB", ieee, options))

    def _mgmt_permit_join(self, payload: bytes) -> bytes:
        mode, dst, duration, significance = struct.unpack_from("<BHBB", payload)
        body = bytes((duration, significance))
        if mode == AddressMode.BROADCAST or dst >= FIRST_BROADCAST:
            # The coordinator is one of those who are told, and the one whose response the host waits for.
            self._send(COORDINATOR, MGMT_PERMIT_JOINING_REQ, body)
        elif dst != COORDINATOR:
            # Joining through one router still needs the trust centre's consent.
            self._stack.medium.permit_joining(duration)
        return self._send(dst, MGMT_PERMIT_JOINING_REQ, body)

    def _mgmt_nwk_update(self, payload: bytes) -> bytes:
        dst, _mode, channels, duration, count, manager = struct.unpack_from("<HBIBBH", payload)
        body = struct.pack("<IBB", channels, duration, count)
        if duration == 0xFF:
            body += manager.to_bytes(2, "little")
        return self._send(dst, MGMT_NWK_UPDATE_REQ, body)

    def _send_data(self, payload: bytes) -> bytes:
        dst, tsn, cluster = struct.unpack_from("<HBH", payload)
        return self._send(dst, cluster, payload[5:], tsn=tsn)

    def _register(self, payload: bytes) -> bytes:
        self._stack.zdo_callbacks.add(_nwk(payload))
        return _OK

    def _unregister(self, payload: bytes) -> bytes:
        self._stack.zdo_callbacks.discard(_nwk(payload))
        return _OK

    def _route_check(self, payload: bytes) -> bytes:
        dst = _nwk(payload)
        known = self._stack.medium.ieee_of(dst) is not None and dst not in self._stack.no_route
        return _OK if known else _ROUTE_FAIL

    def _route_discovery(self, payload: bytes) -> bytes:
        self._stack.no_route.discard(_nwk(payload))
        return _OK

    def _add_group(self, payload: bytes) -> bytes:
        endpoint, group = struct.unpack_from("<BH", payload)
        if endpoint not in self._stack.endpoints:
            return bytes((Status.INVALID_PARAMETER,))
        self._stack.groups.setdefault(group, set()).add(endpoint)
        return _OK

    def _remove_group(self, payload: bytes) -> bytes:
        endpoint, group = struct.unpack_from("<BH", payload)
        members = self._stack.groups.get(group, set())
        if endpoint not in members:
            return bytes((Status.FAILURE,))
        members.discard(endpoint)
        return _OK

    def _remove_all_groups(self, payload: bytes) -> bytes:
        endpoint = take(payload, 0, 1)[0]
        for members in self._stack.groups.values():
            members.discard(endpoint)
        return _OK

    def _find_group(self, payload: bytes) -> bytes:
        endpoint, group = struct.unpack_from("<BH", payload)
        found = endpoint in self._stack.groups.get(group, set())
        return struct.pack("<BHB", Status.SUCCESS if found else Status.FAILURE, group, 0)  # as long where there is none

    def _nwk_info(self, _payload: bytes) -> bytes:
        identity = self._stack.identity
        if identity is None:
            return _NWK_INFO.pack(0xFFFE, self._stack.state, 0xFFFE, 0xFFFE, 0, 0, 0)
        return _NWK_INFO.pack(COORDINATOR, self._stack.state, identity.pan_id, COORDINATOR, identity.extended_pan_id, 0, identity.channel)


def _nwk(payload: bytes) -> int:
    if len(payload) < 2:
        raise MalformedCommandError("address missing")
    return payload[0] | payload[1] << 8
