"""The AF subsystem: endpoint registration and the data path between the host and the air."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Sequence

from otagate_rig.air_side import take
from otagate_rig.aps import BROADCAST_RX_ON, COORDINATOR, ApsFrame, Delivery
from otagate_rig.znp import mt
from otagate_rig.znp.frames import MAX_PAYLOAD
from otagate_rig.znp.mt import OPTION_APS_ACK, OPTION_APS_SECURITY, AddressMode, Status
from otagate_rig.znp.stack import MAX_ENDPOINTS, Command, Endpoint, Stack, take_clusters

FIRST_BROADCAST = 0xFFF8
ALL_ENDPOINTS = 0xFF
_WILDCARD_PROFILE = 0xFFFF
_SHORT_MODES = (AddressMode.NWK, AddressMode.BROADCAST)

Head = Sequence[int]
"""Destination endpoint, source endpoint, cluster, transaction number, options, radius: the same in all three data requests."""

_REQUEST = struct.Struct("<HBBHBBBB")
_REQUEST_EXT = struct.Struct("<BQBHBHBBBH")
_INCOMING = struct.Struct("<HHHBBBBBIBB")
_INCOMING_TAIL = struct.Struct("<HB")
_MAX_DATA = MAX_PAYLOAD - _INCOMING.size - _INCOMING_TAIL.size
# Z-Stack stamps frames with the MAC's count of 320 microsecond back-off slots.
_SLOTS_PER_SECOND = 3125

_OK = bytes((Status.SUCCESS,))
STATUS_OF = {
    Delivery.SUCCESS: Status.SUCCESS,
    Delivery.NO_APS_ACK: Status.APS_NO_ACK,
    Delivery.NO_ROUTE: Status.NWK_NO_ROUTE,
    Delivery.EXPIRED: Status.MAC_TRANSACTION_EXPIRED,
    Delivery.TOO_LONG: Status.MAC_FRAME_TOO_LONG,
    Delivery.CHANNEL_ACCESS_FAILURE: Status.MAC_CHANNEL_ACCESS_FAILURE,
}


class Ledger:
    """The requests the NCP still holds a buffer for; a reset starts a new one, so that late ends of old ones are ignored."""

    __slots__ = ("count", "tsns")

    def __init__(self) -> None:
        self.count = 0
        self.tsns = bytearray(256)


class AfCommands:
    """Answers the AF commands and turns frames from the air into AF_INCOMING_MSG."""

    def __init__(self, stack: Stack, *, buffers: int, loop_back: Callable[[ApsFrame], None]) -> None:
        self._stack = stack
        self._buffers = buffers
        self.full = False  # whatever is under way, no request finds a buffer
        self._loop_back = loop_back
        self._ledger = Ledger()
        self._loop = asyncio.get_running_loop()
        self._routes: dict[int, tuple[int, ...]] = {}

    def commands(self) -> dict[int, Command]:
        """Command code to its implementation."""
        return {
            mt.AF_REGISTER: self._register,
            mt.AF_DELETE: self._delete,
            mt.AF_APSF_CONFIG_SET: lambda _: _OK,
            mt.AF_DATA_REQUEST: self._data_request,
            mt.AF_DATA_REQUEST_EXT: self._data_request_ext,
            mt.AF_DATA_REQUEST_SRC_RTG: self._data_request_src_rtg,
        }

    def restart(self) -> None:
        """Forget what is under way: no confirm of an older life may reach the host."""
        self._ledger = Ledger()
        self.full = False
        self._routes.clear()

    @property
    def outstanding(self) -> int:
        """Data requests that hold a buffer now."""
        return self._ledger.count

    def _register(self, payload: bytes) -> bytes:
        number, profile, device, version, _latency = struct.unpack_from("<BHHBB", payload)
        inputs, at = take_clusters(payload, 7)
        outputs, _ = take_clusters(payload, at)
        endpoints = self._stack.endpoints
        if number in endpoints:
            return bytes((Status.APS_DUPLICATE_ENTRY,))
        if not 0 < number < ALL_ENDPOINTS or len(endpoints) >= MAX_ENDPOINTS:
            return bytes((Status.INVALID_PARAMETER,))
        endpoints[number] = Endpoint(number=number, profile=profile, device=device, version=version, inputs=inputs, outputs=outputs)
        return _OK

    def _delete(self, payload: bytes) -> bytes:
        removed = self._stack.endpoints.pop(take(payload, 0, 1)[0], None)
        return _OK if removed else bytes((Status.INVALID_PARAMETER,))

    def _data_request(self, payload: bytes) -> bytes:
        dst, *head, length = _REQUEST.unpack_from(payload)
        return self._submit(head, take(payload, _REQUEST.size, length), dst=dst)

    def _data_request_src_rtg(self, payload: bytes) -> bytes:
        dst, *head, relays = _REQUEST.unpack_from(payload)
        route = struct.unpack_from(f"<{relays}H", payload, _REQUEST.size)
        at = _REQUEST.size + 2 * relays
        return self._submit(head, take(payload, at + 1, take(payload, at, 1)[0]), dst=dst, route=route)

    def _data_request_ext(self, payload: bytes) -> bytes:
        mode, address, dst_ep, pan, src_ep, cluster, tsn, options, radius, length = _REQUEST_EXT.unpack_from(payload)
        data = take(payload, _REQUEST_EXT.size, length)
        group: int | None = None
        if mode in _SHORT_MODES:
            dst = address & 0xFFFF
        elif mode == AddressMode.GROUP:
            # A groupcast is a NWK broadcast to everybody who listens; the group is an APS matter.
            group, dst = address & 0xFFFF, BROADCAST_RX_ON
        elif mode == AddressMode.IEEE:
            known = self._stack.medium.nwk_of(address)
            if known is None:
                return bytes((Status.NWK_UNKNOWN_DEVICE,))
            dst = known
        else:
            return bytes((Status.INVALID_PARAMETER,))
        if pan:
            return bytes((Status.INVALID_PARAMETER,))
        return self._submit((dst_ep, src_ep, cluster, tsn, options, radius), data, dst=dst, group=group)

    def _submit(self, head: Head, data: bytes, *, dst: int, group: int | None = None, route: tuple[int, ...] = ()) -> bytes:
        stack, ledger, counters = self._stack, self._ledger, self._stack.counters
        dst_ep, src_ep, cluster, tsn, options, radius = head
        ack = bool(options & OPTION_APS_ACK)
        counters.af_requests[cluster, ack] += 1
        endpoint = stack.endpoints.get(src_ep)
        if src_ep and endpoint is None:
            return bytes((Status.INVALID_PARAMETER,))
        if not stack.is_up:
            return bytes((Status.NWK_INVALID_REQUEST,))
        if self.full or ledger.count >= self._buffers:
            counters.buffer_full += 1
            return bytes((Status.BUFFER_FULL,))
        frame = ApsFrame(
            src=COORDINATOR,
            src_ep=src_ep,
            dst=dst,
            dst_ep=dst_ep,
            profile=endpoint.profile if endpoint else 0,
            cluster=cluster,
            data=data,
            ack=ack,
            encrypted=bool(options & OPTION_APS_SECURITY),
            radius=radius or 30,
            group=group,
            route=route,
        )
        # Neither ZDO requests nor broadcasts are confirmed to the host.
        confirmed = src_ep != 0 and (group is not None or dst < FIRST_BROADCAST)
        ledger.count += 1
        counters.outstanding_peak = max(counters.outstanding_peak, ledger.count)
        if confirmed:
            counters.af_tsns.append(tsn)
            if ledger.tsns[tsn]:
                counters.tsn_collisions += 1
            ledger.tsns[tsn] += 1
        stack.spawn(self._transmit(frame, ledger, tsn if confirmed else None))
        return _OK

    async def _transmit(self, frame: ApsFrame, ledger: Ledger, tsn: int | None) -> None:
        if frame.dst == COORDINATOR:
            self._loop_back(frame)
            delivery = Delivery.SUCCESS
        else:
            delivery = await self._stack.medium.transmit(frame)
        ledger.count -= 1
        if tsn is not None:
            ledger.tsns[tsn] -= 1
        if ledger is not self._ledger:
            return
        if delivery is Delivery.NO_ROUTE:
            self._stack.no_route.add(frame.dst)
        if tsn is not None:
            status = STATUS_OF[delivery]
            self._stack.counters.af_confirms[status] += 1
            self._stack.send(mt.AF_DATA_CONFIRM, bytes((status, frame.src_ep, tsn)))

    def deliver(self, frame: ApsFrame, *, lqi: int) -> None:
        """Hand a frame from the air to the host, once per endpoint it is for."""
        endpoints, dst_ep = self._stack.endpoints, frame.dst_ep
        if frame.route and self._routes.get(frame.src) != frame.route:
            self._routes[frame.src] = frame.route
            relays = struct.pack(f"<HB{len(frame.route)}H", frame.src, len(frame.route), *frame.route)
            self._stack.send(mt.ZDO_SRC_RTG_IND, relays)
        if frame.group is not None:
            targets = sorted(self._stack.groups.get(frame.group, ()))
        elif dst_ep == ALL_ENDPOINTS:
            targets = [number for number, end in endpoints.items() if frame.profile in (end.profile, _WILDCARD_PROFILE)]
        else:
            targets = [dst_ep] if dst_ep in endpoints else []
        data = frame.data
        if not targets or len(data) > _MAX_DATA:
            self._stack.counters.dropped_frames += 1
            return
        broadcast = frame.group is None and frame.dst >= FIRST_BROADCAST
        stamp = int(self._loop.time() * _SLOTS_PER_SECOND) & 0xFFFFFFFF
        for target in targets:
            # The transaction number of an incoming message is always 0: only the ZCL header knows the real one.
            head = _INCOMING.pack(
                frame.group or 0, frame.cluster, frame.src, frame.src_ep, target, broadcast, lqi, frame.encrypted, stamp, 0, len(data)
            )
            self._stack.send(mt.AF_INCOMING_MSG, head + data + _INCOMING_TAIL.pack(frame.src, frame.radius))
