"""The APP_CNF subsystem: BDB commissioning, which forms a network or brings a stored one up again."""

from __future__ import annotations

import asyncio
import secrets
import struct

from otagate_rig.air_side import take
from otagate_rig.aps import NetworkIdentity
from otagate_rig.znp import mt
from otagate_rig.znp.mt import BDB_MODE_FORMATION, BdbStatus, DeviceState, Status
from otagate_rig.znp.nvram import APS_USE_EXT_PANID, EX_NWK_SEC_MATERIAL, PANID, PRECFGKEY, SYS_ZSTACK
from otagate_rig.znp.stack import Command, Stack

_OK = bytes((Status.SUCCESS,))
_ALL_CHANNELS = 0x07FFF800
_ANY_PAN = 0xFFFF


class CommissioningCommands:
    """Answers the APP_CNF commands."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._loop = asyncio.get_running_loop()
        self._pending: asyncio.Handle | None = None
        self._channels = _ALL_CHANNELS

    def commands(self) -> dict[int, Command]:
        """Command code to its implementation."""
        return {
            mt.APP_CNF_BDB_START_COMMISSIONING: self._start,
            mt.ZDO_STARTUP_FROM_APP: lambda _: self._start(bytes((BDB_MODE_FORMATION,))),
            mt.APP_CNF_BDB_SET_CHANNEL: self._set_channel,
            mt.APP_CNF_SET_ALLOW_REJOIN: lambda _: _OK,
            mt.APP_CNF_ADD_INSTALL_CODE: lambda _: _OK,
            mt.APP_CNF_JOIN_USES_INSTALL_CODE: lambda _: _OK,
            mt.APP_CNF_REQUIRE_KEY_EXCHANGE: lambda _: _OK,
            mt.APP_CNF_SET_NWK_FRAME_COUNTER: self._set_frame_counter,
        }

    def restart(self) -> None:
        """Forget a commissioning that has not begun yet."""
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
        self._channels = _ALL_CHANNELS

    def _start(self, payload: bytes) -> bytes:
        mode = take(payload, 0, 1)[0]
        if mode & BDB_MODE_FORMATION and self._pending is None:
            # After the SRSP: the indications follow the answer on the line.
            self._pending = self._loop.call_soon(self._commission)
        return _OK

    def _commission(self) -> None:
        self._pending = None
        stack = self._stack
        stored = stack.nvram.identity()
        if stored is not None:
            if not stack.is_up:
                self._notify(BdbStatus.NETWORK_RESTORED, mode=0, remaining=BDB_MODE_FORMATION)
                self._start_as_coordinator(stored)
            # A node that is on a network cannot form one: this status is what a restored network ends with.
            self._notify(BdbStatus.FORMATION_FAILURE)
            return
        self._notify(BdbStatus.IN_PROGRESS, remaining=BDB_MODE_FORMATION)
        identity = self._choose_network()
        stack.nvram.form(identity, ieee=stack.ieee)
        stack.counters.formations += 1
        self._start_as_coordinator(identity)
        self._notify(BdbStatus.SUCCESS)

    def _start_as_coordinator(self, identity: NetworkIdentity) -> None:
        self._stack.change_state(DeviceState.COORD_STARTING)
        self._stack.bring_up(identity, ieee=self._stack.ieee)
        self._stack.change_state(DeviceState.ZB_COORD)

    def _notify(self, status: BdbStatus, *, mode: int = BDB_MODE_FORMATION, remaining: int = 0) -> None:
        self._stack.send(mt.APP_CNF_BDB_COMMISSIONING_NOTIFICATION, bytes((status, mode, remaining)))

    def _choose_network(self) -> NetworkIdentity:
        nvram = self._stack.nvram
        pan_id = int.from_bytes(nvram.get(PANID) or b"\xff\xff", "little")
        if pan_id == _ANY_PAN:
            pan_id = 1 + secrets.randbelow(0xFFFD)
        extended = int.from_bytes(nvram.get(APS_USE_EXT_PANID) or b"", "little") or self._stack.ieee
        mask = self._channels & _ALL_CHANNELS or _ALL_CHANNELS
        channel = (mask & -mask).bit_length() - 1
        key = (nvram.get(PRECFGKEY) or b"")[:16].ljust(16, b"\x00")
        return NetworkIdentity(pan_id=pan_id, extended_pan_id=extended, channel=channel, network_key=key)

    def _set_channel(self, payload: bytes) -> bytes:
        primary, mask = struct.unpack_from("<BI", payload)
        if primary:
            self._channels = mask
        return _OK

    def _set_frame_counter(self, payload: bytes) -> bytes:
        counters = self._stack.counters
        counters.nvram_writes += 1
        counters.network_settings_writes += 1
        self._stack.nvram.write((SYS_ZSTACK, EX_NWK_SEC_MATERIAL, 0), 0, take(payload, 0, 4))
        return _OK
