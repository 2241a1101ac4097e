"""Commands about who is where: children, neighbours, routes, the address table, and groups."""

from __future__ import annotations

import struct
from typing import Final

from otagate_rig.air_side import MalformedCommandError, take
from otagate_rig.aps import DeviceKind
from otagate_rig.ezsp import frames
from otagate_rig.ezsp.enums import NO_NODE, ConfigId, EmberStatus, NodeType
from otagate_rig.ezsp.stack import Address, Command, Stack, constant

MAX_EXTENDED_TIMEOUTS: Final = 4096

_CHILD = struct.Struct("<QBHBBBI")
_NO_CHILD = bytes((EmberStatus.NOT_JOINED,)) + bytes(_CHILD.size)
_NEIGHBOUR = struct.Struct("<HBBBBQ")
_ROUTE = struct.Struct("<HHBBBB")
_ROUTE_UNUSED = 3
_GROUP_SIZE = 4
_ANSWER_AGE = 2
_OK = bytes((EmberStatus.SUCCESS,))


class AddressCommands:
    """Answers what is asked about nodes and tables."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def commands(self) -> dict[int, Command]:
        """Frame id to its implementation."""
        return {
            frames.GET_CHILD_DATA: self._get_child_data,
            frames.SET_CHILD_DATA: self._set_child_data,
            frames.GET_NEIGHBOR: self._get_neighbor,
            frames.NEIGHBOR_COUNT: lambda _: bytes((min(len(self._stack.neighbours), 0xFF),)),
            frames.GET_ROUTE_TABLE_ENTRY: self._get_route_table_entry,
            frames.SET_CONCENTRATOR: self._set_concentrator,
            frames.SEND_MANY_TO_ONE_ROUTE_REQUEST: constant(_OK, size=3),
            frames.SET_SOURCE_ROUTE_DISCOVERY_MODE: constant(bytes(4), size=1),
            frames.SET_SOURCE_ROUTE: self._set_source_route,
            frames.GET_SOURCE_ROUTE_TABLE_FILLED_SIZE: lambda _: bytes((len(self._stack.routes),)),
            frames.GET_SOURCE_ROUTE_TABLE_TOTAL_SIZE: lambda _: bytes((self._stack.config[0x1A] & 0xFF,)),
            frames.ADDRESS_TABLE_ENTRY_IS_ACTIVE: constant(b"\x00", size=1),
            frames.SET_ADDRESS_TABLE_REMOTE_EUI64: self._set_address_eui,
            frames.SET_ADDRESS_TABLE_REMOTE_NODE_ID: self._set_address_nwk,
            frames.GET_ADDRESS_TABLE_REMOTE_EUI64: lambda payload: self._address(payload).ieee.to_bytes(8, "little"),
            frames.GET_ADDRESS_TABLE_REMOTE_NODE_ID: lambda payload: self._address(payload).nwk.to_bytes(2, "little"),
            frames.REPLACE_ADDRESS_TABLE_ENTRY: self._replace_address,
            frames.LOOKUP_NODE_ID_BY_EUI64: self._lookup_node_id,
            frames.LOOKUP_EUI64_BY_NODE_ID: self._lookup_eui,
            frames.SET_EXTENDED_TIMEOUT: self._set_extended_timeout,
            frames.GET_EXTENDED_TIMEOUT: self._get_extended_timeout,
            frames.GET_MULTICAST_TABLE_ENTRY: self._get_multicast_table_entry,
            frames.SET_MULTICAST_TABLE_ENTRY: self._set_multicast_table_entry,
        }

    # Children, neighbours, routes

    def _get_child_data(self, payload: bytes) -> bytes:
        child = self._stack.children.get(take(payload, 0, 1)[0])
        if child is None:
            return _NO_CHILD
        ieee, nwk = child
        kind = NodeType.SLEEPY_END_DEVICE if self._stack.medium.kind_of(nwk) is DeviceKind.SLEEPY else NodeType.END_DEVICE
        return _OK + _CHILD.pack(ieee, kind, nwk, 0, 0, 8, 0)

    def _set_child_data(self, payload: bytes) -> bytes:
        slot = take(payload, 0, 1)[0]
        ieee, _kind, nwk, *_rest = _CHILD.unpack_from(payload, 1)
        self._stack.note_settings_write()
        if slot >= self._stack.config[ConfigId.MAX_END_DEVICE_CHILDREN]:
            return bytes((EmberStatus.INDEX_OUT_OF_RANGE,))
        # Into the tokens only: the table in RAM is read from there at the next boot.
        self._stack.tokens.set_child(slot, ieee, nwk, complete=False)
        return _OK

    def _get_neighbor(self, payload: bytes) -> bytes:
        index = take(payload, 0, 1)[0]
        neighbours = list(self._stack.neighbours.items())
        if index >= len(neighbours):
            return bytes((EmberStatus.ERR_FATAL,)) + bytes(_NEIGHBOUR.size)
        ieee, nwk = neighbours[index]
        return _OK + _NEIGHBOUR.pack(nwk, 220, 1, 1, 3, ieee)

    def _get_route_table_entry(self, payload: bytes) -> bytes:
        if take(payload, 0, 1)[0] >= self._stack.config[0x07]:
            return bytes((EmberStatus.INDEX_OUT_OF_RANGE,)) + bytes(_ROUTE.size)
        return _OK + _ROUTE.pack(NO_NODE, 0, _ROUTE_UNUSED, _ANSWER_AGE, 0, 0)

    def _set_concentrator(self, payload: bytes) -> bytes:
        on, _kind, _min_time, _max_time, _errors, _failures, _hops = struct.unpack_from("<BHHHBBB", payload)
        self._stack.concentrator = bool(on)
        if not on:
            self._stack.routes.clear()
        return _OK

    def _set_source_route(self, payload: bytes) -> bytes:
        """Accept a route and do nothing with it, as this generation of the stack does."""
        _destination, count = struct.unpack_from("<HB", payload)
        take(payload, 3, 2 * count)
        return _OK

    # The address table

    def _index(self, payload: bytes) -> int | None:
        index = take(payload, 0, 1)[0]
        return index if index < self._stack.config[ConfigId.ADDRESS_TABLE_SIZE] else None

    def _address(self, payload: bytes) -> Address:
        return self._stack.addresses.get(take(payload, 0, 1)[0]) or Address()

    def _set_address_eui(self, payload: bytes) -> bytes:
        index, ieee = self._index(payload), int.from_bytes(take(payload, 1, 8), "little")
        if index is None:
            return bytes((EmberStatus.ADDRESS_TABLE_INDEX_OUT_OF_RANGE,))
        self._stack.addresses.setdefault(index, Address()).ieee = ieee
        return _OK

    def _set_address_nwk(self, payload: bytes) -> bytes:
        index, nwk = self._index(payload), int.from_bytes(take(payload, 1, 2), "little")
        if index is not None:
            self._stack.addresses.setdefault(index, Address()).nwk = nwk
        return b""

    def _replace_address(self, payload: bytes) -> bytes:
        index = self._index(payload)
        ieee, nwk, extended = struct.unpack_from("<QHB", payload, 1)
        if index is None:
            return struct.pack("<BQHB", EmberStatus.ADDRESS_TABLE_INDEX_OUT_OF_RANGE, 0, NO_NODE, 0)
        old = self._stack.addresses.get(index) or Address()
        self._stack.addresses[index] = Address(ieee=ieee, nwk=nwk, extended_timeout=bool(extended))
        return struct.pack("<BQHB", EmberStatus.SUCCESS, old.ieee, old.nwk, old.extended_timeout)

    def _lookup_node_id(self, payload: bytes) -> bytes:
        nwk = self._stack.nwk_of(int.from_bytes(take(payload, 0, 8), "little"))
        return (NO_NODE if nwk is None else nwk).to_bytes(2, "little")

    def _lookup_eui(self, payload: bytes) -> bytes:
        ieee = self._stack.ieee_of(int.from_bytes(take(payload, 0, 2), "little"))
        if ieee is None:
            return bytes((EmberStatus.ERR_FATAL,)) + bytes(8)
        return _OK + ieee.to_bytes(8, "little")

    def _set_extended_timeout(self, payload: bytes) -> bytes:
        ieee, extended = struct.unpack_from("<QB", payload)
        stack = self._stack
        for address in stack.addresses.values():
            if address.ieee == ieee:
                address.extended_timeout = bool(extended)
                return b""
        # Outside the address table the stack has a place for it only with devices that it knows.
        if not extended:
            stack.extended_timeouts.discard(ieee)
        elif stack.nwk_of(ieee) is not None and len(stack.extended_timeouts) < MAX_EXTENDED_TIMEOUTS:
            stack.extended_timeouts.add(ieee)
        return b""

    def _get_extended_timeout(self, payload: bytes) -> bytes:
        ieee = int.from_bytes(take(payload, 0, 8), "little")
        extended = ieee in self._stack.extended_timeouts
        if not extended:
            extended = any(address.extended_timeout for address in self._stack.addresses.values() if address.ieee == ieee)
        return bytes((extended,))

    # Groups

    def _get_multicast_table_entry(self, payload: bytes) -> bytes:
        index = take(payload, 0, 1)[0]
        if index >= self._stack.config[ConfigId.MULTICAST_TABLE_SIZE]:
            return bytes((EmberStatus.INDEX_OUT_OF_RANGE,)) + bytes(_GROUP_SIZE)
        return _OK + self._stack.groups.get(index, bytes(_GROUP_SIZE))

    def _set_multicast_table_entry(self, payload: bytes) -> bytes:
        index = take(payload, 0, 1)[0]
        entry = payload[1 : 1 + _GROUP_SIZE]
        if len(entry) < _GROUP_SIZE - 1:
            raise MalformedCommandError("entry cut short")
        if index >= self._stack.config[ConfigId.MULTICAST_TABLE_SIZE]:
            return bytes((EmberStatus.INDEX_OUT_OF_RANGE,))
        self._stack.groups[index] = entry.ljust(_GROUP_SIZE, b"\x00")
        return _OK
