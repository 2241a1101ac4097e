"""The one bounded sender of a radio: what waits in its outbox leaves over the fast path, or over zigpy's public API where that is missing.

A device that is off or asleep costs the others nothing: see `outbox`. A frame that is lost is not repeated here, because its device asks again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import structlog

from otagate.model.errors import DeviceUnreachable, RadioError
from otagate.policy.airtime import AirBudget, block_seconds
from otagate.ports import Clock
from otagate.radios.library import failing, in_our_words
from otagate.radios.meter import Meter
from otagate.radios.outbox import Outbox, Outgoing
from otagate.radios.peers import Peer
from otagate.radios.silence import OURS
from otagate.radios.stacks import Busy, FastPath, FastPathUnavailable, Fate, Stack
from otagate.sessions import ota_frames as ota

if TYPE_CHECKING:
    from zigpy.application import ControllerApplication

LOG = structlog.get_logger("otagate.radio")

_BUSY_PAUSE = 0.02
_SOONEST = 0.001
_DETOUR = 10.0
_ZHA = 0x0104
_EVERY_ENDPOINT = 0xFF
_RADIUS = 30


class Sender:
    """Sends for as long as `run` runs; what is queued before waits."""

    def __init__(
        self,
        clock: Clock,
        *,
        stack: Stack,
        meter: Meter,
        left: Callable[[Peer], None],
        fast_path_broke: Callable[[FastPathUnavailable], None],
        budget: AirBudget | None = None,
    ) -> None:
        """`left` is told when a reply has left, `fast_path_broke` when the fast path is given up; `budget` as in `Outbox`."""
        self._clock = clock
        self._meter = meter
        self._left = left
        self._fast_path_broke = fast_path_broke
        self._outbox: Outbox[Peer] = Outbox(room=stack.room, budget=budget)
        self._too_long = stack.too_long
        self._work = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._app: ControllerApplication | None = None
        self._fast: FastPath | None = None
        self._tasks: asyncio.TaskGroup | None = None

    def reply(self, peer: Peer, endpoint: int, frame: bytes) -> None:
        """Answer a request of the device; a newer answer takes the place of one that still waits."""
        airtime = block_seconds(len(frame), 1 + len(peer.device.relays or ())) if _is_block(frame) else 0.0
        self._outbox.reply(peer, endpoint, frame, patient=peer.session.sleepy, airtime=airtime)
        self._go_on()

    def announce(self, peer: Peer, frame: bytes, image_type: int | None = None) -> None:
        """Say something unasked, with an acknowledgement: to the client of this image type, or to the one that spoke last."""
        wanted = peer.session.quirk.ota_endpoint
        endpoint = wanted if wanted in peer.device.endpoints else peer.client_of(image_type)
        self._outbox.announce(peer, endpoint, frame, patient=peer.session.sleepy)
        self._work.set()

    def broadcast(self, frame: bytes) -> None:
        """Say something to every device whose receiver is on when idle; nobody acknowledges that, and what is lost is lost."""
        if self._tasks is not None:
            self._tasks.create_task(self._broadcast(frame))

    def waits_for(self, peer: Peer) -> bool:
        """Whether a reply to this device has not left yet."""
        return self._outbox.waits_for(peer)

    def forget(self) -> None:
        """The radio is gone, and devices ask again."""
        self._outbox.clear()

    # --- running ----------------------------------------------------------------------------------------------------------------------

    async def run(self, app: ControllerApplication, fast: FastPath | None) -> None:
        """Send until cancelled: here what leaves over a line that is not free at the moment, all else in the callback that asks for it."""
        self._app, self._fast = app, fast
        async with asyncio.TaskGroup() as self._tasks:
            try:
                await self._go_on_in_turn()
            finally:  # before the tasks have ended: what the line brings meanwhile can have none any more
                if self._timer is not None:
                    self._timer.cancel()
                self._app = self._fast = self._tasks = self._timer = None

    async def _go_on_in_turn(self) -> NoReturn:
        while True:
            now = self._clock.monotonic()
            due = self._outbox.take(now)
            if due is None:
                self._look_again(now)
                self._work.clear()
                await self._work.wait()
            else:
                await self._send(*due)

    def _look_again(self, now: float) -> None:
        """When something may leave without anything else having happened."""
        look = self._outbox.next_look(now)
        if look is None:
            return
        loop = asyncio.get_running_loop()
        when = loop.time() + max(look - now, _SOONEST)
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = loop.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._go_on()

    async def _send(self, ticket: int, item: Outgoing[Peer]) -> None:
        if self._fast is None or not self._may_go_fast(item):
            self._send_slowly(ticket, item)
            return
        try:
            await self._fast.send(**self._addressed(ticket, item))
        except (Busy, DeviceUnreachable, FastPathUnavailable) as error:
            self._handed_over(ticket, item, error)
        else:
            self._handed_over(ticket, item, None)
        self._go_on()

    def _may_go_fast(self, item: Outgoing[Peer]) -> bool:
        """zigpy mends routes, so what is unasked goes its way, and replies for a while after a missing route.

        Never to a sleeping device: zigpy would take its silence for a lost child.
        """
        return item.patient or not (item.unasked or self._clock.monotonic() < item.peer.detour_until)

    # --- the fast way -----------------------------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """What may leave now leaves from this very callback where the line is free; to wake `run` for it costs turns of the loop."""
        fast = self._fast
        if not self._outbox or self._tasks is None:
            return
        if fast is None or not fast.is_free():
            if fast is None or not fast.is_waiting():  # what waits for an answer goes on when it is there
                self._work.set()
            return
        now = self._clock.monotonic()
        due = self._outbox.take(now)
        if due is None:
            self._look_again(now)
        elif not self._may_go_fast(due[1]):
            self._send_slowly(*due)
            self._work.set()  # for what waits behind it
        elif not fast.send_now(**self._addressed(*due), told=partial(self._told, *due)):
            self._tasks.create_task(self._send(*due))

    def _addressed(self, ticket: int, item: Outgoing[Peer]) -> Any:
        """A block goes without APS acknowledgement: the device's next request is one. Anything else is worth its acknowledgement."""
        ended = partial(self._ended, ticket, item)
        return {"nwk": int(item.peer.device.nwk), "endpoint": item.endpoint, "frame": item.frame, "ack": not _is_block(item.frame), "ended": ended}

    def _told(self, ticket: int, item: Outgoing[Peer], error: Exception | None) -> None:
        if self._tasks is not None:  # else this life of the radio is over
            self._handed_over(ticket, item, error)
            self._go_on()

    def _handed_over(self, ticket: int, item: Outgoing[Peer], error: Exception | None) -> None:
        """The coordinator has taken a frame, or not, because of the error."""
        now = self._clock.monotonic()
        if isinstance(error, FastPathUnavailable):
            if self._fast is not None:
                self._fast = None
                self._fast_path_broke(error)
            self._send_slowly(ticket, item)
            return
        if isinstance(error, DeviceUnreachable):
            LOG.debug("frame not sent", device=item.peer.id, error=str(error))
            self._outbox.settled(ticket, delivered=False)
        else:
            self._meter.given(now, refused=error is not None)
            if error is not None:
                self._outbox.postpone(ticket, item, until=now + _BUSY_PAUSE)
        self._tell_left(item)

    def _tell_left(self, item: Outgoing[Peer]) -> None:
        if not item.unasked and not self._outbox.waits_for(item.peer):
            self._left(item.peer)

    def _ended(self, ticket: int, item: Outgoing[Peer], fate: Fate) -> None:
        """What the coordinator says of a frame that it had taken."""
        self._outbox.settled(ticket, delivered=fate is Fate.DELIVERED)
        if fate in (Fate.DELIVERED, Fate.LOST) and not item.patient:
            self._meter.ended(self._clock.monotonic(), delivered=fate is Fate.DELIVERED)
        if fate is Fate.TOO_LONG:
            item.peer.session.too_long()
        elif fate is Fate.NO_ROUTE and not item.patient:
            now = self._clock.monotonic()
            if now >= item.peer.detour_until + _DETOUR:
                item.peer.detour_until = now + _DETOUR
                self._again(item)
        self._go_on()

    def _again(self, item: Outgoing[Peer]) -> None:
        if not item.unasked and not self._outbox.waits_for(item.peer):
            self._outbox.reply(item.peer, item.endpoint, item.frame, airtime=item.airtime)

    # --- the slow way -----------------------------------------------------------------------------------------------------------------

    def _send_slowly(self, ticket: int, item: Outgoing[Peer]) -> None:
        if self._tasks is not None:
            self._tasks.create_task(self._request(ticket, item))
        self._tell_left(item)

    async def _request(self, ticket: int, item: Outgoing[Peer]) -> None:
        """Through zigpy's public API; ends when the frame is delivered or given up."""
        delivered = False
        try:
            with in_our_words(failing(f"a frame to {item.peer.id} was not delivered")):
                await self._request_zigpy(item)
            delivered = True
        except RadioError as error:
            LOG.debug(str(error))
            if getattr(error.__cause__, "status", None) in self._too_long:
                item.peer.session.too_long()
        finally:
            self._outbox.settled(ticket, delivered=delivered)
            self._work.set()

    async def _broadcast(self, frame: bytes) -> None:
        if self._app is None:
            return
        OURS.set(True)
        send: Any = self._app.broadcast
        try:
            with in_our_words(failing("a broadcast was not sent")):
                await send(_ZHA, ota.CLUSTER, 1, _EVERY_ENDPOINT, 0, _RADIUS, frame[1], frame)
        except RadioError as error:  # sessions tell each device again
            LOG.debug(str(error))

    async def _request_zigpy(self, item: Outgoing[Peer]) -> None:
        if self._app is None:
            return
        OURS.set(True)
        frame = item.frame
        request: Any = self._app.request  # its annotations want zigpy's own integers
        await request(
            item.peer.device,
            _ZHA,
            ota.CLUSTER,
            1,
            item.endpoint,
            frame[1],
            frame,
            expect_reply=False,
            ask_for_ack=not _is_block(frame),
            extended_timeout=item.patient,
        )


def _is_block(frame: bytes) -> bool:
    """Whether it is an Image Block Response: cluster-specific, from the server, command 0x05."""
    return frame[0] & 0x0B == 0x09 and frame[2] == 0x05
