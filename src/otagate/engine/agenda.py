"""What there is to do on a radio that another program has most of the time."""

from __future__ import annotations

from dataclasses import dataclass, replace

from otagate.engine.conductor import Conductor
from otagate.engine.inquiries import Inquiries
from otagate.model.ids import RadioName
from otagate.model.lifecycle import State
from otagate.policy.admit import Admission
from otagate.policy.lease import Work, work_on


@dataclass(frozen=True, slots=True, kw_only=True)
class Agenda:
    """Reads the queue; decides nothing. Interlocks are asked before the stick is borrowed; devices can be asked only after."""

    radio: RadioName
    conductor: Conductor
    inquiries: Inquiries

    async def read(self, *, borrowed: bool) -> Work:
        """What there is to do now."""
        work = self._look(borrowed=borrowed)
        if work.asks and not borrowed:  # while it is borrowed the conductor asks
            await self.inquiries.ask(Admission(admitted=(), waiting={}, asks_interlocks=work.asks), lambda _: None)
            work = self._look(borrowed=borrowed)
        return work

    def _look(self, *, borrowed: bool) -> Work:
        held = [each.update for each in self.conductor.courses() if each.update.state is State.STAGED]
        staged = [each for each in held if not self.conductor.stands_still(each.id)]
        scene = self.conductor.scene()
        still = frozenset(each.id for each in scene.running if self.conductor.stands_still(each.id))
        scene = replace(scene, air=replace(scene.air, paused=scene.air.paused | still))
        return work_on(self.radio, scene, staged, borrowed=borrowed)
