"""A bench without hardware: an emulated coordinator, simulated devices, a relay board and a console on pseudo-terminals.

`python -m hil.emulated` sets one up until Ctrl-C and says where its rig file is; tests open one of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tty
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from otagate_rig.air import AirSettings
from otagate_rig.device import Device
from otagate_rig.image import build_image, make_payload
from otagate_rig.rig import Rig, Stack
from otagate_rig.spec import Behaviours, DeviceSpec

MAKER, IMAGE_TYPE, A, B = 0x1289, 0x0101, 0x01000000, 0x01010000
LISTED, FOREIGN = 0x00124B00_0AA00001, 0x00124B00_0AA00002
RELAY_OFF, RELAY_ON = b"\xa0\x01\x01\xa2", b"\xa0\x01\x00\xa1"

"""Both devices are of one kind; A is older than B."""

IMAGES = {name: build_image(MAKER, IMAGE_TYPE, version, payload=make_payload(24_576, version)) for name, version in (("a.ota", A), ("b.ota", B))}

_SPEED = 10.0
_BELOW_CERTAIN = 0.5
"""Of the frames at most that get lost: with more, no transfer comes to its end in a time that anybody waits."""
_SWITCH = "import socket,sys;s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1]);s.sendall(sys.argv[2].encode()+b'\\n');sys.exit(s.recv(2)!=b'ok')"


def specs() -> list[DeviceSpec]:
    """The listed device, and one beside it that would take the same image and asks for it all the time."""
    listed = DeviceSpec(ieee=LISTED, model="Bench plug", manufacturer_code=MAKER, image_type=IMAGE_TYPE, file_version=A, request_retries=100)
    behaviours = Behaviours(asks_every=10.0)
    foreign = DeviceSpec(ieee=FOREIGN, model="Lamp", manufacturer_code=MAKER, image_type=IMAGE_TYPE, file_version=A, behaviours=behaviours)
    return [listed, foreign]


class FakePort:
    """The far end of a serial port, on a pseudo-terminal."""

    def __init__(self) -> None:
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self.master, False)
        self.path = os.ttyname(self._slave)
        self.received = b""

    def says(self, data: bytes) -> None:
        """Send to the host; lost where nobody reads."""
        with suppress(BlockingIOError):
            os.write(self.master, data)

    def hear(self, told: Callable[[bytes], None]) -> None:
        """Give everything received so far to `told` each time that more comes."""

        def more() -> None:
            with suppress(OSError):
                self.received += os.read(self.master, 4096)
            told(self.received)

        asyncio.get_running_loop().add_reader(self.master, more)

    def vanish(self) -> None:
        """Be pulled out."""
        if self.master >= 0:
            with suppress(RuntimeError):  # no loop, so nobody listens
                asyncio.get_running_loop().remove_reader(self.master)
            os.close(self.master)
            os.close(self._slave)
            self.master = -1


@contextmanager
def fake_port() -> Iterator[FakePort]:
    """A port until the block ends, or until it is pulled out."""
    port = FakePort()
    try:
        yield port
    finally:
        port.vanish()


class Bench:
    """Everything on the bench, and the rig file that names it."""

    def __init__(self, rig: Rig, folder: Path, console: FakePort, board: FakePort) -> None:
        self.rig = rig
        self.rig_file = folder / "rig.yaml"
        self.cuts = 0
        self.pulls = 0
        self._console = console
        self._board = board
        self._socket = folder / "switch.sock"

    @property
    def listed(self) -> Device:
        """The device of the rig file."""
        return self.rig.device(LISTED)

    @property
    def foreign(self) -> Device:
        """The device beside it, which no test may touch."""
        return self.rig.device(FOREIGN)

    def write_rig_file(self, *, formed: bool) -> None:
        """As its owner would write it, with paths relative to the file."""
        network = {} if formed else {"network": "form", "permit_join": True}
        for name, data in IMAGES.items():
            (self.rig_file.parent / name).write_bytes(data)
        switch = [sys.executable, "-c", _SWITCH, str(self._socket)]
        power = {"type": "serial", "path": self._board.path, "off": RELAY_OFF.decode("latin-1"), "on": RELAY_ON.decode("latin-1")}
        console = {"path": self._console.path, "forbid": ["HardFault"], "boots": {"a": f"firmware {A:08x}", "b": f"firmware {B:08x}"}}
        device = {
            "name": "plug",
            "address": f"{LISTED:016x}",
            "images": {"a": "a.ota", "b": "b.ota"},
            "patience": "120s",
            "off_for": "1s",
            "power": power,
            "console": console,
        }
        stick = {
            "type": self.rig.stack,
            "path": self.rig.path,
            **network,
            "power": {"type": "command", "off": [*switch, "off"], "on": [*switch, "on"]},
        }
        self.rig_file.write_text(yaml.safe_dump({"stick": stick, "devices": [device]}), encoding="utf-8")

    def relay_told(self, received: bytes) -> None:
        """The relay board switches the device."""
        if received.endswith(RELAY_OFF):
            self.cuts += 1
            self.listed.power_off()
        elif received.endswith(RELAY_ON):
            self.listed.power_on()

    async def print_boots(self) -> None:
        """The console prints what starts, each time that the device does, and a byte that is no text."""
        while True:
            await self.listed.wait_until(lambda device: not device.powered, 3600)
            await self.listed.wait_until(lambda device: device.powered, 3600)
            self._console.says(b"\xffboot\r\nfirmware %08x\r\n" % self.listed.file_version)

    async def switched(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The plug of the coordinator."""
        if await reader.readline() == b"off\n":
            self.pulls += 1
            self.rig.port.unplug()
        else:
            await self.rig.port.plug()
        writer.write(b"ok")
        writer.close()


@asynccontextmanager
async def emulated_bench(folder: Path, *, stack: Stack = "znp", formed: bool = False, loss: float = 0.0) -> AsyncIterator[Bench]:
    """A bench, and its rig file in `folder`; `loss` is the share of frames that get lost in the air, 0 to 1.

    `formed`: the devices are in the stick's network already; else it is empty, and they join the one that the hub forms.
    """
    air = AirSettings(speedup=_SPEED, loss=loss)
    with fake_port() as console, fake_port() as board:
        made = Rig(stack=stack, port="pty", devices=specs(), formed=formed, air=air, images=IMAGES.values(), link=folder / "stick")
        async with made as rig, asyncio.TaskGroup() as tasks:
            if not formed:
                rig.start_joining()  # as soon as the network is open
            bench = Bench(rig, folder, console, board)
            board.hear(bench.relay_told)
            async with await asyncio.start_unix_server(bench.switched, folder / "switch.sock"):
                printing = tasks.create_task(bench.print_boots())
                bench.write_rig_file(formed=formed)
                yield bench
                printing.cancel()


async def _stand(stack: Stack, loss: float) -> None:
    with TemporaryDirectory(prefix="otagate-bench-") as folder:
        async with emulated_bench(Path(folder), stack=stack, loss=loss) as bench:
            print(f"An emulated {stack} coordinator and one device on it, {_SPEED:g} x real time, until Ctrl-C. In another terminal:")
            ended = asyncio.Event()
            for each in (signal.SIGINT, signal.SIGTERM):  # what a shell starts in the background heeds no Ctrl-C
                asyncio.get_running_loop().add_signal_handler(each, ended.set)
            print(f"  python -m pytest hil --rig {bench.rig_file}", flush=True)
            await ended.wait()


def _percent(text: str) -> float:
    try:
        share = float(text) / 100
    except ValueError:
        share = -1.0
    if not 0 <= share <= _BELOW_CERTAIN:
        raise argparse.ArgumentTypeError(f"{text!r} is no share of frames: write percent, 0 to {_BELOW_CERTAIN * 100:g}")
    return share


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m hil.emulated", description="Set up a bench without hardware, for tests with --rig.")
    parser.add_argument("--type", choices=("znp", "ezsp"), default="znp", help="the kind of coordinator; znp without a word")
    parser.add_argument(
        "--loss",
        type=_percent,
        default=0.0,
        metavar="PERCENT",
        help=f"of the frames get lost in the air, at most {_BELOW_CERTAIN:.0%}".replace("%", "%%"),
    )
    arguments = parser.parse_args()
    asyncio.run(_stand(arguments.type, arguments.loss))


if __name__ == "__main__":
    main()
