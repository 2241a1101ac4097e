"""Every rollout with its updates: in memory as they are on disk, for those who admit, show and steer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from otagate.engine.journal import Entry, Journal
from otagate.engine.ledger import Ledger
from otagate.model.errors import UnknownRollout
from otagate.model.facts import Scalar
from otagate.model.ids import UpdateId
from otagate.model.rollouts import Rollout, RolloutId, RolloutState, Tally
from otagate.model.updates import Update
from otagate.model.verdicts import Verdict
from otagate.policy.rollout import hold_of, tally
from otagate.ports import Store

_CHUNK = 500

Watcher = Callable[[Rollout | None, Rollout], None]
"""Is told of a rollout that has changed, as it was and as it is; it must not wait for anything."""


class RolloutBook:
    """A rollout changes here and nowhere else: one transaction for row and fact, then those who watch are told."""

    def __init__(self, store: Store, journal: Journal, ledger: Ledger) -> None:
        self._store = store
        self._journal = journal
        self._rollouts: dict[RolloutId, Rollout] = {}
        self._made: Rollout | None = None  # on its way to the disk
        self._updates: dict[RolloutId, dict[UpdateId, Update]] = {}
        self._watchers: list[Watcher] = []
        ledger.watch(self._changed)

    async def load(self) -> None:
        """Read every rollout, and the updates of those that have not ended."""
        for rollout in await self._store.rollouts.all():
            self._rollouts[rollout.id] = rollout
            if not self.is_settled(rollout):
                self._updates[rollout.id] = {each.id: each for each in await self._stored(rollout.id)}

    async def _stored(self, rollout: RolloutId) -> list[Update]:
        found: list[Update] = []
        while True:
            page = await self._store.updates.page(rollout=rollout, limit=_CHUNK, before=found[-1].id if found else None)
            found += page
            if len(page) < _CHUNK:
                return found

    def watch(self, watcher: Watcher) -> None:
        """Tell this one, too."""
        self._watchers.append(watcher)

    # --- readings ---------------------------------------------------------------------------------------------------------------------

    def all(self) -> list[Rollout]:
        """Every rollout, newest first."""
        return list(self._rollouts.values())[::-1]

    def get(self, rollout_id: RolloutId) -> Rollout:
        """One rollout; raises UnknownRollout."""
        found = self._rollouts.get(rollout_id)
        if found is None:
            raise UnknownRollout(f"no rollout has the id {rollout_id!r:.80}")
        return found

    def updates(self, rollout: Rollout) -> Sequence[Update]:
        """The updates of a rollout that is not settled."""
        return list(self._updates.get(rollout.id, {}).values())

    def tallies(self, rollout: Rollout) -> list[Tally]:
        """How the devices of each wave did, so far or in the end."""
        updates = self._updates.get(rollout.id, {}).values()
        return [tally(wave, updates) if wave.result is None else wave.result for wave in rollout.waves]

    @staticmethod
    def is_settled(rollout: Rollout) -> bool:
        """Whether a rollout has ended with every update of it."""
        return rollout.state.ended and all(wave.result is not None for wave in rollout.waves)

    def hold(self, update: Update) -> Verdict | None:
        """For what an update that has not begun waits because of its rollout."""
        return None if update.rollout is None else hold_of(update, self._of(update.rollout))

    def stills(self, update: Update) -> bool:
        """Whether an update that runs is to stand still because its rollout is halted."""
        return update.rollout is not None and self._of(update.rollout).state is RolloutState.HALTED

    def _of(self, rollout: RolloutId) -> Rollout:
        """The rollout of an update, of which the ledger may tell a moment before `opened` does."""
        made = self._made
        return made if made is not None and made.id == rollout else self._rollouts[rollout]

    # --- changes ----------------------------------------------------------------------------------------------------------------------

    def next_id(self) -> RolloutId:
        """An id that no rollout had; ids sort by creation."""
        last = max((int(each.removeprefix("r")) for each in self._rollouts), default=0)
        return RolloutId(f"r{last + 1:06d}")

    async def add(self, rollout: Rollout, entry: Entry) -> None:
        """Write a new rollout inside of the transaction that makes its updates. Until `opened` says that this is on disk, nothing of it may begin."""
        self._made = rollout
        await self._store.rollouts.put(rollout)
        _tell(entry, rollout, "created", rollout.actor)

    def opened(self, rollout: Rollout, updates: Sequence[Update]) -> None:
        """A new rollout is on disk with its updates."""
        self._made = None
        self._updates[rollout.id] = {each.id: each for each in updates}
        self._turn(rollout)

    async def put(self, rollout: Rollout, kind: str, *, actor: str = "otagate") -> Rollout:
        """Replace a rollout; raises StoreUnavailable with nothing changed."""
        async with self._journal.commit() as entry:
            await self._store.rollouts.put(rollout)
            _tell(entry, rollout, kind, actor)
        if self.is_settled(rollout):
            self._updates.pop(rollout.id, None)
        self._turn(rollout)
        return rollout

    def _turn(self, rollout: Rollout) -> None:
        before = self._rollouts.get(rollout.id)
        self._rollouts[rollout.id] = rollout
        for watcher in self._watchers:
            watcher(before, rollout)

    def _changed(self, update: Update) -> None:
        """A row is another one; called by the ledger."""
        if update.rollout is None or (mine := self._updates.get(update.rollout)) is None:
            return
        before = mine.get(update.id)
        mine[update.id] = update
        if before is None or before.state is not update.state:
            rollout = self._rollouts[update.rollout]
            for watcher in self._watchers:
                watcher(rollout, rollout)


def _tell(entry: Entry, rollout: Rollout, kind: str, actor: str) -> None:
    data: dict[str, Scalar] = {
        "name": rollout.name,
        "state": str(rollout.state),
        "waves": len(rollout.waves),
        "opened": rollout.opened,
        "devices": rollout.size,
        "detail": rollout.sentence,
    }
    entry.tell("rollout", rollout.id, kind, actor=actor, data=data)
