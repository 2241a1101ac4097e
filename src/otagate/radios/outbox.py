"""The one bounded sender of a radio: what sessions want said, in turn, the newest reply of a device first to survive."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Peer = TypeVar("Peer")

_ANNOUNCES = 256


class Outbox(Generic[Peer]):
    """At most one waiting reply a peer, and at most 256 announcements; an older reply that still waits gives way to a newer one."""

    def __init__(self) -> None:
        self._replies: dict[Peer, bytes] = {}
        self._announces: deque[tuple[Peer, bytes]] = deque(maxlen=_ANNOUNCES)
        self._work = asyncio.Event()
        self.dropped = 0

    def reply(self, peer: Peer, frame: bytes) -> None:
        """Queue an answer; one that waits for the same peer is dropped, because the peer has asked again since."""
        if peer in self._replies:
            self.dropped += 1
        self._replies[peer] = frame
        self._work.set()

    def announce(self, peer: Peer, frame: bytes) -> None:
        """Queue something unasked; the oldest is dropped where 256 wait."""
        self._announces.append((peer, frame))
        self._work.set()

    def waits_for(self, peer: Peer) -> bool:
        """Whether a reply to this peer has not left yet."""
        return peer in self._replies

    def clear(self) -> None:
        """Forget everything: the radio is gone, and devices ask again."""
        self._replies.clear()
        self._announces.clear()

    async def run(self, *, reply: Callable[[Peer, bytes], Awaitable[None]], announce: Callable[[Peer, bytes], None]) -> None:
        """Send, for ever: replies in the order in which their devices first asked, announcements between them."""
        while True:
            await self._work.wait()
            self._work.clear()
            while self._replies or self._announces:
                if self._announces:
                    announce(*self._announces.popleft())
                if self._replies:
                    peer = next(iter(self._replies))
                    await reply(peer, self._replies.pop(peer))
