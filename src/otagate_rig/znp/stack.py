"""What the subsystems of the emulated coordinator share: state, memory, the line to the host, and owned tasks."""

from __future__ import annotations

import struct
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from otagate_rig.air_side import AirSide, MalformedCommandError
from otagate_rig.aps import Medium
from otagate_rig.zdo import pack_clusters
from otagate_rig.znp.frames import corrupt, encode
from otagate_rig.znp.mt import ZDO_STATE_CHANGE_IND, DeviceState
from otagate_rig.znp.nvram import Nvram

Command = Callable[[bytes], bytes | None]
"""Takes the payload of a request; returns the payload of its SRSP, or None when nothing is answered."""

MAX_ENDPOINTS: Final = 32
MAX_REMEMBERED: Final = 65536
MAX_COMMANDS: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A simple descriptor that the host registered (ZDO 2.4.2.5 without the length byte)."""

    number: int
    profile: int
    device: int
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def simple_descriptor(self) -> bytes:
        """The descriptor as a Simple_Desc_rsp carries it."""
        return struct.pack("<BHHB", self.number, self.profile, self.device, self.version) + pack_clusters(self.inputs) + pack_clusters(self.outputs)


@dataclass(slots=True)
class Counters:
    """What a test may want to know about the traffic of one NCP; counted since it was made, except where said."""

    frames_in: int = 0
    frames_out: int = 0
    bytes_in: int = 0
    received_since_attach: int = 0
    """Bytes from the host since the line came up: 0 proves that a host listens before it speaks."""
    unknown_commands: int = 0
    malformed_commands: int = 0
    resets: int = 0
    formations: int = 0
    nvram_writes: int = 0
    network_settings_writes: int = 0
    """Host commands that changed (or tried to change) anything a network depends on."""
    af_requests: Counter[tuple[int, bool]] = field(default_factory=Counter)
    """AF data requests by (cluster, APS ack asked for)."""
    af_tsns: deque[int] = field(default_factory=lambda: deque(maxlen=MAX_REMEMBERED))
    """Transaction numbers of the AF data requests that wait for a confirm, in order (the last 65,536)."""
    af_confirms: Counter[int] = field(default_factory=Counter)
    """AF data confirms by status byte."""
    tsn_collisions: int = 0
    """How often a request was taken while another with the same transaction number was outstanding."""
    outstanding_peak: int = 0
    buffer_full: int = 0
    dropped_frames: int = 0
    """Frames from the air for an endpoint nobody registered, or too long for MT."""
    zdo_answers: Counter[int] = field(default_factory=Counter)
    """Requests of devices answered on the air by the NCP itself, by request cluster."""
    host_commands: deque[tuple[int, bytes]] = field(default_factory=lambda: deque(maxlen=MAX_COMMANDS))
    """`(command, payload)` of the last 4096 frames from the host."""


class Stack(AirSide):
    """State of one coordinator; RAM is everything that `restart` forgets."""

    def __init__(self, medium: Medium, nvram: Nvram, *, ieee: int) -> None:
        super().__init__(medium)
        self.nvram = nvram
        self.hardware_ieee = ieee
        self.counters = Counters()
        self.endpoints: dict[int, Endpoint] = {}
        self.groups: dict[int, set[int]] = {}
        self.children: dict[int, int] = {}
        self.zdo_callbacks: set[int] = set()
        self.no_route: set[int] = set()
        self.state = DeviceState.HOLD
        self.hanging = False
        self.corrupt_frames = 0
        self.write: Callable[[bytes], None] | None = None

    @property
    def ieee(self) -> int:
        """The extended address in use."""
        return self.nvram.ieee()

    @property
    def is_up(self) -> bool:
        """True while the coordinator runs its network."""
        return self.state is DeviceState.ZB_COORD

    def send(self, command: int, payload: bytes) -> None:
        """Put one frame on the line to the host; dropped when nobody is attached or the NCP hangs."""
        if self.write is None or self.hanging:
            return
        frame = encode(command, payload)
        if self.corrupt_frames:
            self.corrupt_frames -= 1
            frame = corrupt(frame)
        self.counters.frames_out += 1
        self.write(frame)

    def fall_silent(self) -> None:
        """Take the network down if it is this coordinator's."""
        self.state = DeviceState.HOLD
        super().fall_silent()

    def restart(self) -> None:
        """Forget all RAM state, silence the network and boot from NVRAM."""
        self.endpoints.clear()
        self.groups.clear()
        self.children.clear()
        self.zdo_callbacks.clear()
        self.no_route.clear()
        self.fall_silent()
        self.nvram.boot(ieee=self.hardware_ieee)

    def change_state(self, state: DeviceState) -> None:
        """Enter a ZDO state and tell the host."""
        self.state = state
        self.send(ZDO_STATE_CHANGE_IND, bytes((state,)))


def take_clusters(data: bytes, at: int) -> tuple[tuple[int, ...], int]:
    """Read a counted list of cluster ids at `at`; returns it and the offset behind it."""
    if at >= len(data):
        raise MalformedCommandError("cluster list missing")
    end = at + 1 + 2 * data[at]
    if end > len(data):
        raise MalformedCommandError("cluster list cut short")
    return struct.unpack_from(f"<{data[at]}H", data, at + 1), end
