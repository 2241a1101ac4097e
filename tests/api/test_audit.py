"""Calls about the audit: the chain, and the export with which somebody accounts for what was done."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta

import aiohttp
import pytest

from otagate.model.errors import StoreUnavailable
from otagate.model.lifecycle import State
from otagate.reports.cells import csv_line
from tests.api.conftest import Hall
from tests.api.counter import LAMP, NOON, PLUG, failed, update

pytestmark = pytest.mark.asyncio


@pytest.fixture
def past(hall: Hall) -> Hall:
    jobs = [
        update(1, state=State.SUCCEEDED, actor="policy", approved_by="token:ben", started=NOON, finished=NOON + timedelta(minutes=3)),
        failed(2),
        update(
            3, PLUG, state=State.CANCELLED, actor="uid:1000", because='=HYPERLINK("http://x")\n"stop", he said', finished=NOON + timedelta(hours=2)
        ),
        update(4, PLUG),
    ]
    hall.desk.jobs = {each.id: each for each in jobs}
    return hall


async def export(hall: Hall, query: str = "") -> tuple[str, str]:
    async with hall.client.get(f"{hall.base}/api/v1/audit{query}") as response:
        assert response.status == 200
        return response.headers["Content-Type"], await response.text()


async def test_the_chain_is_told_in_one_sentence(hall: Hall) -> None:
    answer = await hall.json("GET", "/api/v1/audit/verify")
    assert answer == {"holds": True, "sentence": "The chain holds.", "first": 1, "last": 0, "chain": "ab" * 32, "broken": None}


async def test_every_update_that_ended_is_one_json_line(past: Hall) -> None:
    media, text = await export(past)
    lines = [json.loads(each) for each in text.splitlines()]
    assert media.startswith("application/jsonl")
    assert [each["update"] for each in lines] == ["u0003", "u0002", "u0001"]
    expected = {
        "actor": "policy",
        "approved_by": "token:ben",
        "ended_by": "otagate",
        "device": LAMP,
        "component": "0x1409",
        "from_version": 0x0102_0509,
        "to_version": 0x0102_0600,
        "image": "ab" * 32,
        "seconds": 180.0,
        "retries": 2,
        "outcome": "succeeded",
        "error": None,
        "fact": 7,
        "chain": "cd" * 32,
    }
    assert {key: lines[2][key] for key in expected} == expected
    assert lines[1]["error"]


async def test_csv_has_the_same_columns_one_line_each_and_no_formulas(past: Hall) -> None:
    media, text = await export(past, "?format=csv")
    _, lines = await export(past)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert media.startswith("text/csv")
    assert len(text.splitlines()) == 4
    assert list(rows[0]) == list(json.loads(lines.splitlines()[0]))
    assert rows[0]["because"] == '\'=HYPERLINK("http://x") "stop", he said'
    assert (rows[2]["seconds"], rows[2]["because"]) == ("180.0", "")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (f"?device={PLUG}", ["u0003"]),
        ("?actor=policy", ["u0001"]),
        ("?actor=token:ben", ["u0001"]),
        ("?since=2026-05-01T13:00:00Z", ["u0003"]),
        ("?until=2026-05-01T12:03:00Z", ["u0001"]),
        ("?device=nobody", []),
    ],
)
async def test_the_export_is_narrowed(past: Hall, query: str, expected: list[str]) -> None:
    _, text = await export(past, query)
    assert [json.loads(each)["update"] for each in text.splitlines() if json.loads(each)["error"] is None] == expected


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\uff1d1+1", "\uff0d1", "\uff201"])
async def test_nothing_that_a_spreadsheet_would_compute_leaves(text: str) -> None:
    ((cell,),) = csv.reader(io.StringIO(csv_line([text])))
    assert cell.startswith("'")


@pytest.mark.parametrize("text", ["zigbee-000d6f000a9069e7", "0x1409", "token:panel", "a, b", 'a "b"', "läuft", ""])
async def test_ordinary_text_leaves_as_it_is(text: str) -> None:
    ((cell, number),) = csv.reader(io.StringIO(csv_line([text, -5])))
    assert (cell, number) == (text, "-5")


async def test_a_store_that_cannot_be_read_is_a_problem_and_one_that_breaks_later_ends_no_answer(past: Hall) -> None:
    past.desk.trouble["audit"] = StoreUnavailable("the disk is gone")
    await past.problem("GET", "/api/v1/audit", status=503, slug="store-unavailable")
    past.desk.trouble = {"audit later": StoreUnavailable("the disk is gone")}
    with pytest.raises(aiohttp.ClientError):
        await export(past)


async def test_no_more_exports_than_streams_are_served_at_once(past: Hall) -> None:
    past.server.hub.streams = past.settings.max_streams
    await past.problem("GET", "/api/v1/audit", status=503, slug="too-many-streams")
