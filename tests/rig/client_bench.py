"""An OTA client on the bench: no network, no loop; the test plays the server frame by frame and owns the clock."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass

from otagate_rig.image import build_image, make_payload
from otagate_rig.ota_client import OtaClient
from otagate_rig.ota_commands import ImageId
from otagate_rig.ota_wire import Effect, Send
from otagate_rig.spec import Behaviours, DeviceSpec

MANUFACTURER, IMAGE_TYPE, OLD, NEW = 0x1189, 0x0083, 1, 2
IMAGE = build_image(MANUFACTURER, IMAGE_TYPE, NEW, payload=make_payload(400))
RESPONSE, NOTIFY, GENERAL = 0x19, 0x09, 0x18


@dataclass(frozen=True)
class Sent:
    """A frame of the client, taken apart."""

    control: int
    tsn: int
    command: int
    payload: bytes

    @property
    def offset(self) -> int:
        return struct.unpack_from("<I", self.payload, 9)[0]

    @property
    def size(self) -> int:
        return self.payload[13]


class Bench:
    def __init__(self, *, image: bytes = IMAGE, known: bool = True, **fields: object) -> None:
        behaviours = fields.pop("behaviours", Behaviours())
        server_second = fields.pop("server_second", 1.0)
        spec = DeviceSpec(ieee=0x0102030405060708, file_version=OLD, behaviours=behaviours, **fields)  # type: ignore[arg-type]
        table = {ImageId(MANUFACTURER, IMAGE_TYPE, NEW): image} if known else {}
        self.image = image
        self.client = OtaClient(spec, dice=random.Random(1), known=table, server_second=server_second)  # type: ignore[arg-type]
        self.now = 1000.0
        self.effects: list[Effect] = []
        self.sent: list[Sent] = []

    @property
    def violations(self) -> list[str]:
        return [violation.name for violation in self.client.oracle.violations]

    @property
    def last(self) -> Sent:
        """The last request."""
        return next(sent for sent in reversed(self.sent) if sent.control & 1)

    def _note(self, effects: list[Effect]) -> list[Sent]:
        new = []
        for effect in effects:
            if isinstance(effect, Send):
                control, tsn, command = effect.data[:3]
                new.append(Sent(control, tsn, command, effect.data[3:]))
            else:
                self.effects.append(effect)
        self.sent += new
        return new

    def give(self, data: bytes, *, src_ep: int = 1, unicast: bool = True) -> list[Sent]:
        """A frame from the server; returns what the client sends at once."""
        return self._note(self.client.receive(data, src_ep=src_ep, unicast=unicast, now=self.now))

    def say(self, command: int, payload: bytes, *, tsn: int | None = None, control: int = RESPONSE, src_ep: int = 1) -> list[Sent]:
        """An answer to the last request, unless `tsn` says to what."""
        return self.give(bytes((control, self.last.tsn if tsn is None else tsn, command)) + payload, src_ep=src_ep)

    def wait(self, seconds: float) -> list[Sent]:
        """Let time pass; returns what the client sends meanwhile."""
        end = self.now + seconds
        new: list[Sent] = []
        while self.client.deadline is not None and self.client.deadline <= end:
            self.now = max(self.now, self.client.deadline)
            new += self._note(self.client.tick(self.now))
        self.now = end
        return new

    # The right answers

    def notify(self, *, jitter: int = 100, fields: bytes = b"", unicast: bool = True, control: int = RESPONSE) -> list[Sent]:
        kind = {0: 0, 2: 1, 4: 2, 8: 3}[len(fields)]
        return self.give(bytes((control, 0x55, 0x00, kind, jitter)) + fields, unicast=unicast)

    def offer(self, *, version: int = NEW, size: int | None = None, tsn: int | None = None) -> list[Sent]:
        ids = struct.pack("<HHII", MANUFACTURER, IMAGE_TYPE, version, len(self.image) if size is None else size)
        return self.say(0x02, b"\x00" + ids, tsn=tsn)

    def block(
        self,
        *,
        offset: int | None = None,
        data: bytes | None = None,
        ids: tuple[int, int, int] = (MANUFACTURER, IMAGE_TYPE, NEW),
        tsn: int | None = None,
        control: int = RESPONSE,
        src_ep: int = 1,
    ) -> list[Sent]:
        offset = self.last.offset if offset is None else offset
        data = self.image[offset : offset + self.last.size] if data is None else data
        return self.say(0x05, struct.pack("<BHHIIB", 0, *ids, offset, len(data)) + data, tsn=tsn, control=control, src_ep=src_ep)

    def wait_for_data(self, current: int, request: int, period: int = 0) -> list[Sent]:
        return self.say(0x05, struct.pack("<BIIH", 0x97, current, request, period))

    def abort(self, *, tsn: int | None = None) -> list[Sent]:
        return self.say(0x05, b"\x95", tsn=tsn)

    def end(self, current: int = 0, upgrade: int = 0, *, version: int = NEW, tsn: int | None = None) -> list[Sent]:
        return self.say(0x07, struct.pack("<HHIII", MANUFACTURER, IMAGE_TYPE, version, current, upgrade), tsn=tsn)

    def default(self, status: int, *, tsn: int | None = None, command: int | None = None) -> list[Sent]:
        command = self.last.command if command is None else command
        return self.say(0x0B, bytes((command, status)), tsn=tsn, control=GENERAL)

    # Far into the story

    def downloading(self) -> Bench:
        self.notify()
        self.offer()
        return self

    def until_end(self) -> Bench:
        """Bring the client to its Upgrade End Request."""
        if not self.sent:
            self.downloading()
        for _ in range(1000):
            if self.last.command != 0x03:
                break
            self.block()
        return self

    def until_end_or_restart(self) -> Bench:
        """The same for a client that may not send one."""
        self.downloading()
        while not self.effects and self.last.command == 0x03:
            self.block()
        return self
