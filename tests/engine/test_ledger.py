"""Updates in the store: moved by the one table, row and fact together, whoever is first being right."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otagate.engine.journal import Journal
from otagate.engine.ledger import Ledger
from otagate.model.errors import AlreadyUpdating, IllegalTransition, NotInState, StoreUnavailable, UnknownImage, UnknownUpdate
from otagate.model.facts import Fact
from otagate.model.ids import ComponentId, Sha256, UpdateId
from otagate.model.lifecycle import AFTER_RESTART, FINAL, TABLE, Cause, State
from otagate.model.updates import Update
from otagate.model.verdicts import Verdict
from otagate.stores.memory import MemoryStore
from tests.engine.bench import FickleStore
from tests.policy import cases
from tests.virtual_time import VirtualClock, instantly


class Desk:
    """A ledger over a store in memory."""

    def __init__(self, disk: MemoryStore | None = None) -> None:
        self.disk = disk or MemoryStore()
        self.store = FickleStore(self.disk, [])
        self.journal = Journal(self.store, VirtualClock())
        self.ledger = Ledger(self.store, self.journal, VirtualClock())
        self.seen: list[Update] = []
        self.ledger.watch(self.seen.append)

    async def made(self, number: int = 1, **changes: Any) -> Update:
        """An update, put into whatever state is asked for."""
        wanted = changes.pop("state", State.QUEUED)
        (update,) = await self.ledger.create([draft(number, **changes)])
        assert isinstance(update, Update)
        if wanted is not State.QUEUED:
            update = replace(update, state=wanted)
            async with self.disk.transaction():
                await self.disk.updates.put(update)
        return update

    async def facts(self) -> list[Fact]:
        return list(await self.disk.facts.after(0, limit=10_000))


def draft(number: int = 1, **changes: Any) -> Update:
    return cases.update(number, id=UpdateId(""), image=None, **changes)


def allow(_: Update) -> None:
    """No objection."""


@instantly
async def test_ids_are_unique_and_sort_by_creation() -> None:
    desk = Desk()
    made = [await desk.made(number) for number in range(1, 30)]
    more = await desk.ledger.create([draft(number) for number in range(30, 60)])
    ids = [each.id for each in made] + [each.id for each in more if isinstance(each, Update)]
    assert len(set(ids)) == 59
    assert ids == sorted(ids)


@pytest.mark.parametrize("state", list(State))
@instantly
async def test_a_cause_that_the_table_does_not_know_changes_nothing(state: State) -> None:
    desk = Desk()
    update = await desk.made(state=state)
    before = await desk.facts()
    for cause in set(Cause) - set(TABLE[state]):
        with pytest.raises(IllegalTransition):
            await desk.ledger.advance(update.id, [cause])
    assert await desk.disk.updates.get(update.id) == update
    assert await desk.facts() == before


@instantly
async def test_of_several_causes_all_happen_or_none() -> None:
    desk = Desk()
    update = await desk.made(state=State.TRANSFERRING)
    with pytest.raises(IllegalTransition):
        await desk.ledger.advance(update.id, [Cause.TRANSFERRED, Cause.RETURNED])
    assert (await desk.disk.updates.get(update.id)).state is State.TRANSFERRING
    await desk.ledger.advance(update.id, [Cause.TRANSFERRED, Cause.ACTIVATED, Cause.RETURNED])
    assert [fact.data["state"] for fact in (await desk.facts())[-3:]] == ["staged", "activating", "confirming"]


@instantly
async def test_a_store_that_refuses_leaves_row_journal_and_watchers_as_they_were() -> None:
    desk = Desk()
    update = await desk.made()
    seen = list(desk.seen)
    desk.store.full = True
    for change in (
        desk.ledger.advance(update.id, [Cause.ADMITTED]),
        desk.ledger.amend(update.id, "paused", check=allow, paused=True),
        desk.ledger.hold({update.id: Verdict(decision="hold", sentence="Wait.", reason="asleep")}),
        desk.ledger.create([draft(2)]),
    ):
        with pytest.raises(StoreUnavailable):
            await change
    assert await desk.disk.updates.get(update.id) == update
    assert len(await desk.facts()) == 1
    assert desk.seen == seen


@instantly
async def test_two_who_want_the_same_component_at_once_get_one_update() -> None:
    desk = Desk()
    async with asyncio.TaskGroup() as group:
        both = [group.create_task(desk.ledger.create([draft(1)])) for _ in range(2)]
    results = [task.result()[0] for task in both]
    assert [type(each) for each in results] == [Update, AlreadyUpdating]
    assert len(await desk.disk.updates.unfinished()) == 1


@instantly
async def test_another_component_of_the_device_is_no_obstacle_and_an_ended_update_is_none() -> None:
    desk = Desk()
    first = await desk.made()
    other = draft(1, component=ComponentId("0x9999"))
    assert isinstance((await desk.ledger.create([other]))[0], Update)
    await desk.ledger.advance(first.id, [Cause.CANCELLED])
    assert isinstance((await desk.ledger.create([draft(1)]))[0], Update)


@instantly
async def test_an_update_of_an_image_that_is_gone_is_not_made() -> None:
    desk = Desk()
    gone, fine = await desk.ledger.create([replace(draft(1), image=Sha256("a" * 64)), draft(2)])
    assert isinstance(gone, UnknownImage)
    assert isinstance(fine, Update)


@instantly
async def test_a_newer_update_takes_the_place_of_the_older_in_one_step() -> None:
    desk = Desk()
    old = await desk.made(to_version=20)
    (new,) = await desk.ledger.create([draft(1, to_version=30)], superseding=[old.id])
    assert isinstance(new, Update)
    assert (await desk.disk.updates.get(old.id)).state is State.SUPERSEDED
    assert [fact.kind for fact in await desk.facts()] == ["created", "superseded", "created"]
    assert await desk.ledger.latest(new.device, new.component) == new


@instantly
async def test_what_has_begun_is_not_superseded_and_then_nothing_is_made() -> None:
    desk = Desk()
    old = await desk.made(state=State.TRANSFERRING)
    with pytest.raises(IllegalTransition):
        await desk.ledger.create([draft(1, to_version=30)], superseding=[old.id])
    assert await desk.disk.updates.unfinished() == [old]


@instantly
async def test_the_check_of_an_amendment_sees_the_row_that_is_changed() -> None:
    desk = Desk()
    update = await desk.made()
    await desk.ledger.advance(update.id, [Cause.CANCELLED])

    def refuse(row: Update) -> None:
        raise NotInState(f"it is {row.state}")

    with pytest.raises(NotInState, match="cancelled"):
        await desk.ledger.amend(update.id, "paused", check=refuse, paused=True)
    assert not (await desk.disk.updates.get(update.id)).paused
    with pytest.raises(UnknownUpdate):
        await desk.ledger.amend(UpdateId("u0"), "paused", check=allow)


@instantly
async def test_only_what_is_queued_is_said_to_wait_and_all_of_it_in_one_transaction() -> None:
    desk = Desk()
    queued, running = await desk.made(1), await desk.made(2, state=State.TRANSFERRING)
    verdict = Verdict(decision="hold", sentence="The device sleeps.", reason="asleep")
    commits = desk.store.commits
    await desk.ledger.hold({queued.id: verdict, running.id: verdict})
    assert desk.store.commits == commits + 1
    assert (await desk.disk.updates.get(queued.id)).reason == "asleep"
    assert (await desk.disk.updates.get(running.id)).reason is None


@pytest.mark.parametrize("state", list(State))
@instantly
async def test_after_a_restart_every_state_is_what_the_table_says(state: State) -> None:
    desk = Desk()
    update = await desk.made(state=state)
    again = Desk(desk.disk)
    recovered = await again.ledger.recover()
    row = await desk.disk.updates.get(update.id)
    assert row.state is AFTER_RESTART[state]
    assert recovered == ([] if state in FINAL else [row])
    assert len(await desk.facts()) == 1 + (row.state is not state)


@instantly
async def test_a_pause_is_kept_through_every_state_that_can_be_paused_and_ends_with_the_update() -> None:
    desk = Desk()
    update = await desk.made()
    await desk.ledger.amend(update.id, "paused", check=allow, paused=True, reason="paused")
    for cause in (Cause.ADMITTED, Cause.VERIFIED, Cause.ACCEPTED, Cause.STALLED):
        assert (await desk.ledger.advance(update.id, [cause])).reason == "paused"
    ended = await desk.ledger.advance(update.id, [Cause.CANCELLED])
    assert (ended.reason, ended.paused) == (None, False)


@instantly
async def test_the_newest_update_of_a_component_is_known_without_asking_the_store_again() -> None:
    desk = Desk()
    update = await desk.made()
    assert await desk.ledger.latest(update.device, update.component) == update
    moved = await desk.ledger.advance(update.id, [Cause.ADMITTED])
    await desk.store.close()
    assert await desk.ledger.latest(update.device, update.component) == moved


@given(causes=st.lists(st.sampled_from(list(Cause)), max_size=40))
def test_whatever_happens_in_whatever_order_the_journal_says_what_the_rows_say(causes: list[Cause]) -> None:
    async def story() -> None:
        desk = Desk()
        update = await desk.made()
        state = State.QUEUED
        for cause in causes:
            if cause in TABLE[state]:
                state = TABLE[state][cause]
                assert (await desk.ledger.advance(update.id, [cause])).state is state
            else:
                with pytest.raises(IllegalTransition):
                    await desk.ledger.advance(update.id, [cause])
        row = await desk.disk.updates.get(update.id)
        facts = await desk.facts()
        replayed = State(str(facts[0].data["state"]))
        for fact in facts[1:]:
            replayed = TABLE[replayed][Cause(fact.kind)]
            assert fact.data["state"] == replayed
        assert row.state is replayed is state
        assert (row.finished is not None) is row.ended
        assert (row.error is not None) is (row.state is State.FAILED)
        assert [fact.number for fact in facts] == list(range(1, len(facts) + 1))

    instantly(story)()
