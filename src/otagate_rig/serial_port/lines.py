"""The two lines a host can open: the master side of a pseudo-terminal, and a listening socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import termios
import tty
from pathlib import Path
from typing import Final, Protocol, cast

MAX_BUFFER: Final = 65536
"""Bytes held for a host that does not read; the rest is lost, as in a UART."""

_CHUNK = 4096
_OPEN_POLL_SECONDS = 0.01


class Listener(Protocol):
    """Who is told what happens on a line."""

    def opened(self) -> None:
        """A host has come."""

    def closed(self) -> None:
        """The host has gone."""

    def received(self, data: bytes) -> None:
        """Bytes of the host."""


class Line(Protocol):
    """Something a host can open: appears with `plug`, vanishes with `unplug`."""

    powers_the_ncp: bool
    overruns: int

    @property
    def path(self) -> str:
        """What a host configures."""

    async def plug(self) -> None:
        """Appear."""

    def unplug(self) -> None:
        """Vanish; the host, if any, is cut off."""

    def write(self, data: bytes) -> None:
        """Send to the host; lost when there is none."""

    def pause(self) -> None:
        """Read nothing until `resume`."""

    def resume(self) -> None:
        """Read again."""


class PtyLine:
    """The master side of a pseudo-terminal. No slave is kept open here, so that a host's close and open can be seen."""

    powers_the_ncp = True

    def __init__(self, listener: Listener, *, link: Path | None) -> None:
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
        """The link where there is one, else the device node."""
        return str(self._link) if self._link is not None else self._slave

    async def plug(self) -> None:
        """Make a fresh pair; the device node may differ from the last one."""
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
        """Vanish; the host reads a hang-up."""
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
        """Send to the host; lost when there is none."""
        if self._master is None or not self._reading:
            return
        if self._pending:
            self._keep(data)
            return
        sent = self._try_write(data)
        if sent < len(data):
            self._keep(data[sent:])

    def pause(self) -> None:
        """Read nothing until `resume`."""
        if self._master is not None:
            self._loop.remove_reader(self._master)

    def resume(self) -> None:
        """Read again."""
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


class TcpLine:
    """A listening socket; a second host is turned away while one is connected."""

    powers_the_ncp = False

    def __init__(self, listener: Listener, *, host: str, port: int) -> None:
        self._listener = listener
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._transport: asyncio.Transport | None = None
        self.overruns = 0

    @property
    def path(self) -> str:
        """`socket://host:port`."""
        return f"socket://{self._host}:{self._port}"

    async def plug(self) -> None:
        """Listen; raises `OSError` when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _TcpHost(self), self._host, self._port)
        self._port = int(self._server.sockets[0].getsockname()[1])

    def unplug(self) -> None:
        """Stop listening and drop the host."""
        if self._server is not None:
            self._server.close()
            self._server = None
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    def write(self, data: bytes) -> None:
        """Send to the host; lost when there is none."""
        if self._transport is None:
            return
        if self._transport.get_write_buffer_size() + len(data) > MAX_BUFFER:
            self.overruns += len(data)
            return
        self._transport.write(data)

    def pause(self) -> None:
        """Read nothing until `resume`."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
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
    def __init__(self, line: TcpLine) -> None:
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
