"""A receiver that is told what happens, whatever becomes of it and of the hub."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from otagate.engine.journal import Journal
from otagate.engine.notifier import BURST, Notifier
from otagate.model.errors import SourceUnavailable
from otagate.policy.window import Window
from otagate.ports import Outgoing, Store
from otagate.stores.memory import MemoryStore
from tests.virtual_time import VirtualClock, instantly

AT_NOON = Window(name="quiet", zone=ZoneInfo("UTC"), start=11 * 60, end=15 * 60)  # the virtual clock begins at noon


class Post:
    """Implements `ports.Courier`: a receiver at the other end of a network, which is not what is tried here."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.refuses = refuses
        self.tried: list[Outgoing] = []
        self.taken: list[dict[str, Any]] = []

    async def deliver(self, outgoing: Outgoing) -> None:
        self.tried.append(outgoing)
        if self.refuses:
            raise SourceUnavailable("notify a: away")
        self.taken.append(json.loads(outgoing.document()))

    @property
    def texts(self) -> list[list[str]]:
        return [[notice["text"] for notice in each["notices"]] for each in self.taken]


@asynccontextmanager
async def told(store: Store, post: Post, quiet: Window | None = None) -> AsyncIterator[Journal]:
    """One life of a hub with a notifier; it ends without a goodbye."""
    clock = VirtualClock()
    journal = Journal(store, clock)
    notifier = Notifier(
        name="a", kind="webhook", courier=post, journal=journal, store=store, clock=clock, least="info", quiet=quiet, radios=["zigbee0"]
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(notifier.run())
        await asyncio.sleep(1)
        yield journal
        task.cancel()


async def succeed(journal: Journal, *devices: str, state: str = "succeeded") -> None:
    async with journal.commit() as entry:
        for device in devices:
            entry.tell("update", "u", state, data={"state": state, "device": device})


async def lose(journal: Journal, radio: str = "zigbee0", state: str = "retrying", sentence: str = "gone") -> None:
    async with journal.commit() as entry:
        entry.tell("radio", radio, "state", data={"state": state, "sentence": sentence})


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(3 * 86_400):
        while not true():
            await asyncio.sleep(1)


def ok(device: str) -> str:
    return f"The update of {device} succeeded."


@instantly
async def test_the_first_start_tells_no_old_news_and_a_later_one_what_happened_meanwhile() -> None:
    store, post = MemoryStore(), Post()
    await succeed(Journal(store, VirtualClock()), "old")
    async with told(store, post) as journal:
        await succeed(journal, "new")
        await until(lambda: post.taken)
    await succeed(Journal(store, VirtualClock()), "meanwhile")
    async with told(store, post):
        await until(lambda: len(post.taken) == 2)
    assert post.texts == [[ok("new")], [ok("meanwhile")]]


@instantly
async def test_a_hub_that_is_killed_while_it_sends_says_the_same_again_under_the_same_id() -> None:
    store, post = MemoryStore(), Post(refuses=True)
    async with told(store, post) as journal:
        await succeed(journal, "a")
        await until(lambda: len(post.tried) >= 2)
    post.refuses = False
    async with told(store, post):
        await until(lambda: post.taken)
        await asyncio.sleep(600)
    assert len({(each.id, each.document()) for each in post.tried}) == 1
    assert post.texts == [[ok("a")]]
    assert post.taken[0]["id"] == post.tried[0].id


@instantly
async def test_what_cannot_be_told_for_a_day_is_given_up_and_the_journal_says_so_once() -> None:
    store, post = MemoryStore(), Post(refuses=True)
    async with told(store, post) as journal:
        await succeed(journal, "a", "b")
        await asyncio.sleep(timedelta(days=3).total_seconds())
        post.refuses = False
        await succeed(journal, "c")
        await until(lambda: post.taken)
        await asyncio.sleep(60)
    assert post.texts == [[ok("c")]]
    lost = [each for each in await store.facts.after(0, limit=100) if each.kind == "notification_lost"]
    assert [each.data["notifier"] for each in lost] == ["a"]


@instantly
async def test_quiet_hours_hold_all_but_problems_and_end_in_a_digest_over_a_restart_too() -> None:
    store, post = MemoryStore(), Post()
    async with told(store, post, AT_NOON) as journal:
        await succeed(journal, "a")
        await succeed(journal, "bad", state="failed")
        await until(lambda: post.taken)
        await succeed(journal, "b")
        await asyncio.sleep(3600)
        assert post.texts == [["The update of bad failed (failed)"]]
    async with told(store, post, AT_NOON):
        await until(lambda: len(post.taken) == 2)
        assert VirtualClock().now().hour == 15
    assert post.texts[1] == [ok("a"), ok("b")]


@instantly
async def test_many_of_one_kind_in_a_minute_become_one_message() -> None:
    store, post = MemoryStore(), Post()
    names = [f"d{number}" for number in range(40)]
    async with told(store, post) as journal:
        await succeed(journal, *names)
        await until(lambda: len(post.taken) > BURST)
        await asyncio.sleep(600)
    assert [len(each) for each in post.texts] == [1] * BURST + [20]
    assert post.taken[-1]["more"] == 40 - BURST - 20


@instantly
async def test_a_radio_that_stays_lost_is_told_of_twice_over_restarts_too_and_when_it_is_back() -> None:
    store, post = MemoryStore(), Post()
    async with told(store, post) as journal:
        await lose(journal)
        await lose(journal, sentence="no answer")
        await until(lambda: post.taken)
    async with told(store, post) as journal:
        await lose(journal, state="starting")
        await lose(journal, sentence="still gone")
        await asyncio.sleep(timedelta(days=2).total_seconds())
    async with told(store, post) as journal:
        await asyncio.sleep(timedelta(days=2).total_seconds())
        await lose(journal, state="up")
        await until(lambda: len(post.taken) == 3)
        await asyncio.sleep(timedelta(days=1).total_seconds())
    assert [text.partition(", since")[0] for (text,) in post.texts] == [
        "The radio zigbee0 is not up (retrying): gone",
        "The radio zigbee0 is still not up",
        "The radio zigbee0 is up again.",
    ]


@instantly
async def test_a_radio_that_is_configured_no_more_is_not_told_of_again() -> None:
    store, post = MemoryStore(), Post()
    async with told(store, post) as journal:
        await lose(journal, "zigbee9")
        await until(lambda: post.taken)
    async with told(store, post):
        await asyncio.sleep(timedelta(days=2).total_seconds())
    assert len(post.taken) == 1


@instantly
async def test_a_test_is_sent_in_quiet_hours_and_says_why_it_did_not_arrive() -> None:
    store, post, clock = MemoryStore(), Post(refuses=True), VirtualClock()
    notifier = Notifier(name="a", kind="ntfy", courier=post, journal=Journal(store, clock), store=store, clock=clock, least="problem", quiet=AT_NOON)
    with pytest.raises(SourceUnavailable, match="notify a: away"):
        await notifier.test()
    assert notifier.view().trouble == "notify a: away"
    post.refuses = False
    await notifier.test()
    assert [each["notices"][0]["kind"] for each in post.taken] == ["test"]
    assert (notifier.view().trouble, notifier.view().last_delivered is None) == (None, False)
