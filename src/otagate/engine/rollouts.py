"""Rollouts: one order for many devices, in waves; the next wave opens when the one before it has shown enough, and none behind one that failed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from otagate.engine.controls import Controls
from otagate.engine.journal import Entry
from otagate.engine.ledger import Ledger, Obstacle
from otagate.engine.ordering import Ordering
from otagate.engine.registry import Registry
from otagate.engine.rollout_book import RolloutBook
from otagate.engine.supervise import outcome
from otagate.engine.views import OrderRequest, Refusal, RolloutRequest, RolloutResult, RolloutView, WaveView
from otagate.model.errors import NotInState, OtagateError, Refused, StoreError, UnknownDevice, UpdateError
from otagate.model.ids import DeviceId
from otagate.model.rollouts import Rollout, RolloutId, RolloutState, Selection, Tally, Wave
from otagate.model.updates import Update
from otagate.policy.rollout import Step, draw_waves, forgive, judge_rollout, wave_state, with_wave_opened
from otagate.ports import Clock

LOG = structlog.get_logger("otagate.rollouts")

_LOOK_AT_LEAST = 60.0
"""Seconds: clocks step, and a soak is counted by the wall clock."""

_AGAIN = 5.0
_STEERED = (RolloutState.RUNNING, RolloutState.WAITING_FOR_APPROVAL)
_NEW = RolloutId("")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """A rollout that is not made yet."""

    rollout: Rollout
    drafts: Sequence[Update]
    refused: Sequence[Refusal]


class Rollouts:
    """Policy says what follows; the book holds it, the ledger makes and the controls end its updates."""

    def __init__(
        self, *, book: RolloutBook, ordering: Ordering, ledger: Ledger, registry: Registry, controls: Controls, clock: Clock, pace: float = 1.0
    ) -> None:
        self._book = book
        self._ordering = ordering
        self._ledger = ledger
        self._registry = registry
        self._controls = controls
        self._clock = clock
        self._pace = pace
        self._bell = asyncio.Event()
        self._lock = asyncio.Lock()
        book.watch(self._changed)

    def _changed(self, _before: Rollout | None, _after: Rollout) -> None:
        self._bell.set()

    # --- readings ---------------------------------------------------------------------------------------------------------------------

    def views(self) -> list[RolloutView]:
        """Every rollout, newest first."""
        return [self._view(each) for each in self._book.all()]

    def going(self, update: Update) -> RolloutId | None:
        """The rollout that an update belongs to, where it has not ended."""
        return None if update.rollout is None or self._book.get(update.rollout).state.ended else update.rollout

    def view(self, rollout_id: RolloutId) -> RolloutView:
        """One rollout; raises UnknownRollout."""
        return self._view(self._book.get(rollout_id))

    def _view(self, rollout: Rollout) -> RolloutView:
        tallies = self._book.tallies(rollout)
        waves = tuple(WaveView(wave=wave, state=wave_state(wave, found), tally=found) for wave, found in zip(rollout.waves, tallies, strict=True))
        return RolloutView(rollout=rollout, waves=waves)

    # --- orders -----------------------------------------------------------------------------------------------------------------------

    async def order(self, request: RolloutRequest, *, actor: str) -> RolloutResult:
        """Make a rollout with an update for every device that it is for, or only plan it; what is wrong with single devices is in `refused`.

        Raises Refused where nothing is left to be done or the name is taken by one that has not ended, StoreUnavailable with nothing made.
        """
        async with self._lock:
            plan = await self._plan(request, actor)
            if request.dry_run:
                waves = tuple(WaveView(wave=each, state="scheduled", tally=Tally(pending=len(each.devices))) for each in plan.rollout.waves)
                return RolloutResult(rollout=RolloutView(rollout=plan.rollout, waves=waves), refused=tuple(plan.refused))
            return await self._make(plan)

    async def _plan(self, request: RolloutRequest, actor: str) -> _Plan:
        if any(each.name == request.name and not each.state.ended for each in self._book.all()):
            raise Refused(
                f"A rollout named {request.name!r} has not ended yet: end it first, or give this one another name.",
                code="rollout-exists",
                reason=None,
            )
        devices, refused = self._select(request.select)
        order = OrderRequest(devices=tuple(devices), version=request.version, when=request.when, activate=request.activate)
        drafts, more = await self._ordering.draft(order, actor)
        refused += more
        if not drafts:
            said = f": {refused[0].error}" if refused else "; see `otagate devices`"
            raise Refused(f"There is nothing to do: no device that this rollout is for would get an update{said}", code="nothing-to-do", reason=None)
        waves = draw_waves({each.device: _image_of(each) for each in drafts}, request.waves)
        wave_of = {device: index for index, wave in enumerate(waves) for device in wave.devices}
        rollout = Rollout(
            id=_NEW if request.dry_run else self._book.next_id(),
            name=request.name,
            select=request.select,
            version=None if request.version is None else str(request.version),
            waves=waves,
            state=RolloutState.RUNNING,
            sentence="The first wave opens at once.",
            actor=actor,
            created=self._clock.now(),
        )
        marked = [replace(each, rollout=rollout.id, wave=wave_of[each.device]) for each in drafts]
        return _Plan(rollout=rollout, drafts=marked, refused=refused)

    def _select(self, select: Selection) -> tuple[list[DeviceId], list[Refusal]]:
        devices = {each.id: each for each in self._registry.devices()}
        wanted = set(devices if select.devices is None else select.devices)
        found = [device for device, each in devices.items() if select.fits(each)]
        unknown = sorted(wanted - set(devices))
        return found, [Refusal(device=each, error=UnknownDevice(f"no device has the id {each!r}")) for each in unknown]

    async def _make(self, plan: _Plan) -> RolloutResult:
        made: list[Update] = []
        refused = list(plan.refused)

        async def settle(results: Sequence[Update | Obstacle], entry: Entry) -> None:
            for draft, result in zip(plan.drafts, results, strict=True):
                if isinstance(result, Update):
                    made.append(result)
                else:  # another order was faster
                    refused.append(Refusal(device=draft.device, error=result))
            await self._book.add(plan.rollout, entry)

        await self._ledger.create(plan.drafts, within=settle)
        self._book.opened(plan.rollout, made)
        return RolloutResult(rollout=self._view(plan.rollout), refused=tuple(refused))

    # --- what operators do to one --------------------------------------------------------------------------------------------------------

    async def pause(self, rollout_id: RolloutId, *, actor: str) -> RolloutView:
        """Nothing of it begins any more; what is on the air goes on. Raises NotInState, UnknownRollout, StoreUnavailable."""
        return await self._turn(rollout_id, _STEERED, RolloutState.PAUSED, "paused", "An operator paused it.", actor)

    async def halt(self, rollout_id: RolloutId, *, actor: str) -> RolloutView:
        """Nothing of it moves any more, from the next block on, where its radio can pause. Raises NotInState, UnknownRollout, StoreUnavailable."""
        return await self._turn(rollout_id, (*_STEERED, RolloutState.PAUSED), RolloutState.HALTED, "halted", "An operator halted it.", actor)

    async def resume(self, rollout_id: RolloutId, *, actor: str) -> RolloutView:
        """Let a paused or halted one go on; failures so far stop it no more. Raises NotInState, UnknownRollout, StoreUnavailable."""
        async with self._lock:
            rollout = self._require(rollout_id, (RolloutState.PAUSED, RolloutState.HALTED), "resume")
            going = forgive(rollout, self._book.tallies(rollout), self._clock.now())
            return self._view(await self._book.put(replace(going, sentence="An operator resumed it."), "resumed", actor=actor))

    async def approve(self, rollout_id: RolloutId, *, actor: str) -> RolloutView:
        """Open the wave that waits for an operator. Raises NotInState, UnknownRollout, StoreUnavailable."""
        async with self._lock:
            rollout = self._require(rollout_id, (RolloutState.WAITING_FOR_APPROVAL,), "approve")
            index = rollout.opened
            opened = with_wave_opened(rollout, index, self._clock.now())
            sentence = f"An operator opened wave {index + 1} of {len(rollout.waves)}."
            return self._view(await self._book.put(replace(opened, sentence=sentence), "approved", actor=actor))

    async def cancel(self, rollout_id: RolloutId, *, actor: str) -> RolloutView:
        """End it: what has not ended is cancelled as far as that can be. Raises NotInState, UnknownRollout, StoreUnavailable."""
        every = (*_STEERED, RolloutState.PAUSED, RolloutState.HALTED)
        return await self._turn(rollout_id, every, RolloutState.STOPPED, "cancelled", "An operator cancelled it.", actor)

    async def _turn(
        self, rollout_id: RolloutId, before: tuple[RolloutState, ...], after: RolloutState, kind: str, sentence: str, actor: str
    ) -> RolloutView:
        async with self._lock:
            rollout = self._book.get(rollout_id)
            if rollout.state is after:
                return self._view(rollout)
            self._require(rollout_id, before, kind)
            finished = self._clock.now() if after.ended else None
            return self._view(await self._book.put(replace(rollout, state=after, sentence=sentence, finished=finished), kind, actor=actor))

    def _require(self, rollout_id: RolloutId, states: tuple[RolloutState, ...], what: str) -> Rollout:
        rollout = self._book.get(rollout_id)
        if rollout.state not in states:
            raise NotInState(f"rollout {rollout_id} is {rollout.state}: {what} needs one that is {' or '.join(states)}")
        return rollout

    # --- steering ---------------------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Look at every rollout whenever something of it has changed or a soak ends, for ever."""
        while True:
            self._bell.clear()
            seconds = await self._look_safely()
            try:
                async with asyncio.timeout(seconds):
                    await self._bell.wait()
            except TimeoutError:
                continue

    async def _look_safely(self) -> float:
        until = await outcome(self._look_at_all(), what="look at the rollouts")
        if isinstance(until, (StoreError, UpdateError)):  # the disk refuses, or somebody was faster
            LOG.debug("look at the rollouts cut short", error=str(until))
            return _AGAIN / self._pace
        if isinstance(until, Exception):
            LOG.warning("look at the rollouts failed, and is made again", error=str(until))
            return _LOOK_AT_LEAST / self._pace
        now = self._clock.now()
        soonest = min((each - now for each in until if each is not None), default=timedelta.max)
        return min(_LOOK_AT_LEAST / self._pace, max(soonest.total_seconds(), 0.0))

    async def _look_at_all(self) -> list[datetime | None]:
        async with self._lock:
            return [await self._look(each) for each in self._book.all() if not self._book.is_settled(each)]

    async def _look(self, rollout: Rollout) -> datetime | None:
        """Do what policy says until it says to wait; until when, where that is known."""
        while rollout.state in _STEERED:
            step = judge_rollout(rollout, self._book.tallies(rollout), self._clock.now())
            if step.action == "wait":
                return step.until
            after = self._after(rollout, step)
            if after is None:
                return None
            rollout = await self._book.put(after, _KINDS[step.action])
        if rollout.state is RolloutState.STOPPED:
            await self._end(rollout)
        return None

    def _after(self, rollout: Rollout, step: Step) -> Rollout | None:
        now = self._clock.now()
        said = replace(rollout, sentence=step.sentence)
        match step.action:
            case "prove":
                return replace(said, waves=_changed_wave(rollout, step.wave, proved=now))
            case "open":
                return with_wave_opened(said, step.wave, now)
            case "pause":
                return replace(said, state=RolloutState.PAUSED)
            case "ask":
                asked = rollout.state is RolloutState.WAITING_FOR_APPROVAL
                return None if asked else replace(said, state=RolloutState.WAITING_FOR_APPROVAL)
            case _:
                return self._settled(replace(said, state=RolloutState.FINISHED, finished=now))

    async def _end(self, rollout: Rollout) -> None:
        """Cancel what is left of one that an operator ended; what can no longer be cancelled is waited for."""
        for update in self._book.updates(rollout):
            if not update.ended:
                try:
                    await self._controls.cancel(update.id, rollout.actor)
                except StoreError:
                    raise
                except OtagateError as error:
                    LOG.debug("not cancelled", update=update.id, error=str(error))
        if all(each.ended for each in self._book.updates(rollout)):
            await self._book.put(self._settled(rollout), "ended")

    def _settled(self, rollout: Rollout) -> Rollout:
        found = self._book.tallies(rollout)
        return replace(rollout, waves=tuple(replace(wave, result=tally) for wave, tally in zip(rollout.waves, found, strict=True)))


_KINDS: Mapping[str, str] = {"prove": "proved", "open": "opened", "pause": "paused", "ask": "waits", "finish": "finished"}


def _changed_wave(rollout: Rollout, index: int, *, proved: datetime) -> tuple[Wave, ...]:
    return tuple(replace(wave, proved=proved) if at == index else wave for at, wave in enumerate(rollout.waves))


def _image_of(update: Update) -> str:
    """What names the image of an update: its digest, or the release where nobody promised one."""
    return update.image or f"{update.source} {update.manufacturer_code} {update.image_type} {update.to_version}"
