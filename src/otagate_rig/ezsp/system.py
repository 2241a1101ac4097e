"""Commands about the NCP itself: version, configuration, values, policies, endpoints, tokens, counters."""

from __future__ import annotations

import secrets
import struct
from typing import Final

from otagate_rig.air_side import MalformedCommandError, take
from otagate_rig.ezsp import frames
from otagate_rig.ezsp.enums import ConfigId, EmberStatus, EzspStatus, ValueId
from otagate_rig.ezsp.stack import Command, Stack, constant, counted, take_clusters, take_counted
from otagate_rig.ezsp.tokens import APS_FRAME_COUNTER, NONCE_COUNTER
from otagate_rig.zdo import Endpoint

STACK_TYPE: Final = 2
"""The mesh stack."""
STACK_VERSION: Final = 0x7450
MANUFACTURER: Final = b"Emulated"
BOARD: Final = b"EFR32MG21"

MAX_ENDPOINTS: Final = 16
MAX_VALUE: Final = 32
_ALL_BUFFERS = 0xFF
_MAX_TX_POWER = 20
_ONE_BYTE = 0xFF
_MFG_CUSTOM_EUI64 = 0x0C
# Manufacturing tokens of a part that nobody programmed, by token id: their sizes.
_BLANK_MFG_TOKENS: Final = {0x00: 2, 0x03: 2, 0x04: 2, 0x05: 16, 0x06: 40, 0x07: 8, 0x09: 92, 0x0A: 20, 0x0D: 2}
_MFG_STRINGS: Final = {0x01: MANUFACTURER, 0x02: BOARD}
_MFG_STRING_SIZE = 16
# Values that are bytes and no more; their initial content.
_VALUES: Final = {
    0x01: b"\x00",
    0x05: b"\x52\x00",
    0x06: b"\x52\x00",
    0x07: b"\x01",
    0x0A: b"\x00\x01",
    0x0C: b"\x00",
    0x15: b"\xb5",
    0x29: b"\x01",
    0x30: b"\x00",
    0x3A: b"\x00",
    0x3B: b"\x2c\x01",
    0x3D: b"\x05",
    0x3E: b"\x07",
    0x3F: b"\x03",
    0x46: b"\x02",
}
_COUNTERS: Final[dict[int, int]] = {ValueId.NWK_FRAME_COUNTER: NONCE_COUNTER, ValueId.APS_FRAME_COUNTER: APS_FRAME_COUNTER}
# Tables whose length the stack of this build does not let anybody change.
_FIXED = frozenset({0x02, 0x04, 0x07, 0x08, 0x10})
_ONE_BYTE_CONFIG = frozenset({ConfigId.ADDRESS_TABLE_SIZE, ConfigId.MULTICAST_TABLE_SIZE, ConfigId.KEY_TABLE_SIZE, ConfigId.MAX_END_DEVICE_CHILDREN})
_OK = bytes((EmberStatus.SUCCESS,))
_ENDPOINT = struct.Struct("<BHHBBB")
_EXTENDED_ENDPOINT_FLAGS = 0x00
_EXTENDED_SOURCE_ROUTE_OVERHEAD = 0x02
_TOKEN = struct.Struct("<II")


class SystemCommands:
    """Answers what is asked about the NCP."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._values: dict[int, bytes] = {}
        self.outstanding = 0
        """Packet buffers in use; kept by whoever sends."""
        self.restart()

    def restart(self) -> None:
        """Forget what the host has set."""
        self._values = dict(_VALUES)
        self.version_agreed = False

    def commands(self) -> dict[int, Command]:
        """Frame id to its implementation."""
        return {
            frames.VERSION: self._version,
            frames.ADD_ENDPOINT: self._add_endpoint,
            frames.GET_EXTENDED_VALUE: self._get_extended_value,
            frames.NOP: constant(b""),
            frames.ECHO: lambda payload: counted(take_counted(payload, 0)),
            frames.GET_MFG_TOKEN: self._get_mfg_token,
            frames.SET_MFG_TOKEN: self._set_mfg_token,
            frames.GET_XNCP_INFO: constant(struct.pack("<BHH", EmberStatus.INVALID_CALL, 0, 0)),
            frames.CUSTOM_FRAME: self._custom_frame,
            frames.SET_MANUFACTURER_CODE: constant(b"", size=2),
            frames.SET_POWER_DESCRIPTOR: constant(b"", size=2),
            frames.GET_RANDOM_NUMBER: lambda _: _OK + secrets.token_bytes(2),
            frames.GET_CONFIGURATION_VALUE: self._get_configuration_value,
            frames.SET_CONFIGURATION_VALUE: self._set_configuration_value,
            frames.SET_POLICY: self._set_policy,
            frames.GET_POLICY: self._get_policy,
            frames.GET_VALUE: self._get_value,
            frames.SET_VALUE: self._set_value,
            frames.READ_COUNTERS: lambda _: self._counters(),
            frames.READ_AND_CLEAR_COUNTERS: self._read_and_clear_counters,
            frames.SET_RADIO_POWER: self._set_radio_power,
            frames.GET_TOKEN_DATA: self._get_token_data,
            frames.SET_TOKEN_DATA: self._set_token_data,
            frames.TOKEN_FACTORY_RESET: self._token_factory_reset,
            frames.GP_SINK_TABLE_INIT: constant(b""),
            frames.GP_SINK_TABLE_CLEAR_ALL: constant(b""),
        }

    def version(self, wanted: int) -> bytes:
        """Answer to a version command; from now on other commands are obeyed where the versions agree."""
        self.version_agreed = wanted == frames.PROTOCOL_VERSION
        return struct.pack("<BBH", frames.PROTOCOL_VERSION, STACK_TYPE, STACK_VERSION)

    def _version(self, payload: bytes) -> bytes:
        return self.version(take(payload, 0, 1)[0])

    def _add_endpoint(self, payload: bytes) -> bytes:
        stack = self._stack
        number, profile, device, _version, inputs, outputs = _ENDPOINT.unpack_from(payload)
        servers = take_clusters(payload, _ENDPOINT.size, inputs)
        clients = take_clusters(payload, _ENDPOINT.size + 2 * inputs, outputs)
        if stack.is_up:
            return bytes((EzspStatus.ERROR_INVALID_CALL,))
        if not 0 < number < 0xFF or number in stack.endpoints:
            return bytes((EzspStatus.ERROR_INVALID_VALUE,))
        if len(stack.endpoints) >= MAX_ENDPOINTS:
            return bytes((EzspStatus.ERROR_OUT_OF_MEMORY,))
        stack.endpoints[number] = Endpoint(id=number, profile=profile, device_type=device, servers=servers, clients=clients)
        return _OK

    def _custom_frame(self, payload: bytes) -> bytes:
        take_counted(payload, 0)
        return bytes((EmberStatus.LIBRARY_NOT_PRESENT, 0))

    # Configuration, policies, values

    def _get_configuration_value(self, payload: bytes) -> bytes:
        value = self._stack.config.get(take(payload, 0, 1)[0])
        if value is None:
            return struct.pack("<BH", EzspStatus.ERROR_INVALID_ID, 0)
        return struct.pack("<BH", EzspStatus.SUCCESS, value)

    def _set_configuration_value(self, payload: bytes) -> bytes:
        config, (number, value) = self._stack.config, struct.unpack_from("<BH", payload)
        if number not in config:
            return bytes((EzspStatus.ERROR_INVALID_ID,))
        if number in _FIXED and value != config[number]:
            return bytes((EzspStatus.ERROR_INVALID_VALUE,))
        if self._stack.is_up:
            return bytes((EzspStatus.ERROR_INVALID_CALL,))
        if number in _ONE_BYTE_CONFIG and value > _ONE_BYTE:
            return bytes((EzspStatus.ERROR_OUT_OF_MEMORY,))
        # 255 buffers is the name of "all memory that is left", which is what this part starts with.
        if number != ConfigId.PACKET_BUFFER_COUNT or value != _ALL_BUFFERS:
            config[number] = value
        return _OK

    def _set_policy(self, payload: bytes) -> bytes:
        policy, decision = take(payload, 0, 2)
        self._stack.policies[policy] = decision
        return _OK

    def _get_policy(self, payload: bytes) -> bytes:
        return bytes((EzspStatus.SUCCESS, self._stack.policies.get(take(payload, 0, 1)[0], 0)))

    def _get_value(self, payload: bytes) -> bytes:
        number = take(payload, 0, 1)[0]
        value = self._value(number)
        if value is None:
            return bytes((EzspStatus.ERROR_INVALID_ID, 0))
        return _OK + counted(value)

    def _value(self, number: int) -> bytes | None:
        stack = self._stack
        if number == ValueId.FREE_BUFFERS:
            return bytes((min(max(stack.config[ConfigId.PACKET_BUFFER_COUNT] - self.outstanding, 0), 0xFF),))
        if number == ValueId.VERSION_INFO:
            return struct.pack("<HBBBBB", 0, STACK_VERSION >> 12, STACK_VERSION >> 8 & 0xF, STACK_VERSION >> 4 & 0xF, STACK_VERSION & 0xF, 0xAA)
        if number == ValueId.NWK_FRAME_COUNTER:
            return stack.frame_counter.to_bytes(4, "little")
        if number == ValueId.APS_FRAME_COUNTER:
            return stack.tokens.counter(APS_FRAME_COUNTER).to_bytes(4, "little")
        return self._values.get(number)

    def _set_value(self, payload: bytes) -> bytes:
        number, value = take(payload, 0, 1)[0], take_counted(payload, 1)
        counter = _COUNTERS.get(number)
        if counter is not None:
            return self._set_counter(counter, value)
        if number not in self._values:
            return bytes((EzspStatus.ERROR_INVALID_ID,))
        if not 0 < len(value) <= MAX_VALUE:
            return bytes((EzspStatus.ERROR_INVALID_VALUE,))
        self._values[number] = value
        return _OK

    def _set_counter(self, token: int, value: bytes) -> bytes:
        self._stack.note_settings_write()
        if self._stack.is_up:
            return bytes((EzspStatus.ERROR_INVALID_CALL,))
        if len(value) != 4:
            return bytes((EzspStatus.ERROR_INVALID_VALUE,))
        self._stack.tokens.set_counter(token, int.from_bytes(value, "little"))
        return _OK

    def _get_extended_value(self, payload: bytes) -> bytes:
        number, argument = struct.unpack_from("<BI", payload)
        if number == _EXTENDED_ENDPOINT_FLAGS:
            known = argument in self._stack.endpoints
            return bytes((EzspStatus.SUCCESS if known else EzspStatus.ERROR_INVALID_VALUE,)) + counted(bytes((known, 0)))
        if number == _EXTENDED_SOURCE_ROUTE_OVERHEAD:
            route = self._stack.routes.get(argument)
            return _OK + counted(bytes((0 if route is None else 2 + 2 * len(route),)))
        return bytes((EzspStatus.ERROR_INVALID_ID, 0))

    # Counters and radio

    def _counters(self) -> bytes:
        return struct.pack(f"<{len(self._stack.tallies)}H", *self._stack.tallies)

    def _read_and_clear_counters(self, _payload: bytes) -> bytes:
        answer = self._counters()
        self._stack.tallies = [0] * len(self._stack.tallies)
        return answer

    def _set_radio_power(self, payload: bytes) -> bytes:
        power = int.from_bytes(take(payload, 0, 1), "little", signed=True)
        return bytes((EmberStatus.SUCCESS if power <= _MAX_TX_POWER else EmberStatus.PHY_INVALID_POWER,))

    # Tokens

    def _get_mfg_token(self, payload: bytes) -> bytes:
        token = take(payload, 0, 1)[0]
        if token == _MFG_CUSTOM_EUI64:
            return counted(self._stack.tokens.custom_eui())
        if token in _MFG_STRINGS:
            return counted(_MFG_STRINGS[token].ljust(_MFG_STRING_SIZE, b"\xff"))
        return counted(b"\xff" * _BLANK_MFG_TOKENS.get(token, 0))

    def _set_mfg_token(self, payload: bytes) -> bytes:
        token, value = take(payload, 0, 1)[0], take_counted(payload, 1)
        self._stack.note_settings_write()
        if token != _MFG_CUSTOM_EUI64:
            return bytes((EmberStatus.BAD_ARGUMENT,))
        return bytes((EmberStatus.SUCCESS if self._stack.tokens.burn_custom_eui(value) else EmberStatus.ERR_FATAL,))

    def _get_token_data(self, payload: bytes) -> bytes:
        value = self._stack.tokens.read(*_TOKEN.unpack_from(payload))
        if value is None:
            return bytes((EmberStatus.ERR_FATAL,))
        return _OK + len(value).to_bytes(4, "little") + value

    def _set_token_data(self, payload: bytes) -> bytes:
        token, index = _TOKEN.unpack_from(payload)
        length = int.from_bytes(take(payload, _TOKEN.size, 4), "little")
        if length > len(payload):
            raise MalformedCommandError("token cut short")
        self._stack.note_settings_write()
        written = self._stack.tokens.write(token, index, take(payload, _TOKEN.size + 4, length))
        return bytes((EmberStatus.SUCCESS if written else EmberStatus.ERR_FATAL,))

    def _token_factory_reset(self, payload: bytes) -> bytes:
        keep_frame_counters, keep_boot_counter = take(payload, 0, 2)
        self._stack.note_settings_write()
        self._stack.tokens.factory_reset(keep_frame_counters=bool(keep_frame_counters), keep_boot_counter=bool(keep_boot_counter))
        return b""
