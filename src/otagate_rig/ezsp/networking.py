"""Commands about the network: starting the stored one, forming, leaving, scanning, permitting joins, and who is in it."""

from __future__ import annotations

import asyncio
import secrets
import struct
from dataclasses import replace
from typing import Final

from otagate_rig.air_side import take
from otagate_rig.aps import COORDINATOR, NetworkIdentity
from otagate_rig.ezsp import frames
from otagate_rig.ezsp.enums import (
    ALLOW_JOINS,
    INITIAL_HAVE_NETWORK_KEY,
    INITIAL_HAVE_PRECONFIGURED_KEY,
    INITIAL_NO_FRAME_COUNTER_RESET,
    NO_EUI,
    NO_NODE,
    SECURITY_GLOBAL_LINK_KEY,
    SECURITY_HASHED_LINK_KEY,
    SECURITY_HAVE_LINK_KEY,
    EmberStatus,
    NetworkStatus,
    NodeType,
    PolicyId,
)
from otagate_rig.ezsp.security import SecurityCommands
from otagate_rig.ezsp.stack import Command, Stack, constant
from otagate_rig.ezsp.tokens import APS_FRAME_COUNTER, NONCE_COUNTER, random_extended_pan_id

CHANNELS: Final = range(11, 27)
FOREVER: Final = 0xFF

_ENERGY_SCAN = 0x00
_ACTIVE_SCAN = 0x01
_MAX_SCAN_DURATION = 14
_MAX_TX_POWER = 20
_OFF_NETWORK_NODE_ID = 0xFFFE
_JOINED_BY_ASSOCIATION = 0
_ANY_PAN = 0xFFFF
_PARAMETERS = struct.Struct("<QHbBBHBI")
_OK = bytes((EmberStatus.SUCCESS,))


def noise_floor(channel: int) -> int:
    """Energy on a channel in dBm: made up but steady, so that a scan does not make a test run differ from the next."""
    return -92 + channel * 7 % 40


class NetworkCommands:
    """Answers what is asked about the network."""

    def __init__(self, stack: Stack, security: SecurityCommands) -> None:
        self._stack = stack
        self._security = security
        self._loop = asyncio.get_running_loop()
        self._later: set[asyncio.Handle] = set()
        self._closing: asyncio.TimerHandle | None = None

    def commands(self) -> dict[int, Command]:
        """Frame id to its implementation."""
        return {
            frames.NETWORK_INIT: self._network_init,
            frames.NETWORK_STATE: self._network_state,
            frames.START_SCAN: self._start_scan,
            frames.STOP_SCAN: constant(_OK),
            frames.FORM_NETWORK: self._form_network,
            frames.LEAVE_NETWORK: self._leave_network,
            frames.PERMIT_JOINING: self._permit_joining,
            frames.GET_EUI64: lambda _: self._stack.ieee.to_bytes(8, "little"),
            frames.GET_NODE_ID: self._get_node_id,
            frames.GET_NETWORK_PARAMETERS: self._get_network_parameters,
            frames.GET_PARENT_CHILD_PARAMETERS: lambda _: struct.pack("<BQH", len(self._stack.children), 0, NO_NODE),
        }

    def restart(self) -> None:
        """Forget what was about to happen."""
        for handle in (*self._later, self._closing):
            if handle is not None:
                handle.cancel()
        self._later.clear()
        self._closing = None

    def consent(self, seconds: int) -> None:
        """Let devices into the network for `seconds` (0 closes it, 255 is for ever), if the trust centre's policy allows any."""
        stack = self._stack
        if not seconds or stack.policies.get(PolicyId.TRUST_CENTER, ALLOW_JOINS) & ALLOW_JOINS:
            stack.medium.permit_joining(seconds)

    def open_for(self, seconds: int) -> None:
        """Open the coordinator itself, or close it, and tell the host of both."""
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        self.consent(seconds)
        self._soon(EmberStatus.NETWORK_OPENED if seconds else EmberStatus.NETWORK_CLOSED)
        if 0 < seconds < FOREVER:
            self._closing = self._loop.call_later(seconds, self._stack.tell_status, EmberStatus.NETWORK_CLOSED)

    def change_channel(self, channel: int) -> None:
        """Move the running network, and the one in the tokens, to another channel."""
        stack, old = self._stack, self._stack.identity
        if old is None or channel not in CHANNELS:
            return
        stack.tokens.change_channel(channel)
        stack.bring_up(replace(old, channel=channel), ieee=stack.ieee)
        stack.tell_status(EmberStatus.CHANNEL_CHANGED)

    def _soon(self, status: EmberStatus) -> None:
        """Tell of a change after the response to the command that caused it."""
        handle: asyncio.Handle

        def tell() -> None:
            self._later.discard(handle)
            self._stack.tell_status(status)

        handle = self._loop.call_soon(tell)
        self._later.add(handle)

    # The life of the network

    def _network_init(self, payload: bytes) -> bytes:
        take(payload, 0, 2)
        stored = self._stack.tokens.identity()
        if self._stack.is_up:
            return bytes((EmberStatus.INVALID_CALL,))
        if stored is None:
            return bytes((EmberStatus.NOT_JOINED,))
        self._stack.bring_up(stored, ieee=self._stack.ieee)
        self._soon(EmberStatus.NETWORK_UP)
        return _OK

    def _network_state(self, _payload: bytes) -> bytes:
        return bytes((NetworkStatus.JOINED_NETWORK if self._stack.is_up else NetworkStatus.NO_NETWORK,))

    def _form_network(self, payload: bytes) -> bytes:
        extended, pan_id, power, channel, _method, manager, _update_id, channels = _PARAMETERS.unpack_from(payload)
        stack, initial = self._stack, self._security.initial
        stack.note_settings_write()
        if stack.is_up:
            return bytes((EmberStatus.INVALID_CALL,))
        if initial is None:
            return bytes((EmberStatus.SECURITY_STATE_NOT_SET,))
        if channel not in CHANNELS:
            return bytes((EmberStatus.PHY_INVALID_CHANNEL,))
        if power > _MAX_TX_POWER:
            return bytes((EmberStatus.PHY_INVALID_POWER,))
        identity = NetworkIdentity(
            pan_id=1 + secrets.randbelow(0xFFFD) if pan_id == _ANY_PAN else pan_id,
            extended_pan_id=random_extended_pan_id() if extended in (0, NO_EUI) else extended,
            channel=channel,
            network_key=initial.network_key if initial.bits & INITIAL_HAVE_NETWORK_KEY else secrets.token_bytes(16),
        )
        tokens = stack.tokens
        tokens.forget_network()
        tokens.set_key_sequence(initial.key_sequence)
        bits = initial.bits & (SECURITY_GLOBAL_LINK_KEY | SECURITY_HASHED_LINK_KEY)
        if initial.bits & INITIAL_HAVE_PRECONFIGURED_KEY:
            bits |= SECURITY_HAVE_LINK_KEY
        tokens.set_trust_center(bits, stack.ieee, initial.link_key)
        # The update id of the command is ignored by real parts too: a network that has just been formed was never updated.
        tokens.set_management(channels=channels, manager=manager, update_id=0)
        if not initial.bits & INITIAL_NO_FRAME_COUNTER_RESET:
            tokens.set_counter(NONCE_COUNTER, 0)
            tokens.set_counter(APS_FRAME_COUNTER, 0)
        tokens.form(identity, ieee=stack.ieee, tx_power=power)
        stack.counters.formations += 1
        stack.children.clear()
        stack.bring_up(identity, ieee=stack.ieee)
        self._soon(EmberStatus.NETWORK_UP)
        return _OK

    def _leave_network(self, _payload: bytes) -> bytes:
        stack = self._stack
        stack.note_settings_write()
        if not stack.is_up:
            return bytes((EmberStatus.INVALID_CALL,))
        stack.fall_silent()
        stack.tokens.forget_network()
        stack.children.clear()
        stack.neighbours.clear()
        stack.routes.clear()
        self._soon(EmberStatus.NETWORK_DOWN)
        return _OK

    def _permit_joining(self, payload: bytes) -> bytes:
        seconds = take(payload, 0, 1)[0]
        if not self._stack.is_up:
            return bytes((EmberStatus.NETWORK_DOWN,))
        self.open_for(seconds)
        return _OK

    # What it is

    def _get_node_id(self, _payload: bytes) -> bytes:
        return (COORDINATOR if self._stack.is_up else _OFF_NETWORK_NODE_ID).to_bytes(2, "little")

    def _get_network_parameters(self, _payload: bytes) -> bytes:
        identity = self._stack.identity
        if identity is None:
            return bytes((EmberStatus.NOT_JOINED, NodeType.UNKNOWN)) + bytes(_PARAMETERS.size)
        channels, manager, update_id = self._stack.tokens.management()
        return bytes((EmberStatus.SUCCESS, NodeType.COORDINATOR)) + _PARAMETERS.pack(
            identity.extended_pan_id,
            identity.pan_id,
            self._stack.tokens.tx_power,
            identity.channel,
            _JOINED_BY_ASSOCIATION,
            manager,
            update_id,
            channels,
        )

    # Scans

    def _start_scan(self, payload: bytes) -> bytes:
        kind, mask, duration = struct.unpack_from("<BIB", payload)
        channels = [channel for channel in CHANNELS if mask >> channel & 1]
        if kind not in (_ENERGY_SCAN, _ACTIVE_SCAN):
            return bytes((EmberStatus.MAC_INCORRECT_SCAN_TYPE,))
        if not channels:
            return bytes((EmberStatus.MAC_INVALID_CHANNEL_MASK,))
        if duration > _MAX_SCAN_DURATION:
            return bytes((EmberStatus.MAC_BAD_SCAN_DURATION,))
        handle: asyncio.Handle

        def finish() -> None:
            self._later.discard(handle)
            if kind == _ENERGY_SCAN:
                for channel in channels:
                    self._stack.call_back(frames.ENERGY_SCAN_RESULT_HANDLER, struct.pack("<Bb", channel, noise_floor(channel)))
            self._stack.call_back(frames.SCAN_COMPLETE_HANDLER, bytes((channels[-1], EmberStatus.SUCCESS)))

        handle = self._loop.call_soon(finish)
        self._later.add(handle)
        return _OK
