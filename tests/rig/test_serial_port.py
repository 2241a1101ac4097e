"""The serial port of the rig as a host sees it: opening, closing, losing it, and getting it back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import termios
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from otagate_rig.serial_port import BITS_PER_BYTE, MAX_BUFFER, SerialPort

EVERY_BYTE = bytes(range(256))


class Echo:
    """An NCP that returns what it hears."""

    def __init__(self, *, prefix: bytes = b"") -> None:
        self.heard = b""
        self.prefix = prefix
        self.write: Callable[[bytes], None] | None = None
        self.power_losses = 0
        self.ups = 0

    def line_up(self, write: Callable[[bytes], None]) -> None:
        self.write = write
        self.ups += 1

    def line_down(self) -> None:
        self.write = None

    def power_lost(self) -> None:
        self.power_losses += 1

    def bytes_received(self, data: bytes) -> None:
        self.heard += data
        assert self.write is not None
        self.write(self.prefix + data)


class Sink(Echo):
    """An NCP that only listens."""

    def bytes_received(self, data: bytes) -> None:
        self.heard += data


@contextlib.contextmanager
def device(path: str) -> Iterator[int]:
    """The device node, opened as a program would that leaves its modes alone."""
    host = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        yield host
    finally:
        os.close(host)


async def until(condition: Callable[[], bool], *, seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)


async def read(host: int, size: int) -> bytes:
    data = b""

    def arrived() -> bool:
        nonlocal data
        with contextlib.suppress(BlockingIOError):
            data += os.read(host, 65536)
        return len(data) >= size

    await until(arrived)
    return data


def address(port: SerialPort) -> tuple[str, int]:
    host, number = port.path.removeprefix("socket://").split(":")
    return host, int(number)


@contextlib.asynccontextmanager
async def connection(port: SerialPort) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(*address(port))
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@pytest.mark.asyncio
async def test_every_byte_passes_a_pty_unchanged_in_both_directions() -> None:
    ncp = Echo()
    async with SerialPort.pty(ncp) as port:
        with device(port.path) as host:
            await port.wait_until_open()
            os.write(host, EVERY_BYTE)
            assert await read(host, 256) == EVERY_BYTE
            assert ncp.heard == EVERY_BYTE
            assert (port.bytes_from_host, port.bytes_to_host) == (256, 256)


@pytest.mark.asyncio
async def test_a_pty_survives_any_number_of_hosts_one_after_the_other() -> None:
    ncp = Echo()
    async with SerialPort.pty(ncp) as port:
        path = port.path
        for number in range(1, 4):
            with device(path) as host:
                await until(lambda: port.is_open)
                os.write(host, b"hello")
                assert await read(host, 5) == b"hello"
            await until(lambda: not port.is_open)
            assert ncp.write is None
            assert port.times_opened == ncp.ups == number


@pytest.mark.asyncio
async def test_what_one_host_left_unread_does_not_greet_the_next() -> None:
    ncp = Echo()
    async with SerialPort.pty(ncp) as port:
        with device(port.path) as host:
            await port.wait_until_open()
            os.write(host, b"stale")
            await until(lambda: port.bytes_to_host == 5)
        await until(lambda: not port.is_open)
        with device(port.path) as host:
            await port.wait_until_open()
            os.write(host, b"fresh")
            assert await read(host, 5) == b"fresh"


@pytest.mark.asyncio
async def test_what_a_host_writes_before_it_is_noticed_is_not_lost() -> None:
    ncp = Sink()
    async with SerialPort.pty(ncp) as port:
        with device(port.path) as host:
            os.write(host, b"at once")
            await until(lambda: ncp.heard == b"at once")


@pytest.mark.asyncio
async def test_an_unplugged_pty_is_gone_and_comes_back_under_its_link(tmp_path: Path) -> None:
    link = tmp_path / "stick"
    ncp = Echo()
    async with SerialPort.pty(ncp, link=link) as port:
        assert port.path == str(link)
        with device(port.path) as host:
            await port.wait_until_open()
            port.unplug()
            assert not link.is_symlink()
            assert not port.is_plugged
            with pytest.raises(OSError):
                os.write(host, b"into the void")
        assert ncp.power_losses == 1
        await port.plug()
        with device(port.path) as host:
            await port.wait_until_open()
            os.write(host, b"back")
            assert await read(host, 4) == b"back"
    assert not link.is_symlink()


@pytest.mark.asyncio
async def test_a_stale_link_of_a_killed_run_is_replaced(tmp_path: Path) -> None:
    link = tmp_path / "stick"
    link.symlink_to("/nowhere")
    (tmp_path / "stick.new").symlink_to("/nowhere")
    async with SerialPort.pty(Echo(), link=link):
        assert link.resolve().exists()


@pytest.mark.asyncio
async def test_another_ncp_can_be_put_behind_the_same_path_while_unplugged(tmp_path: Path) -> None:
    first, second = Echo(prefix=b"1:"), Echo(prefix=b"2:")
    async with SerialPort.pty(first, link=tmp_path / "stick") as port:
        with pytest.raises(RuntimeError):
            port.swap(second)
        port.unplug()
        port.swap(second)
        await port.plug()
        with device(port.path) as host:
            await port.wait_until_open()
            os.write(host, b"who")
            assert await read(host, 5) == b"2:who"
        assert first.heard == b""


@pytest.mark.asyncio
async def test_a_host_that_does_not_read_costs_bytes_and_nothing_else() -> None:
    ncp = Echo()
    async with SerialPort.pty(ncp) as port:
        with device(port.path) as host:
            await port.wait_until_open()
            assert ncp.write is not None
            for _ in range(2 * MAX_BUFFER // 1024):
                ncp.write(bytes(1024))
            assert port.overruns > 0
            kept = port.bytes_to_host - port.overruns
            assert kept <= MAX_BUFFER + 65536
            assert len(await read(host, kept)) == kept
            ncp.write(b"!")
            assert await read(host, 1) == b"!"


@pytest.mark.asyncio
async def test_the_terminal_is_raw_before_the_host_has_touched_it() -> None:
    async with SerialPort.pty(Echo()) as port:
        with device(port.path) as host:
            mode = termios.tcgetattr(host)
            assert not mode[3] & (termios.ECHO | termios.ICANON | termios.ISIG)


@pytest.mark.asyncio
async def test_every_byte_passes_tcp_unchanged_in_both_directions() -> None:
    async with SerialPort.tcp(Echo()) as port, connection(port) as (reader, writer), asyncio.timeout(5):
        writer.write(EVERY_BYTE)
        assert await reader.readexactly(256) == EVERY_BYTE


@pytest.mark.asyncio
async def test_a_second_host_is_turned_away_until_the_first_has_gone() -> None:
    ncp = Echo()
    async with SerialPort.tcp(ncp) as port, asyncio.timeout(5):
        async with connection(port) as (reader, writer):
            await port.wait_until_open()
            async with connection(port) as (second, _):
                with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                    await second.readexactly(1)
            writer.write(b"still here")
            assert await reader.readexactly(10) == b"still here"
        await until(lambda: not port.is_open)
        async with connection(port) as (reader, writer):
            writer.write(b"next")
            assert await reader.readexactly(4) == b"next"


@pytest.mark.asyncio
async def test_an_unplugged_tcp_port_refuses_and_is_the_same_port_afterwards() -> None:
    ncp = Echo()
    async with SerialPort.tcp(ncp) as port, asyncio.timeout(5):
        path = port.path
        async with connection(port) as (reader, _):
            await port.wait_until_open()
            port.unplug()
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
        with pytest.raises(ConnectionError):
            await asyncio.open_connection(*address(port))
        assert ncp.power_losses == 0
        await port.plug()
        assert port.path == path
        async with connection(port) as (reader, writer):
            writer.write(b"back")
            assert await reader.readexactly(4) == b"back"


@pytest.mark.asyncio
async def test_the_power_of_the_ncp_can_be_told_apart_from_its_line() -> None:
    ncp = Echo()
    async with SerialPort.tcp(ncp) as port:
        port.unplug(power_lost=True)
        assert ncp.power_losses == 1
    async with SerialPort.pty(ncp) as port:
        port.unplug(power_lost=False)
        assert ncp.power_losses == 1


@pytest.mark.parametrize("transport", ["tcp", "pty"])
@pytest.mark.asyncio
async def test_a_line_is_never_faster_than_its_speed(transport: str) -> None:
    ncp = Echo()
    baud, size = 38400, 400
    port = SerialPort.tcp(ncp, baud=baud) if transport == "tcp" else SerialPort.pty(ncp, baud=baud)
    loop = asyncio.get_running_loop()
    async with port, asyncio.timeout(5):
        if transport == "tcp":
            async with connection(port) as (reader, writer):
                began = loop.time()
                writer.write(bytes(size))
                await reader.readexactly(size)
        else:
            with device(port.path) as host:
                began = loop.time()
                os.write(host, bytes(size))
                await read(host, size)
        # Both directions overlap; one of them must have passed entirely.
        assert loop.time() - began >= size * BITS_PER_BYTE / baud


@pytest.mark.asyncio
async def test_a_slow_line_holds_the_host_back_instead_of_losing_bytes() -> None:
    ncp = Sink()
    sent = os.urandom(4 * MAX_BUFFER)
    async with SerialPort.tcp(ncp, baud=10_000_000) as port, connection(port) as (_, writer):
        writer.write(sent)
        await until(lambda: len(ncp.heard) == len(sent))
        assert ncp.heard == sent


@pytest.mark.asyncio
async def test_what_is_still_on_a_slow_line_is_lost_with_it() -> None:
    ncp = Sink()
    async with SerialPort.pty(ncp, baud=300) as port:
        with device(port.path) as host:
            os.write(host, bytes(200))
            await until(lambda: port.bytes_from_host == 200)
            port.unplug()
            heard = len(ncp.heard)
            await asyncio.sleep(0)
            assert len(ncp.heard) == heard < 200
