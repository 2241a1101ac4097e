"""What the courses of running updates work with."""

from __future__ import annotations

from dataclasses import dataclass, field

from otagate.engine.curfew import Curfew
from otagate.engine.fetcher import Fetcher
from otagate.engine.halt import Halt, RadioPauses
from otagate.engine.ledger import Ledger
from otagate.engine.library import Library
from otagate.engine.outlook import Outlook
from otagate.engine.registry import Registry
from otagate.engine.rollout_book import RolloutBook
from otagate.engine.waits import Waits
from otagate.model.quirks import QuirkOf
from otagate.model.updates import Update
from otagate.policy.guards import PolicyOf
from otagate.ports import Clock, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """One set for a hub. `outlook` is what policy sees of the world; `curfew` says whose window has closed."""

    store: Store
    ledger: Ledger
    registry: Registry
    library: Library
    clock: Clock
    waits: Waits
    halt: Halt
    radio_pauses: RadioPauses
    rollouts: RolloutBook
    fetcher: Fetcher
    policy_of: PolicyOf
    quirk_of: QuirkOf
    outlook: Outlook
    curfew: Curfew = field(default_factory=Curfew)

    def held(self, update: Update) -> bool:
        """Whether it is to stand still: this update, its rollout, its radio, everything, or what its window allows."""
        return update.paused or self.halt.on or self.radio_pauses.on(update.radio) or self.rollouts.stills(update) or self.curfew.holds(update.id)
