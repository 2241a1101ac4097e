"""What operators ask of single updates, and of all of them at once."""

from __future__ import annotations

from contextlib import suppress

from otagate.engine.activations import require_held_back
from otagate.engine.conductor import Conductor
from otagate.engine.tools import Tools
from otagate.engine.views import ActivationRequest, ActivationResult
from otagate.model.errors import CannotPause, IllegalTransition, NotCancellable, NotInState, OtagateError, Refused, UnknownUpdate
from otagate.model.ids import UpdateId
from otagate.model.lifecycle import PAUSABLE, Cause, State
from otagate.model.orders import Pause, Resume, Withdraw
from otagate.model.updates import Priority, Update

_ELSEWHERE = frozenset({State.OFFERING, State.TRANSFERRING, State.STAGED})
"""Where a radio may have to be asked before an update is cancelled."""


class Controls:
    """Each changes the row first; the session of the device is told what is on disk."""

    def __init__(self, *, tools: Tools, conductor: Conductor) -> None:
        self._ledger = tools.ledger
        self._updates = tools.store.updates
        self._halt = tools.halt
        self._registry = tools.registry
        self._conductor = conductor

    async def cancel(self, update_id: UpdateId, actor: str, *, detail: str = "an operator cancelled it") -> Update:
        """Cancel an update, running or not: whoever commits first, the device's last word or this, is right.

        What another process carries out is stopped there first, and so is what a device would use together with this. Raises NotCancellable,
        NotInState, RadioUnavailable, UnknownUpdate, StoreUnavailable.
        """
        if (known := await self._updates.get(update_id)).state in _ELSEWHERE:
            for each in await self._used_with(known):
                with suppress(NotInState):  # it has just ended
                    await self.cancel(each.id, actor, detail=detail)
            await self._conductor.stop(known)
        try:
            update = await self._ledger.advance(update_id, [Cause.CANCELLED], detail=detail, actor=actor)
        except IllegalTransition:
            found = await self._updates.get(update_id)
            if found.state is State.CANCELLED and known.state in _ELSEWHERE:
                return found  # whoever stopped it was faster to say so
            if found.ended:
                raise NotInState(f"update {update_id} has ended: it is {found.state}") from None
            raise NotCancellable(f"update {update_id} is {found.state}: the device has the image and the order to use it") from None
        self._conductor.command(update, Withdraw(update=update_id))
        return update

    async def _used_with(self, update: Update) -> list[Update]:
        """What runs of the job of an update whose device wants more images before it uses any: the last of them would be the word for all."""
        if not update.wants_more or update.job is None:
            return []
        mine = [each for each in await self._updates.unfinished(update.device) if each.job == update.job and each.state.running]
        return sorted((each for each in mine if each.step > update.step), key=lambda each: -each.step)

    async def activate(self, update_id: UpdateId, actor: str) -> Update:
        """Let a staged image be used, now or as soon as its device is heard and may be disturbed.

        Raises NotInState, Refused while everything is halted, UnknownUpdate, StoreUnavailable.
        """
        self._require_not_halted()
        if self._conductor.waits(update_id):
            raise NotInState(f"update {update_id} does not run yet; only a staged one can be activated")
        row = await self._updates.get(update_id)
        if row.state is State.STAGED and row.wants_more and not row.hold_activation:
            raise NotInState(f"update {update_id} is staged, and its device wants another image before it uses this one")
        if row.state is State.STAGED and row.hold_activation:
            await self._conductor.activations.give([row], actor=actor)
            self._conductor.wake()
            return await self._updates.get(update_id)
        verdict = self._conductor.activations.spared(row) if row.state is State.STAGED else None
        if verdict is not None:
            raise Refused(verdict.sentence, code="policy-refused", reason=verdict.reason, retry="later")
        return await self._move(update_id, Cause.ACTIVATED, actor, "an operator gave the word", "only a staged one can be activated")

    async def activate_all(self, request: ActivationRequest, actor: str) -> ActivationResult:
        """Let many images be used at once: those of these updates, or of a job, a rollout or a group of devices, whatever is held back there.

        Raises Refused while everything is halted or where nothing is held back, StoreUnavailable.
        """
        self._require_not_halted()
        rows: list[Update] = []
        refused: list[tuple[UpdateId, OtagateError]] = []
        for update_id in dict.fromkeys(request.updates):
            try:
                row = await self._updates.get(update_id)
                require_held_back(row)
            except (NotInState, UnknownUpdate) as error:
                refused.append((update_id, error))
            else:
                rows.append(row)
        if not request.updates:
            rows = [each for each in await self._updates.unfinished() if each.hold_activation and self._is_meant(each, request)]
        if not rows and not refused:
            raise Refused(self._nobody(request), code="nothing-to-do", reason=None)
        given = await self._conductor.activations.give(rows, actor=actor, override=request.override, because=request.because)
        self._conductor.wake()
        return ActivationResult(given=tuple(given), refused=tuple(refused))

    def _nobody(self, request: ActivationRequest) -> str:
        if request.group is not None and not any(request.group in each.groups for each in self._registry.devices()):
            return f"No device is in the group {request.group!r}."
        return "Nothing there holds an image back."

    def _is_meant(self, update: Update, request: ActivationRequest) -> bool:
        device = self._registry.known(update.device)
        groups = () if device is None else device.groups
        return (
            (request.job is None or update.job == request.job)
            and (request.rollout is None or update.rollout == request.rollout)
            and (request.group is None or request.group in groups)
        )

    def _require_not_halted(self) -> None:
        if self._halt.on:
            raise Refused("Everything is halted: lift that first.", code="policy-refused", reason="halted")

    async def approve(self, update_id: UpdateId, actor: str) -> Update:
        """Let a planned update into the queue, with all steps of its job. Raises NotInState, UnknownUpdate, StoreUnavailable."""
        known = await self._updates.get(update_id)
        if known.state is State.PLANNED:
            job = [each.id for each in await self._updates.unfinished(known.device) if known.job is not None and each.job == known.job]
            moved = await self._ledger.approve(dict.fromkeys([update_id, *job]), actor=actor)
            if moved and moved[0].id == update_id:
                return moved[0]
        found = await self._updates.get(update_id)
        raise NotInState(f"update {update_id} is {found.state}; only a planned one waits for approval")

    async def _move(self, update_id: UpdateId, cause: Cause, actor: str, detail: str, otherwise: str) -> Update:
        try:
            return await self._ledger.advance(update_id, [cause], detail=detail, actor=actor)
        except IllegalTransition:
            found = await self._updates.get(update_id)
            raise NotInState(f"update {update_id} is {found.state}; {otherwise}") from None

    async def prioritize(self, update_id: UpdateId, priority: Priority, actor: str) -> Update:
        """Let an update go before others, or behind them, where they wait for the same. Raises NotInState, UnknownUpdate, StoreUnavailable."""
        known = await self._updates.get(update_id)
        if known.priority == priority and not known.ended:
            return known
        detail = f"its priority is {priority}, and was {known.priority}"
        return await self._ledger.amend(update_id, "prioritized", check=_require_going, actor=actor, detail=detail, priority=priority)

    async def pause(self, update_id: UpdateId, actor: str) -> Update:
        """Hold an update where it is; one that is held stays so. Raises CannotPause, NotInState, UnknownUpdate, StoreUnavailable."""
        known = await self._updates.get(update_id)
        if known.paused and known.state in PAUSABLE:
            return known
        if not self._conductor.can_wait(known):
            raise CannotPause(f"update {update_id} is {known.state}: its radio knows no pause; it can be cancelled, or left to finish")
        changed = await self._ledger.amend(update_id, "paused", check=_require_pausable, actor=actor, paused=True, reason="paused")
        self._conductor.command(changed, Pause(update=update_id))
        return changed

    async def resume(self, update_id: UpdateId, actor: str) -> Update:
        """Let a paused update go on, once nothing else is halted either. Raises NotInState, UnknownUpdate, StoreUnavailable."""
        changed = await self._ledger.amend(update_id, "resumed", check=_require_paused, actor=actor, paused=False, reason=None)
        if not self._conductor.stands_still(update_id):
            self._conductor.command(changed, Resume(update=update_id))
        return changed


def _require_going(update: Update) -> None:
    if update.ended:
        raise NotInState(f"update {update.id} has ended: it is {update.state}")


def _require_pausable(update: Update) -> None:
    if update.state not in PAUSABLE:
        raise NotInState(f"update {update.id} is {update.state} and cannot be paused there")


def _require_paused(update: Update) -> None:
    if not update.paused:
        raise NotInState(f"update {update.id} is not paused")
