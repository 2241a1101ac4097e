"""The SYS subsystem: ping, version, reset, clock, and both NVRAM interfaces."""

from __future__ import annotations

import secrets
import struct
from collections.abc import Callable

from otagate_rig.air_side import take
from otagate_rig.znp import mt
from otagate_rig.znp.mt import ResetReason, Status
from otagate_rig.znp.nvram import EX_ADDRMGR, EXTADDR, NETWORK_ITEMS, OSAL, SYS_ZSTACK, ItemKey
from otagate_rig.znp.stack import Command, Stack

_MAX_READ = 240
_OK = bytes((Status.SUCCESS,))
_KEY = struct.Struct("<BHH")


class SystemCommands:
    """Answers the SYS commands; `reset` restarts the NCP and sends its SYS_RESET_IND."""

    def __init__(self, stack: Stack, *, build: int, reset: Callable[[ResetReason], None]) -> None:
        self._stack = stack
        self._reset = reset
        self._version = bytes((2, 1, 2, 7, 1))
        self._build = build
        self._clock = bytes(11)

    def commands(self) -> dict[int, Command]:
        """Command code to its implementation."""
        return {
            mt.SYS_RESET_REQ: self._reset_req,
            mt.SYS_PING: lambda _: mt.CAPABILITIES.to_bytes(2, "little"),
            mt.SYS_VERSION: lambda _: self._version + self._build.to_bytes(4, "little"),
            mt.SYS_SET_EXTADDR: self._set_extaddr,
            mt.SYS_GET_EXTADDR: lambda _: self._stack.ieee.to_bytes(8, "little"),
            mt.SYS_RANDOM: lambda _: secrets.token_bytes(2),
            mt.SYS_STACK_TUNE: lambda payload: take(payload, 1, 1),
            mt.SYS_SET_TX_POWER: lambda _: _OK,
            mt.SYS_SET_TIME: self._set_time,
            mt.SYS_GET_TIME: lambda _: self._clock,
            mt.SYS_OSAL_NV_ITEM_INIT: self._osal_item_init,
            mt.SYS_OSAL_NV_READ: lambda payload: self._osal_read(*struct.unpack("<HB", payload)),
            mt.SYS_OSAL_NV_READ_EXT: lambda payload: self._osal_read(*struct.unpack("<HH", payload)),
            mt.SYS_OSAL_NV_WRITE: lambda payload: self._osal_write(payload, struct.Struct("<HBB")),
            mt.SYS_OSAL_NV_WRITE_EXT: lambda payload: self._osal_write(payload, struct.Struct("<HHH")),
            mt.SYS_OSAL_NV_DELETE: self._osal_delete,
            mt.SYS_OSAL_NV_LENGTH: self._osal_length,
            mt.SYS_NV_CREATE: self._nv_create,
            mt.SYS_NV_DELETE: lambda payload: self._delete(_KEY.unpack(payload)),
            mt.SYS_NV_LENGTH: lambda payload: self._stack.nvram.length(_KEY.unpack(payload)).to_bytes(4, "little"),
            mt.SYS_NV_READ: self._nv_read,
            mt.SYS_NV_WRITE: self._nv_write,
            mt.SYS_NV_UPDATE: self._nv_update,
            mt.SYS_NV_COMPACT: lambda _: _OK,
        }

    def reset_indication(self, reason: ResetReason) -> bytes:
        """Payload of SYS_RESET_IND."""
        return bytes((reason,)) + self._version

    def _reset_req(self, payload: bytes) -> None:
        hard = take(payload, 0, 1) == b"\x00"
        self._reset(ResetReason.WATCHDOG if hard else ResetReason.POWER_UP)

    def _set_extaddr(self, payload: bytes) -> bytes:
        key = (SYS_ZSTACK, OSAL, EXTADDR)
        self._count_write(key)
        self._stack.nvram.set(EXTADDR, take(payload, 0, 8))
        return _OK

    def _set_time(self, payload: bytes) -> bytes:
        self._clock = take(payload, 0, 11)
        return _OK

    def _count_write(self, key: ItemKey) -> None:
        counters = self._stack.counters
        counters.nvram_writes += 1
        system, item, sub = key
        if system == SYS_ZSTACK and (item >= EX_ADDRMGR or sub in NETWORK_ITEMS):
            counters.network_settings_writes += 1

    def _osal_item_init(self, payload: bytes) -> bytes:
        item, length, given = struct.unpack_from("<HHB", payload)
        return self._create((SYS_ZSTACK, OSAL, item), length, take(payload, 5, given))

    def _nv_create(self, payload: bytes) -> bytes:
        system, item, sub, length = struct.unpack("<BHHI", payload)
        return self._create((system, item, sub), length, b"")

    def _create(self, key: ItemKey, length: int, value: bytes) -> bytes:
        if self._stack.nvram.length(key):
            return _OK
        self._count_write(key)
        created = self._stack.nvram.create(key, length, value)
        return bytes((Status.NV_ITEM_UNINIT if created else Status.NV_OPER_FAILED,))

    def _osal_read(self, item: int, offset: int) -> bytes:
        return self._read((SYS_ZSTACK, OSAL, item), offset, _MAX_READ)

    def _nv_read(self, payload: bytes) -> bytes:
        system, item, sub, offset, length = struct.unpack("<BHHHB", payload)
        return self._read((system, item, sub), offset, min(length, _MAX_READ))

    def _read(self, key: ItemKey, offset: int, size: int) -> bytes:
        value = self._stack.nvram.read(key, offset, size)
        if value is None:
            return bytes((Status.INVALID_PARAMETER, 0))
        return bytes((Status.SUCCESS, len(value))) + value

    def _osal_write(self, payload: bytes, head: struct.Struct) -> bytes:
        item, offset, length = head.unpack_from(payload)
        return self._write((SYS_ZSTACK, OSAL, item), offset, take(payload, head.size, length))

    def _nv_write(self, payload: bytes) -> bytes:
        system, item, sub, offset, length = struct.unpack_from("<BHHHB", payload)
        return self._write((system, item, sub), offset, take(payload, 8, length))

    def _nv_update(self, payload: bytes) -> bytes:
        system, item, sub, length = struct.unpack_from("<BHHB", payload)
        return self._write((system, item, sub), 0, take(payload, 6, length))

    def _write(self, key: ItemKey, offset: int, value: bytes) -> bytes:
        self._count_write(key)
        written = self._stack.nvram.write(key, offset, value)
        return bytes((Status.SUCCESS if written else Status.NV_OPER_FAILED,))

    def _osal_delete(self, payload: bytes) -> bytes:
        item, length = struct.unpack("<HH", payload)
        key = (SYS_ZSTACK, OSAL, item)
        known = self._stack.nvram.length(key)
        if known and known != length:
            return bytes((Status.NV_BAD_ITEM_LEN,))
        return self._delete(key)

    def _osal_length(self, payload: bytes) -> bytes:
        (item,) = struct.unpack("<H", payload)
        return self._stack.nvram.length((SYS_ZSTACK, OSAL, item)).to_bytes(2, "little")

    def _delete(self, key: ItemKey) -> bytes:
        if not self._stack.nvram.length(key):
            return bytes((Status.NV_ITEM_UNINIT,))
        self._count_write(key)
        self._stack.nvram.delete(key)
        return _OK
