"""Whatever happens at whichever commit of whichever life of an update: its journal keeps to the table, and it ends as it should.

Commits are counted, not sampled: each life is lived once undisturbed, and then once for every commit of it, before and after, and every accident.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

import pytest

from otagate.model.errors import OtagateError
from otagate.model.facts import Fact
from otagate.model.ids import UpdateId
from otagate.model.lifecycle import AFTER_RESTART, TABLE, Cause, State
from otagate.policy.retry import progressed
from tests.engine.bench import DAY, Hub
from tests.engine.radio import LAMP
from tests.engine.test_laws import check_answers, check_one_at_a_time
from tests.properties.lives import LIVES, Life
from tests.virtual_time import VirtualLoop

Line = tuple[State, Cause]
Moment = Literal["before", "after"]

LONGEST = 40 * DAY
LOOK = 300.0
MINUTE, QUARTER_OF_AN_HOUR = 60.0, 900.0

NO_LIFE_KNOWS: dict[Line, str] = {
    (State.QUEUED, Cause.DELEGATED): "updates that a cloud carries out",
}
"""Lines of the table along which no update of a Zigbee device can go, and whose they are."""


@dataclass
class Trial:
    """One life with at most one accident, at the commit number `at` of the first hub."""

    life: Life
    accident: str | None = None
    at: int = 0
    moment: Moment = "before"
    commits: int = 0
    told: dict[int, Fact] = field(default_factory=dict)
    cancelled: UpdateId | None = None
    turned: set[str] = field(default_factory=set)
    lines: set[Line] = field(default_factory=set)

    def __str__(self) -> str:
        return f"{self.accident} {self.moment} commit {self.at}"

    async def run(self) -> None:
        """Through as many hubs as it takes; then judge."""
        self.bench = self.life.world()
        first = True
        while True:
            async with self.bench.hub() as hub, asyncio.TaskGroup() as self.errands:
                self.bell = asyncio.Event()
                hub.store.before_commit = self._hook(hub, "before", first=first)
                hub.store.after_commit = self._hook(hub, "after", first=first)
                first = False
                attending = self.errands.create_task(self._attend(hub))
                await self._until_over(hub)
                attending.cancel()
                hub.store.before_commit = hub.store.after_commit = lambda _: None
                self.told |= {fact.number: fact for fact in hub.told}
                if not hub.killed.is_set():
                    await hub.pass_time(minutes=1)  # nothing else comes of it
                    break
        await self._judge()

    def _hook(self, hub: Hub, moment: Moment, *, first: bool) -> Callable[[Sequence[Fact]], None]:
        def hook(facts: Sequence[Fact]) -> None:
            if moment == "after":
                self._turn(facts)
            self.commits += first and moment == "before"
            if first and self.commits == self.at and moment == self.moment and self.accident is not None:
                ACCIDENTS[self.accident](self, hub)
            if moment == "after":
                self.bell.set()

        return hook

    def _turn(self, facts: Sequence[Fact]) -> None:
        for kind in {fact.kind for fact in facts if fact.subject == "update"} & set(self.life.turns) - self.turned:
            self.turned.add(kind)
            self.life.turns[kind](self.bench)

    async def _attend(self, hub: Hub) -> None:
        """The operator, who takes a second to act."""
        while not hub.killed.is_set():
            self.bell.clear()
            await asyncio.sleep(1.0)
            with suppress(OtagateError):
                rows = await self.bench.rows()
                if not rows:
                    await self.life.begins(hub)
                elif self.life.attends is not None:
                    await self.life.attends(hub, rows[-1])
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await self.bell.wait()

    async def _until_over(self, hub: Hub) -> None:
        seen = None
        async with asyncio.timeout(LONGEST):
            while not hub.killed.is_set():
                if (now := (hub.store.commits, self.cancelled)) != seen:
                    seen, rows = now, await self.bench.rows()
                    enough = len(rows) >= self.life.updates or self.cancelled is not None
                    if rows and enough and all(each.ended for each in rows):
                        return
                await asyncio.sleep(1.0 if hub.told and hub.clock.monotonic() < 3_000 else 60.0)

    async def _judge(self) -> None:
        bench, rows = self.bench, await self.bench.rows()
        facts = await bench.facts()
        self.lines = replay(facts, {row.id: row.state for row in rows})
        assert {fact.number: fact for fact in facts if fact.number in self.told} == self.told, "something that was told is lost"
        check_attempts(facts, bench.retries)
        check_answers(bench.history)
        check_one_at_a_time(facts)
        for row in rows:
            assert (row.error is not None) is (row.state is State.FAILED)
        if self.cancelled is not None:
            (row,) = [row for row in rows if row.id == self.cancelled]
            assert row.state is State.CANCELLED, "the operator was told that it is cancelled"
        else:
            assert len(rows) == self.life.updates, "an update was made twice"
            assert rows[-1].state is self.life.ends, rows[-1]
            assert set(bench.lamp.versions.values()) <= set(self.life.runs)
            assert ("abort", LAMP) not in bench.history
            assert bench.lamp.downloads <= self.life.downloads, "a download was begun anew"


def replay(facts: Sequence[Fact], final: dict[UpdateId, State]) -> set[Line]:
    """The lines that the updates of a journal went along; every step is a line, or what a restart makes of a state."""
    assert [fact.number for fact in facts] == list(range(1, len(facts) + 1))
    states: dict[str, State] = {}
    lines: set[Line] = set()
    for fact in (each for each in facts if each.subject == "update"):
        told, before = State(str(fact.data["state"])), states.get(fact.subject_id)
        if before is None:
            assert fact.kind == "created"
        elif fact.kind == "restarted":
            assert told is AFTER_RESTART[before]
        elif fact.kind in set(Cause):
            assert TABLE[before].get(Cause(fact.kind)) is told, f"{before} --{fact.kind}--> {told}"
            lines.add((before, Cause(fact.kind)))
        else:
            assert told is before, f"{fact.kind} moved {before} to {told}"
        states[fact.subject_id] = told
    assert states == final
    return lines


def check_attempts(facts: Sequence[Fact], retries: int) -> None:
    """Attempts in a row that made no progress are no more than allowed, over restarts too; what failed while an operator held it counts nothing."""
    in_vain: dict[str, tuple[int, int]] = {}
    for fact in (each for each in facts if each.kind in (Cause.STALLED, Cause.ABORTED_BY_DEVICE)):
        before, run = in_vain.get(fact.subject_id, (0, 0))
        sent, total = int(str(fact.data["bytes_sent"])), int(str(fact.data["bytes_total"]))
        run = 0 if progressed(before, sent, total) else run + 1
        assert run <= retries + 1 or any(each.kind == "paused" for each in facts), "an attempt was not counted"
        in_vain[fact.subject_id] = sent, run


# --- accidents --------------------------------------------------------------------------------------------------------------------------


def _killed(trial: Trial, hub: Hub) -> None:
    hub.kill()


def _stopped(trial: Trial, hub: Hub) -> None:
    hub.end()


def _refused(trial: Trial, hub: Hub) -> None:
    hub.store.refuse_at = hub.store.tried + 1  # before a commit this one, after it the next


def _disk_full(trial: Trial, hub: Hub) -> None:
    hub.store.full = True
    asyncio.get_running_loop().call_later(MINUTE, setattr, hub.store, "full", False)


def _line_lost(trial: Trial, hub: Hub) -> None:
    hub.radio.drop()


def _unplugged(trial: Trial, hub: Hub) -> None:
    hub.radio.unplug()
    asyncio.get_running_loop().call_later(QUARTER_OF_AN_HOUR, hub.radio.plug_in)


def _cancelled(trial: Trial, hub: Hub) -> None:
    async def cancel() -> None:
        rows = await trial.bench.rows()
        if rows:
            with suppress(OtagateError):
                await hub.desk.cancel(rows[-1].id, actor="test")
                trial.cancelled = rows[-1].id

    trial.errands.create_task(cancel())


def _paused(trial: Trial, hub: Hub) -> None:
    async def pause() -> None:
        for row in (await trial.bench.rows())[-1:]:
            with suppress(OtagateError):
                await hub.desk.pause(row.id, actor="test")
                await hub.pass_time(hours=1)
                await hub.desk.resume(row.id, actor="test")

    trial.errands.create_task(pause())


ACCIDENTS: dict[str, Callable[[Trial, Hub], None]] = {
    "killed": _killed,
    "stopped": _stopped,
    "the disk refuses": _refused,
    "the disk is full": _disk_full,
    "the line is lost": _line_lost,
    "unplugged": _unplugged,
    "cancelled": _cancelled,
    "paused": _paused,
}


def lived(trial: Trial) -> Trial:
    """On a virtual loop of its own; a trial that fails says which it was."""
    try:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(trial.run())
    except BaseException as error:
        error.add_note(str(trial))
        raise
    return trial


def trials(name: str, accident: str) -> list[Trial]:
    """The same accident before and after each commit of a life."""
    commits = lived(Trial(LIVES[name])).commits
    return [Trial(LIVES[name], accident, at, moment) for at in range(1, commits + 1) for moment in ("before", "after")]  # type: ignore[arg-type]


THROUGH_EVERY_STATE = ("goes well", "planned and held")
CASES = [
    pytest.param(life, accident, marks=() if accident == "killed" or life in THROUGH_EVERY_STATE else pytest.mark.night)
    for life in LIVES
    for accident in ACCIDENTS
]


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")  # an order at the very moment of the end is not begun any more
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("life", "accident"), CASES)
def test_an_update_ends_as_it_should_whatever_happens_at_any_of_its_commits(life: str, accident: str) -> None:
    for trial in trials(life, accident):
        lived(trial)


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_the_lives_know_every_line_of_the_table() -> None:
    """A new state, or a new line, is covered here by a life that goes there, or it is told whose it is."""
    known = [lived(Trial(each)) for each in LIVES.values()]
    for life, accident in (("planned and held", "cancelled"), ("planned and held", "stopped"), ("aborted by the device once", "cancelled")):
        known += [lived(each) for each in trials(life, accident)]
    lines = {line for each in known for line in each.lines}
    assert lines | set(NO_LIFE_KNOWS) == {(state, cause) for state, row in TABLE.items() for cause in row}
    assert not lines & set(NO_LIFE_KNOWS)


def test_the_lives_whose_every_commit_meets_every_accident_go_through_every_state() -> None:
    states = {state for each in THROUGH_EVERY_STATE for state, _ in lived(Trial(LIVES[each])).lines}
    assert states == {state for state in State if not state.final}
