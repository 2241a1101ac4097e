"""The hub's own part of a block: a request at the APS boundary in, its response out, on a radio that takes no time."""

from __future__ import annotations

import asyncio
import itertools
import mmap
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hil.bench.rows import IMAGE_TYPE, MANUFACTURER_CODE, NEW_VERSION
from hil.bench.verdicts import Figures, Reach
from otagate.engine.timers import SystemClock
from otagate.model.ids import DeviceId, RadioName, UpdateId, zigbee_component_id, zigbee_device_id
from otagate.model.orders import Serve
from otagate.model.quirks import PLAIN
from otagate.radios.meter import Meter
from otagate.radios.sender import Sender
from otagate.radios.stacks import Ended, Fate, Stack, Told
from otagate.radios.switchboard import Switchboard
from otagate.sessions.effects import Reply
from otagate.sessions.ota_transfer import Patience
from otagate.sessions.zigbee import OtaServer

REACHES = (
    Reach(figure="turnaround_p50_us", text="a block at the APS boundary, 1 device, µs, p50", most=30),
    Reach(figure="turnaround_p99_us", text="a block at the APS boundary, 1 device, µs, p99", most=200),
    Reach(figure="cpu_ms_per_1000_blocks", text="CPU time of 1,000 blocks at the APS boundary, ms", most=30),
    Reach(figure="mebibytes_of_100_sessions", text="memory of 100 sessions that serve an image of 1 MiB, MiB", most=6),
    Reach(figure="mixed_image_bytes", text="bytes of another image than the one that a device asks for", most=0),
)

BLOCKS = 16_384
_BLOCK = 63
_SESSIONS = 100
_REQUEST = struct.Struct("<BBBBHHIIB")
_STACK = Stack(module="", room=8)
_HEAD = 17


class Instant:
    """A fast path over a radio that delivers at once; implements `stacks.FastPath`."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.left_at: list[int] = []

    def detach(self) -> None:
        """Nothing is tapped."""

    def is_free(self) -> bool:
        """Always."""
        return True

    def is_waiting(self) -> bool:
        """Never."""
        return False

    async def send(self, *, nwk: int, endpoint: int, frame: bytes, ack: bool, ended: Ended) -> None:
        """At once."""
        self.send_now(nwk=nwk, endpoint=endpoint, frame=frame, ack=ack, ended=ended, told=lambda _: None)

    def send_now(self, *, nwk: int, endpoint: int, frame: bytes, ack: bool, ended: Ended, told: Told) -> bool:
        """At once."""
        self.left_at.append(time.perf_counter_ns())
        self.sent.append(frame)
        told(None)
        ended(Fate.DELIVERED)
        return True


class _Device:
    """What the switchboard wants of a zigpy device."""

    ota_in_progress = False
    is_initialized = False
    node_desc = None
    relays = None
    model = None
    manufacturer = None

    def __init__(self, nwk: int) -> None:
        self.nwk = nwk
        self.ieee = SimpleNamespace(serialize=lambda: nwk.to_bytes(8, "little"))
        self.endpoints: dict[int, Any] = {1: None}
        self.last_seen: Any = None
        self.lqi = 0


def request(number: int, *, version: int = NEW_VERSION, block: int = _BLOCK) -> bytes:
    """The Image Block Request for the block of that number."""
    return _REQUEST.pack(0x01, number & 0xFF, 0x03, 0, MANUFACTURER_CODE, IMAGE_TYPE, version, number * block, block)


def order(device: DeviceId, image: memoryview) -> Serve:
    """The order of an update that the device is amid."""
    return Serve(
        update=UpdateId(f"bench-{device}"),
        device=device,
        component=zigbee_component_id(IMAGE_TYPE),
        manufacturer_code=MANUFACTURER_CODE,
        image_type=IMAGE_TYPE,
        file_version=NEW_VERSION,
        image=image,
        from_version=None,
        adopted="transferring",
    )


async def measure(blocks: int = BLOCKS) -> Figures:
    """Every figure of one run. Raises RuntimeError where other bytes were served than those of the image."""
    with mapped(blocks * _BLOCK) as image:
        memory = _sessions(image)  # first, while little of the heap is free
        return await _pipeline(image, blocks) | {"mebibytes_of_100_sessions": memory, "mixed_image_bytes": _mixed(image)}


async def _pipeline(image: memoryview, blocks: int) -> dict[str, float]:
    """From the tap of a radio to its line and back, as often as there are blocks."""
    clock, fast, meter = SystemClock(), Instant(), Meter()
    sender = Sender(clock, stack=_STACK, meter=meter, left=lambda _: None, fast_path_broke=lambda _: None)
    board = Switchboard(
        RadioName("bench"), sender=sender, meter=meter, emit=lambda _: None, clock=clock, quirk_of=lambda *_: PLAIN, patience=Patience()
    )
    board.adopt(_Device(0x1234))
    board.serve()
    board.command(order(zigbee_device_id(0x1234), image))
    frames = [request(number) for number in range(blocks)]
    came_at: list[int] = []
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(sender.run(SimpleNamespace(), fast))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        used = time.process_time()
        for frame in frames:
            came_at.append(time.perf_counter_ns())
            board.take(0x1234, 1, 1, 200, frame)
        used = time.process_time() - used
        sending.cancel()
    board.part()
    if b"".join(frame[_HEAD:] for frame in fast.sent) != image:
        raise RuntimeError("other bytes were served than those of the image")
    took = sorted(left - came for came, left in zip(came_at, fast.left_at, strict=True))
    return {
        "turnaround_p50_us": took[len(took) // 2] / 1_000,
        "turnaround_p99_us": took[len(took) * 99 // 100] / 1_000,
        "cpu_ms_per_1000_blocks": used * 1_000_000 / blocks,
        "blocks_per_second": blocks / used,
    }


def _sessions(image: memoryview) -> float:
    """How much more memory is resident, in MiB, when so many sessions have each served all of one image."""
    count = len(image) // _BLOCK
    servers = []
    before = resident()
    for number in range(_SESSIONS):
        server = OtaServer(tokens=itertools.count(1), patience=Patience())
        server.command(order(zigbee_device_id(number + 1), image), 0.0)
        servers.append(server)
        for block in range(0, count, 50):
            server.receive(request(block), block * 0.01)
    return max(0.0, resident() - before)


def _mixed(image: memoryview) -> float:
    """Bytes that a session hands out to a device that asks for another version than the one that is pinned."""
    server = OtaServer(tokens=itertools.count(1), patience=Patience())
    server.command(order(zigbee_device_id(1), image), 0.0)
    frames = (request(number, version=NEW_VERSION + 1) for number in range(len(image) // _BLOCK))
    effects = (effect for place, frame in enumerate(frames) for effect in server.receive(frame, float(place)))
    return float(sum(max(0, len(effect.frame) - _HEAD) for effect in effects if isinstance(effect, Reply)))


def resident() -> float:
    """Memory of this process, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * mmap.PAGESIZE / (1 << 20)


@contextmanager
def mapped(size: int) -> Iterator[memoryview]:
    """A file of so many bytes, mapped as the cache of images maps it."""
    with tempfile.TemporaryFile() as file:
        file.write(bytes(each & 0xFF for each in range(size)))
        file.flush()
        with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as found, memoryview(found) as view:
            yield view
