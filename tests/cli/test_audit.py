"""Commands about the audit."""

from __future__ import annotations

from datetime import timedelta

import pytest

from otagate.model.errors import StoreUnavailable
from otagate.model.lifecycle import State
from tests.api.conftest import Hall
from tests.api.counter import NOON, PLUG, update
from tests.cli.conftest import at

pytestmark = pytest.mark.asyncio


@pytest.fixture
def past(hall: Hall) -> Hall:
    jobs = [update(number, PLUG, state=State.SUCCEEDED, finished=NOON + timedelta(hours=number)) for number in range(1, 4)]
    hall.desk.jobs = {each.id: each for each in jobs}
    return hall


async def test_verify_says_whether_the_chain_holds_and_ends_with_1_where_it_does_not(hall: Hall) -> None:
    held = await at(hall, "audit", "verify")
    assert (held.code, "The chain holds." in held.out) == (0, True)
    hall.desk.trouble["verify"] = ValueError()
    broken = await at(hall, "audit", "verify")
    assert (broken.code, "breaks at fact 2" in broken.out) == (1, True)
    assert (await at(hall, "audit", "verify", "--json")).document["broken"] == 2


async def test_export_writes_csv_or_a_json_object_a_line(past: Hall) -> None:
    rows = (await at(past, "audit", "export")).out.splitlines()
    assert (len(rows), rows[0].split(",")[0]) == (4, "update")
    for arguments in (("--json",), ("--format", "jsonl")):
        assert [each["update"] for each in (await at(past, "audit", "export", *arguments)).lines] == ["u0003", "u0002", "u0001"]
    assert [each["update"] for each in (await at(past, "audit", "export", "--json", "--since", "2026-05-01T15:00:00Z")).lines] == ["u0003"]
    assert [each["update"] for each in (await at(past, "audit", "export", "--json", "--until", "2026-05-01T13:00:00Z")).lines] == ["u0001"]


async def test_an_export_that_breaks_off_is_said_and_is_no_success(past: Hall) -> None:
    past.desk.trouble["audit later"] = StoreUnavailable("the disk is gone")
    outcome = await at(past, "audit", "export")
    assert (outcome.code, "broke" in outcome.err) == (3, True)
