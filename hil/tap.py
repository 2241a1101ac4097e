"""What is said on a coordinator's serial line about firmware: bytes of either way in, frames of the OTA Upgrade cluster out.

It listens only. Framing is read by the simulated coordinators' own parsers, EZSP's parameters by bellows, so that nothing of the daemon's own radio
path is needed to judge it.
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Iterator
from typing import Any, Protocol

from otagate_rig.ezsp import ash
from otagate_rig.ezsp import frames as ezsp
from otagate_rig.znp import frames as mt_frames
from otagate_rig.znp import mt

OTA = 0x0019
Heard = Iterator[tuple[int, int, bytes]]
"""(network address, endpoint of the device, ZCL frame)."""


class Tap(Protocol):
    """Listens on one line."""

    def from_host(self, data: bytes) -> Heard:
        """What the host sends."""

    def from_stick(self, data: bytes) -> Heard:
        """What the coordinator sends."""


class ZnpTap:
    """Z-Stack's Monitor and Test API."""

    _INCOMING = struct.Struct("<HHHBBBBBIBB")
    _REQUEST = struct.Struct("<HBBHBBBB")
    _REQUEST_EXT = struct.Struct("<BQBHBHBBBH")
    _SHORT = (mt.AddressMode.NWK, mt.AddressMode.BROADCAST)

    def __init__(self) -> None:
        self._host = mt_frames.FrameParser()
        self._stick = mt_frames.FrameParser()

    def from_host(self, data: bytes) -> Heard:
        """AF data requests."""
        for command, payload in self._host.feed(data):
            if command == mt.AF_DATA_REQUEST and len(payload) >= self._REQUEST.size:
                nwk, endpoint, _, cluster, *_, length = self._REQUEST.unpack_from(payload)
                frame = payload[self._REQUEST.size :][:length]
            elif command == mt.AF_DATA_REQUEST_EXT and len(payload) >= self._REQUEST_EXT.size:
                mode, address, endpoint, _, _, cluster, *_, length = self._REQUEST_EXT.unpack_from(payload)
                frame = payload[self._REQUEST_EXT.size :][:length]
                if mode not in self._SHORT:
                    continue
                nwk = address & 0xFFFF
            else:
                continue
            if cluster == OTA and len(frame) >= 3:
                yield nwk, endpoint, frame

    def from_stick(self, data: bytes) -> Heard:
        """AF incoming messages."""
        for command, payload in self._stick.feed(data):
            if command == mt.AF_INCOMING_MSG and len(payload) >= self._INCOMING.size:
                _, cluster, nwk, endpoint, *_, length = self._INCOMING.unpack_from(payload)
                frame = payload[self._INCOMING.size :][:length]
                if cluster == OTA and len(frame) >= 3:
                    yield nwk, endpoint, frame


class EzspTap:
    """EZSP from version 8 on, in ASH frames."""

    _DIRECT = 0  # message type of a unicast by network address

    def __init__(self) -> None:
        self._host, self._stick = _AshWay(), _AshWay()
        self._commands: dict[str, Any] = {}

    def from_host(self, data: bytes) -> Heard:
        """sendUnicast by network address."""
        for command, payload in self._host.feed(data):
            if command == ezsp.SEND_UNICAST and (read := self._read("sendUnicast", payload, response=False)):
                kind, nwk, aps, *_, message = read.values()
                if kind == self._DIRECT and aps.clusterId == OTA and len(message) >= 3:
                    yield int(nwk), int(aps.destinationEndpoint), bytes(message)

    def from_stick(self, data: bytes) -> Heard:
        """incomingMessageHandler; and which version is spoken."""
        for command, payload in self._stick.feed(data):
            if command == ezsp.VERSION and payload:
                self._commands = _commands(payload[0])
            elif command == ezsp.INCOMING_MESSAGE_HANDLER and (read := self._read("incomingMessageHandler", payload, response=True)):
                _, aps, *_, message = read.values()
                if aps.clusterId == OTA and len(message) >= 3:
                    yield int(read["nwk"] if "nwk" in read else read["sender"]), int(aps.sourceEndpoint), bytes(message)

    def _read(self, name: str, payload: bytes, *, response: bool) -> dict[str, Any]:
        """The parameters, by name and in order; none where they are cut short or nobody said which version is spoken."""
        found: dict[str, Any] = {}
        _, request, answer = self._commands.get(name, (0, {}, {}))
        try:
            for key, kind in (answer if response else request).items():
                found[key], payload = kind.deserialize(payload)
        except ValueError:
            return {}
        return found


def _commands(version: int) -> dict[str, Any]:
    """The parameters of every command in this version of EZSP, as bellows knows them; none where it does not."""
    try:
        known: dict[str, Any] = importlib.import_module(f"bellows.ezsp.v{version}.commands").COMMANDS
    except ImportError:
        return {}
    return known


class _AshWay:
    """One way of an ASH connection: the EZSP frames of its DATA frames, each once."""

    def __init__(self) -> None:
        self._parser = ash.FrameParser()
        self._last: int | None = None

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """(frame id, parameters) of each EZSP frame."""
        for body in self._parser.feed(data):
            if body == ash.DAMAGED or body[0] & 0x80:
                if body and body[0] in (ash.RST, ash.RSTACK):
                    self._last = None
                continue
            number = body[0] >> 4
            if body[0] & ash.RETRANSMITTED and number == self._last:
                continue
            self._last = number
            frame = ash.randomise(body[1:])
            if len(frame) >= ezsp.HEADER.size and frame[2] == ezsp.FORMAT_1:
                yield ezsp.HEADER.unpack_from(frame)[3], frame[ezsp.HEADER.size :]


TAPS: dict[str, type[Tap]] = {"znp": ZnpTap, "ezsp": EzspTap}
"""Radio type → what listens on its line."""
