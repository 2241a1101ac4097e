"""Non-volatile memory of the emulated coordinator: NVM3 tokens of the stack, and what a network is in them."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from typing import Final

from otagate_rig.aps import NetworkIdentity
from otagate_rig.ezsp.enums import NO_EUI, SECURITY_GLOBAL_LINK_KEY, SECURITY_HASHED_LINK_KEY, SECURITY_HAVE_LINK_KEY, NodeType

TokenKey = tuple[int, int]
"""(token, index); a token that is no table has index 0 only."""

NODE_DATA: Final = 0x0001_EE64
KEYS: Final = 0x0001_EB79
TRUST_CENTER: Final = 0x0001_E124
NETWORK_MANAGEMENT: Final = 0x0001_E125
APS_FRAME_COUNTER: Final = 0x0001_E123
NONCE_COUNTER: Final = 0x0001_E563
BOOT_COUNTER: Final = 0x0001_E263
RESTORED_EUI64: Final = 0x0001_E12A
CHILD_TABLE: Final = 0x0001_0580
KEY_TABLE: Final = 0x0001_0600
MFG_CUSTOM_EUI64: Final = 0x000C
"""The manufacturing token, which lives in flash of its own and can be written once."""

MAX_TOKENS: Final = 1024
MAX_TOKEN_LENGTH: Final = 255
DEFAULT_TX_POWER: Final = 8
ALL_CHANNELS: Final = 0x07FF_F800
FRAME_COUNTER_STEP: Final = 0x1000
"""How far the frame counters leap at every boot, because they are not written for every frame."""

_SCALARS: Final = {
    NODE_DATA: 16,
    KEYS: 17,
    TRUST_CENTER: 26,
    NETWORK_MANAGEMENT: 8,
    APS_FRAME_COUNTER: 4,
    NONCE_COUNTER: 4,
    BOOT_COUNTER: 4,
    RESTORED_EUI64: 8,
}
_TABLES: Final = {CHILD_TABLE: 11, KEY_TABLE: 25}
# The names that tokens had before NVM3 are still understood; only those of the tables moved elsewhere.
_OLD_TABLES: Final = {0xFF0D: CHILD_TABLE, 0xE456: KEY_TABLE}
_NEW_NAMES: Final = 0x0001_0000

_NODE_DATA = struct.Struct("<HbBBBHQ")
_KEYS = struct.Struct("<16sB")
_TRUST_CENTER = struct.Struct("<HQ16s")
_NETWORK_MANAGEMENT = struct.Struct("<IHBx")
_CHILD = struct.Struct("<QHB")
_KEY = struct.Struct("<Q16sB")
_COUNTER = struct.Struct("<I")
_EUI = struct.Struct("<Q")
_STACK_PROFILE = 2
_CHILD_IN_USE = 0x80
_KEY_IN_USE = 0x01
_NETWORK: Final = (NODE_DATA, KEYS, TRUST_CENTER, NETWORK_MANAGEMENT)


class Tokens:
    """Values by token and index; starts as a factory-new part and can be carried from one emulated stick to another as JSON."""

    def __init__(self) -> None:
        self._values: dict[TokenKey, bytes] = {}

    def read(self, token: int, index: int) -> bytes | None:
        """The value of a token, blank (0xFF) where it was never written; None for one that this stack does not have."""
        token = _current_name(token)
        size = _TABLES.get(token) or (_SCALARS.get(token) if index == 0 else None)
        if size is None or not 0 <= index < MAX_TOKEN_LENGTH:
            return None
        return self._values.get((token, index), b"\xff" * size)

    def write(self, token: int, index: int, value: bytes) -> bool:
        """Replace a token; False when there is none of that name and size."""
        old = self.read(token, index)
        if old is None or len(old) != len(value):
            return False
        self._values[_current_name(token), index] = value
        return True

    # What a host may keep

    def ieee(self, hardware: int) -> int:
        """The extended address in use: restored over custom over the one of the chip."""
        for token in (RESTORED_EUI64, MFG_CUSTOM_EUI64):
            value = self._values.get((token, 0))
            if value is not None and value != b"\xff" * 8:
                (ieee,) = _EUI.unpack(value)
                return int(ieee)
        return hardware

    def custom_eui(self) -> bytes:
        """The manufacturing token as it is, blank when it was never written."""
        return self._values.get((MFG_CUSTOM_EUI64, 0), b"\xff" * 8)

    def burn_custom_eui(self, value: bytes) -> bool:
        """Write the manufacturing token; False the second time."""
        if self.custom_eui() != b"\xff" * 8 or len(value) != 8:
            return False
        self._values[MFG_CUSTOM_EUI64, 0] = value
        return True

    # The network

    def identity(self) -> NetworkIdentity | None:
        """The network stored here, or None for a part that is on no network."""
        node, keys = self._values.get((NODE_DATA, 0)), self._values.get((KEYS, 0))
        if node is None or keys is None:
            return None
        pan_id, _power, channel, _profile, kind, _nwk, extended = _NODE_DATA.unpack(node)
        if kind != NodeType.COORDINATOR or not 11 <= channel <= 26:
            return None
        return NetworkIdentity(pan_id=pan_id, extended_pan_id=extended, channel=channel, network_key=keys[:16])

    def form(self, identity: NetworkIdentity, *, ieee: int, tx_power: int = DEFAULT_TX_POWER) -> None:
        """Store a network; keys and management data that are there already stay as they are."""
        node = _NODE_DATA.pack(identity.pan_id, tx_power, identity.channel, _STACK_PROFILE, NodeType.COORDINATOR, 0, identity.extended_pan_id)
        self._values[NODE_DATA, 0] = node
        self._values[KEYS, 0] = _KEYS.pack(identity.network_key, self.key_sequence)
        if (TRUST_CENTER, 0) not in self._values:
            # Any secret will do, but the same network has to have the same one on every part that is made with it.
            secret = hashlib.sha256(b"trust centre" + identity.network_key).digest()[:16]
            self.set_trust_center(SECURITY_GLOBAL_LINK_KEY | SECURITY_HAVE_LINK_KEY | SECURITY_HASHED_LINK_KEY, ieee, secret)
        if (NETWORK_MANAGEMENT, 0) not in self._values:
            self.set_management(channels=1 << identity.channel, manager=0, update_id=0)

    def forget_network(self) -> None:
        """What leaving does; frame counters outlive it on purpose: a counter that goes back locks devices out."""
        for token in _NETWORK:
            self._values.pop((token, 0), None)
        self.forget_table(CHILD_TABLE)

    def factory_reset(self, *, keep_frame_counters: bool, keep_boot_counter: bool) -> None:
        """Erase every token of the stack but the counters to be kept; the manufacturing token is out of reach."""
        kept = {MFG_CUSTOM_EUI64}
        if keep_frame_counters:
            kept |= {NONCE_COUNTER, APS_FRAME_COUNTER}
        if keep_boot_counter:
            kept.add(BOOT_COUNTER)
        self._values = {key: value for key, value in self._values.items() if key[0] in kept}

    def change_channel(self, channel: int) -> None:
        """Move the stored network to another channel; without a network nothing happens."""
        node = self._values.get((NODE_DATA, 0))
        if node is not None:
            self._values[NODE_DATA, 0] = node[:3] + bytes((channel,)) + node[4:]

    @property
    def tx_power(self) -> int:
        """Transmit power in dBm."""
        node = self._values.get((NODE_DATA, 0))
        return DEFAULT_TX_POWER if node is None else int.from_bytes(node[2:3], "little", signed=True)

    @property
    def key_sequence(self) -> int:
        """Sequence number of the network key."""
        keys = self._values.get((KEYS, 0))
        return 0 if keys is None else keys[16]

    def set_key_sequence(self, sequence: int) -> None:
        """Give the network key, which `form` stores later, its sequence number."""
        self._values[KEYS, 0] = _KEYS.pack(bytes(16), sequence)

    def trust_center(self) -> tuple[int, int, bytes]:
        """(security bits, extended address, link key or the secret that it is hashed from)."""
        value = self._values.get((TRUST_CENTER, 0))
        if value is None:
            return 0, NO_EUI, bytes(16)
        bits, ieee, key = _TRUST_CENTER.unpack(value)
        return bits, ieee, key

    def set_trust_center(self, bits: int, ieee: int, key: bytes) -> None:
        """Store what `trust_center` tells."""
        self._values[TRUST_CENTER, 0] = _TRUST_CENTER.pack(bits, ieee, key)

    def management(self) -> tuple[int, int, int]:
        """(mask of preferred channels, network manager, network update id)."""
        value = self._values.get((NETWORK_MANAGEMENT, 0))
        if value is None:
            return ALL_CHANNELS, 0, 0
        channels, manager, update_id = _NETWORK_MANAGEMENT.unpack(value)
        return channels, manager, update_id

    def set_management(self, *, channels: int, manager: int, update_id: int) -> None:
        """Store what `management` tells."""
        self._values[NETWORK_MANAGEMENT, 0] = _NETWORK_MANAGEMENT.pack(channels, manager, update_id)

    def counter(self, token: int) -> int:
        """The value of a counter token; 0 where it was never written."""
        value = self._values.get((token, 0))
        return 0 if value is None else int.from_bytes(value, "little")

    def set_counter(self, token: int, value: int) -> None:
        """Set a counter token."""
        self._values[token, 0] = _COUNTER.pack(value & 0xFFFF_FFFF)

    def boot(self, *, frames_sent: int) -> None:
        """What the stack does at every start: count it, and carry the frame counter beyond any that was used."""
        self.set_counter(BOOT_COUNTER, self.counter(BOOT_COUNTER) + 1)
        if self.identity() is not None:
            self.set_counter(NONCE_COUNTER, self.counter(NONCE_COUNTER) + frames_sent + FRAME_COUNTER_STEP)

    # Tables

    def children(self) -> dict[int, tuple[int, int]]:
        """End devices that joined at the coordinator itself: slot to (extended, network address)."""
        entries = ((index, _CHILD.unpack(value)) for (token, index), value in sorted(self._values.items()) if token == CHILD_TABLE)
        return {index: (ieee, nwk) for index, (ieee, nwk, _flags) in entries if ieee != NO_EUI}

    def set_child(self, slot: int, ieee: int, nwk: int, *, complete: bool = True) -> None:
        """Fill a slot; a real part forgets to mark those that the host sets (`complete` False) as in use."""
        self._values[CHILD_TABLE, slot] = _CHILD.pack(ieee, nwk, _CHILD_IN_USE if complete else 0)

    def remove_child(self, slot: int) -> None:
        """Empty a slot."""
        self._values.pop((CHILD_TABLE, slot), None)

    def link_keys(self) -> dict[int, tuple[int, bytes]]:
        """Link keys that were imported: slot to (partner, key)."""
        entries = ((index, _KEY.unpack(value)) for (token, index), value in sorted(self._values.items()) if token == KEY_TABLE)
        return {index: (ieee, key) for index, (ieee, key, info) in entries if info == _KEY_IN_USE}

    def set_link_key(self, slot: int, ieee: int, key: bytes) -> None:
        """Fill a slot of the key table."""
        self._values[KEY_TABLE, slot] = _KEY.pack(ieee, key, _KEY_IN_USE)

    def remove_link_key(self, slot: int) -> bool:
        """Empty a slot of the key table; False when it is."""
        return self._values.pop((KEY_TABLE, slot), None) is not None

    def forget_table(self, table: int) -> None:
        """Empty every slot of a table."""
        for key in [key for key in self._values if key[0] == table]:
            del self._values[key]

    # To another part

    def to_json(self) -> str:
        """Every token that was written, as a JSON object of `token/index` in hexadecimal to hexadecimal bytes."""
        return json.dumps({f"{token:08x}/{index:02x}": value.hex() for (token, index), value in sorted(self._values.items())})

    @classmethod
    def from_json(cls, text: str) -> Tokens:
        """The inverse of `to_json`; raises `ValueError` for anything else."""
        document = json.loads(text)
        if not isinstance(document, dict) or len(document) > MAX_TOKENS:
            raise ValueError("not an export of tokens")
        tokens = cls()
        for name, value in document.items():
            token, separator, index = name.partition("/")
            if not separator or not isinstance(value, str) or len(value) > 2 * MAX_TOKEN_LENGTH:
                raise ValueError(f"not a token: {name!r}")
            if int(token, 16) == MFG_CUSTOM_EUI64:
                stored = tokens.burn_custom_eui(bytes.fromhex(value))
            else:
                stored = tokens.write(int(token, 16), int(index, 16), bytes.fromhex(value))
            if not stored:
                raise ValueError(f"not a token of this stack: {name!r}")
        return tokens


def random_extended_pan_id() -> int:
    """What the stack chooses for a network that was given none."""
    return int.from_bytes(os.urandom(8), "little") | 1


def _current_name(token: int) -> int:
    if token >= _NEW_NAMES:
        return token
    return _OLD_TABLES.get(token, token | _NEW_NAMES)
