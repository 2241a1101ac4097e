"""Record what a hub and its coordinator say to each other about firmware, on a real stick or any other.

    python -m hil.record --type znp --path /dev/serial/by-id/… --link /tmp/stick trace.jsonl

and give the hub `path: /tmp/stick`. The recorder stands in the line and passes everything on unchanged; what goes to the trace is the OTA Upgrade
cluster alone. `pytest hil --rig FILE --record FOLDER` does the same for each test. `python -m hil.replay` judges what was recorded.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TextIO

from hil.line import open_line
from hil.tap import TAPS, Heard
from hil.traces import Frame, Way, first_line, line_of

_MAX_WAITING = 1 << 20
_READ = 4096


class _Recorder(asyncio.Protocol):
    """The stick's end; the hub's end is a pseudo-terminal."""

    def __init__(self, stack: str, master: int, out: TextIO, *, firmware: bool) -> None:
        self._tap = TAPS[stack]()
        self._master = master
        self._out = out
        self._firmware = firmware
        self._clock = asyncio.get_running_loop().time
        self._begun = self._clock()
        self._waiting = b""
        self._stick: asyncio.Transport | None = None
        self.gone = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._stick = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()

    def data_received(self, data: bytes) -> None:
        """From the stick to the hub."""
        self._note("in", self._tap.from_stick(data))
        self._waiting = (self._waiting + data)[-_MAX_WAITING:]
        self.flush()

    def flush(self) -> None:
        """Give the hub what it takes now."""
        loop = asyncio.get_running_loop()
        with suppress(BlockingIOError):
            self._waiting = self._waiting[os.write(self._master, self._waiting) :]
        if self._waiting:
            loop.add_writer(self._master, self.flush)
        else:
            loop.remove_writer(self._master)

    def from_hub(self) -> None:
        """From the hub to the stick."""
        with suppress(BlockingIOError, OSError):  # EIO: nobody has the pseudo-terminal open
            data = os.read(self._master, _READ)
            self._note("out", self._tap.from_host(data))
            if self._stick is not None:
                self._stick.write(data)

    def _note(self, way: Way, heard: Heard) -> None:
        for nwk, endpoint, frame in heard:
            noted = Frame(at=self._clock() - self._begun, way=way, nwk=nwk, endpoint=endpoint, frame=frame)
            self._out.write(line_of(noted if self._firmware else noted.without_firmware()))


@contextmanager
def _pseudo_terminal(link: Path) -> Iterator[int]:
    """Our end of a pseudo-terminal whose other end is found at `link`."""
    master, slave = os.openpty()
    try:
        tty.setraw(slave)
        os.set_blocking(master, False)
        link.unlink(missing_ok=True)
        link.symlink_to(os.ttyname(slave))
        yield master
    finally:
        link.unlink(missing_ok=True)
        os.close(master)
        os.close(slave)  # held until now, so that a hub may come and go


@asynccontextmanager
async def recorded(stack: str, path: str, *, link: Path, trace: Path, baudrate: int = 115_200, firmware: bool = True) -> AsyncIterator[asyncio.Event]:
    """Stand between `link` and the stick at `path` until the block ends; the event is set when the stick goes away. Raises OSError."""
    with _pseudo_terminal(link) as master, trace.open("w", encoding="utf-8") as out:
        out.write(first_line(stack))
        recorder = _Recorder(stack, master, out, firmware=firmware)
        loop = asyncio.get_running_loop()
        async with open_line(lambda: recorder, path, baudrate):
            loop.add_reader(master, recorder.from_hub)
            try:
                yield recorder.gone
            finally:
                loop.remove_reader(master)
                loop.remove_writer(master)


async def _record(arguments: argparse.Namespace) -> None:
    async with recorded(
        arguments.type,
        arguments.path,
        link=arguments.link,
        trace=arguments.trace,
        baudrate=arguments.baudrate,
        firmware=not arguments.without_firmware,
    ) as gone:
        print(f"recording to {arguments.trace}: give the hub path: {arguments.link}; end with Ctrl-C")
        await gone.wait()
        print("the stick is gone")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m hil.record", description="Record what a hub and its coordinator say about firmware.")
    parser.add_argument("--type", choices=sorted(TAPS), required=True, help="the kind of coordinator, as in the hub's configuration")
    parser.add_argument("--path", required=True, help="where the stick is: a device path or socket://host:port")
    parser.add_argument("--baudrate", type=int, default=115_200)
    parser.add_argument("--link", type=Path, required=True, help="where the hub finds the stick from now on")
    parser.add_argument("--without-firmware", action="store_true", help="zeros for the bytes of images, for a trace that others may have")
    parser.add_argument("trace", type=Path)
    with suppress(KeyboardInterrupt):
        asyncio.run(_record(parser.parse_args()))


if __name__ == "__main__":
    main()
