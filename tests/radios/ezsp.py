"""EZSP frames of every protocol version as bellows' own tables lay them out, and bellows' own stack down to a transport that keeps what it gets."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import bellows.types as t
from bellows.ash import AshProtocol
from bellows.ezsp import EZSP
from bellows.thread import ThreadsafeProxy
from bellows.uart import Gateway

from otagate.radios import ash
from tests.radios.ash_bench import Transport

VERSIONS = [version for version in EZSP._BY_VERSION if version >= 8]
_CALLBACK, _RESPONSE = 0x90, 0x80


class Coordinator:
    """The far end: it says what it is told to say, in frames of its own, and reads what was written to it."""

    def __init__(self, version: int, line: AshProtocol, transport: Transport) -> None:
        self._line = line
        self._transport = transport
        self._number = 0
        self.commands = EZSP._BY_VERSION[version].COMMANDS

    def says(self, *payloads: bytes) -> None:
        """DATA frames, each with an acknowledgement of all that was heard; in one piece."""
        heard = len(self.heard())
        pieces = [ash.pack((self._number + each) % 8 << 4 | heard % 8, payload) for each, payload in enumerate(payloads)]
        self._number += len(payloads)
        self._line.data_received(b"".join(pieces))

    def heard(self) -> list[bytes]:
        """The EZSP frames that were sent to it."""
        bodies = [ash.unpack(data[:-1]) for data in self._transport.written]
        return [ash.randomise(body[1:]) for body in bodies if body is not None and not body[0] & 0x80]

    def frame(self, name: str, *values: Any, sequence: int = 0, control: int = _CALLBACK) -> bytes:
        """What it says by itself, or answers."""
        number, _, schema = self.commands[name]
        return bytes((sequence, control, 0x01)) + number.to_bytes(2, "little") + t.serialize_dict(values, {}, schema)

    def answer(self, name: str, *values: Any) -> bytes:
        """The answer to the last command that it heard."""
        return self.frame(name, *values, sequence=self.heard()[-1][0], control=_RESPONSE)


class Bench:
    """An application with what the fast path uses of it; `callbacks` keeps what the library made of what it was given."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.transport = Transport()
        self._ezsp = EZSP({"path": "/dev/null"})
        gateway = Gateway(self._ezsp)
        self.line = AshProtocol(gateway)
        self.line.connection_made(self.transport)
        self._ezsp._gw = ThreadsafeProxy(gateway, asyncio.get_running_loop())
        self._ezsp._switch_protocol_version(version)
        self._ezsp.start_ezsp()
        self.callbacks: list[str] = []
        self._ezsp.add_callback(lambda name, _: self.callbacks.append(name))
        self.coordinator = Coordinator(version, self.line, self.transport)
        self._numbers = itertools.cycle(range(256))

    def get_sequence(self) -> int:
        return next(self._numbers)

    @property
    def _new(self) -> bool:
        return self.version >= 14

    def aps(self, cluster: int = 0x0019, *, endpoint: int = 3, own: int = 1, options: int = 0x0100, sequence: int = 9) -> t.EmberApsFrame:
        return t.EmberApsFrame(
            profileId=0x0104, clusterId=cluster, sourceEndpoint=endpoint, destinationEndpoint=own, options=options, groupId=0, sequence=sequence
        )

    def incoming(self, frame: bytes, *, kind: int = 0, source: int = 0x1234, **aps: Any) -> bytes:
        """incomingMessageHandler."""
        head, aps_frame = t.EmberIncomingMessageType(kind), self.aps(**aps)
        if self._new:
            return self.coordinator.frame("incomingMessageHandler", head, aps_frame, source, t.EUI64(bytes(8)), 255, 255, 200, -40, 77, frame)
        return self.coordinator.frame("incomingMessageHandler", head, aps_frame, 200, -40, source, 255, 255, frame)

    def sent(self, tag: int, status: int = 0, *, cluster: int = 0x0019, nwk: int = 0x1234) -> bytes:
        """messageSentHandler."""
        aps_frame = self.aps(cluster, endpoint=1, own=3)
        if self._new:
            return self.coordinator.frame("messageSentHandler", t.sl_Status(status), 0, nwk, aps_frame, tag, b"")
        return self.coordinator.frame("messageSentHandler", 0, nwk, aps_frame, tag, t.EmberStatus(status), b"")

    def accepted(self, status: int = 0) -> bytes:
        """The answer to the last sendUnicast."""
        return self.coordinator.answer("sendUnicast", t.sl_Status(status) if self._new else t.EmberStatus(status), 9)

    def unicasts(self) -> list[tuple[int, t.EmberApsFrame, int, bytes]]:
        """What was sent, as bellows' own table reads it: destination, APS frame, tag, ZCL frame."""
        number, schema, _ = self.coordinator.commands["sendUnicast"]
        found = []
        for payload in self.coordinator.heard():
            if payload[1:5] == b"\x00\x01" + number.to_bytes(2, "little"):
                values, rest = t.deserialize_dict(payload[5:], schema)
                assert rest == b""
                kind, nwk, aps_frame, tag, frame = values.values()
                assert kind == t.EmberOutgoingMessageType.OUTGOING_DIRECT
                found.append((int(nwk), aps_frame, int(tag), bytes(frame)))
        return found
