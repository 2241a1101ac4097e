"""What the coordinator itself answers to ZDO requests, of devices on the air and of its own host (Zigbee 2.4.3, 2.4.4)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from otagate_rig.air_side import MalformedCommandError, take
from otagate_rig.aps import COORDINATOR
from otagate_rig.znp.stack import Endpoint, Stack, take_clusters

NWK_ADDR_REQ: Final = 0x0000
IEEE_ADDR_REQ: Final = 0x0001
NODE_DESC_REQ: Final = 0x0002
POWER_DESC_REQ: Final = 0x0003
SIMPLE_DESC_REQ: Final = 0x0004
ACTIVE_EP_REQ: Final = 0x0005
MATCH_DESC_REQ: Final = 0x0006
DEVICE_ANNCE: Final = 0x0013
SYSTEM_SERVER_DISCOVERY_REQ: Final = 0x0015
PARENT_ANNCE: Final = 0x001F
MGMT_LQI_REQ: Final = 0x0031
MGMT_RTG_REQ: Final = 0x0032
MGMT_BIND_REQ: Final = 0x0033
MGMT_PERMIT_JOINING_REQ: Final = 0x0036
MGMT_NWK_UPDATE_REQ: Final = 0x0038
RESPONSE: Final = 0x8000

SUCCESS: Final = 0x00
DEVICE_NOT_FOUND: Final = 0x81
INVALID_EP: Final = 0x82
NOT_ACTIVE: Final = 0x83
NOT_SUPPORTED: Final = 0x84

_SERVER_MASK = 0x0041
# Coordinator, 2.4 GHz, all MAC capabilities of a mains-powered FFD, TI, buffer 80, transfers of 160, stack revision 22.
_NODE_DESCRIPTOR = struct.pack("<BBBHBHHHB", 0x00, 0x40, 0x8F, 0x0000, 0x50, 0x00A0, 22 << 9 | _SERVER_MASK, 0x00A0, 0x00)
_POWER_DESCRIPTOR = b"\x10\xc1"
_CHANNELS = range(11, 27)
_MAX_SCAN_DURATION = 5
_CHANNEL_CHANGE = 0xFE
_NEIGHBOURS_PER_ANSWER = 3
_WILDCARD_PROFILE = 0xFFFF
_EXTENDED = 1
# Which requests are answered when they came as a broadcast, and only when there is something to tell.
_BROADCAST_ANSWERED = frozenset({NWK_ADDR_REQ, MATCH_DESC_REQ, SYSTEM_SERVER_DISCOVERY_REQ})
_UNANSWERED = frozenset({DEVICE_ANNCE, PARENT_ANNCE})


class ZdoServer:
    """Answers ZDO requests from the registered endpoints and the stored network."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._answers: dict[int, Callable[[bytes], bytes]] = {
            NWK_ADDR_REQ: self._nwk_addr,
            IEEE_ADDR_REQ: self._ieee_addr,
            NODE_DESC_REQ: lambda body: self._own_descriptor(body, _NODE_DESCRIPTOR),
            POWER_DESC_REQ: lambda body: self._own_descriptor(body, _POWER_DESCRIPTOR),
            SIMPLE_DESC_REQ: self._simple_desc,
            ACTIVE_EP_REQ: self._active_ep,
            MATCH_DESC_REQ: self._match_desc,
            SYSTEM_SERVER_DISCOVERY_REQ: self._system_server,
            MGMT_LQI_REQ: self._mgmt_lqi,
            MGMT_RTG_REQ: lambda body: bytes((SUCCESS, 0)) + take(body, 0, 1) + b"\x00",
            MGMT_BIND_REQ: lambda body: bytes((SUCCESS, 0)) + take(body, 0, 1) + b"\x00",
            MGMT_PERMIT_JOINING_REQ: self._permit_joining,
            MGMT_NWK_UPDATE_REQ: self._nwk_update,
        }

    def answer(self, cluster: int, body: bytes, *, broadcast: bool) -> bytes | None:
        """The response to a request (without transaction number), or None when the coordinator stays silent."""
        if cluster >= RESPONSE or cluster in _UNANSWERED:
            return None
        known = self._answers.get(cluster)
        if known is None:
            return None if broadcast else bytes((NOT_SUPPORTED,))
        try:
            answer = known(body)
        except (struct.error, MalformedCommandError):
            return None
        if broadcast and (cluster not in _BROADCAST_ANSWERED or not _tells(cluster, answer)):
            return None
        return answer

    def matching(self, body: bytes) -> tuple[Endpoint, ...]:
        """The endpoints that a Match_Desc_req asks for."""
        _nwk, profile = struct.unpack_from("<HH", body)
        inputs, at = take_clusters(body, 4)
        outputs, _ = take_clusters(body, at)
        return tuple(
            endpoint
            for endpoint in self._stack.endpoints.values()
            if profile in (endpoint.profile, _WILDCARD_PROFILE)
            and (not set(inputs).isdisjoint(endpoint.inputs) or not set(outputs).isdisjoint(endpoint.outputs))
        )

    def _nwk_addr(self, body: bytes) -> bytes:
        ieee, kind, start = struct.unpack_from("<QBB", body)
        nwk = COORDINATOR if ieee == self._stack.ieee else self._stack.children.get(ieee)
        if nwk is None:
            return struct.pack("<BQH", DEVICE_NOT_FOUND, ieee, 0xFFFF)
        return struct.pack("<BQH", SUCCESS, ieee, nwk) + self._associated(nwk, kind, start)

    def _ieee_addr(self, body: bytes) -> bytes:
        nwk, kind, start = struct.unpack_from("<HBB", body)
        if nwk == COORDINATOR:
            return struct.pack("<BQH", SUCCESS, self._stack.ieee, nwk) + self._associated(nwk, kind, start)
        for ieee, child in self._stack.children.items():
            if child == nwk:
                return struct.pack("<BQH", SUCCESS, ieee, nwk)
        return struct.pack("<BQH", DEVICE_NOT_FOUND, 0, nwk)

    def _associated(self, nwk: int, kind: int, start: int) -> bytes:
        if kind != _EXTENDED or nwk != COORDINATOR:
            return b""
        children = list(self._stack.children.values())
        part = children[start : start + 32]
        return struct.pack(f"<BB{len(part)}H", len(children) & 0xFF, start, *part)

    def _own_descriptor(self, body: bytes, descriptor: bytes) -> bytes:
        (nwk,) = struct.unpack_from("<H", body)
        if nwk != COORDINATOR:
            return struct.pack("<BH", DEVICE_NOT_FOUND, nwk)
        return struct.pack("<BH", SUCCESS, nwk) + descriptor

    def _simple_desc(self, body: bytes) -> bytes:
        nwk, number = struct.unpack_from("<HB", body)
        endpoint = self._stack.endpoints.get(number)
        if nwk != COORDINATOR:
            return struct.pack("<BHB", DEVICE_NOT_FOUND, nwk, 0)
        if endpoint is None:
            return struct.pack("<BHB", NOT_ACTIVE if 0 < number <= 240 else INVALID_EP, nwk, 0)
        descriptor = endpoint.simple_descriptor()
        return struct.pack("<BHB", SUCCESS, nwk, len(descriptor)) + descriptor

    def _active_ep(self, body: bytes) -> bytes:
        (nwk,) = struct.unpack_from("<H", body)
        if nwk != COORDINATOR:
            return struct.pack("<BHB", DEVICE_NOT_FOUND, nwk, 0)
        return struct.pack("<BHB", SUCCESS, nwk, len(self._stack.endpoints)) + bytes(sorted(self._stack.endpoints))

    def _match_desc(self, body: bytes) -> bytes:
        matches = self.matching(body)
        return struct.pack("<BHB", SUCCESS, COORDINATOR, len(matches)) + bytes(endpoint.number for endpoint in matches)

    def _system_server(self, body: bytes) -> bytes:
        (mask,) = struct.unpack_from("<H", body)
        return struct.pack("<BH", SUCCESS, mask & _SERVER_MASK)

    def _mgmt_lqi(self, body: bytes) -> bytes:
        start = take(body, 0, 1)[0]
        children = list(self._stack.children.items())
        part = children[start : start + _NEIGHBOURS_PER_ANSWER]
        identity = self._stack.identity
        extended = identity.extended_pan_id if identity else 0
        # End device, receiver unknown, child; no joining through it; one hop away; a good link.
        records = b"".join(struct.pack("<QQHBBBB", extended, ieee, nwk, 0x1A, 0, 1, 200) for ieee, nwk in part)
        return bytes((SUCCESS, len(children) & 0xFF, start, len(part))) + records

    def _permit_joining(self, body: bytes) -> bytes:
        self._stack.medium.permit_joining(take(body, 0, 2)[0])
        return bytes((SUCCESS,))

    def _nwk_update(self, body: bytes) -> bytes:
        mask, duration = struct.unpack_from("<IB", body)
        channels = [channel for channel in _CHANNELS if mask >> channel & 1]
        if duration == _CHANNEL_CHANGE and channels:
            self._change_channel(channels[0])
            channels = []
        elif duration > _MAX_SCAN_DURATION:
            channels = []
        # A made-up but steady noise floor: a scan must not make a test run differ from the next.
        energies = bytes(20 + channel * 7 % 40 for channel in channels)
        scanned = sum(1 << channel for channel in channels)
        return struct.pack("<BIHHB", SUCCESS, scanned, 0, 0, len(energies)) + energies

    def _change_channel(self, channel: int) -> None:
        stack = self._stack
        stack.nvram.change_channel(channel)
        old = stack.identity
        if old is not None and stack.is_up:
            stack.bring_up(replace(old, channel=channel), ieee=stack.ieee)


def _tells(cluster: int, answer: bytes) -> bool:
    if cluster == NWK_ADDR_REQ:
        return answer[0] == SUCCESS
    if cluster == MATCH_DESC_REQ:
        return answer[3] > 0
    return answer[1:3] != b"\x00\x00"
