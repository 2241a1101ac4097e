"""The lives whose every commit meets an accident would notice an engine that breaks its word: one that does is noticed, whichever word it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from otagate.engine.conductor import Conductor
from otagate.engine.course import Course
from otagate.engine.journal import Journal
from otagate.engine.ledger import Ledger
from otagate.engine.mailbox import Letter
from otagate.engine.proof import Proof
from otagate.model.lifecycle import Cause, State
from otagate.model.updates import Update
from otagate.ports import TransferAdvanced
from tests.engine.bench import DAY
from tests.properties import test_every_commit
from tests.properties.test_every_commit import Trial, lived, trials

Break = Callable[[pytest.MonkeyPatch], None]


def forgets_a_commit(patch: pytest.MonkeyPatch) -> None:
    """That the device accepted is told to everybody and written nowhere."""
    advance = Ledger.advance

    async def forgetful(self: Ledger, update_id: Any, causes: Any, **fields: Any) -> Update:
        if tuple(causes) != (Cause.ACCEPTED,):
            return await advance(self, update_id, causes, **fields)
        moved = replace(await self._store.updates.get(update_id), state=State.TRANSFERRING)
        self._changed(moved)
        return moved

    patch.setattr(Ledger, "advance", forgetful)


def answers_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    """The held answer leaves first."""
    take = Course.take

    async def hasty(self: Course, letter: Letter | None) -> None:
        if isinstance(letter, TransferAdvanced):
            self.radio.committed(letter.token)
        await take(self, letter)

    patch.setattr(Course, "take", hasty)


def adopts_nothing(patch: pytest.MonkeyPatch) -> None:
    """After a restart, sessions know nothing of what was on the air."""

    async def nothing(self: Conductor, update: Update) -> None:
        del self, update

    patch.setattr(Conductor, "_adopt", nothing)


def begins_anew_after_a_restart(patch: pytest.MonkeyPatch) -> None:
    """What ran is queued again."""
    patch.setattr("otagate.engine.ledger.AFTER_RESTART", dict.fromkeys(State, State.QUEUED))


def forgets_the_attempts(patch: pytest.MonkeyPatch) -> None:
    """After a restart, every attempt is the first."""
    restarted = Ledger._restarted

    async def young(self: Ledger, entry: Any, update: Update) -> Update:
        fresh = replace(await restarted(self, entry, update), attempts=0)
        await self._store.updates.put(fresh)
        return fresh

    patch.setattr(Ledger, "_restarted", young)


def makes_it_twice(patch: pytest.MonkeyPatch) -> None:
    """What is recovered is made once more."""
    recover = Ledger.recover

    async def doubled(self: Ledger) -> list[Update]:
        left = await recover(self)
        for each in left:
            copy = replace(each, id=type(each.id)(f"{each.id}x"))
            async with self._journal.commit() as entry:
                await self._store.updates.put(copy)
                self._tell(entry, copy, "created", actor=copy.actor, detail=None)
        return left

    patch.setattr(Ledger, "recover", doubled)


def takes_the_order_for_the_deed(patch: pytest.MonkeyPatch) -> None:
    """A device that was told to use an image is not asked whether it does."""

    async def sure(self: Proof) -> None:
        await self.course.advance(Cause.VERSION_MATCHES, detail="surely")

    patch.setattr(Proof, "confirm", sure)


def tells_what_was_refused(patch: pytest.MonkeyPatch) -> None:
    """Facts are published before they are on disk."""
    told = Journal._publish

    def begin(self: Journal, store: Any, clock: Any) -> None:
        original(self, store, clock)
        append = store.facts.append

        async def published(fact: Any) -> Any:
            stored = await append(fact)
            told(self, [stored])
            return stored

        store.facts.append = published

    original = Journal.__init__
    patch.setattr(Journal, "__init__", begin)
    patch.setattr(Journal, "_publish", lambda self, facts: None)


def leaves_the_word_unsaid(patch: pytest.MonkeyPatch) -> None:
    """A device that holds its image is never told to use it."""
    patch.setattr(Proof, "_urge", lambda self: None)


BROKEN: list[tuple[Break, str, str]] = [
    (answers_before_the_commit, "goes well", "killed"),
    (makes_it_twice, "goes well", "killed"),
    (forgets_the_attempts, "stalled too often", "killed"),
    (forgets_a_commit, "goes well", "killed"),
    (adopts_nothing, "goes well", "killed"),
    (begins_anew_after_a_restart, "goes well", "killed"),
    (takes_the_order_for_the_deed, "in vain", "killed"),
    (tells_what_was_refused, "goes well", "the disk refuses"),
    (leaves_the_word_unsaid, "planned and held", "killed"),
]
AT_ONCE = 3
"""So many are tried in every run."""


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("broken", "life", "accident"),
    [pytest.param(*each, id=each[0].__name__, marks=() if number < AT_ONCE else pytest.mark.night) for number, each in enumerate(BROKEN)],
)
def test_an_engine_that_breaks_its_word_is_noticed(broken: Break, life: str, accident: str, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = trials(life, accident)
    monkeypatch.setattr(test_every_commit, "LONGEST", 2 * DAY)
    broken(monkeypatch)
    with pytest.raises(AssertionError, match="noticed"):
        _live_all(attempts)


def _live_all(attempts: list[Trial]) -> None:
    try:
        for each in attempts:
            lived(each)
    except* (AssertionError, TimeoutError) as noticed:
        raise AssertionError("noticed") from noticed
