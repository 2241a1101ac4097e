"""Non-volatile memory of the emulated coordinator: OSAL items, extended items, and what a network is in them.

Structures are laid out as on a 32-bit ARM part (naturally aligned, little endian), which is how a CC2652 stores and shows them.
"""

from __future__ import annotations

import json
import os
import struct
from typing import Final

from otagate_rig.aps import NetworkIdentity

ItemKey = tuple[int, int, int]
"""(system, item, sub item); OSAL items are (1, 0, id)."""

EXTADDR: Final = 0x0001
STARTUP_OPTION: Final = 0x0003
NIB: Final = 0x0021
EXTENDED_PAN_ID: Final = 0x002D
BCAST_DELIVERY_TIME: Final = 0x0030
CONCENTRATOR_ENABLE: Final = 0x0032
CONCENTRATOR_DISCOVERY: Final = 0x0033
CONCENTRATOR_RC: Final = 0x0036
SRC_RTG_EXPIRY_TIME: Final = 0x0038
NWK_ACTIVE_KEY_INFO: Final = 0x003A
NWK_ALTERN_KEY_INFO: Final = 0x003B
NWK_CHILD_AGE_ENABLE: Final = 0x003E
APS_USE_EXT_PANID: Final = 0x0047
APS_LINK_KEY_TABLE: Final = 0x004C
BDB_NODE_IS_ON_A_NETWORK: Final = 0x0055
PRECFGKEY: Final = 0x0062
PRECFGKEYS_ENABLE: Final = 0x0063
NWKKEY: Final = 0x0082
PANID: Final = 0x0083
CHANLIST: Final = 0x0084
LOGICAL_TYPE: Final = 0x0087
ZDO_DIRECT_CB: Final = 0x008F
TCLK_SEED: Final = 0x0101

EX_ADDRMGR: Final = 0x0001
EX_TCLK_TABLE: Final = 0x0004
EX_APS_KEY_DATA_TABLE: Final = 0x0006
EX_NWK_SEC_MATERIAL: Final = 0x0007

SYS_ZSTACK: Final = 1
OSAL: Final = 0

STARTUP_CLEAR_CONFIG: Final = 0x01
STARTUP_CLEAR_STATE: Final = 0x02

MAX_ITEM_LENGTH: Final = 1024
MAX_ITEMS: Final = 1024
_ADDRESS_ENTRIES: Final = 32
_KEY_ENTRIES: Final = 16
_SEC_MATERIAL_ENTRIES: Final = 4
_NWKKEY_LENGTH: Final = 24
"""Key sequence number, key and frame counter, aligned; by this length hosts know an aligned part from an 8051 (21 bytes)."""

NETWORK_ITEMS: Final = frozenset(
    {
        EXTADDR,
        STARTUP_OPTION,
        NIB,
        EXTENDED_PAN_ID,
        NWK_ACTIVE_KEY_INFO,
        NWK_ALTERN_KEY_INFO,
        APS_USE_EXT_PANID,
        BDB_NODE_IS_ON_A_NETWORK,
        PRECFGKEY,
        PRECFGKEYS_ENABLE,
        PANID,
        CHANLIST,
        TCLK_SEED,
    }
)
"""OSAL items whose change could cost a network its devices; every extended item of the stack counts as well."""

_FIXED: Final = {
    STARTUP_OPTION: b"\x00",
    BCAST_DELIVERY_TIME: b"\x1e",
    CONCENTRATOR_ENABLE: b"\x01",
    CONCENTRATOR_DISCOVERY: b"\x78",
    0x0034: b"\x0a",
    CONCENTRATOR_RC: b"\x01",
    SRC_RTG_EXPIRY_TIME: b"\xff",
    NWK_CHILD_AGE_ENABLE: b"\x00",
    APS_USE_EXT_PANID: bytes(8),
    PRECFGKEYS_ENABLE: b"\x00",
    PANID: b"\xff\xff",
    CHANLIST: b"\x00\x08\x00\x00",
    LOGICAL_TYPE: b"\x00",
    ZDO_DIRECT_CB: b"\x00",
    0x0061: b"\x05",
    0x006D: b"\x01",
}
"""Items every boot creates when they are missing, with the build's own defaults."""

# NIB as a C structure: offset in the comment, pads where a 16- or 32-bit member needs them.
_NIB = struct.Struct(
    "<15Bx"  # 0 sequence number ... capability flags
    "HBBBx"  # 16 transaction persistence, protocol version, route discovery, route expiry
    "HBx"  # 22 device address, logical channel
    "HQHH"  # 26 coordinator: short, extended; 36 PAN id, state
    "I4B"  # 40 channel list, beacon order, superframe order, scan duration, battery life
    "IIB"  # 48 allocated addresses, node depth
    "QB"  # 57 extended PAN id, key loaded
    "17x17x2x"  # 66 spare keys
    "7Bx"  # 102 link status period ... all fresh
    "HHBx"  # 110 network manager, total transmissions, update id
)
_NIB_CHANNEL_OFFSET = 24
_NIB_CHANNEL_LIST_OFFSET = 40
_NIB_PREFIX = (0, 5, 2, 50, 20, 11, 7, 30, 0, 3, 7, 1, 5, 0, 0)
_NIB_CONCENTRATOR = (15, 3, 0, 1, 120, 10, 1)
_NWK_STATE_ROUTER = 8
_ADDRMGR_ENTRY = struct.Struct("<BxHQ")
_ADDRMGR_EMPTY = b"\xff\x00" + b"\xff" * 10
_TCLK_ENTRY = struct.Struct("<IIQBBBx")
_ADDR_USER_ASSOC = 0x01
_ADDR_USER_SECURITY = 0x02
_KEY_VERIFIED = 0x02


def pack_nib(identity: NetworkIdentity, *, ieee: int) -> bytes:
    """The network information base of a coordinator that runs `identity` (116 bytes)."""
    return _NIB.pack(
        *_NIB_PREFIX,
        *(7, 2, 13, 30),
        *(0x0000, identity.channel),
        *(0x0000, ieee, identity.pan_id, _NWK_STATE_ROUTER),
        *(1 << identity.channel, 15, 15, 2, 0),
        *(0, 0, 0),
        *(identity.extended_pan_id, 1),
        *_NIB_CONCENTRATOR,
        *(0x0000, 0, 0),
    )


class Nvram:
    """Items by key; starts as a factory-new part and can be carried from one emulated stick to another as JSON."""

    def __init__(self) -> None:
        self._items: dict[ItemKey, bytes] = {}

    def get(self, item: int) -> bytes | None:
        """The value of an OSAL item, or None."""
        return self._items.get((SYS_ZSTACK, OSAL, item))

    def set(self, item: int, value: bytes) -> None:
        """Create or replace an OSAL item."""
        self._items[SYS_ZSTACK, OSAL, item] = value

    def discard(self, item: int) -> None:
        """Delete an OSAL item if it is there."""
        self._items.pop((SYS_ZSTACK, OSAL, item), None)

    def length(self, key: ItemKey) -> int:
        """Bytes of an item; 0 when it does not exist."""
        return len(self._items.get(key, b""))

    def read(self, key: ItemKey, offset: int, size: int) -> bytes | None:
        """Part of an item, or None when there is nothing at that offset."""
        value = self._items.get(key)
        if value is None or offset >= len(value):
            return None
        return value[offset : offset + size]

    def create(self, key: ItemKey, length: int, value: bytes) -> bool:
        """Create an item, filled up with 0xFF; False when it would not fit."""
        if not 0 < length <= MAX_ITEM_LENGTH or len(value) > length or len(self._items) >= MAX_ITEMS:
            return False
        self._items[key] = value.ljust(length, b"\xff")
        return True

    def write(self, key: ItemKey, offset: int, value: bytes) -> bool:
        """Overwrite part of an item; False when the item is missing or too short."""
        old = self._items.get(key)
        if old is None or offset + len(value) > len(old):
            return False
        self._items[key] = old[:offset] + value + old[offset + len(value) :]
        return True

    def delete(self, key: ItemKey) -> None:
        """Delete an item that exists; raises `KeyError` otherwise."""
        del self._items[key]

    def boot(self, *, ieee: int) -> None:
        """What the stack does to its NVRAM at every start: obey the start-up option and create what is missing."""
        option = (self.get(STARTUP_OPTION) or b"\x00")[0]
        if option & STARTUP_CLEAR_STATE:
            self._clear_state()
        if option & STARTUP_CLEAR_CONFIG:
            for item in (*_FIXED, PRECFGKEY, TCLK_SEED):
                self.discard(item)
        self.set(STARTUP_OPTION, b"\x00")
        for item, value in _FIXED.items():
            if self.get(item) is None:
                self.set(item, value)
        for item, value in (
            (EXTADDR, ieee.to_bytes(8, "little")),
            (EXTENDED_PAN_ID, ieee.to_bytes(8, "little")),
            (BDB_NODE_IS_ON_A_NETWORK, b"\x00"),
            (APS_LINK_KEY_TABLE, bytes(2 + 6 * _KEY_ENTRIES)),
            (NWKKEY, bytes(_NWKKEY_LENGTH)),
            (PRECFGKEY, bytes(16)),
            (TCLK_SEED, bytes(16)),
        ):
            if self.get(item) is None:
                self.set(item, os.urandom(16) if item in (PRECFGKEY, TCLK_SEED) else value)
        self._create_tables()

    def _clear_state(self) -> None:
        for item in (NIB, NWK_ACTIVE_KEY_INFO, NWK_ALTERN_KEY_INFO, BDB_NODE_IS_ON_A_NETWORK, APS_LINK_KEY_TABLE, EXTENDED_PAN_ID):
            self.discard(item)
        # Frame counters (item 7) outlive a factory reset on purpose: a counter that goes back locks devices out.
        for key in [key for key in self._items if key[1] in (EX_ADDRMGR, EX_TCLK_TABLE, EX_APS_KEY_DATA_TABLE)]:
            del self._items[key]

    def _create_tables(self) -> None:
        for item, entries, empty in (
            (EX_ADDRMGR, _ADDRESS_ENTRIES, _ADDRMGR_EMPTY),
            (EX_TCLK_TABLE, _ADDRESS_ENTRIES, bytes(_TCLK_ENTRY.size)),
            (EX_APS_KEY_DATA_TABLE, _KEY_ENTRIES, bytes(24)),
            (EX_NWK_SEC_MATERIAL, _SEC_MATERIAL_ENTRIES, bytes(12)),
        ):
            for sub in range(entries):
                self._items.setdefault((SYS_ZSTACK, item, sub), empty)

    def ieee(self) -> int:
        """The extended address in use (0 before the first boot)."""
        return int.from_bytes(self.get(EXTADDR) or b"", "little")

    def identity(self) -> NetworkIdentity | None:
        """The network stored here, or None for a part that is on no network."""
        nib, key = self.get(NIB), self.get(NWK_ACTIVE_KEY_INFO)
        if nib is None or key is None or len(nib) != _NIB.size or len(key) != 17 or self.get(BDB_NODE_IS_ON_A_NETWORK) != b"\x01":
            return None
        channel, extended_pan_id, key_loaded = nib[_NIB_CHANNEL_OFFSET], int.from_bytes(nib[57:65], "little"), nib[65]
        if not channel or not key_loaded:
            return None
        return NetworkIdentity(pan_id=int.from_bytes(nib[36:38], "little"), extended_pan_id=extended_pan_id, channel=channel, network_key=key[1:])

    def form(self, identity: NetworkIdentity, *, ieee: int) -> None:
        """Store a network as Z-Stack does at the end of a formation."""
        extended = identity.extended_pan_id.to_bytes(8, "little")
        self.set(NIB, pack_nib(identity, ieee=ieee))
        self.set(NWK_ACTIVE_KEY_INFO, b"\x00" + identity.network_key)
        self.set(NWK_ALTERN_KEY_INFO, b"\x00" + identity.network_key)
        self.set(EXTENDED_PAN_ID, extended)
        self.set(BDB_NODE_IS_ON_A_NETWORK, b"\x01")
        self._items[SYS_ZSTACK, EX_NWK_SEC_MATERIAL, 0] = bytes(4) + extended

    def change_channel(self, channel: int) -> None:
        """Move the stored network to another channel; without a network nothing happens."""
        key = (SYS_ZSTACK, OSAL, NIB)
        self.write(key, _NIB_CHANNEL_OFFSET, bytes((channel,)))
        self.write(key, _NIB_CHANNEL_LIST_OFFSET, (1 << channel).to_bytes(4, "little"))

    def remember_device(self, *, ieee: int, nwk: int, child: bool) -> None:
        """Note an admitted device in the address manager and the link key table (the first slot is reused when all are taken)."""
        address = ieee.to_bytes(8, "little")
        user = _ADDR_USER_SECURITY | (_ADDR_USER_ASSOC if child else 0)
        self._store_entry(EX_ADDRMGR, slice(4, 12), address, _ADDRMGR_EMPTY, _ADDRMGR_ENTRY.pack(user, nwk, ieee))
        self._store_entry(EX_TCLK_TABLE, slice(8, 16), address, bytes(_TCLK_ENTRY.size), _TCLK_ENTRY.pack(0, 0, ieee, _KEY_VERIFIED, 0, 0))

    def _store_entry(self, item: int, at: slice, address: bytes, empty: bytes, entry: bytes) -> None:
        free = (SYS_ZSTACK, item, 0)
        for sub in reversed(range(_ADDRESS_ENTRIES)):
            key = (SYS_ZSTACK, item, sub)
            value = self._items.get(key, b"")
            if value[at] == address:
                free = key
                break
            if value == empty:
                free = key
        self._items[free] = entry

    def to_json(self) -> str:
        """Every item, as a JSON object of `system/item/sub` in hexadecimal to hexadecimal bytes."""
        return json.dumps({f"{system:02x}/{item:04x}/{sub:04x}": value.hex() for (system, item, sub), value in sorted(self._items.items())})

    @classmethod
    def from_json(cls, text: str) -> Nvram:
        """The inverse of `to_json`; raises `ValueError` for anything else."""
        document = json.loads(text)
        if not isinstance(document, dict) or len(document) > MAX_ITEMS:
            raise ValueError("not an NVRAM export")
        nvram = cls()
        for name, value in document.items():
            parts = name.split("/")
            if len(parts) != 3 or not isinstance(value, str) or len(value) > 2 * MAX_ITEM_LENGTH:
                raise ValueError(f"not an NVRAM item: {name!r}")
            system, item, sub = (int(part, 16) for part in parts)
            nvram._items[system, item, sub] = bytes.fromhex(value)
        return nvram
