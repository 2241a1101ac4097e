"""One update that runs: its row as last committed, its session, and how what reaches it is committed before it is answered.

The row is the truth: whoever changes it (a step of this course, an operator, a restart) does so through the ledger, and the step looks at the row
again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog

from otagate.engine.certificate import Haul
from otagate.engine.conversation import FAILED_ATTEMPT, still_to_come
from otagate.engine.fetcher import Postponed
from otagate.engine.keeper import Keeper
from otagate.engine.mailbox import Changed, Heard, Letter, Mailbox, Returned, Told
from otagate.engine.progress import Progress
from otagate.engine.reader import Reader
from otagate.engine.serving import ADOPTED, delegate_order, serve_order, watch_order
from otagate.engine.tools import Tools
from otagate.model.devices import Device
from otagate.model.errors import ImageError, StoreError, UnknownImage
from otagate.model.lifecycle import Cause, State
from otagate.model.orders import Park, Pause
from otagate.model.updates import Update
from otagate.policy.guards import asks_around
from otagate.policy.retry import FETCH_AGAIN, FETCH_BACKOFF, after_attempt
from otagate.policy.settings import PolicySettings
from otagate.ports import Radio, TransferAdvanced

_CLOUD_AWAY = frozenset({"source-unreachable", "source-misconfigured", "quota"})
"""Why a cloud could not be told, for reasons that are nobody's attempt."""

_WAITED = 600.0
"""Seconds after which a device that holds an image has shown that it waits for the word."""

LOG = structlog.get_logger("otagate.conductor")


@dataclass(slots=True, kw_only=True)
class Course:
    """What the steps of one running update share. `questions` bounds those that a radio's courses ask at once.

    `together`: so many devices of its radio begin with the same image at one moment. `served`: the session knows where the update stands.
    `fell_silent`: its last attempt ended without a word of the device. `staged_at`, `returned_at`: since when, on a rising clock, the device holds
    the image and is back with it, as far as this life of the hub knows. `rests_until`: it said that it is away until then, on that clock. `haul`:
    what its transfer showed. `sentence`: how it does, where its state does not say so.
    """

    update: Update
    radio: Radio
    tools: Tools
    questions: asyncio.Semaphore
    adopted: bool = False
    together: int = 1
    mailbox: Mailbox = field(default_factory=Mailbox)
    progress: Progress = field(init=False)
    reader: Reader = field(init=False)
    keeper: Keeper = field(init=False)
    served: bool = False
    fell_silent: bool = False
    staged_at: float | None = None
    returned_at: float | None = None
    rests_until: float = float("-inf")
    haul: Haul = field(default_factory=Haul)
    sentence: str | None = None
    _began_at: int = field(init=False)

    def __post_init__(self) -> None:
        self.reader = Reader(radio=self.radio, registry=self.tools.registry, questions=self.questions)
        self.keeper = Keeper(radio=self.radio, tools=self.tools)
        self.progress = Progress(total=self.update.bytes_total, offset=self.update.bytes_sent, saved=self.update.bytes_sent)
        self._began_at = self.update.bytes_sent

    def changed(self, update: Update) -> None:
        """The row is another one now."""
        if update.state is State.ACTIVATING and self.update.state is not State.ACTIVATING:
            self.mailbox.forget(Returned, Heard, Told)  # that was before it was told to use the image
        if update.state is State.CONFIRMING and self.update.state is not State.CONFIRMING:
            self.returned_at = self.tools.clock.monotonic()
        self.update = update
        self.mailbox.put(Changed())

    # --- its device -------------------------------------------------------------------------------------------------------------------

    def device(self) -> Device | None:
        """The device as it is known now; None where nobody knows it any more."""
        return self.tools.registry.known(self.update.device)

    def policy(self) -> PolicySettings:
        """What policy wants for the device."""
        device = self.device()
        return PolicySettings() if device is None else self.tools.policy_of(device)

    @property
    def sleepy(self) -> bool:
        """Whether the device can be asked only when it is heard."""
        device = self.device()
        return device is not None and device.sleepy

    @property
    def held(self) -> bool:
        """Whether it is to stand still: an operator wants that, or its window has closed."""
        return self.tools.held(self.update)

    def in_charge(self) -> bool:
        """Whether silence is the device's: its radio is up, nobody told it to wait, and it did not say that it is away."""
        rests = self.tools.clock.monotonic() < self.rests_until
        return self.tools.registry.is_up(self.update.radio) and not self.held and not rests

    def stands(self, state: State) -> bool:
        """Whether the update is in this state still."""
        return self.update.state is state

    # --- its session ------------------------------------------------------------------------------------------------------------------

    async def serve(self, *, adopted: bool) -> None:
        """Pin the image in the session of the device. Raises UnknownImage, ImageError, StoreUnavailable."""
        update, library = self.update, self.tools.library
        if update.foreign or update.delegated:
            self.radio.command(watch_order(update) if update.foreign else delegate_order(update, adopted=adopted))
            if self.held:
                self.radio.command(Pause(update=update.id))
            self.served = True
            return
        if update.image is None:
            raise UnknownImage(f"update {update.id} names no stored image")
        view = await library.map(update.image)
        facts = library.image(update.image).facts
        if self.update.id != update.id or self.update.ended:
            return
        taken_up = ADOPTED.get(self.update.state) if adopted else None
        at_will = self.update.released_by is not None and not asks_around(self.update, self.policy())
        order = serve_order(self.update, view, facts, adopted=taken_up, quiet=self.held, together=self.together, at_will=at_will)
        self.radio.command(order)
        if self.held:
            self.radio.command(Pause(update=update.id))
        self.served = True

    async def serve_once(self) -> bool:
        """Whether the session knows the image; a step that begins again does not disturb it."""
        if self.served:
            return True
        try:
            await self.serve(adopted=self.adopted)
        except (UnknownImage, ImageError) as error:
            LOG.warning("image of a running update is gone", update=self.update.id, error=str(error))
            return False
        return True

    # --- letters ----------------------------------------------------------------------------------------------------------------------

    async def take(self, letter: Letter | None) -> None:
        """The conversation reached a cause: commit it, then let the held answer leave."""
        if not isinstance(letter, TransferAdvanced):
            return
        causes = still_to_come(self.update.state, letter.causes)
        if causes is None:
            LOG.info("session and row disagree", update=self.update.id, state=self.update.state, causes=[str(each) for each in letter.causes])
            self.radio.command(Park(update=self.update.id))  # what it told is moot; serving again tells it where the update stands
            self.adopted, self.served = True, False
            await self.serve_once()
            return
        self.progress.moved(letter.offset, self.tools.clock.monotonic())
        if causes and causes[-1] in FAILED_ATTEMPT:
            await self.try_again(causes, letter.detail, letter.code, until=letter.until)
        elif causes:
            if Cause.ACTIVATED in causes and not self.sleepy:
                self.keeper.glance(self.update)
            reached = max(self.update.bytes_sent, letter.offset)
            told: dict[str, Any] = {"bytes_sent": reached, "activation_owed": letter.held, "wants_more": letter.wants_more or self.update.wants_more}
            self.rests_until = self.tools.clock.monotonic() + letter.rest
            await self.advance(*causes, detail=letter.detail, code=letter.code, **told)
        self.radio.committed(letter.token)

    async def try_again(
        self, causes: tuple[Cause, ...], detail: str, code: str | None = None, *, unheard: bool = False, until: datetime | None = None
    ) -> None:
        """The attempt is over: back to the queue, or the end where no attempt is left. What failed while an operator held it counts nothing.

        What another program began is not begun again, nor what a cloud may have been told (`unheard`: nobody knows) and cannot be asked about.
        """
        if self.update.foreign or (self.update.delegated and unheard):
            end = Cause.DECLINED if self.stands(State.OFFERING) else Cause.IMAGE_REJECTED
            await self.advance(end, detail=detail, code=code or "transfer-interrupted")
            return
        if self.update.delegated and code in _CLOUD_AWAY:
            reason = "quota" if code == "quota" else "source_unreachable"
            await self.postpone(Postponed(reason=reason, detail=detail, until=until), cause=Cause.EXPIRED)
            return
        now = self.tools.clock.now()
        reached = max(self.update.bytes_sent, self.progress.offset)
        if self.held:
            await self.advance(*causes, detail=detail, bytes_sent=reached)
            return
        unasked = causes[-1] is Cause.EXPIRED and code is None
        retry = after_attempt(self.update, began_at=self._began_at, reached=reached, settings=self.policy(), now=now, unasked=unasked)
        if retry.not_before is None:
            why, attempts = code or retry.verdict.code, retry.attempts
            detail = f"{detail}. {retry.verdict.sentence}"
            await self.advance(*causes, Cause.RETRIES_SPENT, detail=detail, code=why, attempts=attempts, bytes_sent=reached)
            return
        pause = max((retry.not_before - now) / self.tools.waits.pace, timedelta(seconds=0.05))
        changes: dict[str, Any] = {"attempts": retry.attempts, "not_before": now + pause, "reason": "backoff", "bytes_sent": reached}
        await self.advance(*causes, detail=detail, **changes)
        self.fell_silent = Cause.ABORTED_BY_DEVICE not in causes

    async def postpone(self, found: Postponed, *, cause: Cause = Cause.FETCH_FAILED) -> None:
        """Try again later: a source that is away costs no attempt, one that gave something of no use does."""
        now = self.tools.clock.now()
        attempts = self.update.attempts + 1 if found.at_fault else self.update.attempts
        if attempts > self.policy().retries:
            detail = f"{found.detail}. {attempts} attempts to fetch it were in vain."
            await self.advance(cause, Cause.RETRIES_SPENT, detail=detail, code="source-refused", attempts=attempts)
            return
        pause = (FETCH_BACKOFF if found.at_fault else FETCH_AGAIN) / self.tools.waits.pace
        not_before = max(found.until or now, now + pause)
        await self.advance(cause, detail=found.detail, attempts=attempts, reason=found.reason, not_before=not_before)

    # --- its row ----------------------------------------------------------------------------------------------------------------------

    async def advance(self, *causes: Cause, detail: str, code: str | None = None, **changes: Any) -> None:
        """Commit, however long the store refuses: what the device did is true, and it is told nothing before it is written."""
        if Cause.REBOOTED in causes and self.update.hold_activation and self.update.released_by is None and not self._held_long():
            await self.tools.registry.showed(self.update.device, self.update.component, holds=False)
        while True:
            try:
                update = await self.tools.ledger.advance(self.update.id, causes, detail=detail, code=code, **changes)
            except StoreError:
                await asyncio.sleep(self.tools.waits.store_retry)
            else:
                self.changed(update)
                return

    def _held_long(self) -> bool:
        """Whether the device waited with the image: one that used it hours later was switched off and on, which says nothing about it."""
        return self.staged_at is not None and self.tools.clock.monotonic() - self.staged_at >= _WAITED / self.tools.waits.pace
