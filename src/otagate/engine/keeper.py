"""How the device of one update is set: recorded before, compared after, given back where the update lost it.

Whatever goes wrong here is no reason to fail an update: what could not be read is not compared, and said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from otagate.engine.tools import Tools
from otagate.model.errors import OtagateError, StoreError
from otagate.model.portraits import Behaviour, Care, Portrait, Setting
from otagate.model.updates import Update
from otagate.policy.behaviour import Comparison, compare, conclude, to_restore
from otagate.policy.settings import PolicySettings
from otagate.ports import Keeping, Radio

_GLANCE = 3.0
"""Seconds that a look at what is on may take."""

_AHEAD = 5.0
"""So many seconds before the end of a transfer it is looked: late enough to be true then, and early enough that the device still answers."""

_SPACING = 3.0
"""Seconds between two looks in that time: a device that is busy now may answer a little later, but must not be asked all the time."""

_FRESH = 30.0
"""Seconds after which a look says nothing about now, because the transfer took longer than it seemed."""

LOG = structlog.get_logger("otagate.conductor")


@dataclass(slots=True, kw_only=True)
class Keeper:
    """The portrait of a device, as far as it is known. How many devices are asked at once is bounded by their radio.

    What people change all day is remembered here alone: after a restart of the hub nobody knows when it was so.
    """

    radio: Radio
    tools: Tools
    _before: Portrait | None = None
    tasks: asyncio.TaskGroup | None = None
    _glance: asyncio.Task[None] | None = None
    _glanced: Portrait | None = None
    _glanced_at: float = float("-inf")
    _asked_at: float = float("-inf")
    _report_due: float | None = None

    async def portray(self, update: Update) -> Portrait | None:
        """How the device is set now, to be kept with the row; None where nobody can or wants to know."""
        if self._care(update) == "ignore":
            return None
        told = await self._ask(update)
        if told is None or not told.answered:
            return None
        self._before = told
        heard = self._reported(update)
        if told.report_due is not None and heard is not None and heard <= told.report_due:
            self._report_due = told.report_due
        return told

    async def remember(self, update: Update) -> None:
        """At the start of a transfer, where nothing is known yet: a sleeping device listens now. What an earlier life of the hub recorded counts."""
        try:
            known = await self._known(update)
            if known is None and (told := await self.portray(update)) is not None:
                await self.tools.ledger.portrayed(update.id, told)
        except StoreError as error:
            LOG.debug("portrait not kept", update=update.id, error=str(error))

    def nearing(self, update: Update, eta: float | None) -> float | None:
        """The transfer ends in about `eta` seconds: look where that is soon; returns in how many seconds to come again, None where that is done."""
        if eta is None or not self._wants_a_glance():
            return None
        ahead = _AHEAD / self.tools.waits.pace
        if eta > ahead:
            return max(eta - ahead, ahead / 10)
        rest = self._asked_at + _SPACING / self.tools.waits.pace - self.tools.clock.monotonic()
        if rest > 0:
            return rest
        self.glance(update)
        return _SPACING / self.tools.waits.pace

    def glance(self, update: Update) -> None:
        """The device restarts soon: look at what is on now, and how bright. Nothing waits for its answer, the device's own requests least of all."""
        if self.tasks is not None and self._wants_a_glance():
            self._glanced, self._asked_at = None, self.tools.clock.monotonic()
            self._glance = self.tasks.create_task(self._look(update), name=f"glance:{update.id}")

    async def glanced(self) -> None:
        """The look that was begun is over."""
        if self._glance is not None:
            await asyncio.wait([self._glance])

    def look_no_more(self) -> None:
        """The update has ended."""
        if self._glance is not None:
            self._glance.cancel()

    def _wants_a_glance(self) -> bool:
        looking = self._glance is not None and not self._glance.done()
        age = (self.tools.clock.monotonic() - self._glanced_at) * self.tools.waits.pace
        return self._before is not None and bool(self._before.fleeting) and not looking and (self._glanced is None or age > _FRESH)

    async def _look(self, update: Update) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_GLANCE / self.tools.waits.pace):
                self._glanced = await self._ask(update, () if self._before is None else self._before.fleeting)
                self._glanced_at = self.tools.clock.monotonic()

    async def settle(self, update: Update, *, since_return: float | None) -> Behaviour | None:
        """Compare, and give back what was lost; None where nothing is known from before."""
        before, care = await self._known(update), self._care(update)
        if before is None or care == "ignore":
            return None
        before = before.lasting if self._glanced is None else before.lasting.renewed(self._glanced)
        first = compare(before, await self._ask(update, before.answered) or Portrait())
        wanted = to_restore(first.changed, care, since_return=since_return)
        last = Comparison()
        if wanted:
            LOG.info("settings given back", update=update.id, settings=[each.name for each in wanted])
            await self._give_back(update, wanted)
            asked = tuple(dict.fromkeys(each.question for each in wanted))
            last = compare(Portrait(answered=asked, settings=wanted), await self._ask(update, asked) or Portrait())
        return conclude(first, wanted, last)

    @property
    def report_due(self) -> float | None:
        """The device reported, and promised to, at least so often before the update, in seconds; None where it did not, or nobody knows any more."""
        return self._report_due

    def has_reported(self, update: Update, since: float) -> bool:
        """Whether it has reported in the last seconds."""
        heard = self._reported(update)
        return heard is not None and heard <= since

    def _reported(self, update: Update) -> float | None:
        heard = self.radio.reported(update.device) if isinstance(self.radio, Keeping) else None
        return None if heard is None else heard * self.tools.waits.pace

    async def _known(self, update: Update) -> Portrait | None:
        """Raises StoreUnavailable."""
        if self._before is None:
            self._before = await self.tools.store.portraits.get(update.id)
        return self._before

    async def _ask(self, update: Update, questions: Collection[str] | None = None) -> Portrait | None:
        if not isinstance(self.radio, Keeping) or update.foreign or update.delegated:
            return None
        try:
            return await self.radio.portray(update.device, questions)
        except OtagateError as error:
            LOG.debug("settings not read", update=update.id, error=str(error))
            return None

    async def _give_back(self, update: Update, wanted: Sequence[Setting]) -> None:
        if not isinstance(self.radio, Keeping):
            return
        try:
            await self.radio.restore(update.device, wanted)
        except OtagateError as error:
            LOG.debug("settings not given back", update=update.id, error=str(error))

    def _care(self, update: Update) -> Care:
        device = self.tools.registry.known(update.device)
        return PolicySettings().behaviour if device is None else self.tools.policy_of(device).behaviour
