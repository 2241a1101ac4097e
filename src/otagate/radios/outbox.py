"""What waits to be sent, and who may be sent to now: pure, so that no dead or sleeping device ever holds up another.

A device has a bounded number of frames under way. Those that may linger (a sleeping child has to poll, a neighbour that has not yet proved alive may
be tried in vain) share half of the coordinator's buffers, so the other half always belongs to devices that take what they are sent.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from otagate.policy.airtime import AirBudget
from otagate.sessions.ota_frames import UPGRADE_END_RESPONSE

Peer = TypeVar("Peer", bound=Hashable)

PER_DEVICE = 2
"""Frames of one device under way: one more than needed, because the end of an acknowledged frame may come late."""

_Key = tuple[Peer, int, bytes]
"""A device, an endpoint of it, and what is said there; of two with the same key only the newer waits."""

_REPLY = (-1, b"")
_LINGERS = 0.5
_FORGOTTEN = 30.0
_TRIES = 10


@dataclass(slots=True, eq=False)
class Outgoing(Generic[Peer]):
    """One frame for one endpoint of a device. `unasked`: no answer to a request. `patient`: the receiver sleeps.

    `airtime`: seconds for which it holds the channel, of what firmware may have of it; 0 for what is too rare to count.
    """

    peer: Peer
    endpoint: int
    frame: bytes
    unasked: bool
    patient: bool
    airtime: float = 0.0
    tries: int = 0


@dataclass(slots=True)
class _Flight(Generic[Peer]):
    peer: Peer
    since: float
    patient: bool

    def lingers(self, now: float) -> bool:
        return self.patient or now - self.since >= _LINGERS


class Outbox(Generic[Peer]):
    """At most one waiting reply a device: a newer one takes the place of an older one, because the device has asked again since."""

    def __init__(self, *, room: int, budget: AirBudget | None = None) -> None:
        """`room` is how many frames the coordinator may have under way; `budget` what blocks may have of the channel, without one all of it."""
        self._room = room
        self._budget = budget or AirBudget()
        self._waiting: dict[_Key[Peer], Outgoing[Peer]] = {}
        self._flights: dict[int, _Flight[Peer]] = {}
        self._proven: set[Peer] = set()
        self._held_until: dict[Peer, float] = {}
        self._tickets = itertools.count(1)
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def reply(self, peer: Peer, endpoint: int, frame: bytes, *, patient: bool = False, airtime: float = 0.0) -> None:
        """Queue an answer in its device's place in the queue."""
        self._put((peer, *_REPLY), Outgoing(peer, endpoint, frame, unasked=False, patient=patient, airtime=airtime))

    def announce(self, peer: Peer, endpoint: int, frame: bytes, *, patient: bool = False) -> None:
        """Queue something unasked; of each command only the newest waits, of Upgrade End Responses the newest for each image type."""
        item = Outgoing(peer, endpoint, frame, unasked=True, patient=patient)
        self._put(_key_of(item), item)

    def _put(self, key: _Key[Peer], item: Outgoing[Peer]) -> None:
        if key in self._waiting:
            self.dropped += 1
        self._waiting[key] = item

    def waits_for(self, peer: Peer) -> bool:
        """Whether a reply to this device has not left yet."""
        return (peer, *_REPLY) in self._waiting

    def clear(self) -> None:
        """Forget everything: the radio is gone, and devices ask again."""
        self._waiting.clear()
        self._flights.clear()
        self._proven.clear()
        self._held_until.clear()

    # --- leaving ----------------------------------------------------------------------------------------------------------------------

    def take(self, now: float) -> tuple[int, Outgoing[Peer]] | None:
        """The next frame that may leave, with the ticket by which its end is told; None where nothing may leave now."""
        if not self._waiting:
            return None
        if self._flights:
            self._forget_old(now)
            if len(self._flights) >= self._room:
                return None
        for key, item in self._waiting.items():
            if self._may_leave(item, now):
                del self._waiting[key]
                ticket = next(self._tickets)
                self._flights[ticket] = _Flight(item.peer, now, item.patient)
                if item.airtime:
                    self._budget.spend(item.airtime, now)
                return ticket, item
        return None

    def _may_leave(self, item: Outgoing[Peer], now: float) -> bool:
        if item.airtime and now < self._budget.open_at:
            return False
        if self._held_until and now < self._held_until.get(item.peer, now):
            return False
        if not self._flights:
            return True
        flights = [each for each in self._flights.values() if each.peer is item.peer]
        if len(flights) >= PER_DEVICE:
            return False
        if item.peer in self._proven and not item.patient and not any(each.lingers(now) for each in flights):
            return True
        doubtful = sum(each.lingers(now) or each.peer not in self._proven for each in self._flights.values())
        return doubtful < self._room // 2

    def _forget_old(self, now: float) -> None:
        """An end that was lost on the line frees its place after a while."""
        for ticket in [ticket for ticket, each in self._flights.items() if now - each.since >= _FORGOTTEN]:
            del self._flights[ticket]

    def settled(self, ticket: int, *, delivered: bool) -> None:
        """A frame has reached its end, by which its device has proved to be there, or not; unknown tickets are ignored."""
        flight = self._flights.pop(ticket, None)
        if flight is None:
            return
        if delivered:
            self._proven.add(flight.peer)
        else:
            self._proven.discard(flight.peer)

    def postpone(self, ticket: int, item: Outgoing[Peer], *, until: float) -> None:
        """The coordinator has no buffer for it: try again then, unless something newer waits or it was tried ten times."""
        self._flights.pop(ticket, None)
        item.tries += 1
        key = _key_of(item)
        if item.tries >= _TRIES or key in self._waiting:
            self.dropped += 1
            return
        self._held_until[item.peer] = until
        self._waiting[key] = item

    def next_look(self, now: float) -> float | None:
        """When something may leave without anything else having happened, or None where nothing waits."""
        if not self._waiting:
            return None
        self._held_until = {peer: until for peer, until in self._held_until.items() if until > now}
        opens = [self._budget.open_at] if self._budget.open_at > now else []
        return min([now + 1.0, *opens, *self._held_until.values()])


def _key_of(item: Outgoing[Peer]) -> _Key[Peer]:
    """An Upgrade End Response names manufacturer code and image type right behind its command."""
    if not item.unasked:
        return (item.peer, *_REPLY)
    return item.peer, item.endpoint, item.frame[2 : 7 if item.frame[2] == UPGRADE_END_RESPONSE else 3]
