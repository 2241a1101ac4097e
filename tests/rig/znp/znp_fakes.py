"""A fake of `Medium` with one scripted device, enough for an interview, and a way to run an unmodified zigpy-znp against it."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from tests.rig.medium import DEVICE_IEEE, DEVICE_NWK, IDENTITY, FakeMedium, until
from zigpy_znp.zigbee.application import ControllerApplication

from otagate_rig.aps import ApsFrame, Delivery, DeviceKind
from otagate_rig.serial_port import SerialPort
from otagate_rig.znp import ZnpNcp, mt
from otagate_rig.znp.frames import FrameParser, encode

COORDINATOR_IEEE = 0x00124B0001020304


class ScriptedMedium(FakeMedium):
    """A medium with one device that answers an interview; it is not there until it joins."""

    def __init__(self) -> None:
        super().__init__()
        self.present = False
        self.answered: Callable[[ApsFrame], None] | None = None

    async def transmit(self, frame: ApsFrame) -> Delivery:
        delivery = await super().transmit(frame)
        if frame.dst == DEVICE_NWK and self.present and delivery is Delivery.SUCCESS:
            asyncio.get_running_loop().call_soon(self._device, frame)
        return delivery

    def join(self, *, parent: int = 0, kind: DeviceKind = DeviceKind.ROUTER, rejoined: bool = False) -> None:
        """The device joins and announces itself."""
        super().join(parent=parent, kind=kind, rejoined=rejoined)
        self.say(0x0013, b"\x01" + struct.pack("<HQB", DEVICE_NWK, DEVICE_IEEE, 0x8E), dst=0xFFFD)

    def _device(self, frame: ApsFrame) -> None:
        tsn = frame.data[:1]
        me = struct.pack("<BH", 0, DEVICE_NWK)
        if frame.dst_ep == 0 and frame.cluster < 0x8000:
            simple = struct.pack("<BHHBB2HB1H", 1, 0x0104, 0x0100, 1, 2, 0x0000, 0x0006, 1, 0x0019)
            body = {
                0x0002: me + bytes.fromhex("01408e5f11525200002c520000"),
                0x0005: me + b"\x01\x01",
                0x0004: me + bytes((len(simple),)) + simple,
            }.get(frame.cluster, b"\x84")
            self.say(frame.cluster | 0x8000, tsn + body)
        elif frame.cluster == 0x0000 and frame.data[2] == 0x00:
            self._read_basic(frame.data)
        if self.answered is not None:
            self.answered(frame)

    def _read_basic(self, data: bytes) -> None:
        values = {4: b"\x42\x04ACME", 5: b"\x42\x04Lamp"}
        records = b""
        for (attribute,) in struct.iter_unpack("<H", data[3:]):
            value = values.get(attribute)
            records += struct.pack("<H", attribute) + (b"\x86" if value is None else b"\x00" + value)
        self.say(0x0000, b"\x18" + data[1:2] + b"\x01" + records, ep=1)


def zigpy_config(path: str, database: Path | None) -> dict[str, Any]:
    """The plain configuration an ordinary user of zigpy-znp would write."""
    return {
        "device": {"path": path, "baudrate": 115200},
        "database_path": None if database is None else str(database),
        "ota": {"enabled": False, "broadcast_enabled": False},
        "topology_scan_enabled": False,
    }


async def start(path: str, *, auto_form: bool = False, database: Path | None = None) -> ControllerApplication:
    """An unmodified zigpy-znp on `path`."""
    return await ControllerApplication.new(zigpy_config(path, database), auto_form=auto_form)


@contextlib.asynccontextmanager
async def running(path: str, *, auto_form: bool = False, database: Path | None = None) -> AsyncIterator[ControllerApplication]:
    """The same, shut down at the end."""
    app = await start(path, auto_form=auto_form, database=database)
    try:
        yield app
    finally:
        await app.shutdown()


@contextlib.asynccontextmanager
async def stick(medium: ScriptedMedium | None = None, *, transport: str = "tcp", **options: Any) -> AsyncIterator[tuple[ZnpNcp, SerialPort]]:
    """An NCP behind a port."""
    options.setdefault("ieee", COORDINATOR_IEEE)
    async with ZnpNcp(medium or ScriptedMedium(), **options) as ncp:
        port = SerialPort.tcp(ncp) if transport == "tcp" else SerialPort.pty(ncp)
        async with port:
            yield ncp, port


class RawHost:
    """A host that speaks MT frame by frame, straight into the NCP."""

    def __init__(self, ncp: ZnpNcp) -> None:
        self._ncp = ncp
        self._parser = FrameParser()
        self.heard: list[tuple[int, bytes]] = []
        ncp.line_up(self._write)

    @property
    def bad_frames(self) -> int:
        return self._parser.bad_frames

    def _write(self, data: bytes) -> None:
        self.heard += self._parser.feed(data)

    def ask(self, command: int, payload: bytes = b"") -> bytes:
        """A request and its synchronous answer."""
        before = len(self.heard)
        self._ncp.bytes_received(encode(command, payload))
        for answer, body in self.heard[before:]:
            if answer == command + 0x4000:
                return body
        raise AssertionError(f"no answer to {command:04x}: {self.heard[before:]}")

    def tell(self, command: int, payload: bytes = b"") -> list[tuple[int, bytes]]:
        """A request; returns what was heard at once."""
        before = len(self.heard)
        self._ncp.bytes_received(encode(command, payload))
        return self.heard[before:]

    def all(self, command: int) -> list[bytes]:
        """The payloads of every indication of that kind so far."""
        return [body for heard, body in self.heard if heard == command]

    async def bring_up(self) -> None:
        """Start the stored network, register one endpoint with an OTA server and ask for all ZDO messages."""
        assert self.ask(mt.APP_CNF_BDB_START_COMMISSIONING, b"\x04") == b"\x00"
        await until(lambda: self._ncp.network_is_up)
        clusters = struct.pack("<B2HB1H", 2, 0x0000, 0x0019, 1, 0x0020)
        assert self.ask(mt.AF_REGISTER, struct.pack("<BHHBB", 1, 0x0104, 0x0005, 0, 0) + clusters) == b"\x00"
        assert self.ask(mt.ZDO_MSG_CB_REGISTER, b"\xff\xff") == b"\x00"

    def send_data(self, tsn: int, *, dst: int = DEVICE_NWK, options: int = 0x10, data: bytes = b"\x09\x01\x00", mode: int = 2) -> int:
        """AF_DATA_REQUEST_EXT on the OTA cluster from endpoint 1; returns the status."""
        head = struct.pack("<BQBHBHBBBH", mode, dst, 1, 0, 1, 0x0019, tsn, options, 0, len(data))
        return self.ask(mt.AF_DATA_REQUEST_EXT, head + data)[0]


@contextlib.asynccontextmanager
async def raw_host(medium: ScriptedMedium | None = None, **options: Any) -> AsyncIterator[tuple[ZnpNcp, RawHost]]:
    """A pre-formed NCP with its network up and a raw host."""
    options.setdefault("ieee", COORDINATOR_IEEE)
    options.setdefault("network", IDENTITY)
    async with ZnpNcp(medium or ScriptedMedium(), **options) as ncp:
        host = RawHost(ncp)
        await host.bring_up()
        yield ncp, host
