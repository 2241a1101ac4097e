"""The course of one update from its admission to its end, step by step; one method a state, one task an update."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import structlog

from otagate.engine.ledger import Ledger
from otagate.engine.library import Library
from otagate.engine.mailbox import Asked, Letter, Mailbox, Returned, Told
from otagate.engine.progress import Progress
from otagate.engine.registry import Registry
from otagate.model.devices import Device
from otagate.model.errors import ImageError, NotCancellable, NotInState, OtagateError, RadioUnavailable, StoreError, UnknownImage
from otagate.model.ids import UpdateId
from otagate.model.lifecycle import TABLE, Cause, State, cancellable
from otagate.model.orders import Activate, Pause, Serve, Withdraw
from otagate.model.updates import Update
from otagate.policy.retry import after_attempt
from otagate.policy.settings import PolicySettings
from otagate.policy.trust import trust
from otagate.ports import Clock, Radio, Store, TransferAdvanced

LOG = structlog.get_logger("otagate.conductor")

_ADOPTED = {State.OFFERING: "offering", State.TRANSFERRING: "transferring", State.STAGED: "staged", State.ACTIVATING: "activating"}
_FAILED_ATTEMPT = frozenset({Cause.STALLED, Cause.ABORTED_BY_DEVICE, Cause.EXPIRED, Cause.FETCH_FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """How long the engine waits, in seconds; `pace` shortens backoffs where simulated hardware lives faster."""

    activation: float = 900.0
    activation_sleepy: float = 86_400.0
    confirmation: float = 600.0
    poll: float = 20.0
    store_retry: float = 1.0
    pace: float = 1.0

    def scaled(self, factor: float) -> Waits:
        """The same waits, `factor` times shorter."""
        return Waits(
            activation=self.activation / factor,
            activation_sleepy=self.activation_sleepy / factor,
            confirmation=self.confirmation / factor,
            poll=self.poll / factor,
            store_retry=self.store_retry,
            pace=self.pace * factor,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What every course works with."""

    store: Store
    ledger: Ledger
    registry: Registry
    library: Library
    clock: Clock
    waits: Waits
    policy_of: Callable[[Device], PolicySettings]


@dataclass(slots=True, kw_only=True)
class Course:
    """One running update: its row as last committed, its mailbox, its live progress."""

    update: Update
    radio: Radio
    tools: Tools
    adopted: bool = False
    mailbox: Mailbox = field(default_factory=Mailbox)
    progress: Progress = field(default_factory=lambda: Progress(total=0))
    began_at: int = 0

    def __post_init__(self) -> None:
        self.progress = Progress(total=self.update.bytes_total, offset=self.update.bytes_sent, saved=self.update.bytes_sent)
        self.progress.saved_at = self.tools.clock.monotonic()
        self.began_at = self.update.bytes_sent

    async def run(self) -> None:
        """Go on until the update has ended or is back in the queue; a store that refuses is waited for, nothing else is."""
        steps = {
            State.FETCHING: self._fetch,
            State.OFFERING: self._converse,
            State.TRANSFERRING: self._converse,
            State.STAGED: self._hold,
            State.ACTIVATING: self._await_return,
            State.CONFIRMING: self._confirm,
        }
        while self.update.state.running:
            try:
                await steps[self.update.state]()
            except StoreError as error:
                LOG.warning("store refuses", update=self.update.id, error=str(error))
                await self._take(await self.mailbox.get(self.tools.waits.store_retry), quiet=True)
        if self.update.state.final:
            self.radio.command(Withdraw(update=self.update.id))

    # --- fetching ---------------------------------------------------------------------------------------------------------------------

    async def _fetch(self) -> None:
        """Open the stored bytes and trust them, or not."""
        update, library = self.update, self.tools.library
        if update.image is None:
            await self._advance(Cause.REJECTED, detail="the update names no stored image", code="unknown-image")
            return
        try:
            image = library.image(update.image)
            library.open(update.image)
        except UnknownImage as error:
            await self._advance(Cause.REJECTED, detail=f"{error}; it was removed since", code="unknown-image")
            return
        except ImageError as error:
            await self._advance(Cause.REJECTED, detail=str(error), code=error.code)
            return
        release = next(iter(library.releases(update.image)))
        verdict = trust(image.facts, release, sha256=update.image)
        if verdict.allowed:
            await self._advance(Cause.VERIFIED, detail=verdict.sentence)
        else:
            await self._advance(Cause.REJECTED, detail=verdict.sentence, code=verdict.code)

    # --- offering and transferring ----------------------------------------------------------------------------------------------------

    def serve(self) -> None:
        """Pin the image in the session of the device."""
        update = self.update
        if update.image is None:
            return
        self.radio.command(serve_order(update, self.tools.library, adopted=_ADOPTED.get(update.state) if self.adopted else None))
        if update.paused:
            self.radio.command(Pause(update=update.id))

    async def _converse(self) -> None:
        """Serve, and follow what the session tells until the state is another one."""
        self.serve()
        state = self.update.state
        while self.update.state is state:
            letter = await self.mailbox.get(self.tools.waits.poll)
            await self._take(letter)
            if self._stands(state) and self.progress.due_on_disk(self.tools.clock.monotonic()):
                await self._sample()

    async def _sample(self) -> None:
        self.update = await self.tools.ledger.amend(self.update.id, "progress", bytes_sent=self.progress.offset)
        self.progress.saved_now(self.tools.clock.monotonic())

    # --- staged, activating, confirming -----------------------------------------------------------------------------------------------

    async def _hold(self) -> None:
        """The image is on the device; wait for the word to use it, or for the device to use it by itself."""
        self.serve()
        while self._stands(State.STAGED):
            letter = await self.mailbox.get(None)
            await self._take(letter)
            if isinstance(letter, Returned) and self._stands(State.STAGED) and await self._read_version() == self.update.to_version:
                await self._advance(Cause.REBOOTED, detail="the device came back with the new version by itself")

    async def _await_return(self) -> None:
        """The device was told to use the image: wait until it is back, whatever way it shows that."""
        self.serve()
        waits, clock = self.tools.waits, self.tools.clock
        patience = waits.activation_sleepy if self._sleepy() else waits.activation
        ends = clock.monotonic() + patience
        while self._stands(State.ACTIVATING):
            letter = await self.mailbox.get(min(waits.poll, max(ends - clock.monotonic(), 0.01)))
            await self._take(letter)
            if not self._stands(State.ACTIVATING):
                return
            if isinstance(letter, Returned):
                await self._advance(Cause.RETURNED, detail="the device is back on the network")
            elif isinstance(letter, Told) and letter.component.version == self.update.to_version:
                await self._advance(Cause.RETURNED, detail="the device asks again and tells the new version")
            elif letter is None and await self._read_version() == self.update.to_version:
                await self._advance(Cause.RETURNED, detail="the device answers and tells the new version")
            elif clock.monotonic() >= ends:
                detail = f"the device was told to use the new image and did not come back within {patience:.0f} s"
                await self._advance(Cause.LOST, detail=detail)

    async def _confirm(self) -> None:
        """Success is a fresh read of the version, never the device's word that it has taken the image."""
        waits, clock = self.tools.waits, self.tools.clock
        ends = clock.monotonic() + (waits.activation_sleepy if self._sleepy() else waits.confirmation)
        misses = 0
        while self._stands(State.CONFIRMING):
            version = await self._read_version()
            if version == self.update.to_version:
                self.progress.moved(self.update.bytes_total, clock.monotonic())
                detail = f"the device tells version 0x{version:08x}"
                await self._advance(Cause.VERSION_MATCHES, detail=detail, bytes_sent=self.update.bytes_total)
                return
            misses += version is not None
            if misses >= 3 or (clock.monotonic() >= ends and version is not None):
                detail = f"the device is back and tells version 0x{version or 0:08x} instead of 0x{self.update.to_version:08x}"
                await self._advance(Cause.MISMATCH, detail=detail, completed_transfers=self.update.completed_transfers + 1)
                return
            if clock.monotonic() >= ends:
                await self._advance(Cause.EXPIRED, detail="the device could not be asked for its version after the update")
                return
            letter = await self.mailbox.get(waits.poll)
            await self._take(letter)

    def _stands(self, state: State) -> bool:
        return self.update.state is state

    def _sleepy(self) -> bool:
        try:
            return self.tools.registry.device(self.update.device).sleepy
        except OtagateError:
            return False

    async def _read_version(self) -> int | None:
        """The version of the component, read now; None where the device cannot be asked."""
        try:
            answer = await self.radio.interrogate(self.update.device)
        except RadioUnavailable:
            return None
        except StoreError:
            raise
        except OtagateError as error:
            LOG.debug("version not read", update=self.update.id, error=str(error))
            return None
        checked = await self.tools.registry.interrogated(answer)
        component = checked.component(self.update.component)
        return component.version if component is not None else None

    # --- letters ----------------------------------------------------------------------------------------------------------------------

    async def _take(self, letter: Letter | None, *, quiet: bool = False) -> None:
        """Do what a letter says. `quiet`: the store refuses, so only answer who waits."""
        if isinstance(letter, Asked):
            await self._answer(letter)
        elif isinstance(letter, TransferAdvanced) and not quiet:
            await self._follow(letter)

    async def _follow(self, letter: TransferAdvanced) -> None:
        """The conversation reached a cause: commit it, then let the held answer leave."""
        if not self._fits(letter.causes):
            LOG.debug("letter out of place", update=self.update.id, state=self.update.state, causes=[str(each) for each in letter.causes])
            return
        self.progress.moved(letter.offset, self.tools.clock.monotonic())
        changes: dict[str, Any] = {"bytes_sent": max(self.update.bytes_sent, letter.offset)}
        if letter.causes[-1] in _FAILED_ATTEMPT:
            await self._end_attempt(letter, changes)
        else:
            await self._advance(*letter.causes, detail=letter.detail, **changes)
        if letter.token is not None:
            self.radio.committed(letter.token)

    def _fits(self, causes: Sequence[Cause]) -> bool:
        state = self.update.state
        for cause in causes:
            if cause not in TABLE[state]:
                return False
            state = TABLE[state][cause]
        return True

    async def _end_attempt(self, letter: TransferAdvanced, changes: dict[str, Any]) -> None:
        """Back to the queue with a pause, or to the end where no attempt is left."""
        clock = self.tools.clock
        now = clock.now()
        settings = self._policy()
        began, reached = self.began_at, max(self.progress.offset, letter.offset)
        retry = after_attempt(replace(self.update, **changes), began_at=began, reached=reached, settings=settings, now=now)
        if retry.not_before is None:
            detail = f"{letter.detail}. {retry.verdict.sentence}"
            causes = (*letter.causes, Cause.RETRIES_SPENT)
            await self._advance(*causes, detail=detail, code=retry.verdict.code, attempts=retry.attempts, **changes)
            return
        pause = (retry.not_before - now) / self.tools.waits.pace
        changes |= {"attempts": retry.attempts, "not_before": now + max(pause, timedelta(seconds=0.05)), "reason": "backoff"}
        await self._advance(*letter.causes, detail=letter.detail, **changes)

    def _policy(self) -> PolicySettings:
        try:
            return self.tools.policy_of(self.tools.registry.device(self.update.device))
        except OtagateError:
            return PolicySettings()

    async def _answer(self, letter: Asked) -> None:
        try:
            await (self._cancel(letter.actor) if letter.what == "cancel" else self._activate(letter.actor))
        except OtagateError as error:
            if not letter.answer.done():
                letter.answer.set_exception(error)
        else:
            if not letter.answer.done():
                letter.answer.set_result(None)

    async def _cancel(self, actor: str) -> None:
        if not cancellable(self.update.state):
            raise NotCancellable(f"update {self.update.id} is {self.update.state}: the device has the image and the order to use it")
        await self._advance(Cause.CANCELLED, detail="an operator cancelled it", actor=actor)

    async def _activate(self, actor: str) -> None:
        if self.update.state is not State.STAGED:
            raise NotInState(f"update {self.update.id} is {self.update.state}, and only a staged one can be activated")
        await self._advance(Cause.ACTIVATED, detail="an operator gave the word", actor=actor)
        self.radio.command(Activate(update=self.update.id))

    async def _advance(self, *causes: Cause, detail: str, **changes: Any) -> None:
        self.update = await self.tools.ledger.advance(self.update.id, causes, detail=detail, **changes)


def serve_order(update: Update, library: Library, *, adopted: Any = None) -> Serve:
    """The order that pins an update's image. Raises UnknownImage, IntegrityMismatch."""
    if update.image is None:
        raise UnknownImage(f"update {update.id} names no stored image")
    facts = library.image(update.image).facts
    return Serve(
        update=UpdateId(update.id),
        device=update.device,
        component=update.component,
        manufacturer_code=update.manufacturer_code,
        image_type=update.image_type,
        file_version=update.to_version,
        image=library.open(update.image),
        from_version=update.from_version,
        hardware_min=facts.hardware_min,
        hardware_max=facts.hardware_max,
        allow_downgrade=update.allow_downgrade,
        hold_activation=update.hold_activation,
        adopted=adopted,
    )
