"""Puts an emulated NCP behind something a host can open: a pseudo-terminal or a TCP port.

Both can be unplugged and plugged in again under the same name, and both can be slowed down to the speed of a serial line.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import termios
import tty
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self, cast

BITS_PER_BYTE: Final = 10
"""One start bit, eight data bits, one stop bit."""

MAX_BUFFER: Final = 65536
"""Bytes held per direction; to the host the rest is lost (as in a UART), from the host reading stops."""

_CHUNK = 4096
_PIECE = 32
_OPEN_POLL_SECONDS = 0.01


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


class _Listener(Protocol):
    def opened(self) -> None: ...
    def closed(self) -> None: ...
    def received(self, data: bytes) -> None: ...


class _Line(Protocol):
    powers_the_ncp: bool
    overruns: int

    @property
    def path(self) -> str: ...
    async def plug(self) -> None: ...
    def unplug(self) -> None: ...
    def write(self, data: bytes) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


class SerialPort:
    """One port with one NCP behind it; make it with `SerialPort.pty` or `SerialPort.tcp` and use it as an async context manager."""

    def __init__(self, ncp: ByteStreamNcp, line_factory: Callable[[_Listener], _Line], *, baud: int | None) -> None:
        self._ncp = ncp
        self._line = line_factory(self)
        self._plugged = False
        self._attached = asyncio.Event()
        self._to_host = _Pacing(self._deliver_to_host, baud=baud, limit=MAX_BUFFER)
        # From the host the bound is kept by not reading on, so nothing is dropped here.
        self._to_ncp = _Pacing(self._deliver_to_ncp, baud=baud, limit=None)
        self._paced = bool(baud)
        self._paused = False
        self.bytes_from_host = 0
        self.bytes_to_host = 0
        self.times_opened = 0

    @classmethod
    def pty(cls, ncp: ByteStreamNcp, *, link: Path | None = None, baud: int | None = None) -> Self:
        """A pseudo-terminal; `link` becomes a symbolic link to it while it is plugged in, and so the stable name of the port."""
        return cls(ncp, lambda listener: _PtyLine(listener, link=link), baud=baud)

    @classmethod
    def tcp(cls, ncp: ByteStreamNcp, *, host: str = "127.0.0.1", port: int = 0, baud: int | None = None) -> Self:
        """A TCP port for one host at a time; port 0 is chosen at the first `plug` and kept."""
        return cls(ncp, lambda listener: _TcpLine(listener, host=host, port=port), baud=baud)

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


class _Pacing:
    """Delivers bytes when the last of them would have come over a line of that speed; at once when no speed is given."""

    def __init__(self, deliver: Callable[[bytes], None], *, baud: int | None, limit: int | None) -> None:
        self._deliver = deliver
        self._limit = limit
        self._seconds_per_byte = BITS_PER_BYTE / baud if baud else 0.0
        self._loop = asyncio.get_running_loop()
        self._queue: deque[tuple[float, bytes]] = deque()
        self._free_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.size = 0
        self.overruns = 0

    def push(self, data: bytes) -> None:
        """Send `data` down this direction of the line."""
        if not self._seconds_per_byte:
            self._deliver(data)
            return
        if self._limit is not None and self.size + len(data) > self._limit:
            self.overruns += len(data)
            return
        self._free_at = max(self._free_at, self._loop.time()) + len(data) * self._seconds_per_byte
        self._queue.append((self._free_at, data))
        self.size += len(data)
        if self._timer is None:
            self._timer = self._loop.call_at(self._free_at, self._deliver_due)

    def clear(self) -> None:
        """Lose everything that is still on the line."""
        self._queue.clear()
        self.size = 0
        self._free_at = 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _deliver_due(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._queue and self._queue[0][0] <= now:
            _, data = self._queue.popleft()
            self.size -= len(data)
            self._deliver(data)
        if self._queue and self._timer is None:
            self._timer = self._loop.call_at(self._queue[0][0], self._deliver_due)


class _PtyLine:
    """The master side of a pseudo-terminal. No slave is kept open here, so that a host's close and open can be seen."""

    powers_the_ncp = True

    def __init__(self, listener: _Listener, *, link: Path | None) -> None:
        self._listener = listener
        self._link = link
        self._loop = asyncio.get_running_loop()
        self._master: int | None = None
        self._slave = ""
        self._pending = b""
        self._reading = False
        self._poll_timer: asyncio.TimerHandle | None = None
        self.overruns = 0

    @property
    def path(self) -> str:
        return str(self._link) if self._link is not None else self._slave

    async def plug(self) -> None:
        master, slave = os.openpty()
        tty.setraw(slave)
        self._slave = os.ttyname(slave)
        # With the first slave closed the master reports a hang-up until a host opens the device.
        os.close(slave)
        os.set_blocking(master, False)
        self._master = master
        if self._link is not None:
            fresh = self._link.with_name(self._link.name + ".new")
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(self._slave)
            fresh.replace(self._link)
        self._await_open()

    def unplug(self) -> None:
        master, self._master = self._master, None
        if master is None:
            return
        if self._poll_timer is not None:
            self._poll_timer.cancel()
            self._poll_timer = None
        self._stop_io(master)
        if self._link is not None:
            self._link.unlink(missing_ok=True)
        os.close(master)

    def write(self, data: bytes) -> None:
        if self._master is None or not self._reading:
            return
        if self._pending:
            self._keep(data)
            return
        sent = self._try_write(data)
        if sent < len(data):
            self._keep(data[sent:])

    def pause(self) -> None:
        if self._master is not None:
            self._loop.remove_reader(self._master)

    def resume(self) -> None:
        if self._master is not None and self._reading:
            self._loop.add_reader(self._master, self._read)

    def _keep(self, data: bytes) -> None:
        if len(self._pending) + len(data) > MAX_BUFFER:
            self.overruns += len(data)
            return
        self._pending += data
        if self._master is not None:
            self._loop.add_writer(self._master, self._flush)

    def _flush(self) -> None:
        self._pending = self._pending[self._try_write(self._pending) :]
        if not self._pending and self._master is not None:
            self._loop.remove_writer(self._master)

    def _try_write(self, data: bytes) -> int:
        if self._master is None:
            return len(data)
        try:
            return os.write(self._master, data)
        except BlockingIOError:
            return 0
        except OSError:
            # No host has the device open: the bytes go nowhere, as on a real port. The reader sees the hang-up.
            return len(data)

    def _read(self) -> None:
        if self._master is None:
            return
        try:
            data = os.read(self._master, _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._listener.received(data)
            return
        self._stop_io(self._master)
        self._forget_unread()
        self._listener.closed()
        self._await_open()

    def _stop_io(self, master: int) -> None:
        self._loop.remove_reader(master)
        self._loop.remove_writer(master)
        self._pending = b""
        self._reading = False

    def _forget_unread(self) -> None:
        # What one host left unread must not greet the next one.
        with contextlib.suppress(OSError):
            slave = os.open(self._slave, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
            try:
                termios.tcflush(slave, termios.TCIFLUSH)
            finally:
                os.close(slave)

    def _await_open(self) -> None:
        self._poll_timer = None
        if self._master is None:
            return
        poll = select.poll()
        poll.register(self._master, select.POLLIN)
        if any(events & select.POLLHUP for _, events in poll.poll(0)):
            self._poll_timer = self._loop.call_later(_OPEN_POLL_SECONDS, self._await_open)
            return
        self._reading = True
        self._listener.opened()
        self._loop.add_reader(self._master, self._read)


class _TcpLine:
    """A listening socket; a second host is turned away while one is connected."""

    powers_the_ncp = False

    def __init__(self, listener: _Listener, *, host: str, port: int) -> None:
        self._listener = listener
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._transport: asyncio.Transport | None = None
        self.overruns = 0

    @property
    def path(self) -> str:
        return f"socket://{self._host}:{self._port}"

    async def plug(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _TcpHost(self), self._host, self._port)
        self._port = int(self._server.sockets[0].getsockname()[1])

    def unplug(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    def write(self, data: bytes) -> None:
        if self._transport is None:
            return
        if self._transport.get_write_buffer_size() + len(data) > MAX_BUFFER:
            self.overruns += len(data)
            return
        self._transport.write(data)

    def pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def host_came(self, transport: asyncio.Transport) -> bool:
        """Take a connection; False when the port is in use or gone."""
        if self._transport is not None or self._server is None:
            return False
        self._transport = transport
        self._listener.opened()
        return True

    def host_went(self, transport: asyncio.Transport) -> None:
        """A taken connection has ended."""
        if self._transport is transport:
            self._transport = None
            self._listener.closed()

    def host_sent(self, transport: asyncio.Transport, data: bytes) -> None:
        """Bytes of a taken connection."""
        if self._transport is transport:
            self._listener.received(data)


class _TcpHost(asyncio.Protocol):
    def __init__(self, line: _TcpLine) -> None:
        self._line = line
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        connection = cast(asyncio.Transport, transport)
        if self._line.host_came(connection):
            self._transport = connection
        else:
            connection.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._line.host_went(self._transport)

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            self._line.host_sent(self._transport, data)
