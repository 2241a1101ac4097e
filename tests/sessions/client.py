"""A small client that keeps to ZCL 8, chapter 11.13, and a link that loses, repeats and delays its frames."""

from __future__ import annotations

import heapq
import itertools
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from otagate.model.lifecycle import Cause, State
from otagate.sessions.effects import Advance, Announce, Knock, Reply
from tests.sessions import wire
from tests.sessions.playbook import LAMP, Playbook, park, play, serve, withdraw

TIMEOUT = 3.0
BACKOFF = 15.0
HOUR = 3_600.0
_ENDS = 10
ATTEMPTS = 6


@dataclass
class Client:
    """One image type of one device, that looks at the labels of what it is sent as the specification asks.

    `page` in bytes asks by pages; `step` is what fits its buffer; `keeps`: its bytes survive a failure; `runs` and `offered` are file versions.
    """

    step: int = 50
    page: int = 0
    keeps: bool = True
    same_number: bool = False
    retries: int = 10
    phase: str = "idle"
    received: bytearray = field(default_factory=bytearray)
    size: int = 0
    tsn: int = 0
    tries: int = 0
    fetching: bool = False  # one block that a page left out
    wakes: float | None = None
    booted: bytes | None = None
    runs: int = wire.OLD
    offered: int = wire.NEW

    def hears(self, frame: bytes, now: float) -> list[bytes]:
        """A frame of the server arrived."""
        match frame[0], frame[2], self.phase:
            case 0x19, 0x00, "idle" | "asking":
                return self._begin("asking", now)
            case 0x19, 0x02, "asking":
                return self._offered(frame, now)
            case 0x19, 0x05, "downloading" | "waiting":
                return self._block(frame, now)
            case 0x19, 0x07, "ending" | "holding" if frame[3:11] == self._label():
                self._told_when(int.from_bytes(frame[15:19], "little"), now)
            case 0x18, 0x0B, "ending" if frame[3] == 0x06 and frame[4]:
                self._forget()
        return []

    def wakes_up(self, now: float) -> list[bytes]:
        """Its own timer ran out."""
        if self.phase in ("waiting", "holding"):
            return self._begin("downloading", now)
        self.tries += 1
        self.fetching = True
        patience = max(self.retries, _ENDS) if self.phase == "ending" else self.retries
        if self.tries <= patience:
            return [self._request(now)]
        gone = self.phase
        self.phase, self.wakes = "idle", None
        if not self.keeps or gone == "asking":
            self._forget()
        return [wire.end(wire.ABORT, tsn=self._next_number(), version=self.offered)] if gone == "downloading" else []

    def loses_power(self, now: float) -> list[bytes]:
        """Down and up again: it goes on with what it has, or waits to be told."""
        if self.phase == "booted":
            return []
        self.phase, self.wakes = "idle", None
        if not self.keeps:
            self._forget()
        return self._begin("downloading", now) if self.received else []

    def _told_when(self, seconds: int, now: float) -> None:
        if seconds == wire.HOLD:
            self.phase, self.wakes = "holding", now + HOUR
        elif not seconds:
            self.phase, self.wakes, self.booted, self.runs = "booted", None, bytes(self.received), self.offered

    def _offered(self, frame: bytes, now: float) -> list[bytes]:
        if frame[3]:
            self.phase, self.wakes = "idle", None
            return []
        if frame[4:12] != self._label():
            self.received.clear()
        self.offered, self.size = int.from_bytes(frame[8:12], "little"), int.from_bytes(frame[12:16], "little")
        return self._begin("downloading", now)

    def _block(self, frame: bytes, now: float) -> list[bytes]:
        if frame[3] == 0x97:
            self.phase, self.wakes = "waiting", now + int.from_bytes(frame[8:12], "little")
            return []
        if frame[3] == 0x95:
            self._forget()
            return []
        assert frame[3] == 0
        if frame[4:12] != self._label() or int.from_bytes(frame[12:16], "little") != len(self.received) or self.phase == "waiting":
            return []
        self.received += frame[17:]
        assert len(self.received) <= self.size
        self.tries = 0
        if len(self.received) >= self.size:
            return self._begin("ending", now)
        if self.page and not self.fetching and len(self.received) < self.page_ends:
            self.wakes = now + TIMEOUT
            return []
        return self._begin("downloading", now)

    def _begin(self, phase: str, now: float) -> list[bytes]:
        if phase == "downloading" and len(self.received) >= self.size:
            phase = "ending"
        self.phase, self.tries, self.fetching = phase, 0, False
        return [self._request(now)]

    def _request(self, now: float) -> bytes:
        self.wakes = now + TIMEOUT
        if not (self.same_number and self.tries):
            self._next_number()
        if self.phase == "asking":
            return wire.query(self.runs, tsn=self.tsn)
        if self.phase == "ending":
            return wire.end(tsn=self.tsn, version=self.offered)
        offset = len(self.received)
        if self.page and not self.fetching:
            self.page_ends = min(offset + self.page, self.size, offset + 32 * self.step)
            return wire.ask_page(offset, self.step, page=self.page, spacing=20, tsn=self.tsn, version=self.offered)
        return wire.ask(offset, self.step, tsn=self.tsn, version=self.offered)

    def _label(self) -> bytes:
        """Manufacturer code, image type and file version of what it downloads, as they stand in every frame about it."""
        return struct.pack("<HHI", wire.MANUFACTURER, wire.IMAGE_TYPE, self.offered)

    def _next_number(self) -> int:
        self.tsn = (self.tsn + 1) & 0xFF
        return self.tsn

    def _forget(self) -> None:
        self.phase, self.wakes = "idle", None
        self.received.clear()

    page_ends: int = 0


@dataclass
class Link:
    """What becomes of each frame, in order: delays in seconds of its copies, none where it is lost. Afterwards everything arrives."""

    fates: Iterator[tuple[float, ...]]

    def copies(self) -> tuple[float, ...]:
        return next(self.fates, (0.01,))


@dataclass
class World:
    """A client, a session, an engine that commits after `commit_after` seconds, and the link between them."""

    client: Client
    link: Link
    image: bytes
    commit_after: float = 0.01
    power_cuts: tuple[float, ...] = ()
    story: Playbook = field(default_factory=play)
    attempts: int = 0
    causes: list[Cause] = field(default_factory=list)
    _events: list[tuple[float, int, str, Any]] = field(default_factory=list)
    _order: Iterator[int] = field(default_factory=itertools.count)
    _told: set[int] = field(default_factory=set)

    def runs(self, seconds: float) -> None:
        """Let it all happen until the device has booted, the engine has given up, or time is over."""
        until = self.story.now + seconds
        self._at(0.0, "serve")
        for moment in self.power_cuts:
            self._at(moment, "power cut")
        while self.story.now < until and self.client.booted is None and not self._over():
            self._step(until)

    def _over(self) -> bool:
        return self.story.states.get(LAMP, State.QUEUED).final or (self.attempts >= ATTEMPTS and self.story.states[LAMP] is State.QUEUED)

    def _step(self, until: float) -> None:
        story = self.story
        moments = [self.client.wakes, story.server.wake_at(), self._events[0][0] if self._events else None]
        moment = max(min((each for each in moments if each is not None), default=until), story.now)
        if self._events and self._events[0][0] <= moment:
            _, _, what, frame = heapq.heappop(self._events)
            story.passes(moment - story.now)
            self._collect()
            self._happens(what, frame)
        elif self.client.wakes is not None and self.client.wakes <= moment:
            story.passes(moment - story.now)
            self._collect()
            if self.client.wakes is not None and self.client.wakes <= moment:
                self._to_server(self.client.wakes_up(moment))
        else:
            story.passes(moment - story.now)
        self._collect()

    def _happens(self, what: str, frame: Any) -> None:
        story = self.story
        match what:
            case "serve":
                self.attempts += 1
                story.orders(serve(image=memoryview(self.image)))
            case "to server":
                story.sends(frame)
            case "to client":
                self._to_server(self.client.hears(frame, story.now))
            case "power cut":
                self._to_server(self.client.loses_power(story.now))
            case "commit":
                story.commits()
                self._committed()

    def _committed(self) -> None:
        story = self.story
        self._collect()
        if story.states[LAMP] is State.QUEUED:
            story.orders(park())
            if self.attempts < ATTEMPTS:
                self._at(BACKOFF, "serve")
        elif story.states[LAMP].final:
            story.orders(withdraw())

    def _collect(self) -> None:
        for _, effect in self.story.came_out():
            match effect:
                case Reply(frame) | Announce(frame):
                    for delay in self.link.copies():
                        self._at(delay, "to client", bytes(frame))
                case Advance():
                    if effect.token not in self._told:
                        self._told.add(effect.token)
                        self.causes += effect.causes
                        self._at(self.commit_after, "commit")
                case Knock():
                    pass

    def _to_server(self, frames: list[bytes]) -> None:
        for frame in frames:
            for delay in self.link.copies():
                self._at(delay, "to server", frame)

    def _at(self, delay: float, what: str, frame: Any = None) -> None:
        heapq.heappush(self._events, (self.story.now + delay, next(self._order), what, frame))
