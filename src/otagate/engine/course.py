"""The course of one update from its admission to its end, step by step; one method a state, one task an update.

The row is the truth: whoever changes it (this course, an operator, a restart) does so through the ledger, and the course looks at the row again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from otagate.engine.certificate import certify
from otagate.engine.confirmation import Confirmation, Finding
from otagate.engine.conversation import FAILED_ATTEMPT, still_to_come
from otagate.engine.fetcher import Postponed, Ready, Rejected
from otagate.engine.keeper import Keeper
from otagate.engine.mailbox import Changed, Heard, Letter, Mailbox, Returned, Told
from otagate.engine.progress import Progress
from otagate.engine.reader import Reader
from otagate.engine.serving import ADOPTED, delegate_order, serve_order, watch_order
from otagate.engine.tools import Tools
from otagate.engine.vigil import Vigil
from otagate.engine.waits import Stopwatch
from otagate.model.devices import Device
from otagate.model.errors import ImageError, StoreError, UnknownDevice, UnknownImage, UpdateError
from otagate.model.lifecycle import Cause, State
from otagate.model.orders import Activate, Park, Pause, Withdraw
from otagate.model.updates import Update
from otagate.model.versions import display_version
from otagate.policy.guards import asks_around
from otagate.policy.job import goes_on
from otagate.policy.pace import learned
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
    """One running update: its row as last committed, its mailbox, its live progress. `questions` bounds those that a radio's courses ask at once.

    `together`: so many devices of its radio begin with the same image at one moment.
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
    _began_at: int = field(init=False)
    _fell_silent: bool = False
    _came_back: bool = False
    _rate: float | None = None
    _sent: int = 0
    _charged: int | None = None
    sentence: str | None = None
    _staged_at: float | None = None
    _returned_at: float | None = None
    _unread: bool = False

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
            self._came_back, self._returned_at = True, self.tools.clock.monotonic()
        self.update = update
        self.mailbox.put(Changed())

    async def run(self) -> None:
        """Go on until the update has ended or is back in the queue; a store that refuses is waited for, nothing else is."""
        async with asyncio.TaskGroup() as self.keeper.tasks:
            await self._go_on()
            self.keeper.look_no_more()

    async def _go_on(self) -> None:
        steps: Mapping[State, Callable[[], Awaitable[None]]] = {
            State.FETCHING: self._fetch,
            State.OFFERING: self._converse,
            State.TRANSFERRING: self._converse,
            State.STAGED: self._hold,
            State.ACTIVATING: self._await_return,
            State.CONFIRMING: self._confirm,
        }
        while (state := self.update.state).running:
            try:
                await steps[state]()
            except StoreError:
                await asyncio.sleep(self.tools.waits.store_retry)
            except UpdateError:
                if self.update.state is state:
                    raise  # nobody else moved it, so the step itself is wrong
        if self.update.state is State.QUEUED and self._fell_silent and not self.sleepy:
            await self.reader.probe(self.update.device)
        if self.update.ended:
            self.radio.command(Withdraw(update=self.update.id))

    # --- fetching ---------------------------------------------------------------------------------------------------------------------

    async def _fetch(self) -> None:
        """Have the image brought and trusted, or hear why not."""
        found = await self.tools.fetcher.provide(self.update, self._device())
        if isinstance(found, Ready):
            portrait = None if self.sleepy else await self.keeper.portray(self.update)
            image = found.image
            await self._advance(Cause.VERIFIED, detail=found.detail, image=image.sha256, bytes_total=image.facts.size, portrait=portrait)
            self.progress.total = self.update.bytes_total
        elif isinstance(found, Rejected):
            await self._advance(Cause.REJECTED, detail=found.detail, code=found.code)
        else:
            await self._postpone(found)

    async def _postpone(self, found: Postponed, *, cause: Cause = Cause.FETCH_FAILED) -> None:
        """Try again later: a source that is away costs no attempt, one that gave something of no use does."""
        now = self.tools.clock.now()
        attempts = self.update.attempts + 1 if found.at_fault else self.update.attempts
        if attempts > self._policy().retries:
            detail = f"{found.detail}. {attempts} attempts to fetch it were in vain."
            await self._advance(cause, Cause.RETRIES_SPENT, detail=detail, code="source-refused", attempts=attempts)
            return
        pause = (FETCH_BACKOFF if found.at_fault else FETCH_AGAIN) / self.tools.waits.pace
        not_before = max(found.until or now, now + pause)
        await self._advance(cause, detail=found.detail, attempts=attempts, reason=found.reason, not_before=not_before)

    # --- offering and transferring ----------------------------------------------------------------------------------------------------

    async def serve(self, *, adopted: bool) -> None:
        """Pin the image in the session of the device. Raises UnknownImage, ImageError, StoreUnavailable."""
        update, library = self.update, self.tools.library
        if update.foreign or update.delegated:
            self.radio.command(watch_order(update) if update.foreign else delegate_order(update, adopted=adopted))
            if self._held:
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
        at_will = self.update.released_by is not None and not asks_around(self.update, self._policy())
        order = serve_order(self.update, view, facts, adopted=taken_up, quiet=self._held, together=self.together, at_will=at_will)
        self.radio.command(order)
        if self._held:
            self.radio.command(Pause(update=update.id))
        self.served = True

    async def _serve_once(self) -> bool:
        """Whether the session knows the image; a step that begins again does not disturb it."""
        if self.served:
            return True
        try:
            await self.serve(adopted=self.adopted)
        except (UnknownImage, ImageError) as error:
            LOG.warning("image of a running update is gone", update=self.update.id, error=str(error))
            return False
        return True

    async def _converse(self) -> None:
        """Serve, and follow what the session tells until the state is another one."""
        state, waits = self.update.state, self.tools.waits
        failure = Cause.EXPIRED if state is State.OFFERING else Cause.STALLED
        if not await self._serve_once():
            await self._try_again((failure,), "the stored image cannot be read any more")
            return
        if state is State.TRANSFERRING:
            await self.keeper.remember(self.update)
        device = self._device()
        elsewhere = device is not None and device.protocol == "zigbee" and device.sleepy and not self.radio.pauses
        patience = waits.silence + (waits.activation_sleepy if self.update.delegated or elsewhere else 0.0)  # who waits there for one that sleeps
        silence, moved = Stopwatch(self.tools.clock, self._in_charge), self.progress.mark
        self._charged = None if device is None else device.battery_percent
        spent, began_at, seconds = Stopwatch(self.tools.clock, self._in_charge), self.progress.offset, 0.0
        while self._stands(state):
            async with self.mailbox.reading(self._until_next_look()) as letter:
                seconds = spent.read()
                if isinstance(letter, TransferAdvanced) or self.progress.mark != moved:
                    silence.restart()
                    moved = self.progress.mark
                await self._take(letter)
                if self._stands(State.TRANSFERRING) and self._all_handed_out():
                    await self._notice_reboot(letter)
            if self._stands(state) and self.progress.due_on_disk():
                await self._sample()
            if self._stands(state) and silence.read() >= patience:
                await self._try_again((failure,), f"nothing was heard of it for {patience:.0f} s", unheard=True)
        if state is State.TRANSFERRING:
            self._learn(self.progress.offset - began_at, seconds)

    def _until_next_look(self) -> float:
        """Seconds; a little before the end of a transfer it is looked at what is on, because its device restarts then."""
        poll = self.tools.waits.poll
        if self.sleepy or not self._stands(State.TRANSFERRING):
            return poll
        nearing = self.keeper.nearing(self.update, self.progress.eta(self.tools.clock.monotonic()))
        return poll if nearing is None else min(poll, nearing)

    def _learn(self, size: int, seconds: float) -> None:
        """How fast the device takes an image, where it took most of one without being told to wait."""
        device = self._device()
        component = None if device is None else device.component(self.update.component)
        if component is not None and size * 2 >= self.update.bytes_total:
            self._rate, self._sent = learned(component.rate, size, seconds), size

    @property
    def _held(self) -> bool:
        """Whether it is to stand still: an operator wants that, or its window has closed."""
        return self.tools.held(self.update)

    def _in_charge(self) -> bool:
        """Whether silence is the device's: its radio is up and nobody told it to wait."""
        return self.tools.registry.is_up(self.update.radio) and not self._held

    async def _sample(self) -> None:
        with suppress(StoreError):  # the next look tries again
            await self.tools.ledger.sample(self.update.id, self.progress.offset)
            self.progress.saved_now()

    # --- staged, activating, confirming -----------------------------------------------------------------------------------------------

    async def _hold(self) -> None:
        """The image is on the device; wait for the word to use it, or for the device to use it by itself."""
        await self._serve_once()
        self._staged_at = float("-inf") if self.adopted else self.tools.clock.monotonic()
        while self._stands(State.STAGED):  # the conductor's look, or an operator, moves it on
            async with self.mailbox.reading(None) as letter:
                await self._take(letter)
                if self._stands(State.STAGED):
                    await self._notice_reboot(letter)

    async def _notice_reboot(self, letter: Letter | None) -> None:
        """A device that holds the whole image and comes back, or tells its version, may have used it without the word.

        One that came back and did not answer, because it was not done with that, is asked when it is heard next.
        """
        state = self.update.state
        told = letter.component.version if isinstance(letter, Told) else None
        if isinstance(letter, Returned) or (self._unread and isinstance(letter, Heard)):
            told = await self.reader.version(self.update)
            self._unread = told is None
        if self.update.is_done_by(told) and self._stands(state):
            await self._advance(Cause.REBOOTED, detail="the device runs the new version without having been told to")

    def _held_long(self) -> bool:
        """Whether the device waited with the image: one that used it hours later was switched off and on, which says nothing about it."""
        return self._staged_at is not None and self.tools.clock.monotonic() - self._staged_at >= _WAITED / self.tools.waits.pace

    def _all_handed_out(self) -> bool:
        """Whether the device may hold the whole image; what it got in an earlier life of the hub is not known."""
        return self.adopted or self.progress.offset >= self.update.bytes_total

    async def _await_return(self) -> None:
        """The device was told to use the image: wait until it is back, whatever way it shows that."""
        await self._serve_once()
        waits = self.tools.waits
        patience = waits.activation_sleepy if self.sleepy else waits.activation
        spent = Stopwatch(self.tools.clock, self._in_charge)
        if self.update.holds and not self._held and not self.sleepy:
            self.keeper.glance(self.update)
            await self.keeper.glanced()
        self._urge()
        while self._stands(State.ACTIVATING):
            async with self.mailbox.reading(waits.poll) as letter:
                await self._take(letter)
                if not self._stands(State.ACTIVATING):
                    return
                if isinstance(letter, Returned):
                    await self._advance(Cause.RETURNED, detail="the device is back on the network")
                elif await self._runs_new_version(letter):
                    await self._advance(Cause.RETURNED, detail="the device tells the new version")
                elif spent.read() >= patience:
                    detail = f"the device was told to use the new image and did not come back within {patience:.0f} s"
                    await self._advance(Cause.LOST, detail=detail)

    async def _runs_new_version(self, letter: Letter | None) -> bool:
        """Whether the device tells the new version: by itself, or asked at a look; one that sleeps is asked when it is heard."""
        if isinstance(letter, Told):
            return self.update.is_done_by(letter.component.version)
        if not self._invites(letter):
            return False
        version = await self.reader.version(self.update)
        done = self.update.is_done_by(version)
        if version is not None and not done:
            self._urge()
        return done

    def _urge(self) -> None:
        """An image that was held needs the word; one that was not has it in the answer to its Upgrade End Request, or to that of the last one."""
        if self.update.holds and not self.update.wants_more and not self._held:
            self.radio.command(Activate(update=self.update.id))

    async def _confirm(self) -> None:
        """Success is a fresh word of the device about its version, never its word that it has taken the image."""
        await self._serve_once()
        waits, clock = self.tools.waits, self.tools.clock
        patience = waits.activation_sleepy if self.sleepy else max(waits.confirmation, 0.0 if self._came_back else waits.activation)
        confirmation = Confirmation(update=self.update, patience=patience, settle=waits.settle, back=self._came_back, honest=self._honest)
        spent, read_at = Stopwatch(clock, self._in_charge), float("-inf")
        letter: Letter | None = Returned() if confirmation.back else None
        while self._stands(State.CONFIRMING):
            if self._invites(letter) and clock.monotonic() - read_at >= waits.poll / 10:
                await self._look(confirmation)
                read_at = clock.monotonic()
            finding = confirmation.finding(spent.read())
            if finding is not None:
                await (self._prove if finding.cause is Cause.VERSION_MATCHES else self._conclude)(finding)
                return
            async with self.mailbox.reading(waits.poll) as letter:
                await self._take(letter)
            if isinstance(letter, Told) and confirmation.honest:
                confirmation.told(letter.component.version)
            elif isinstance(letter, Returned):
                confirmation.returned(spent.read())

    async def _prove(self, told: Finding) -> None:
        """The new version was told: see that the device is set as before, and lives with it."""
        since = None if self._returned_at is None else (self.tools.clock.monotonic() - self._returned_at) * self.tools.waits.pace
        behaviour = await self.keeper.settle(self.update, since_return=since)
        found = await self._watch_over(told)
        if found is None:
            return
        if found.cause is Cause.VERSION_MATCHES and behaviour is not None and behaviour.sentence:
            found = replace(found, detail=f"{found.detail}; {behaviour.sentence}")
        await self._conclude(found, behaviour=behaviour)

    async def _watch_over(self, told: Finding) -> Finding | None:
        """The new version was told: see that the device lives with it. None where somebody else has moved the update meanwhile.

        What a cloud or another program carried out is theirs to watch; of a chain or a release only the last step is. A restart begins it anew.
        """
        settings, update = self._policy(), self.update
        if not settings.alive_for or update.delegated or update.foreign or goes_on(update, await self.tools.store.updates.unfinished(update.device)):
            return told
        due, pace = None if self.sleepy else self.keeper.report_due, self.tools.waits.pace
        vigil = Vigil(settings=settings, sleepy=self.sleepy, pace=pace, report_due=due)
        spent, began = Stopwatch(self.tools.clock, self._in_charge), self.tools.clock.monotonic() if self._returned_at is None else self._returned_at
        self.mailbox.forget(Returned, Heard, Told)  # that was before
        while self._stands(State.CONFIRMING):
            vigil.reported = self.keeper.has_reported(update, (self.tools.clock.monotonic() - began) * pace)
            health = vigil.judge(spent.read())
            self.sentence = health.sentence
            if health.action == "healthy":
                return replace(told, detail=f"{told.detail} and {health.sentence}")
            if health.action == "failed":
                return replace(told, cause=Cause.EXPIRED, detail=health.sentence, code=health.code)
            version, letter = None, None
            if health.action == "ask":
                version = await self.reader.version(self.update)
            if version is None:
                async with self.mailbox.reading(min(self.tools.waits.poll, vigil.rest(spent.read()) or self.tools.waits.poll)) as letter:
                    await self._take(letter)
                version = letter.component.version if isinstance(letter, Told) else None
            if version is not None and self._honest and not self.update.is_done_by(version):
                return replace(told, cause=Cause.MISMATCH, detail=f"it told the new version, and went back to {display_version(version)}")
            if isinstance(letter, Returned):
                vigil.restarted(spent.read())
            elif version is not None or isinstance(letter, Heard):
                vigil.heard(spent.read(), told=version is not None)
        return None

    async def _look(self, confirmation: Confirmation) -> None:
        """Ask for the version; the old one, of a device that has not come back, may mean that the hub died before the word was on the air."""
        version = await self.reader.version(self.update)
        confirmation.told(version)
        if version is not None and not confirmation.back and not self.update.is_done_by(version):
            self._urge()

    async def _conclude(self, finding: Finding, **changes: Any) -> None:
        changes["completed_transfers"] = finding.completed_transfers
        if finding.cause is Cause.VERSION_MATCHES:
            self.progress.moved(self.update.bytes_total, self.tools.clock.monotonic())
            changes["bytes_sent"] = self.update.bytes_total
            await certify(self.tools, self.update, rate=self._rate, size=self._sent, charged=self._charged)
        await self._advance(finding.cause, detail=finding.detail, code=finding.code, **changes)

    def _invites(self, letter: Letter | None) -> bool:
        """Whether now is the time to ask for the version: at every look, a device that sleeps when it is heard, any device that came back."""
        return isinstance(letter, (Returned, Heard if self.sleepy else type(None)))

    @property
    def _honest(self) -> bool:
        device = self._device()
        return device is None or self.tools.quirk_of(device.manufacturer_code, device.model).tells_version

    def _stands(self, state: State) -> bool:
        return self.update.state is state

    @property
    def sleepy(self) -> bool:
        """Whether the device can be asked only when it is heard."""
        device = self._device()
        return device is not None and device.sleepy

    def _device(self) -> Device | None:
        try:
            return self.tools.registry.device(self.update.device)
        except UnknownDevice:
            return None

    # --- letters ----------------------------------------------------------------------------------------------------------------------

    async def _take(self, letter: Letter | None) -> None:
        """The conversation reached a cause: commit it, then let the held answer leave."""
        if not isinstance(letter, TransferAdvanced):
            return
        causes = still_to_come(self.update.state, letter.causes)
        if causes is None:
            LOG.info("session and row disagree", update=self.update.id, state=self.update.state, causes=[str(each) for each in letter.causes])
            self.radio.command(Park(update=self.update.id))  # what it told is moot; serving again tells it where the update stands
            self.adopted, self.served = True, False
            await self._serve_once()
            return
        self.progress.moved(letter.offset, self.tools.clock.monotonic())
        if causes and causes[-1] in FAILED_ATTEMPT:
            await self._try_again(causes, letter.detail, letter.code, until=letter.until)
        elif causes:
            if Cause.ACTIVATED in causes and not self.sleepy:
                self.keeper.glance(self.update)
            reached = max(self.update.bytes_sent, letter.offset)
            told: dict[str, Any] = {"bytes_sent": reached, "activation_owed": letter.held, "wants_more": letter.wants_more or self.update.wants_more}
            await self._advance(*causes, detail=letter.detail, code=letter.code, **told)
        self.radio.committed(letter.token)

    async def _try_again(
        self, causes: tuple[Cause, ...], detail: str, code: str | None = None, *, unheard: bool = False, until: datetime | None = None
    ) -> None:
        """The attempt is over: back to the queue, or the end where no attempt is left. What failed while an operator held it counts nothing.

        What another program began is not begun again, nor what a cloud may have been told (`unheard`: nobody knows) and cannot be asked about.
        """
        if self.update.foreign or (self.update.delegated and unheard):
            end = Cause.DECLINED if self._stands(State.OFFERING) else Cause.IMAGE_REJECTED
            await self._advance(end, detail=detail, code=code or "transfer-interrupted")
            return
        if self.update.delegated and code in _CLOUD_AWAY:
            reason = "quota" if code == "quota" else "source_unreachable"
            await self._postpone(Postponed(reason=reason, detail=detail, until=until), cause=Cause.EXPIRED)
            return
        now = self.tools.clock.now()
        reached = max(self.update.bytes_sent, self.progress.offset)
        if self._held:
            await self._advance(*causes, detail=detail, bytes_sent=reached)
            return
        unasked = causes[-1] is Cause.EXPIRED and code is None
        retry = after_attempt(self.update, began_at=self._began_at, reached=reached, settings=self._policy(), now=now, unasked=unasked)
        if retry.not_before is None:
            why, attempts = code or retry.verdict.code, retry.attempts
            detail = f"{detail}. {retry.verdict.sentence}"
            await self._advance(*causes, Cause.RETRIES_SPENT, detail=detail, code=why, attempts=attempts, bytes_sent=reached)
            return
        pause = max((retry.not_before - now) / self.tools.waits.pace, timedelta(seconds=0.05))
        changes: dict[str, Any] = {"attempts": retry.attempts, "not_before": now + pause, "reason": "backoff", "bytes_sent": reached}
        await self._advance(*causes, detail=detail, **changes)
        self._fell_silent = Cause.ABORTED_BY_DEVICE not in causes

    def _policy(self) -> PolicySettings:
        device = self._device()
        return PolicySettings() if device is None else self.tools.policy_of(device)

    async def _advance(self, *causes: Cause, detail: str, code: str | None = None, **changes: Any) -> None:
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
