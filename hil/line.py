"""A serial line beside the radio: the console of a device, a relay board. The radio itself is opened by its own library, never here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import serial
import serial_asyncio

_CLOSE_BOUND = 5.0


class _Told(asyncio.Protocol):
    """Passes everything on, and knows when the line is open and when it has closed."""

    def __init__(self, inner: asyncio.Protocol) -> None:
        self._inner = inner
        self.open = asyncio.Event()
        self.gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._inner.connection_made(transport)
        self.open.set()

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._inner.connection_lost(exc)
        self.gone.set()


@asynccontextmanager
async def open_line(
    protocol: Callable[[], asyncio.Protocol], path: str, baudrate: int, *, dtr: bool | None = None, rts: bool | None = None
) -> AsyncIterator[asyncio.Transport]:
    """Open a port for this program alone: a device path or `socket://host:port`. Raises OSError with a sentence.

    `dtr` and `rts` are set before the port opens, because many boards are reset by them; None leaves them to the system.
    """
    port = serial.serial_for_url(path, do_not_open=True, baudrate=baudrate)
    if path.startswith("/"):
        port.exclusive = True
    if dtr is not None:
        port.dtr = dtr
    if rts is not None:
        port.rts = rts
    port.open()  # SerialException is an OSError
    transport, told = await serial_asyncio.connection_for_serial(asyncio.get_running_loop(), lambda: _Told(protocol()), port)
    try:
        await told.open.wait()
        yield transport
    finally:
        transport.close()
        async with asyncio.timeout(_CLOSE_BOUND):
            await told.gone.wait()
