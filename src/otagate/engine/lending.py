"""A radio whose stick another program has: borrowed when there is something to do, and given back, whatever happens between.

Its normal state is `lent`. While it is borrowed it lives like any other radio. Who decides is `policy.lease`; that the stick goes back after a crash,
too, is the lease's business (`ports.Handover.owed`), which the first look of every life is at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import structlog

from otagate.engine.pulse import Pulse
from otagate.engine.supervise import Backoff, alive, outcome, rest, supervise_radio
from otagate.model.errors import OtagateError
from otagate.model.ids import UpdateId
from otagate.policy.lease import NOTHING, Borrowed, Ending, Lent, Step, Terms, Work, judge_borrowed, judge_lent, rest_after
from otagate.ports import Clock, Emit, Handover, Lendable, Loan, Radio, RadioChanged, RadioEvent, RadioNoticed, RadioState

_HURRY = 3.0
"""Seconds that devices have to hear that the hub stops."""

LOG = structlog.get_logger("otagate.lending")


class ReadAgenda(Protocol):
    """What there is to do on the radio."""

    def __call__(self, *, borrowed: bool) -> Awaitable[Work]:
        """Now."""


@dataclass(slots=True)
class Told:
    """What a radio tells, passed on; that it is up, with who goes without it meanwhile. `owner`: whose stick it is, for sentences.

    `retried`: what keeps the radio off may end by itself. `stage`: how far the stick is on its way to us and back; None while its owner has it.
    """

    emit: Emit
    owner: str
    state: RadioState = "lent"
    retried: bool = False
    stage: Literal["taking", "held", "returning", "returned"] | None = None

    def __call__(self, event: RadioEvent) -> None:
        """Pass it on."""
        if isinstance(event, RadioChanged):
            self.state, self.retried = event.state, event.retried
            if self.stage is not None:
                event = replace(event, loan=Loan(owner=self.owner, stage=self.stage))
            if event.state == "up":
                event = replace(event, sentence=f"borrowed, so {self.owner} cannot control its lamps meanwhile; {event.sentence}")
        self.emit(event)


@dataclass(slots=True, kw_only=True)
class Lending:
    """The stick's way to and fro. `told` is what the radio itself tells by; `called` is set by an operator who wants the stick now.

    `catch_up` takes over what the other program has learnt of the network, before the radio is opened. `away` tells what is in mid-transfer, with the
    seconds that each device has to wait if the stick is lent for so many.
    """

    radio: Radio
    stick: Handover
    agenda: ReadAgenda
    told: Told
    terms: Terms
    clock: Clock
    called: asyncio.Event
    backoff: Backoff
    pulse: Pulse
    catch_up: Callable[[], Coroutine[Any, Any, None]] | None = None
    away: Callable[[float], Mapping[UpdateId, float]] | None = None
    _rest: float = 0.0
    _in_vain: int = 0
    _barred: str = ""
    _failed: str = ""
    _behind: str = ""
    _inner: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """For ever; gives the stick back at its end. What it cannot give back then, the next life gives back first."""
        try:
            if self.stick.owed:
                await self._give_back("the hub ended while it had the stick")
                self._rest = self.terms.again
            while True:
                why = await self._until_wanted()
                step, useful = await self._hold(why)
                await self._give_back(step.sentence)
                self._settle(step, useful=useful)
        finally:
            if self.stick.owed:
                error = await outcome(self.stick.give_back(), what=f"giving back the stick of {self.radio.name}")
                if error is not None:
                    LOG.error("the stick is not given back; that is done first at the next start", radio=self.radio.name, error=str(error))

    # --- lent -------------------------------------------------------------------------------------------------------------------------

    async def _until_wanted(self) -> str:
        """Wait while the other program has it; returns why it is to be borrowed."""
        self._tell_lent()
        self.told.stage = None
        since = self.clock.monotonic()
        while True:
            stick = Lent(
                since=self.clock.monotonic() - since,
                rest=self._rest,
                called=self.called.is_set(),
                barred=bool(self._barred),
                work=await self._work(borrowed=False),
            )
            step = judge_lent(stick)
            if step.deed == "take":
                return step.sentence
            await self._pause(self.called)

    def _tell_lent(self) -> None:
        if self._barred:
            self._tell("wrong_network", self._barred)
            return
        failed = f"; the last try failed: {self._failed}" if self._failed else ""
        self._tell("lent", f"{self.told.owner} has the stick: devices cannot be updated now; it is borrowed when an update may begin{failed}")

    def _settle(self, step: Step, *, useful: bool) -> None:
        """What a loan teaches about the next one."""
        ending: Ending = step.ending or "done"
        self._rest = rest_after(ending, useful=useful, in_vain=self._in_vain, terms=self.terms)
        self._in_vain = 0 if useful else self._in_vain + 1
        self._failed = (self._failed or step.sentence) if ending in ("failed", "wrong_network") else ""

    # --- borrowed ---------------------------------------------------------------------------------------------------------------------

    async def _hold(self, why: str) -> tuple[Step, bool]:
        """Take it, and live with it until it is to be given back; returns why that is, and whether the loan was of use."""
        called = self.called.is_set()
        self.called.clear()
        self._barred = ""
        self.told.stage = "taking"
        self._tell("starting", f"borrowing the stick from {self.told.owner}: {why}")
        error = await alive(self.stick.take(), what="taking a stick", radio=self.radio.name, pulse=self.pulse)
        if error is not None:
            self._failed = str(error)
            return Step(deed="give_back", sentence=f"it could not be taken: {error}", ending="failed"), False
        self.told.stage = "held"
        await self._catch_up()
        async with asyncio.TaskGroup() as group:
            life = group.create_task(self._live(), name=f"borrowed:{self.radio.name}")
            try:
                found = await self._until_done(called=called)
            except asyncio.CancelledError:  # the hub stops
                await self._dismiss("done", within=_HURRY)
                raise
            await self._dismiss(found[0].ending, within=self.terms.part)
            life.cancel()
        return found

    async def _dismiss(self, ending: Ending | None, *, within: float) -> None:
        """Let devices in mid-transfer wait for the next loan: the other program does not know what they ask for, and may tell them to give it up."""
        if self.away is None or self.told.state != "up" or not isinstance(self.radio, Lendable):
            return
        updates = self.away(rest_after(ending or "done", useful=True, in_vain=0, terms=self.terms))
        if updates:
            self._tell("starting", f"giving the stick back to {self.told.owner}: devices in mid-transfer are told when to ask again")
            await alive(self.radio.dismiss(updates, within=within), what="dismissing devices", radio=self.radio.name, pulse=self.pulse)

    async def _catch_up(self) -> None:
        """Where that fails, what is known is enough; each new reason is told once."""
        if self.catch_up is None:
            return
        error = await alive(self.catch_up(), what="adopting again", radio=self.radio.name, pulse=self.pulse)
        why = "" if error is None else str(error) if isinstance(error, OtagateError) else type(error).__name__
        if why and why != self._behind:
            sentence = f"what {self.told.owner} knows of its devices could not be taken over, so those of before are known: {why}"
            self.told(RadioNoticed(radio=self.radio.name, kind="adoption_failed", sentence=sentence))
        self._behind = why

    async def _live(self) -> None:
        await supervise_radio(self.radio, emit=self._failing, clock=self.clock, reattach=self._inner, backoff=self.backoff, pulse=self.pulse)

    def _failing(self, event: RadioEvent) -> None:
        """The end of a life of the radio, which is no end of the loan yet."""
        if isinstance(event, RadioChanged):
            self._failed = event.sentence
        self.told(event)

    async def _until_done(self, *, called: bool) -> tuple[Step, bool]:
        began = busy = up = self.clock.monotonic()
        asked = began if called else None
        useful = called
        while True:
            work = await self._work(borrowed=True)
            now = self.clock.monotonic()
            if self.called.is_set():
                self.called.clear()
                self._inner.set()
                asked = now
            busy = now if work.any else busy
            up = now if self.told.state == "up" else up
            useful = useful or (work.moves and self.told.state == "up")
            stick = Borrowed(
                since=now - began,
                idle=now - busy,
                down=now - up,
                called=None if asked is None else now - asked,
                trouble=self._trouble(),
                work=work,
            )
            step = judge_borrowed(stick, self.terms)
            if step.deed == "give_back":
                if step.ending == "wrong_network":
                    self._barred = f"{self._failed} The stick was given back to {self.told.owner}."
                return step, useful
            await self._pause(self.called)

    def _trouble(self) -> Literal["wrong_network", "in_use"] | None:
        match self.told.state:
            case "wrong_network":
                return "wrong_network"
            case "in_use" if not self.told.retried:  # an owner may let go of the port a little later than it said
                return "in_use"
        return None

    # --- back -------------------------------------------------------------------------------------------------------------------------

    async def _give_back(self, why: str) -> None:
        """Until it has worked, with growing pauses; every failure is told."""
        delay = self.backoff.first
        self.told.stage = "returning"
        while True:
            self._tell("starting", f"giving the stick back to {self.told.owner}: {why}")
            error = await alive(self.stick.give_back(), what="giving a stick back", radio=self.radio.name, pulse=self.pulse)
            if error is None:
                self.told.stage = "returned"
                return
            self._tell("retrying", f"{self.told.owner} has not got its stick back, so nobody controls its lamps: {error}")
            await rest(asyncio.Event(), delay, radio=self.radio.name, pulse=self.pulse)
            delay = self.backoff.after(delay)

    # --- small pieces -----------------------------------------------------------------------------------------------------------------

    async def _work(self, *, borrowed: bool) -> Work:
        """An agenda that cannot be read is an empty one: the stick goes back."""
        work = await outcome(self.agenda(borrowed=borrowed), what=f"agenda of radio {self.radio.name}")
        return work if isinstance(work, Work) else NOTHING

    async def _pause(self, called: asyncio.Event) -> None:
        await rest(called, self.terms.look, radio=self.radio.name, pulse=self.pulse)

    def _tell(self, state: RadioState, sentence: str) -> None:
        self.told(RadioChanged(radio=self.radio.name, state=state, sentence=sentence))
