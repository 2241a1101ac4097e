"""The journal proves that it is what was written, on a real SQLite file, and the updates that ended can be accounted for."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from otagate.engine.audit import Audit
from otagate.engine.views import AuditEntry, AuditFilter, ChainView
from otagate.model.facts import Fact, Link, link
from otagate.model.ids import zigbee_device_id
from otagate.model.lifecycle import State
from otagate.stores.sqlite import SqliteStore, open_sqlite_file
from otagate.stores.sqlite_file import load_migrations
from tests.engine.bench import Bench, Hub
from tests.engine.radio import LAMP, NEW, Lamp
from tests.virtual_time import instantly

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def a_fact(kind: str) -> Fact:
    return Fact(at=NOON, subject="radio", subject_id="zigbee0", kind=kind, data={"läuft": True, "share": 0.1, "note": None})


async def write(path: Path, first: int, last: int, *, forget: int = 0) -> None:
    store = await open_sqlite_file(path)
    async with store.transaction():
        for number in range(first, last + 1):
            await store.facts.append(a_fact(f"k{number}"))
        if forget:
            await store.facts.forget(forget)
    await store.close()


async def verify(path: Path) -> ChainView:
    store: SqliteStore = await open_sqlite_file(path)
    try:
        return await Audit(store).verify()
    finally:
        await store.close()


def tamper(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        for each in statements:
            assert connection.execute(each).rowcount > 0
    connection.close()


def test_a_link_is_sha256_over_the_link_before_and_the_canonical_fact() -> None:
    """The example is written out, so that anybody can check a journal without this program."""
    first = link(Link(), Fact(at=NOON, subject="hub", subject_id="hub", kind="halted", actor="token:panel", data={"b": 1, "a": "ä"}))
    assert first == Link(number=1, chain="c106d663f85b0c2e71793093ed025864c3428f8954401bfb0b290cbd697c89e3")
    assert link(first, a_fact("x")).chain != link(Link(number=1), a_fact("x")).chain


@pytest.mark.asyncio
async def test_an_untouched_journal_holds_whatever_its_facts_hold_and_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    assert (await verify(path)).holds
    await write(path, 1, 700)  # more than one page
    await write(path, 701, 1_100)
    view = await verify(path)
    assert (view.holds, view.broken, view.first, view.last) == (True, None, 1, 1_100)
    assert view.sentence == "The chain holds: facts 1 to 1100 are as they were written."


SWAP = (
    "UPDATE facts SET number = 9999 WHERE number = 600",
    "UPDATE facts SET number = 600 WHERE number = 601",
    "UPDATE facts SET number = 601 WHERE number = 9999",
)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("statements", "broken"),
    [
        (("UPDATE facts SET document = replace(document, 'otagate', 'nobody') WHERE number = 600",), 600),
        (("UPDATE facts SET document = json_set(document, '$.data.share', 0.2) WHERE number = 3",), 3),
        (("UPDATE facts SET document = json_set(document, '$.at', 7, '$.kind', json('[]')) WHERE number = 600",), 600),
        (("UPDATE facts SET chain = '' WHERE number = 600",), 600),
        (("UPDATE facts SET chain = ''",), 1),
        (("DELETE FROM facts WHERE number = 600",), 600),
        (("DELETE FROM facts WHERE number = 1",), 1),
        (SWAP, 600),
        (("INSERT INTO facts (number, chain, document) SELECT 701, chain, document FROM facts WHERE number = 700",), 701),
        (("DELETE FROM facts WHERE number = 300", "UPDATE facts SET number = number - 1 WHERE number > 300"), 300),
    ],
)
async def test_what_somebody_changed_is_found_and_named(tmp_path: Path, statements: tuple[str, ...], broken: int) -> None:
    path = tmp_path / "o.db"
    await write(path, 1, 700)
    tamper(path, *statements)
    view = await verify(path)
    assert (view.holds, view.broken, view.last) == (False, broken, broken - 1)
    assert f"breaks at fact {broken}:" in view.sentence


@pytest.mark.asyncio
async def test_a_trimmed_journal_is_checked_from_its_oldest_fact_on(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    await write(path, 1, 20, forget=5)
    await write(path, 21, 30, forget=12)
    view = await verify(path)
    assert (view.holds, view.first, view.last) == (True, 13, 30)
    tamper(path, "DELETE FROM facts WHERE number = 13")  # one more than the store forgot
    assert (await verify(path)).broken == 13


@pytest.mark.asyncio
async def test_even_a_journal_that_is_forgotten_but_for_one_fact_goes_on_with_its_chain(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    await write(path, 1, 5, forget=5)
    await write(path, 6, 7)
    view = await verify(path)
    assert (view.holds, view.first, view.last) == (True, 5, 7)


@pytest.mark.asyncio
async def test_the_chain_begins_behind_facts_that_are_older_than_it(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    await (await open_sqlite_file(path, load_migrations()[:4])).close()
    old = '{"at":"2026-01-01T00:00:00Z","subject":"hub","subject_id":"hub","kind":"k","actor":"otagate","data":{},"number":0}'
    tamper(path, *(f"INSERT INTO facts (number, document) VALUES ({number}, '{old}')" for number in range(1, 11)))
    await write(path, 11, 15, forget=4)  # some of the old ones
    view = await verify(path)
    assert (view.holds, view.first, view.last) == (True, 11, 15)
    await write(path, 16, 16, forget=12)
    assert (await verify(path)).first == 13
    tamper(path, "UPDATE facts SET chain = '' WHERE number = 14")  # it does not pass for an old one
    assert (await verify(path)).broken == 14


@pytest.mark.asyncio
async def test_a_journal_that_is_trimmed_while_it_is_checked_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await write(tmp_path / "o.db", 1, 1_200)
    store = await open_sqlite_file(tmp_path / "o.db")
    read = store.facts.chain_start
    calls = 0

    async def trimmed_in_between() -> Link:
        nonlocal calls
        calls += 1
        if calls == 2:  # between a page and the question where the chain begins
            async with store.transaction():
                await store.facts.forget(800)
        return await read()

    monkeypatch.setattr(store.facts, "chain_start", trimmed_in_between)
    view = await Audit(store).verify()
    await store.close()
    assert (view.holds, view.first, view.last) == (True, 801, 1_200)


async def entries(hub: Hub, **wanted: object) -> list[AuditEntry]:
    return [each async for each in hub.desk.audit(AuditFilter(**wanted))]  # type: ignore[arg-type]


@instantly
async def test_every_update_that_ended_is_accounted_for_by_the_fact_that_tells_its_end() -> None:
    ids = [zigbee_device_id(number) for number in range(1, 131)]  # more than a page
    bench = Bench(lamps={each: Lamp(id=each) for each in ids})
    async with bench.hub() as hub:
        await hub.ready()
        await hub.add_image(NEW)
        for each in ids:
            made = (await hub.order(each)).update
            if each != ids[0]:
                await hub.desk.cancel(made.id, actor="token:panel")
        await hub.until_ended(made.id)
        first = next(each for each in (await hub.desk.updates(device=ids[0])).items)
        await hub.until_ended(first.update.id)
        found = await entries(hub)
        assert [each.update.device for each in found] == ids[::-1]
        done = found[-1]
        assert (done.update.state, done.ended_by, done.retries) == (State.SUCCEEDED, "otagate", 0)
        assert found[0].ended_by == "token:panel"
        (fact,) = await bench.disk.facts.after((done.number or 0) - 1, limit=1)
        assert (fact.subject_id, fact.data["state"], fact.chain) == (done.update.id, "succeeded", done.chain)
        assert [each.update.device for each in await entries(hub, device=ids[7])] == [ids[7]]
        assert await entries(hub, actor="token:stranger") == await entries(hub, since=hub.clock.now().replace(year=2100)) == []
        assert await entries(hub, until=hub.clock.now().replace(year=2000)) == []
        assert (await hub.desk.verify_chain()).holds


@instantly
async def test_an_update_that_was_tried_again_tells_how_often() -> None:
    bench = Bench(lamps={LAMP: Lamp(goes="stalls")})
    async with bench.hub() as hub:
        await hub.ready()
        await hub.add_image(NEW)
        update = (await hub.order(LAMP)).update
        await hub.until_ended(update.id)
        (entry,) = await entries(hub)
        assert entry.retries >= 1
