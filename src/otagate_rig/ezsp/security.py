"""Commands about keys: the security state, and what the security manager imports and exports."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from otagate_rig.air_side import take
from otagate_rig.ezsp import frames
from otagate_rig.ezsp.enums import NO_INDEX, ConfigId, EmberStatus, SlStatus
from otagate_rig.ezsp.stack import Command, Stack
from otagate_rig.ezsp.tokens import KEY_TABLE

MAX_TRANSIENT_KEYS: Final = 32

_NETWORK_KEY = 1
_TC_LINK_KEY = 2
_CONTEXT_SIZE = 18
_NO_KEY = bytes(16)
_HAS_OUTGOING_COUNTER = 0x0002
_METADATA = struct.Struct("<HIIH")
_NO_METADATA = _METADATA.pack(0, 0, 0, 0)
_KEY_INFO = struct.Struct("<BBBBI")
_OK = bytes((EmberStatus.SUCCESS,))


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialState:
    """What the next network is formed with (EmberInitialSecurityState)."""

    bits: int
    link_key: bytes
    network_key: bytes
    key_sequence: int


class SecurityCommands:
    """Answers what is asked about keys."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.initial: InitialState | None = None
        self._transient: dict[bytes, bytes] = {}

    def commands(self) -> dict[int, Command]:
        """Frame id to its implementation."""
        return {
            frames.SET_INITIAL_SECURITY_STATE: self._set_initial_security_state,
            frames.GET_CURRENT_SECURITY_STATE: self._get_current_security_state,
            frames.CLEAR_TRANSIENT_LINK_KEYS: self._clear_transient_link_keys,
            frames.IMPORT_TRANSIENT_KEY: self._import_transient_key,
            frames.FIND_KEY_TABLE_ENTRY: self._find_key_table_entry,
            frames.ERASE_KEY_TABLE_ENTRY: self._erase_key_table_entry,
            frames.CLEAR_KEY_TABLE: self._clear_key_table,
            frames.IMPORT_LINK_KEY: self._import_link_key,
            frames.EXPORT_LINK_KEY_BY_INDEX: self._export_link_key_by_index,
            frames.EXPORT_LINK_KEY_BY_EUI: self._export_link_key_by_eui,
            frames.EXPORT_KEY: self._export_key,
            frames.GET_NETWORK_KEY_INFO: self._get_network_key_info,
            frames.GET_APS_KEY_INFO: self._get_aps_key_info,
        }

    def restart(self) -> None:
        """Forget what is kept in RAM only."""
        self.initial = None
        self._transient.clear()

    def _set_initial_security_state(self, payload: bytes) -> bytes:
        bits, link_key, network_key, sequence, _trust_center = struct.unpack_from("<H16s16sBQ", payload)
        if self._stack.is_up:
            return bytes((EmberStatus.INVALID_CALL,))
        self.initial = InitialState(bits=bits, link_key=link_key, network_key=network_key, key_sequence=sequence)
        return _OK

    def _get_current_security_state(self, _payload: bytes) -> bytes:
        if not self._stack.is_up:
            return struct.pack("<BHQ", EmberStatus.NOT_JOINED, 0, 0)
        bits, trust_center, _key = self._stack.tokens.trust_center()
        return struct.pack("<BHQ", EmberStatus.SUCCESS, bits, trust_center)

    # The security manager

    def _export_key(self, payload: bytes) -> bytes:
        kind = take(payload, 0, _CONTEXT_SIZE)[0]
        identity = self._stack.identity
        if identity is not None and kind == _NETWORK_KEY:
            return identity.network_key + _status(SlStatus.OK)
        if identity is not None and kind == _TC_LINK_KEY:
            return self._stack.tokens.trust_center()[2] + _status(SlStatus.OK)
        return _NO_KEY + _status(SlStatus.NOT_FOUND)

    def _get_network_key_info(self, _payload: bytes) -> bytes:
        up = self._stack.is_up
        return _status(SlStatus.OK) + _KEY_INFO.pack(up, 0, self._stack.tokens.key_sequence if up else 0, 0, self._stack.frame_counter)

    def _get_aps_key_info(self, payload: bytes) -> bytes:
        context = take(payload, 0, _CONTEXT_SIZE)
        ieee = context[4:12]
        known = context[0] == _TC_LINK_KEY or self._slot_of(ieee) is not None
        return ieee + (self._metadata() if known else _NO_METADATA) + _status(SlStatus.OK if known else SlStatus.NOT_FOUND)

    def _import_transient_key(self, payload: bytes) -> bytes:
        ieee, key, _flags = struct.unpack_from("<8s16sB", payload)
        if ieee not in self._transient and len(self._transient) >= MAX_TRANSIENT_KEYS:
            return _status(SlStatus.FULL)
        self._transient[ieee] = key
        return _status(SlStatus.OK)

    def _clear_transient_link_keys(self, _payload: bytes) -> bytes:
        self._transient.clear()
        return b""

    # The key table

    def _import_link_key(self, payload: bytes) -> bytes:
        slot, ieee, key = struct.unpack_from("<BQ16s", payload)
        self._stack.note_settings_write()
        if slot >= self._stack.config[ConfigId.KEY_TABLE_SIZE]:
            return _status(SlStatus.INVALID_INDEX)
        self._stack.tokens.set_link_key(slot, ieee, key)
        return _status(SlStatus.OK)

    def _export_link_key_by_index(self, payload: bytes) -> bytes:
        slot = take(payload, 0, 1)[0]
        if slot >= self._stack.config[ConfigId.KEY_TABLE_SIZE]:
            return bytes(8) + _NO_KEY + _NO_METADATA + _status(SlStatus.INVALID_INDEX)
        entry = self._stack.tokens.link_keys().get(slot)
        if entry is None:
            return bytes(8) + _NO_KEY + _NO_METADATA + _status(SlStatus.NOT_FOUND)
        ieee, key = entry
        return ieee.to_bytes(8, "little") + key + self._metadata() + _status(SlStatus.OK)

    def _export_link_key_by_eui(self, payload: bytes) -> bytes:
        ieee = take(payload, 0, 8)
        slot = self._slot_of(ieee)
        if slot is None:
            return _NO_KEY + bytes((NO_INDEX,)) + _NO_METADATA + _status(SlStatus.NOT_FOUND)
        return self._stack.tokens.link_keys()[slot][1] + bytes((slot,)) + self._metadata() + _status(SlStatus.OK)

    def _find_key_table_entry(self, payload: bytes) -> bytes:
        ieee, _link_key = struct.unpack_from("<8sB", payload)
        slot = self._slot_of(ieee)
        return bytes((NO_INDEX if slot is None else slot,))

    def _erase_key_table_entry(self, payload: bytes) -> bytes:
        slot = take(payload, 0, 1)[0]
        self._stack.note_settings_write()
        if slot >= self._stack.config[ConfigId.KEY_TABLE_SIZE]:
            return bytes((EmberStatus.INDEX_OUT_OF_RANGE,))
        erased = self._stack.tokens.remove_link_key(slot)
        return bytes((EmberStatus.SUCCESS if erased else EmberStatus.TABLE_ENTRY_ERASED,))

    def _clear_key_table(self, _payload: bytes) -> bytes:
        self._stack.note_settings_write()
        self._stack.tokens.forget_table(KEY_TABLE)
        return _OK

    def _slot_of(self, ieee: bytes) -> int | None:
        wanted = int.from_bytes(ieee, "little")
        return next((slot for slot, (partner, _) in self._stack.tokens.link_keys().items() if partner == wanted), None)

    def _metadata(self) -> bytes:
        return _METADATA.pack(_HAS_OUTGOING_COUNTER, self._stack.frame_counter, 0, 0)


def _status(status: SlStatus) -> bytes:
    return status.to_bytes(4, "little")
