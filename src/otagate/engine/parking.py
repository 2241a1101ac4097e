"""Updates that wait, made known to the sessions of their devices: one that asks by itself is told to wait, and heard knocking."""

from __future__ import annotations

from collections.abc import Mapping

from otagate.engine.course import Course
from otagate.engine.queue import Queue
from otagate.engine.serving import ADOPTED, serve_order
from otagate.engine.tools import Tools
from otagate.model.errors import ImageError, StoreError, UnknownImage
from otagate.model.ids import RadioName, Sha256, UpdateId
from otagate.model.orders import Park, Serve, Withdraw
from otagate.model.updates import Update
from otagate.policy.air import ON_THE_AIR
from otagate.policy.job import first_steps, waits_for_step
from otagate.ports import Radio


class Parking:
    """Pins the image of what waits as soon as that can be had, once."""

    def __init__(self, *, tools: Tools, radios: Mapping[RadioName, Radio], queue: Queue) -> None:
        self._library = tools.library
        self._radios = radios
        self._queue = queue
        self._pinned: set[UpdateId] = set()

    async def pin(self, update: Update) -> None:
        """Let the session know an update that waits, unless it does; a session knows one image of a component at a time."""
        radio = self._radios.get(update.radio)
        if update.id in self._pinned or radio is None or update.image is None:
            return
        if waits_for_step(update, first_steps(self._queue.rows.of(update.device))) is not None:
            return
        self._pinned.add(update.id)
        try:
            view, facts = await self._library.map(Sha256(update.image)), self._library.image(update.image).facts
        except StoreError:
            self._pinned.discard(update.id)  # the next look tries again
            return
        except (UnknownImage, ImageError):
            return  # fetching will say so
        now = self._queue.rows.get(update.id)
        if now is not None and self._queue.has(now):
            order = serve_order(now, view, facts, adopted=ADOPTED.get(now.state, "offering"))
            if isinstance(order, Serve):
                radio.command(order)
                radio.command(Park(update=now.id))
            elif now.state in ON_THE_AIR:  # its driver may be at it, and cannot be made to wait
                radio.command(order)

    def park(self, course: Course) -> None:
        """It ran, and waits again: its session knows it already."""
        course.radio.command(Park(update=course.update.id))
        self._pinned.add(course.update.id)

    def leave(self, update: UpdateId) -> None:
        """Its course has ended: what its session knows is that course's."""
        self._pinned.discard(update)

    def withdraw(self, update: Update) -> None:
        """It has ended while it waited."""
        radio = self._radios.get(update.radio)
        if update.id in self._pinned and radio is not None:
            radio.command(Withdraw(update=update.id))
        self._pinned.discard(update.id)
