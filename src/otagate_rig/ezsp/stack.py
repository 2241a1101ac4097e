"""What the command groups of the emulated coordinator share: state, memory, the link to the host, and owned tasks."""

from __future__ import annotations

import struct
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from otagate_rig.air_side import AirSide, take
from otagate_rig.aps import Medium
from otagate_rig.ezsp import frames
from otagate_rig.ezsp.enums import NO_NODE, TALLIES, ConfigId, EmberStatus, Tally
from otagate_rig.ezsp.frames import HEADER
from otagate_rig.ezsp.link import AshLink
from otagate_rig.ezsp.tokens import NONCE_COUNTER, Tokens
from otagate_rig.zdo import Endpoint

Command = Callable[[bytes], bytes]
"""Takes the parameters of a command; returns those of its response."""

MAX_REMEMBERED: Final = 65536
MAX_COMMANDS: Final = 4096
MAX_ROUTES: Final = 254

DEFAULT_CONFIG: Final[dict[int, int]] = {
    0x01: 255,  # packet buffers
    0x02: 26,  # neighbour table
    0x03: 20,  # APS messages that wait for an acknowledgement
    0x04: 32,  # binding table
    0x05: 8,  # address table
    0x06: 8,  # multicast table
    0x07: 16,  # route table
    0x08: 8,  # discovery table
    0x0C: 0,  # stack profile
    0x0D: 5,  # security level
    0x10: 30,  # hops
    0x11: 32,  # end device children
    0x12: 3000,  # indirect transmission time-out, ms
    0x13: 8,  # end device poll time-out
    0x17: 0,  # transmit power mode
    0x18: 0,  # relaying disabled
    0x19: 0,  # trust centre address cache
    0x1A: 200,  # source route table
    0x1C: 1,  # fragment window
    0x1D: 0,  # fragment delay, ms
    0x1E: 12,  # key table
    0x1F: 1600,  # APS acknowledgement time-out, ms
    0x20: 3,  # active scan duration
    0x22: 1,  # PAN id conflict reports
    0x24: 0,  # request key time-out
    0x2A: 0,  # ZDO flags
    0x2B: 15,  # broadcast table
    0x2C: 0,  # MAC filter table
    0x2D: 1,  # networks
    0x2E: 0,  # multicasts to the sleepy address
    0x2F: 0,  # ZLL group addresses
    0x30: 216,  # ZLL RSSI threshold
    0x33: 1,  # many-to-one flow control
    0x34: 16,  # retry queue
    0x35: 10,  # new broadcast entries
    0x36: 300,  # transient key time-out, s
    0x37: 255,  # broadcast acknowledgements
    0x38: 300,  # rejoins with the well-known key, s
    0x39: 0,  # crystal tuning
}
"""What EmberZNet 7.4 of a usual coordinator build says before a host sets anything."""


@dataclass(slots=True)
class Address:
    """An entry of the address table."""

    ieee: int = 0
    nwk: int = NO_NODE
    extended_timeout: bool = False


@dataclass(slots=True)
class Counters:
    """What a test may want to know about the traffic of one NCP; counted since it was made, except where said."""

    frames_in: int = 0
    """EZSP frames of the host."""
    frames_out: int = 0
    """EZSP frames for the host, each once however often ASH repeats it."""
    bytes_in: int = 0
    received_since_attach: int = 0
    """Bytes from the host since the line came up: 0 proves that a host listens before it speaks."""
    unknown_commands: int = 0
    malformed_commands: int = 0
    resets: int = 0
    formations: int = 0
    token_writes: int = 0
    network_settings_writes: int = 0
    """Host commands that changed (or tried to change) anything a network depends on."""
    sends: Counter[tuple[int, bool]] = field(default_factory=Counter)
    """Unicasts, multicasts and broadcasts of the host by (cluster, APS ack asked for)."""
    send_tags: deque[int] = field(default_factory=lambda: deque(maxlen=MAX_REMEMBERED))
    """Message tags of the accepted sends, in order (the last 65,536)."""
    confirms: Counter[int] = field(default_factory=Counter)
    """messageSentHandler by status byte."""
    refusals: Counter[int] = field(default_factory=Counter)
    """Sends that were not accepted, by status byte."""
    outstanding_peak: int = 0
    dropped_frames: int = 0
    """Broadcasts for an endpoint that nobody registered, and frames that are too long for EZSP."""
    zdo_answers: Counter[int] = field(default_factory=Counter)
    """Requests of devices answered on the air by the NCP itself, by request cluster."""
    host_commands: deque[tuple[int, bytes]] = field(default_factory=lambda: deque(maxlen=MAX_COMMANDS))
    """`(frame id, parameters)` of the last 4096 commands from the host."""


class Stack(AirSide):
    """State of one coordinator; RAM is everything that `restart` forgets."""

    def __init__(self, medium: Medium, tokens: Tokens, *, ieee: int, config: dict[int, int]) -> None:
        super().__init__(medium)
        self.tokens = tokens
        self.hardware_ieee = ieee
        self.counters = Counters()
        self.link: AshLink | None = None
        self._config = config
        self._lost_callbacks = False
        self.frames_sent = 0
        self._forget()

    def _forget(self) -> None:
        self.ieee = self.tokens.ieee(self.hardware_ieee)
        self.config = dict(DEFAULT_CONFIG) | self._config
        self.policies: dict[int, int] = {}
        self.endpoints: dict[int, Endpoint] = {}
        self.groups: dict[int, bytes] = {}
        self.addresses: dict[int, Address] = {}
        self.extended_timeouts: set[int] = set()
        self.neighbours: dict[int, int] = {}
        self.children = self.tokens.children()
        self.concentrator = False
        self.routes: dict[int, tuple[int, ...]] = {}
        self.tallies = [0] * TALLIES
        self.sequence = 0

    @property
    def is_up(self) -> bool:
        """True while the coordinator runs its network."""
        return self.identity is not None

    # To the host

    def respond(self, sequence: int, command: int, parameters: bytes) -> None:
        """Answer the command with that sequence number."""
        self.sequence = sequence
        if self.link is None:
            return
        control = frames.RESPONSE | (frames.OVERFLOW if self._lost_callbacks else 0)
        self._lost_callbacks = False
        if self.link.respond(HEADER.pack(sequence, control, frames.FORMAT_1, command) + parameters):
            self.counters.frames_out += 1

    def call_back(self, command: int, parameters: bytes) -> None:
        """Tell the host something that it did not ask for; lost when it does not listen."""
        if self.link is None:
            return
        if self.link.call_back(HEADER.pack(self.sequence, frames.ASYNCHRONOUS_CALLBACK, frames.FORMAT_1, command) + parameters):
            self.counters.frames_out += 1
        else:
            self._lost_callbacks = True

    def tell_status(self, status: EmberStatus) -> None:
        """A stackStatusHandler."""
        self.call_back(frames.STACK_STATUS_HANDLER, bytes((status,)))

    def note_settings_write(self) -> None:
        """The host touches what a network depends on."""
        self.counters.token_writes += 1
        self.counters.network_settings_writes += 1

    def count(self, tally: Tally) -> None:
        """Step one of the counters that the host can read."""
        self.tallies[tally] = (self.tallies[tally] + 1) & 0xFFFF

    # The network

    def restart(self) -> None:
        """Forget all RAM state, silence the network and boot from the tokens."""
        self.fall_silent()
        self.tokens.boot(frames_sent=self.frames_sent)
        self.frames_sent = 0
        self._lost_callbacks = False
        self._forget()

    @property
    def frame_counter(self) -> int:
        """The outgoing NWK frame counter."""
        return (self.tokens.counter(NONCE_COUNTER) + self.frames_sent) & 0xFFFF_FFFF

    # Who is known

    def nwk_of(self, ieee: int) -> int | None:
        """The network address that a table of the stack has for a device: children, neighbours, address table."""
        for child, nwk in self.children.values():
            if child == ieee:
                return nwk
        known = self.neighbours.get(ieee)
        if known is not None:
            return known
        for address in self.addresses.values():
            if address.ieee == ieee and address.nwk < 0xFFF8:
                return address.nwk
        return None

    def ieee_of(self, nwk: int) -> int | None:
        """The extended address that a table of the stack has for a network address."""
        for ieee, known in self.children.values():
            if known == nwk:
                return ieee
        for ieee, known in self.neighbours.items():
            if known == nwk:
                return ieee
        for address in self.addresses.values():
            if address.nwk == nwk:
                return address.ieee
        return None

    def address_index(self, nwk: int) -> int | None:
        """The slot of the address table that names a network address."""
        for index, address in self.addresses.items():
            if address.nwk == nwk:
                return index
        return None

    def add_child(self, ieee: int, nwk: int) -> int | None:
        """Note an end device that joined at the coordinator itself; returns its slot, or None where there is no room."""
        slot = next((slot for slot, (child, _) in self.children.items() if child == ieee), None)
        if slot is None:
            slot = next((slot for slot in range(self.config[ConfigId.MAX_END_DEVICE_CHILDREN]) if slot not in self.children), None)
        if slot is not None:
            self.children[slot] = (ieee, nwk)
            self.tokens.set_child(slot, ieee, nwk)
        return slot

    def remove_child(self, ieee: int) -> int | None:
        """Forget a child; returns its slot, or None where it was none."""
        slot = next((slot for slot, (child, _) in self.children.items() if child == ieee), None)
        if slot is not None:
            del self.children[slot]
            self.tokens.remove_child(slot)
        return slot

    def moved(self, ieee: int, nwk: int) -> None:
        """A device announced itself: whoever has its old network address learns the new one."""
        slot = next((slot for slot, (child, _) in self.children.items() if child == ieee), None)
        if slot is not None:
            self.add_child(ieee, nwk)
        if ieee in self.neighbours:
            self.neighbours[ieee] = nwk
        for address in self.addresses.values():
            if address.ieee == ieee:
                address.nwk = nwk


def take_counted(data: bytes, at: int) -> bytes:
    """The bytes behind their own count at `at`."""
    return take(data, at + 1, take(data, at, 1)[0])


def take_clusters(data: bytes, at: int, count: int) -> tuple[int, ...]:
    """`count` cluster ids at `at`."""
    return struct.unpack(f"<{count}H", take(data, at, 2 * count))


def constant(answer: bytes, *, size: int = 0) -> Command:
    """A command with at least `size` bytes of parameters that changes nothing and is always answered the same."""

    def command(payload: bytes) -> bytes:
        take(payload, 0, size)
        return answer

    return command


def counted(data: bytes) -> bytes:
    """Bytes behind their own count."""
    return bytes((len(data),)) + data
