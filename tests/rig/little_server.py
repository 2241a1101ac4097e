"""A coordinator with a small OTA server of its own, to try the rig without any stack. Written from the specification, by hand, byte by byte."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Iterator

from otagate_rig.aps import ApsFrame, Delivery, NetworkIdentity
from otagate_rig.network import Network

IDENTITY = NetworkIdentity(pan_id=0x1A62, extended_pan_id=0x00124B0001020304, channel=15, network_key=bytes(range(16)))
COORDINATOR_IEEE = 0x00124B0000000001
OTA = 0x0019

Reply = bytes | None


def frame(command: int, payload: bytes, tsn: int, control: int = 0x19) -> bytes:
    return bytes((control, tsn, command)) + payload


def block(version: int, offset: int, data: bytes, *, manufacturer: int = 0x1189, image_type: int = 0x0083) -> bytes:
    return struct.pack("<BHHIIB", 0, manufacturer, image_type, version, offset, len(data)) + data


class LittleServer:
    """Serves one image to whoever asks. `twist(command, tsn, payload)` may answer first: frames to send, or None for the right answer."""

    def __init__(self, network: Network, image: bytes, *, ack: bool = False) -> None:
        self.network = network
        self.image = image
        self.ack = ack
        self.manufacturer, self.image_type, self.version = struct.unpack_from("<HHI", image, 10)
        self.limit = 82 - 17
        self.upgrade = (0, 0)
        self.twist: Callable[[int, int, bytes], list[bytes] | None] = lambda _command, _tsn, _payload: None
        self.seen: list[ApsFrame] = []
        self.joined: list[tuple[int, int, bool]] = []
        self.left: list[int] = []
        self.deliveries: list[Delivery] = []
        self.requests = 0
        self._tasks: asyncio.TaskGroup | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self._arrived = asyncio.Event()

    async def __aenter__(self) -> LittleServer:
        self._group = asyncio.TaskGroup()
        self._tasks = await self._group.__aenter__()
        self.network.attach(self, ieee=COORDINATOR_IEEE)
        self.network.network_up(IDENTITY)
        return self

    async def __aexit__(self, *error: object) -> None:
        self.network.close()
        for task in self._sending:
            task.cancel()
        await self._group.__aexit__(None, None, None)

    # Coordinator

    def frame_received(self, frame: ApsFrame, *, lqi: int) -> None:
        self.seen.append(frame)
        self._arrived.set()
        if frame.cluster == 0x0006 and frame.dst_ep == 0:  # Match_Desc_req
            self.send(frame.src, frame.data[:1] + b"\x00\x00\x00\x01\x01", cluster=0x8006, profile=0, endpoint=0, src_ep=0)
        if frame.cluster == OTA:
            for reply in self._answers(frame.data):
                self.send(frame.src, reply)

    def device_joined(self, *, ieee: int, nwk: int, parent: int, rejoined: bool) -> None:
        self.joined.append((ieee, nwk, rejoined))

    def device_left(self, *, ieee: int, nwk: int, rejoin: bool) -> None:
        self.left.append(ieee)

    # Server

    def send(self, nwk: int, data: bytes, *, cluster: int = OTA, profile: int = 0x0104, endpoint: int = 1, src_ep: int = 1) -> None:
        aps = ApsFrame(src=0, src_ep=src_ep, dst=nwk, dst_ep=endpoint, profile=profile, cluster=cluster, data=data, ack=self.ack)
        assert self._tasks is not None
        task = self._tasks.create_task(self._transmit(aps))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _transmit(self, aps: ApsFrame) -> None:
        self.deliveries.append(await self.network.transmit(aps))

    def notify(self, nwk: int) -> None:
        self.send(nwk, frame(0x00, bytes((0, 100)), 1, 0x19))

    async def next_frame(self, wanted: Callable[[ApsFrame], bool], timeout: float = 5.0) -> ApsFrame:
        """The first frame that fits, of those that came and those to come."""
        async with asyncio.timeout(timeout):
            while True:
                for seen in self.seen:
                    if wanted(seen):
                        return seen
                self._arrived.clear()
                await self._arrived.wait()

    def _answers(self, data: bytes) -> Iterator[bytes]:
        control, tsn, command = data[:3]
        payload = data[3:]
        self.requests += control & 0x03
        twisted = self.twist(command, tsn, payload) if control & 0x03 else None
        if twisted is not None:
            yield from twisted
        elif control & 0x03 and command == 0x01:
            ids = struct.pack("<HHII", self.manufacturer, self.image_type, self.version, len(self.image))
            yield frame(0x02, b"\x00" + ids, tsn)
        elif control & 0x03 and command == 0x03:
            yield self.block_answer(tsn, payload)
        elif control & 0x03 and command == 0x04:
            yield from self.page_answers(tsn, payload)
        elif control & 0x03 and command == 0x06:
            yield self.end_answer(tsn, payload)

    def block_answer(self, tsn: int, payload: bytes) -> bytes:
        _, manufacturer, image_type, version, offset, size = struct.unpack_from("<BHHIIB", payload)
        if offset >= len(self.image):
            return frame(0x0B, b"\x03\x80", tsn, 0x18)
        data = self.image[offset : offset + min(size, self.limit)]
        return frame(0x05, block(version, offset, data, manufacturer=manufacturer, image_type=image_type), tsn)

    def page_answers(self, tsn: int, payload: bytes) -> Iterator[bytes]:
        _, _, _, version, offset, size, page, _ = struct.unpack_from("<BHHIIBHH", payload)
        end = min(offset + page, len(self.image))
        while offset < end:
            data = self.image[offset : min(offset + size, end)]
            yield frame(0x05, block(version, offset, data), tsn)
            offset += len(data)

    def end_answer(self, tsn: int, payload: bytes) -> bytes:
        if payload[0] != 0:
            return frame(0x0B, b"\x06\x00", tsn, 0x18)
        return frame(0x07, struct.pack("<HHIII", self.manufacturer, self.image_type, self.version, *self.upgrade), tsn)
