"""What a hub does for itself: it keeps its journal short and its store copied."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from otagate.engine.journal import Journal
from otagate.engine.keeping import Keeping
from otagate.engine.library import Library
from otagate.engine.offers import Offers
from otagate.engine.upkeep import Upkeep
from otagate.model.errors import StoreUnavailable
from otagate.ports import Store, StoreCopy
from otagate.stores.memory import MemoryStore
from tests.engine.bench import MemoryCache, image_bytes
from tests.engine.test_journal import tell
from tests.engine.test_library import Shelf, as_of_old
from tests.virtual_time import VirtualClock, instantly


@dataclass
class Copies:
    """`ports.StoreCopies` in memory: the number of the last fact in each copy."""

    made: list[StoreCopy] = field(default_factory=list)
    full: bool = False

    async def latest(self) -> StoreCopy | None:
        return self.made[-1] if self.made else None

    async def keep(self, store: Store, *, most: int) -> StoreCopy:
        if self.full:
            raise StoreUnavailable("the disk is full")
        self.made = [*self.made, StoreCopy(path=Path("/copy"), made=VirtualClock().now(), size=await store.facts.last_number())][-most:]
        return self.made[-1]


@dataclass
class Kept:
    store: MemoryStore
    journal: Journal
    library: Library
    upkeep: Upkeep
    copies: Copies

    async def look(self, *, after: timedelta = timedelta()) -> None:
        """A timer ticks after this time, and what is due is done."""
        await asyncio.sleep(after.total_seconds())
        self.upkeep.post()
        await asyncio.sleep(10)


@asynccontextmanager
async def a_hub(
    *, keep_facts: int = 1_000, keep_copies: int = 3, disk: MemoryStore | None = None, cache: MemoryCache | None = None
) -> AsyncIterator[Kept]:
    store, clock, copies = disk or MemoryStore(), VirtualClock(), Copies()
    journal = Journal(store, clock)
    day = timedelta(days=1)
    library = Library(store, cache or MemoryCache(), journal, clock, max_bytes=100_000)
    await library.load()
    upkeep = Upkeep(
        store=store,
        journal=journal,
        library=library,
        keeping=Keeping(store=store, library=library, clock=clock, offers=Offers([]), most=2),
        copies=copies,
        clock=clock,
        keep_facts=keep_facts,
        copy_every=day,
        keep_copies=keep_copies,
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(upkeep.run())
        yield Kept(store, journal, library, upkeep, copies)
        running.cancel()


@instantly
async def test_the_journal_is_kept_at_its_length_and_others_write_meanwhile() -> None:
    async with a_hub() as hub:
        await tell(hub.journal, *("k" for _ in range(4_900)))
        hub.upkeep.post()
        for _ in range(100):
            await asyncio.sleep(0.01)
            await tell(hub.journal, "meanwhile")
        await hub.look()
        left = await hub.store.facts.after(0, limit=10_000)
    assert 1_000 <= len(left) < 1_500
    assert left[-1].number == 5_000


@instantly
async def test_the_store_is_copied_when_a_day_has_passed_in_which_something_happened() -> None:
    async with a_hub() as hub:
        await tell(hub.journal, "one")
        await hub.look()
        await hub.look(after=timedelta(hours=23))
        assert [each.size for each in hub.copies.made] == [1]
        await tell(hub.journal, "two")
        await hub.look(after=timedelta(hours=2))
        await hub.look(after=timedelta(days=30))
        assert [each.size for each in hub.copies.made] == [1, 2]
        for _ in range(5):
            await tell(hub.journal, "more")
            await hub.look(after=timedelta(days=2))
        assert [each.size for each in hub.copies.made] == [5, 6, 7]


@instantly
async def test_a_restart_is_no_reason_for_another_copy_and_a_clock_that_went_back_none_for_going_without() -> None:
    async with a_hub() as hub:
        await tell(hub.journal, "one")
        hub.copies.made = [StoreCopy(path=Path("/copy"), made=VirtualClock().now() - timedelta(hours=1), size=0)]
        await hub.look()
        assert len(hub.copies.made) == 1
        hub.copies.made = [StoreCopy(path=Path("/copy"), made=VirtualClock().now() + timedelta(days=3_650), size=0)]
        await hub.look()
        assert len(hub.copies.made) == 2


@instantly
async def test_a_copy_that_failed_is_made_at_the_next_look() -> None:
    async with a_hub() as hub:
        await tell(hub.journal, "one")
        hub.copies.full = True
        await hub.look()
        hub.copies.full = False
        await hub.look(after=timedelta(minutes=10))
        assert [each.size for each in hub.copies.made] == [1]


@instantly
async def test_where_no_copies_are_wanted_none_are_made() -> None:
    async with a_hub(keep_copies=0) as hub:
        await tell(hub.journal, "one")
        await hub.look(after=timedelta(days=10))
        assert hub.copies.made == []


@instantly
async def test_images_from_before_the_checks_of_today_are_checked_when_the_hub_begins() -> None:
    shelf = Shelf()
    sha256 = await shelf.add(image_bytes(2))
    await as_of_old(shelf, sha256, "header")
    async with a_hub(disk=shelf.disk, cache=shelf.cache) as hub:
        await asyncio.sleep(1)
        assert len(hub.library.image(sha256).facts.checks) > 1


@instantly
async def test_bytes_that_a_failed_commit_left_behind_are_swept_away_and_no_image_with_them() -> None:
    cache = MemoryCache()
    async with a_hub(cache=cache) as hub:
        kept = await hub.library.add(image_bytes(1), file_name="a.ota", source="upload", actor="test")
        stray = await cache.add(b"of a download that nobody came to store")
        await hub.look(after=timedelta(minutes=30))
        assert stray in cache.files
        await hub.look(after=timedelta(days=1))
        assert list(cache.files) == [kept.sha256]


@instantly
async def test_what_an_earlier_life_left_behind_is_swept_away_at_the_start_within_a_bound() -> None:
    cache = MemoryCache()
    for number in range(150):
        await cache.add(f"{number}".encode())
    await asyncio.sleep(7_200)
    async with a_hub(cache=cache) as hub:
        await asyncio.sleep(10)
        assert len(cache.files) == 50
        await hub.look()
        assert not cache.files
