"""What there is to do on a radio that another program has most of the time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from otagate.engine.conductor import Conductor
from otagate.engine.inquiries import Inquiries
from otagate.model.ids import UpdateId
from otagate.model.lifecycle import State
from otagate.policy.admit import Admission
from otagate.policy.guards import Watch
from otagate.policy.lease import Terms, Work, away_for, work_on
from otagate.ports import Lendable, Radio


@dataclass(frozen=True, slots=True, kw_only=True)
class Agenda:
    """Reads the queue; decides nothing. Interlocks are asked before the stick is borrowed; devices can be asked only after."""

    radio: Radio
    conductor: Conductor
    inquiries: Inquiries
    terms: Terms

    async def read(self, *, borrowed: bool) -> Work:
        """What there is to do now."""
        work = self._look(borrowed=borrowed)
        if work.asks and not borrowed:  # while it is borrowed the conductor asks
            await self.inquiries.ask(Admission(admitted=(), waiting={}, asks_interlocks=work.asks), lambda _: None)
            work = self._look(borrowed=borrowed)
        return work

    def away(self, rest: float) -> Mapping[UpdateId, float]:
        """What is in mid-transfer, and for how many seconds its device is told to wait if the stick is lent for `rest` seconds at least."""
        scene = self.conductor.queue.scene()
        air = scene.air
        moving = [each for each in scene.running if each.radio == self.radio.name and each.state is State.TRANSFERRING]
        devices = [(each, air.devices.get(each.device)) for each in moving]
        watch = Watch(now=scene.now, house=air.house)
        waits = {
            each.id: away_for(each, air.policy_of(device), watch, rest=rest, back_in=self._back_in(each.id), terms=self.terms)
            for each, device in devices
            if device is not None
        }
        return {update: seconds for update, seconds in waits.items() if seconds is not None}

    def _look(self, *, borrowed: bool) -> Work:
        held = [each.update for each in self.conductor.courses() if each.update.state is State.STAGED]
        staged = [each for each in held if not self.conductor.stands_still(each.id)]
        scene = self.conductor.queue.scene()
        still = frozenset(each.id for each in scene.running if self.conductor.stands_still(each.id))
        scene = replace(scene, air=replace(scene.air, paused=scene.air.paused | still))
        back_in = {each.id: self._back_in(each.id) for each in scene.running}
        return work_on(self.radio.name, scene, staged, borrowed=borrowed, back_in=back_in, terms=self.terms)

    def _back_in(self, update: UpdateId) -> float:
        return self.radio.back_in(update) if isinstance(self.radio, Lendable) else 0.0
