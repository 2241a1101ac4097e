"""Commands about what happened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from otagate.cli.past import moment
from otagate.model.lifecycle import State
from tests.api.conftest import Hall
from tests.api.counter import LAMP, NOON, PLUG, failed, update
from tests.cli.conftest import at, otagate

pytestmark = pytest.mark.asyncio


@pytest.fixture
def past(hall: Hall) -> Hall:
    """Four updates: one still runs, the others ended an hour after each other."""
    jobs = [
        update(1, state=State.SUCCEEDED, actor="policy", started=NOON, finished=NOON + timedelta(minutes=3)),
        failed(2),
        update(3, PLUG, state=State.CANCELLED, actor="uid:1000", because="wrong lamp", finished=NOON + timedelta(hours=2)),
        update(4, PLUG),
    ]
    hall.desk.jobs = {each.id: each for each in jobs}
    return hall


async def ids(hall: Hall, *arguments: str) -> list[str]:
    return [each["id"] for each in (await at(hall, "history", *arguments, "--json")).document["items"]]


async def test_history_shows_who_ordered_what_and_how_it_ended_the_last_first(past: Hall) -> None:
    assert await ids(past) == ["u0003", "u0001", "u0002"]
    shown = (await at(past, "history")).out
    assert all(each in shown for each in ("Plug", "Lamp", "cancelled", "uid:1000", "wrong lamp", "3 min 00 s", "no block was asked for"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--device", PLUG), ["u0003"]),
        (("--state", "failed"), ["u0002"]),
        (("--state", "failed,succeeded"), ["u0001", "u0002"]),
        (("--actor", "policy"), ["u0001"]),
        (("--limit", "1"), ["u0003"]),
        (("--since", "2026-05-01T13:00:00Z"), ["u0003"]),
        (("--since", "2026-05-02"), []),
        (("--since", "1m"), []),
    ],
)
async def test_history_is_narrowed(past: Hall, arguments: tuple[str, ...], expected: list[str]) -> None:
    assert await ids(past, *arguments) == expected


async def test_history_of_many_updates_is_read_page_by_page_until_there_are_enough(hall: Hall) -> None:
    jobs = [update(number, state=State.SUCCEEDED, actor="ben" if number == 1 else "anna", finished=NOON) for number in range(1, 1_200)]
    hall.desk.jobs = {each.id: each for each in jobs}
    assert await ids(hall, "--actor", "ben") == ["u0001"]
    assert len(await ids(hall, "--limit", "700")) == 700


async def test_the_journal_tells_everything_and_who_did_it(past: Hall) -> None:
    await past.desk.record("device", LAMP, "amended", {"name": "Desk"}, actor="uid:1000")
    await past.desk.record("hub", "hub", "halted", {"because": "smoke"}, actor="token:panel")
    everything = (await at(past, "history", "--journal")).out
    assert all(each in everything for each in ("amended", "name Desk", "uid:1000", "halted", "because smoke", "token:panel"))
    assert [each["kind"] for each in (await at(past, "history", "--journal", "--actor", "uid:1000", "--json")).document["items"]] == ["amended"]
    assert [each["kind"] for each in (await at(past, "history", "--journal", "--device", LAMP, "--json")).document["items"]] == ["amended"]
    assert (await at(past, "history", "--journal", "--since", "1h", "--json")).document["items"] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2026-05-01T03:00:00+02:00", datetime(2026, 5, 1, 1, tzinfo=UTC)), ("2026-05-01T03:00:00Z", datetime(2026, 5, 1, 3, tzinfo=UTC))],
)
async def test_a_time_is_read_with_its_zone(text: str, expected: datetime) -> None:
    assert moment(text) == expected


@pytest.mark.parametrize("text", ["yesterday", "7", "7w", "2026-13-01", "", "999999d"])
async def test_what_is_no_time_is_exit_2(text: str) -> None:
    outcome = await otagate("history", "--since", text, "--url", "http://127.0.0.1:1")
    assert outcome.code == 2
    assert "write 2026-05-01" in outcome.err
