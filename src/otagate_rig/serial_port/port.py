"""One serial port with one NCP behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from otagate_rig.serial_port.lines import MAX_BUFFER, Line, Listener, PtyLine, TcpLine
from otagate_rig.serial_port.pacing import Pacing

_PIECE = 32


class ByteStreamNcp(Protocol):
    """What a serial port asks of an NCP. None of it may block or raise."""

    def line_up(self, write: Callable[[bytes], None]) -> None:
        """A host has opened the port; `write` takes bytes for it until `line_down`."""

    def line_down(self) -> None:
        """The host has closed the port, or the line is gone."""

    def power_lost(self) -> None:
        """The NCP lost its supply with the line."""

    def bytes_received(self, data: bytes) -> None:
        """Bytes from the host, in order, split anyhow."""


class SerialPort:
    """One port with one NCP behind it; make it with `SerialPort.pty` or `SerialPort.tcp` and use it as an async context manager."""

    def __init__(self, ncp: ByteStreamNcp, line_factory: Callable[[Listener], Line], *, baud: int | None) -> None:
        self._ncp = ncp
        self._line = line_factory(self)
        self._plugged = False
        self._attached = asyncio.Event()
        self._to_host = Pacing(self._deliver_to_host, baud=baud, limit=MAX_BUFFER)
        # From the host the bound is kept by not reading on, so nothing is dropped here.
        self._to_ncp = Pacing(self._deliver_to_ncp, baud=baud, limit=None)
        self._paced = bool(baud)
        self._paused = False
        self.bytes_from_host = 0
        self.bytes_to_host = 0
        self.times_opened = 0

    @classmethod
    def pty(cls, ncp: ByteStreamNcp, *, link: Path | None = None, baud: int | None = None) -> Self:
        """A pseudo-terminal; `link` becomes a symbolic link to it while it is plugged in, and so the stable name of the port."""
        return cls(ncp, lambda listener: PtyLine(listener, link=link), baud=baud)

    @classmethod
    def tcp(cls, ncp: ByteStreamNcp, *, host: str = "127.0.0.1", port: int = 0, baud: int | None = None) -> Self:
        """A TCP port for one host at a time; port 0 is chosen at the first `plug` and kept."""
        return cls(ncp, lambda listener: TcpLine(listener, host=host, port=port), baud=baud)

    async def __aenter__(self) -> Self:
        await self.plug()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.unplug(power_lost=False)

    @property
    def path(self) -> str:
        """What a host configures: a device path, or `socket://host:port`."""
        return self._line.path

    @property
    def is_plugged(self) -> bool:
        """True between `plug` and `unplug`."""
        return self._plugged

    @property
    def is_open(self) -> bool:
        """True while a host has the port open."""
        return self._attached.is_set()

    @property
    def overruns(self) -> int:
        """Bytes for the host that were lost because it did not read."""
        return self._to_host.overruns + self._line.overruns

    async def wait_until_open(self) -> None:
        """Return as soon as a host has the port open."""
        await self._attached.wait()

    async def plug(self) -> None:
        """Make the port appear; does nothing when it is there."""
        if not self._plugged:
            await self._line.plug()
            self._plugged = True

    def unplug(self, *, power_lost: bool | None = None) -> None:
        """Make the port vanish under the host; an NCP on a pty loses its power with it, one behind TCP keeps it, unless said."""
        if not self._plugged:
            return
        self._plugged = False
        self._line.unplug()
        self.closed()
        if self._line.powers_the_ncp if power_lost is None else power_lost:
            self._ncp.power_lost()

    def swap(self, ncp: ByteStreamNcp) -> None:
        """Put another NCP behind the same name; raises `RuntimeError` while the port is plugged in."""
        if self._plugged:
            raise RuntimeError("unplug the port first")
        self._ncp = ncp

    def opened(self) -> None:
        """The line has a host."""
        self.times_opened += 1
        self._attached.set()
        self._ncp.line_up(self._to_host.push)

    def closed(self) -> None:
        """The line has no host (any more)."""
        self._to_host.clear()
        self._to_ncp.clear()
        self._paused = False
        if self._attached.is_set():
            self._attached.clear()
            self._ncp.line_down()

    def received(self, data: bytes) -> None:
        """The line has bytes from the host."""
        self.bytes_from_host += len(data)
        if self._paced:
            # In small pieces, so that the first command of a burst need not wait for the last one.
            for at in range(0, len(data), _PIECE):
                self._to_ncp.push(data[at : at + _PIECE])
        else:
            self._to_ncp.push(data)
        if not self._paused and self._to_ncp.size > MAX_BUFFER // 2:
            self._paused = True
            self._line.pause()

    def _deliver_to_ncp(self, data: bytes) -> None:
        self._ncp.bytes_received(data)
        if self._paused and self._to_ncp.size < MAX_BUFFER // 4:
            self._paused = False
            self._line.resume()

    def _deliver_to_host(self, data: bytes) -> None:
        self.bytes_to_host += len(data)
        self._line.write(data)
