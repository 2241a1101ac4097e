"""Who is told of an image by itself, and who with others by one broadcast: Image Notifies of one radio, gathered for a moment where many are due.

A device that does not answer a broadcast is told again by its session, and then by itself alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from otagate.radios.peers import Peer
from otagate.radios.sender import Sender
from otagate.sessions import ota_frames as ota
from otagate.sessions.ota_notify import FEWEST, Offered, query_jitter

_GATHER = 0.5
_AT_MOST = 2.0
"""Seconds: what is admitted together is offered one after the other, each within the first; all of them wait no longer than the second."""


class Crier:
    """Sleeping devices hear no broadcast (it goes to those whose receiver is on when idle), so each of them is told by itself."""

    def __init__(self, sender: Sender, peers: Callable[[], Iterable[Peer]]) -> None:
        self._sender = sender
        self._peers = peers
        self._due: dict[Offered, dict[Peer, bytes]] = {}
        self._timers: dict[Offered, asyncio.TimerHandle] = {}
        self._begun: dict[Offered, float] = {}
        self._tsn = 0

    def announce(self, peer: Peer, frame: bytes, image_type: int) -> None:
        """Send what is unasked to the client of this image type: at once, or with others where it is the first Image Notify of many."""
        offered = peer.session.first_told() if frame[2] == ota.IMAGE_NOTIFY else None
        if offered is None or max(peer.session.together(), sum(1 for _ in self._meant(offered))) < FEWEST:
            self._sender.announce(peer, frame, image_type)
            return
        loop = asyncio.get_running_loop()
        self._due.setdefault(offered, {})[peer] = frame
        begun = self._begun.setdefault(offered, loop.time())
        if offered in self._timers:
            self._timers[offered].cancel()
        self._timers[offered] = loop.call_at(min(loop.time() + _GATHER, begun + _AT_MOST), self._cry, offered)

    def forget(self) -> None:
        """The radio is gone; when it is back, sessions tell their devices again."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._begun.clear()
        self._due.clear()

    def _cry(self, offered: Offered) -> None:
        del self._timers[offered], self._begun[offered]
        due = {peer: frame for peer, frame in self._due.pop(offered).items() if peer.session.first_told() == offered}
        heeded = all(peer.session.sleepy or peer.session.quirk.heeds_broadcasts for peer in self._peers())
        jitter = query_jitter(told=len(due), meant=sum(1 for _ in self._meant(offered)), heeded=heeded)
        if jitter is None:
            for peer, frame in due.items():
                self._sender.announce(peer, frame, offered.image_type)
            return
        self._tsn = (self._tsn + 1) & 0xFF
        self._sender.broadcast(ota.image_notify(self._tsn, jitter=jitter, **offered._asdict()))

    def _meant(self, offered: Offered) -> Iterable[Peer]:
        return (peer for peer in self._peers() if not peer.session.sleepy and peer.session.awaits(offered))
