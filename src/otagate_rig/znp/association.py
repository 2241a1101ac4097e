"""The UTIL subsystem: device information, LEDs, and the table of associated devices (the coordinator's own children)."""

from __future__ import annotations

import struct
from typing import Final

from otagate_rig.air_side import take
from otagate_rig.aps import COORDINATOR, DeviceKind
from otagate_rig.znp import mt
from otagate_rig.znp.mt import Status
from otagate_rig.znp.stack import Command, Stack

# associated_devices_t: addresses, relation, status, counts, age; link info; ageing; keep-alive. 36 bytes when aligned.
_ASSOCIATED = struct.Struct("<HHBBBBBBBBIHxxBxxxIIBBxx")
_CHILD_RFD: Final = 1
_CHILD_RFD_RX_IDLE: Final = 2
_NOT_USED: Final = 0xFF
_NO_ADDRESS: Final = 0xFFFE
_OK = bytes((Status.SUCCESS,))
MAX_CHILDREN: Final = 64


class UtilityCommands:
    """Answers the UTIL commands. A board without LEDs (`led=False`) leaves LED commands unanswered, as real ones do."""

    def __init__(self, stack: Stack, *, led: bool) -> None:
        self._stack = stack
        self._led = led

    def commands(self) -> dict[int, Command]:
        """Command code to its implementation."""
        return {
            mt.UTIL_GET_DEVICE_INFO: self._device_info,
            mt.UTIL_LED_CONTROL: lambda _: _OK if self._led else None,
            mt.UTIL_ADDRMGR_EXT_ADDR_LOOKUP: self._nwk_of,
            mt.UTIL_ADDRMGR_NWK_ADDR_LOOKUP: self._ieee_of,
            mt.UTIL_ASSOC_COUNT: lambda _: len(self._stack.children).to_bytes(2, "little"),
            mt.UTIL_ASSOC_FIND_DEVICE: self._find_device,
            mt.UTIL_ASSOC_GET_WITH_ADDRESS: self._get_with_address,
            mt.UTIL_ASSOC_REMOVE: self._remove,
            mt.UTIL_ASSOC_ADD: self._add,
        }

    def adopt(self, *, ieee: int, nwk: int) -> None:
        """Note an end device that has joined at the coordinator itself."""
        if len(self._stack.children) < MAX_CHILDREN or ieee in self._stack.children:
            self._stack.children[ieee] = nwk

    def _device_info(self, _payload: bytes) -> bytes:
        children = list(self._stack.children.values())
        head = struct.pack("<BQHBBB", Status.SUCCESS, self._stack.ieee, COORDINATOR, 0x07, self._stack.state, len(children))
        return head + struct.pack(f"<{len(children)}H", *children)

    def _nwk_of(self, payload: bytes) -> bytes:
        nwk = self._stack.medium.nwk_of(int.from_bytes(take(payload, 0, 8), "little"))
        return (_NO_ADDRESS if nwk is None else nwk).to_bytes(2, "little")

    def _ieee_of(self, payload: bytes) -> bytes:
        return (self._stack.medium.ieee_of(int.from_bytes(take(payload, 0, 2), "little")) or 0).to_bytes(8, "little")

    def _find_device(self, payload: bytes) -> bytes:
        index = take(payload, 0, 1)[0]
        children = list(self._stack.children.values())
        return self._entry(children[index] if index < len(children) else None)

    def _get_with_address(self, payload: bytes) -> bytes:
        ieee, nwk = struct.unpack_from("<QH", payload)
        if ieee:
            return self._entry(self._stack.children.get(ieee))
        return self._entry(nwk if nwk in self._stack.children.values() else None)

    def _entry(self, nwk: int | None) -> bytes:
        if nwk is None:
            return _ASSOCIATED.pack(_NO_ADDRESS, 0xFFFF, _NOT_USED, *(0,) * 14)
        relation = _CHILD_RFD if self._stack.medium.kind_of(nwk) is DeviceKind.SLEEPY else _CHILD_RFD_RX_IDLE
        return _ASSOCIATED.pack(nwk, 0, relation, 9, 0, 0, 0, 1, 200, 0, 0, 0, 0, 15360, 15360, 0, 0)

    def _remove(self, payload: bytes) -> bytes:
        removed = self._stack.children.pop(int.from_bytes(take(payload, 0, 8), "little"), None)
        return _OK if removed is not None else bytes((Status.FAILURE,))

    def _add(self, payload: bytes) -> bytes:
        nwk, ieee, _relation = struct.unpack_from("<HQB", payload)
        self.adopt(ieee=ieee, nwk=nwk)
        return _OK
