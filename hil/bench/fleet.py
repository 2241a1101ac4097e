"""Fifty devices on one channel while lamps are switched, in virtual time.

The sessions, the outbox and the air budget are the hub's own; channel, serial line and devices are models of them. Frames wait for the channel in the
order in which they come to it; one that is lost on a hop is repeated up to three times. A device asks for its next block two milliseconds after the
one before, or anew after three seconds; one that sleeps gets its block when it polls, once a second.
"""

from __future__ import annotations

import heapq
import itertools
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import quantiles

from hil.bench.verdicts import Figures, Reach
from otagate.model.ids import UpdateId, zigbee_component_id, zigbee_device_id
from otagate.model.orders import Serve
from otagate.policy.airtime import AirBudget, block_seconds, frame_seconds
from otagate.radios.outbox import Outbox
from otagate.sessions.effects import Reply
from otagate.sessions.ota_transfer import Patience
from otagate.sessions.zigbee import OtaServer

REACHES = (
    Reach(figure="hours", text="50 devices of 256 KiB under an airtime cap of 66 %, virtual hours", most=2.5),
    Reach(figure="efficiency", text="of what the cap allows, the share that was used", least=0.92),
    Reach(figure="on_off_p99_ms", text="on/off commands during that, ms, p99", most=65),
    Reach(figure="on_off_p99_of_idle", text="the same, of that without updates", most=3),
    Reach(figure="mains_rate_beside_two_sleepers", text="rate of mains devices while two sleeping ones update, of their rate alone", least=0.95),
    Reach(figure="complete_at_20_percent_loss", text="updates that complete at 20 % frame loss", least=1),
    Reach(figure="time_at_5_percent_loss", text="time at 5 % frame loss, of that without", most=1.3),
)

DEVICES = 50
IMAGE = 256 * 1024
HOPS = (1,) * 8 + (2,) * 7 + (3,) * 4 + (4,)
"""Of twenty devices."""

SHARE = 0.66
BLOCK = 63
BAUD = 460_800
PARALLEL = 2
SWITCHED = 2.0
"""Lamps that are switched in a second, on average."""

_REQUEST = struct.Struct("<BBBBHHIIB")
_MANUFACTURER, _TYPE, _VERSION = 0x1189, 0x0083, 20
_HEAD = 17
_RELAYS = 0.001
_REPEATS = 3
_AGAIN = 3.0
_POLLS = 1.0
_MAINS = range(20)
_SLEEPERS = range(100, 102)
_THINKS = 0.002
_LEARNS = 15.0
_UART_IN, _UART_OUT = 46, 29
"""Bytes on the serial line around a request, and around a response beside its data."""

_SWITCH = 3
_IDLE = 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What came of it: seconds until the last device had its image, the share of the channel that frames held, how long a switched lamp waits."""

    seconds: float
    air: float
    efficiency: float
    p50: float
    p99: float
    idle_p99: float

    def figures(self) -> dict[str, float]:
        """Hours, shares and milliseconds."""
        return {
            "hours": self.seconds / 3_600,
            "air": self.air,
            "efficiency": self.efficiency,
            "on_off_p50_ms": self.p50 * 1_000,
            "on_off_p99_ms": self.p99 * 1_000,
            "on_off_p99_idle_ms": self.idle_p99 * 1_000,
            "on_off_p99_of_idle": self.p99 / self.idle_p99,
        }


class World:
    """Time, one channel, one serial line: each is booked in the order in which it is wanted."""

    def __init__(self, *, loss: float = 0.0) -> None:
        """`loss`: of so many transmissions on one hop, in shares of one, nothing arrives."""
        self.now = 0.0
        self.busy = 0.0
        self.sent = 0
        self.tries = 0
        self._loss = loss
        self._dice = random.Random(1)
        self._free_at = 0.0
        self._line_free_at = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._ticket = itertools.count()

    def at(self, moment: float, does: Callable[[], None]) -> None:
        """Have something happen."""
        heapq.heappush(self._events, (moment, next(self._ticket), does))

    def run(self, until: Callable[[], bool]) -> None:
        """Until it is over."""
        while self._events and not until():
            self.now, _, does = heapq.heappop(self._events)
            does()

    def carry(self, length: int, hops: int, arrives: Callable[[], None]) -> None:
        """A ZCL frame of so many bytes, hop by hop."""
        seconds = frame_seconds(length)
        times, arrived = self._times()
        self.sent += 1
        self.tries += times
        self.busy += seconds * times
        self._free_at = max(self._free_at, self.now) + seconds * times
        if not arrived:
            return
        if hops == 1:
            self.at(self._free_at, arrives)
        else:
            self.at(self._free_at + _RELAYS, lambda: self.carry(length, hops - 1, arrives))

    def _times(self) -> tuple[int, bool]:
        """How often a frame is sent on one hop, and whether it arrives."""
        times = 1
        while self._loss and self._dice.random() < self._loss:
            if times > _REPEATS:
                return times, False
            times += 1
        return times, True

    def out(self, octets: int, then: Callable[[], None]) -> None:
        """To the coordinator."""
        self._line_free_at = max(self._line_free_at, self.now) + octets * 10 / BAUD
        self.at(self._line_free_at, then)


@dataclass(eq=False)
class Lamp:
    """One device that downloads; the hub's session for it."""

    number: int
    hops: int
    image: bytes
    sleepy: bool = False
    server: OtaServer = field(init=False)
    received: int = 0
    done_at: float = 0.0
    asked: int = 0

    def __post_init__(self) -> None:
        self.server = OtaServer(tokens=itertools.count(1), patience=Patience(), sleepy=self.sleepy)
        order = Serve(
            update=UpdateId(f"u{self.number}"),
            device=zigbee_device_id(self.number),
            component=zigbee_component_id(_TYPE),
            manufacturer_code=_MANUFACTURER,
            image_type=_TYPE,
            file_version=_VERSION,
            image=memoryview(self.image),
            from_version=None,
            adopted="transferring",
        )
        self.server.command(order, 0.0)

    def request(self) -> bytes:
        """For its next block."""
        return _REQUEST.pack(0x01, self.received // BLOCK & 0xFF, 0x03, 0, _MANUFACTURER, _TYPE, _VERSION, self.received, BLOCK)


class Hub:
    """Two transfers to mains devices at once, and all to those that sleep; what leaves is the outbox's to say."""

    def __init__(self, world: World, lamps: list[Lamp], share: float) -> None:
        self._world = world
        self._budget = AirBudget(share)
        self._outbox: Outbox[Lamp] = Outbox(room=16, budget=self._budget)
        self._waiting = iter([each for each in lamps if not each.sleepy])
        self.done = 0
        for _ in range(PARALLEL):
            self._begin()
        for each in lamps:
            if each.sleepy:
                self._ask(each)
        self._learn()

    def _learn(self) -> None:
        """As the hub does of its radio's counters."""
        if self._world.sent:
            self._budget.learn(tries=self._world.tries / self._world.sent)
        self._world.at(self._world.now + _LEARNS, self._learn)

    def _begin(self) -> None:
        lamp = next(self._waiting, None)
        if lamp is not None:
            self._ask(lamp)

    def _ask(self, lamp: Lamp) -> None:
        world, frame = self._world, lamp.request()
        lamp.asked = this = lamp.asked + 1
        world.carry(len(frame), lamp.hops, lambda: world.at(world.now + _UART_IN * 10 / BAUD, lambda: self._hear(lamp, frame)))
        world.at(world.now + _AGAIN, lambda: self._ask(lamp) if lamp.asked == this and not lamp.done_at else None)

    def _hear(self, lamp: Lamp, frame: bytes) -> None:
        for effect in lamp.server.receive(frame, self._world.now):
            if isinstance(effect, Reply):
                airtime = block_seconds(len(effect.frame), lamp.hops)
                self._outbox.reply(lamp, 1, bytes(effect.frame), patient=lamp.sleepy, airtime=airtime)
        self._pump()

    def _pump(self) -> None:
        world = self._world
        while due := self._outbox.take(world.now):
            ticket, item = due
            world.out(_UART_OUT + len(item.frame), lambda t=ticket, i=item: self._send(t, i.peer, len(i.frame)))  # type: ignore[misc]
        look = self._outbox.next_look(world.now)
        if look is not None:
            world.at(max(look, world.now + 0.001), self._pump)

    def _send(self, ticket: int, lamp: Lamp, length: int) -> None:
        if lamp.sleepy:
            polls = -(-self._world.now // _POLLS) * _POLLS
            self._world.at(polls, lambda: self._carry(ticket, lamp, length))
        else:
            self._carry(ticket, lamp, length)

    def _carry(self, ticket: int, lamp: Lamp, length: int) -> None:
        self._outbox.settled(ticket, delivered=True)
        offset = lamp.received
        self._world.carry(length, lamp.hops, lambda: self._deliver(lamp, offset, length - _HEAD))
        self._pump()

    def _deliver(self, lamp: Lamp, offset: int, octets: int) -> None:
        if lamp.received != offset:
            return  # a block that it asked for twice
        lamp.received += octets
        lamp.asked += 1
        if lamp.received < len(lamp.image):
            self._world.at(self._world.now + _THINKS, lambda: self._ask(lamp))
            return
        lamp.done_at = self._world.now
        self.done += not lamp.sleepy
        self._begin()


def _switch(world: World, dice: random.Random, waits: list[float]) -> None:
    """Somebody switches a lamp, and so on for ever."""

    def send() -> None:
        began, hops = world.now, dice.choice(HOPS)
        world.out(_UART_OUT, lambda: world.carry(_SWITCH, hops, lambda: waits.append(world.now - began)))
        world.at(world.now + dice.expovariate(SWITCHED), send)

    world.at(dice.expovariate(SWITCHED), send)


def _p99(waits: list[float]) -> tuple[float, float]:
    cuts = quantiles(waits, n=100)
    return cuts[49], cuts[98]


def _fleet(devices: int, size: int) -> Iterator[Lamp]:
    image = bytes(size)
    for number in range(devices):
        yield Lamp(number, HOPS[number % len(HOPS)], image)


async def figures(*, devices: int = DEVICES, size: int = IMAGE, circumstances_size: int = 16_384) -> Figures:
    """Every figure of one run; it is the same each time."""
    return measure(share=SHARE, devices=devices, size=size).figures() | circumstances(circumstances_size)


def measure(*, share: float, devices: int = DEVICES, size: int = IMAGE, seed: int = 1, loss: float = 0.0) -> Fleet:
    """Update them all, two at once."""
    quiet: list[float] = []
    world = World()
    _switch(world, random.Random(seed), quiet)
    world.run(lambda: world.now > _IDLE)
    world = World(loss=loss)
    waits: list[float] = []
    lamps = list(_fleet(devices, size))
    _switch(world, random.Random(seed), waits)
    hub = Hub(world, lamps, share)
    world.run(lambda: hub.done == devices)
    blocks = -(-size // BLOCK)
    least = sum(block_seconds(_HEAD + BLOCK, lamp.hops) for lamp in lamps) * blocks
    p50, p99 = _p99(waits)
    return Fleet(seconds=world.now, air=world.busy / world.now, efficiency=least / (world.now * share), p50=p50, p99=p99, idle_p99=_p99(quiet)[1])


def _seconds(*, size: int, sleepers: bool = False, loss: float = 0.0, share: float = SHARE) -> float:
    """How long twenty mains devices take."""
    world = World(loss=loss)
    lamps = [Lamp(each, HOPS[each % len(HOPS)], bytes(size)) for each in _MAINS]
    if sleepers:
        lamps += [Lamp(each, 1, bytes(size * len(_MAINS)), sleepy=True) for each in _SLEEPERS]
    hub = Hub(world, lamps, share)
    world.run(lambda: hub.done == len(_MAINS))
    return world.now if hub.done == len(_MAINS) else float("inf")


def circumstances(size: int = 16_384) -> dict[str, float]:
    """What sleepers and lost frames cost mains devices: their rate beside two sleepers, of their rate alone; times of that without losses."""
    alone, at_loss = _seconds(size=size), _seconds(size=size, loss=0.20)
    return {
        "mains_rate_beside_two_sleepers": round(alone / _seconds(size=size, sleepers=True), 3),
        "time_at_5_percent_loss": round(_seconds(size=size, loss=0.05) / alone, 3),
        "time_at_20_percent_loss": round(at_loss / alone, 3),
        "complete_at_20_percent_loss": float(at_loss != float("inf")),
    }
