"""A raw host that speaks EZSP over ASH, and a way to run an unmodified bellows against the NCP."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from bellows.zigbee.application import ControllerApplication
from tests.rig.medium import DEVICE_NWK, IDENTITY, FakeMedium, until

from otagate_rig.ezsp import EzspNcp, ash, frames
from otagate_rig.serial_port import SerialPort

COORDINATOR_IEEE = 0x000D6F0001020304
ACK = 0x40
"""APS_OPTION_RETRY: an acknowledged unicast."""


def zigpy_config(path: str, database: Path | None = None, **more: Any) -> dict[str, Any]:
    """The plain configuration an ordinary user of bellows would write."""
    return {
        "device": {"path": path, "baudrate": 115200},
        "database_path": None if database is None else str(database),
        "ota": {"enabled": False, "broadcast_enabled": False},
        "topology_scan_enabled": False,
        "use_thread": False,
        **more,
    }


async def start(path: str, *, auto_form: bool = False, database: Path | None = None, **more: Any) -> ControllerApplication:
    """An unmodified bellows on `path`."""
    return await ControllerApplication.new(zigpy_config(path, database, **more), auto_form=auto_form)


@contextlib.asynccontextmanager
async def running(path: str, *, auto_form: bool = False, database: Path | None = None, **more: Any) -> AsyncIterator[ControllerApplication]:
    """The same, shut down at the end."""
    app = await start(path, auto_form=auto_form, database=database, **more)
    try:
        yield app
    finally:
        await app.shutdown()


@contextlib.asynccontextmanager
async def stick(medium: FakeMedium | None = None, *, transport: str = "pty", **options: Any) -> AsyncIterator[tuple[EzspNcp, SerialPort]]:
    """An NCP behind a port; a TCP one resets itself when it is opened, which saves a host two seconds of waiting for just that."""
    options.setdefault("ieee", COORDINATOR_IEEE)
    options.setdefault("resets_on_open", transport == "tcp")
    async with EzspNcp(medium or FakeMedium(), **options) as ncp:
        port = SerialPort.tcp(ncp) if transport == "tcp" else SerialPort.pty(ncp)
        async with port:
            yield ncp, port


class RawHost:
    """A host that speaks EZSP frame by frame, straight into the NCP; it acknowledges what it hears unless `acknowledges` is off."""

    def __init__(self, ncp: EzspNcp) -> None:
        self._ncp = ncp
        self._parser = ash.FrameParser()
        self._loop = asyncio.get_running_loop()
        self._ack_planned = False
        self.bodies: list[bytes] = []
        self.heard: list[tuple[int, bytes]] = []
        self.resets: list[int] = []
        self.errors: list[int] = []
        self.acknowledges = True
        self.sequence = 0
        self.next = 0
        self.expected = 0
        self.acknowledged = 0
        ncp.line_up(self._write)

    @property
    def bad_frames(self) -> int:
        return self._parser.bad_frames

    def _write(self, data: bytes) -> None:
        for body in self._parser.feed(data):
            if body:
                self._hear(body)

    def _hear(self, body: bytes) -> None:
        self.bodies.append(body)
        control = body[0]
        if control == ash.RSTACK:
            self.resets.append(body[2])
            self.next = self.expected = self.acknowledged = 0
        elif control == ash.ERROR:
            self.errors.append(body[2])
        elif control < ash.ACK and control >> 4 == self.expected:
            self.expected = (self.expected + 1) & 7
            payload = ash.randomise(body[1:])
            self.heard.append((int.from_bytes(payload[3:5], "little"), payload[5:]))
            if self.acknowledges and not self._ack_planned:
                self._ack_planned = True
                self._loop.call_soon(self.acknowledge)

    def acknowledge(self, flags: int = 0) -> None:
        """Send an ACK for everything heard so far."""
        self._ack_planned = False
        self.acknowledged = self.expected
        self.put(bytes((ash.ACK | flags | self.expected,)))

    def put(self, body: bytes) -> None:
        """Send one ASH frame as it is."""
        self._ncp.bytes_received(ash.encode(body))

    def data(self, payload: bytes, *, number: int | None = None, flags: int = 0) -> None:
        """Send one DATA frame."""
        if number is None:
            number, self.next = self.next, (self.next + 1) & 7
        if self.acknowledges:
            self.acknowledged = self.expected
        self.put(bytes((number << 4 | flags | self.acknowledged,)) + ash.randomise(payload))

    def reset(self) -> None:
        """RST, as a host begins."""
        self._ncp.bytes_received(bytes((ash.CANCEL,)) * 32 + ash.encode(bytes((ash.RST,))))

    def tell(self, command: int, payload: bytes = b"") -> list[tuple[int, bytes]]:
        """A command; returns what was heard at once."""
        before = len(self.heard)
        self.sequence = (self.sequence + 1) & 0xFF
        self.data(frames.HEADER.pack(self.sequence, 0, frames.FORMAT_1, command) + payload)
        return self.heard[before:]

    def ask(self, command: int, payload: bytes = b"") -> bytes:
        """A command and the parameters of its response."""
        answers = self.tell(command, payload)
        for answer, body in answers:
            if answer == command:
                return body
        raise AssertionError(f"no answer to {command:04x}: {answers}")

    def all(self, command: int) -> list[bytes]:
        """The parameters of every callback of that kind so far."""
        return [body for heard, body in self.heard if heard == command]

    def agree(self) -> None:
        """RST and version."""
        self.reset()
        assert self.ask(frames.VERSION, bytes((frames.PROTOCOL_VERSION,)))[0] == frames.PROTOCOL_VERSION

    async def bring_up(self) -> None:
        """Reset, register one endpoint with an OTA server, ask for all ZDO messages, and start the stored network."""
        self.agree()
        endpoint = struct.pack("<BHHBBB2H1H", 1, 0x0104, 0x0005, 0, 2, 1, 0x0000, 0x0019, 0x0020)
        assert self.ask(frames.ADD_ENDPOINT, endpoint) == b"\x00"
        assert self.ask(frames.SET_CONFIGURATION_VALUE, b"\x2a\x03\x00") == b"\x00"
        assert self.ask(frames.NETWORK_INIT, b"\x00\x00") == b"\x00"
        await until(lambda: b"\x90" in self.all(frames.STACK_STATUS_HANDLER))

    def send(
        self, tag: int, *, dst: int = DEVICE_NWK, options: int = 0, data: bytes = b"\x09\x01\x00", cluster: int = 0x0019, kind: int = 0, ep: int = 1
    ) -> bytes:
        """sendUnicast from endpoint `ep`; returns (status, APS sequence number)."""
        head = struct.pack("<BHHHBBHHBB", kind, dst, 0x0104 if ep else 0, cluster, ep, ep, options, 0, 0, tag)
        return self.ask(frames.SEND_UNICAST, head + bytes((len(data),)) + data)

    def confirms(self) -> list[tuple[int, int]]:
        """(tag, status) of every messageSentHandler so far."""
        return [(body[14], body[15]) for body in self.all(frames.MESSAGE_SENT_HANDLER)]


@contextlib.asynccontextmanager
async def raw_host(medium: FakeMedium | None = None, **options: Any) -> AsyncIterator[tuple[EzspNcp, RawHost]]:
    """A pre-formed NCP with its network up and a raw host."""
    options.setdefault("ieee", COORDINATOR_IEEE)
    options.setdefault("network", IDENTITY)
    async with EzspNcp(medium or FakeMedium(), **options) as ncp:
        host = RawHost(ncp)
        await host.bring_up()
        yield ncp, host
