"""Facts become durable, then visible, and reach every reader once and in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from otagate.engine.journal import Journal
from otagate.model.errors import StoreUnavailable
from otagate.model.facts import Fact
from otagate.stores.memory import MemoryStore
from tests.engine.bench import FickleStore
from tests.virtual_time import VirtualClock, instantly


def a_journal(store: MemoryStore | None = None) -> tuple[Journal, FickleStore]:
    fickle = FickleStore(store or MemoryStore(), [])
    return Journal(fickle, VirtualClock()), fickle


async def tell(journal: Journal, *kinds: str) -> None:
    async with journal.commit() as entry:
        for kind in kinds:
            entry.tell("radio", "zigbee0", kind)


async def collect(facts: AsyncIterator[Fact], into: list[Fact], *, pause: float = 0.0) -> None:
    async for fact in facts:
        into.append(fact)
        await asyncio.sleep(pause)


def numbers(facts: list[Fact]) -> list[int]:
    return [fact.number for fact in facts]


@instantly
async def test_a_reader_gets_what_is_stored_and_then_what_happens_without_gap_or_duplicate() -> None:
    journal, _ = a_journal()
    for number in range(1_200):  # more than a page, more than what is kept in memory
        await tell(journal, f"old{number}")
    readers: list[list[Fact]] = [[] for _ in range(4)]
    async with asyncio.TaskGroup() as group:
        for start, reader in zip((0, 1, 700, 1_199), readers, strict=True):
            group.create_task(collect(journal.events(after=start), reader))
        writers = [group.create_task(tell(journal, f"new{each}", "and more")) for each in range(50)]
        await asyncio.wait(writers)
        await asyncio.sleep(1)
        journal.close()
    for start, reader in zip((0, 1, 700, 1_199), readers, strict=True):
        assert numbers(reader) == list(range(start + 1, 1_301))


@instantly
async def test_a_reader_from_now_on_misses_nothing_that_is_told_after_it_subscribed() -> None:
    store = MemoryStore()
    first, _ = a_journal(store)
    await tell(first, "before")
    journal, _ = a_journal(store)
    heard: list[Fact] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(collect(journal.events(), heard))
        await asyncio.sleep(0)  # it has begun, and has not yet read a number
        await tell(journal, "after")
        await asyncio.sleep(1)
        journal.close()
    assert [fact.kind for fact in heard] == ["after"]


@instantly
async def test_a_slow_reader_is_only_slow() -> None:
    journal, _ = a_journal()
    heard: list[Fact] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(collect(journal.events(after=0), heard, pause=1.0))
        for number in range(2_500):
            await tell(journal, str(number))
        await asyncio.sleep(2_600)
        journal.close()
    assert numbers(heard) == list(range(1, 2_501))


@instantly
async def test_a_number_that_was_never_given_counts_as_the_last() -> None:
    journal, _ = a_journal()
    await tell(journal, "one")
    heard: list[Fact] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(collect(journal.events(after=5_000), heard))
        await asyncio.sleep(1)
        await tell(journal, "two")
        await asyncio.sleep(1)
        journal.close()
    assert [fact.kind for fact in heard] == ["two"]


@instantly
async def test_a_reader_who_was_away_too_long_is_told_what_is_forgotten_and_goes_on_behind_it() -> None:
    store = MemoryStore()
    journal, _ = a_journal(store)
    await tell(journal, *(f"k{number}" for number in range(1, 31)))
    assert await journal.forget(keep=10, most=20)
    again, _ = a_journal(store)  # nothing is in its memory
    for start, expected in ((0, range(20, 31)), (5, range(20, 31)), (19, range(20, 31)), (20, range(21, 31)), (25, range(26, 31))):
        heard = [fact async for fact in _until(again, start, 30)]
        assert numbers(heard) == list(expected)
        gaps = [(fact.number, fact.subject, dict(fact.data)) for fact in heard if fact.kind == "forgotten"]
        assert gaps == ([(20, "hub", {"after": start, "first": 21})] if start < 20 else [])


@instantly
async def test_a_reader_whom_the_forgetting_overtakes_is_told_too() -> None:
    journal, _ = a_journal()
    await tell(journal, *(f"k{number}" for number in range(1, 2_001)))
    heard: list[Fact] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(collect(journal.events(after=0), heard, pause=1.0))
        await asyncio.sleep(100)
        while await journal.forget(keep=100, most=100):
            pass
        await asyncio.sleep(2_000)
        journal.close()
    told = numbers(heard)
    assert told == sorted(set(told))
    (gap,) = [fact for fact in heard if fact.kind == "forgotten"]
    assert told == [*range(1, int(str(gap.data["after"])) + 1), *range(gap.number, 2_001)]


@instantly
async def test_only_whole_batches_are_forgotten_and_never_what_is_to_be_kept() -> None:
    journal, store = a_journal()
    await tell(journal, *("k" for _ in range(29)))
    assert not await journal.forget(keep=20, most=10)
    await tell(journal, "k")
    assert await journal.forget(keep=20, most=10)
    assert not await journal.forget(keep=20, most=10)
    assert numbers(list(await store.facts.after(0))) == list(range(11, 31))
    empty, _ = a_journal()
    assert not await empty.forget(keep=0, most=1)


async def _until(journal: Journal, after: int, last: int) -> AsyncIterator[Fact]:
    async for fact in journal.events(after=after):
        yield fact
        if fact.number == last:
            return


@instantly
async def test_what_the_store_refuses_is_told_to_nobody() -> None:
    journal, store = a_journal()
    heard: list[Fact] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(collect(journal.events(after=0), heard))
        await asyncio.sleep(1)
        store.full = True
        with pytest.raises(StoreUnavailable):
            await tell(journal, "lost")
        assert journal.trouble is not None
        store.full = False
        await tell(journal, "kept")
        assert journal.trouble is None
        await asyncio.sleep(1)
        journal.close()
    assert [(fact.number, fact.kind) for fact in heard] == [(1, "kept")]


@instantly
async def test_a_fact_whose_teller_was_cancelled_after_the_commit_is_still_heard() -> None:
    journal, store = a_journal()
    transaction = store.transaction

    @asynccontextmanager
    async def cancelled_at_the_end() -> AsyncIterator[None]:
        async with transaction():
            yield
        raise asyncio.CancelledError

    heard: list[Fact] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(collect(journal.events(after=0), heard))
        await tell(journal, "one")
        store.transaction = cancelled_at_the_end  # type: ignore[method-assign]
        with pytest.raises(asyncio.CancelledError):
            await tell(journal, "two")
        store.transaction = transaction  # type: ignore[method-assign]
        await tell(journal, "three")
        await asyncio.sleep(1)
        journal.close()
    assert [fact.kind for fact in heard] == ["one", "two", "three"]


@instantly
async def test_readers_end_when_the_hub_does() -> None:
    journal, _ = a_journal()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(collect(journal.events(), []))
        await asyncio.sleep(1)
        journal.close()
    assert [fact async for fact in journal.events()] == []


@instantly
async def test_a_reader_is_sent_away_by_a_store_that_cannot_be_read() -> None:
    journal, store = a_journal()
    await tell(journal, "one")
    await store.close()
    fresh = Journal(store, VirtualClock())
    assert [fact async for fact in fresh.events(after=0)] == []
