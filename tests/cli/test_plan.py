"""What `otagate plan` shows of what would happen, when, and why or why not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from otagate.cli import plan
from tests.api.conftest import Hall
from tests.api.counter import LAMP, PLUG, device
from tests.cli.conftest import at

pytestmark = pytest.mark.asyncio


async def test_every_device_has_a_line_with_when_what_it_costs_and_why(hall: Hall) -> None:
    outcome = await at(hall, "plan")
    assert outcome.code == 0
    header, lamp, plug, night = outcome.out.splitlines()
    assert header.split() == ["Device", "To", "What", "When", "Takes", "Why"]
    assert lamp.startswith(LAMP)
    assert plug.startswith(PLUG)
    for words in ("0x01020600", "waits", "about 5 min 12 s", "on the air (", "No window is open for it."):
        assert words in lamp
    assert night.startswith("night opens 2026-05-02")
    assert night.endswith("2 updates are likely to begin, 2 s on the air")
    assert hall.desk.orders == []


async def test_as_json_it_is_the_documents_of_the_api_all_pages_as_one(hall: Hall) -> None:
    assert (await at(hall, "plan", "--json")).document == await hall.json("GET", "/api/v1/plan?limit=500")
    one = await hall.json("GET", f"/api/v1/devices/{LAMP}/plan")
    assert (await at(hall, "plan", LAMP, "--json")).document == {"items": [one], "next_cursor": None, "openings": None}
    assert (await at(hall, "plan", "--device", LAMP, "--json")).document == one
    for number in range(600):
        key = f"zigbee-{number:016x}"
        hall.desk.known[key] = device(key)
    whole = (await at(hall, "plan", "--json")).document
    assert (len(whole["items"]), whole["next_cursor"], len(whole["openings"])) == (602, None, 1)


async def test_one_device_is_shown_with_what_every_rule_says(hall: Hall) -> None:
    outcome = await at(hall, "plan", "--device", LAMP)
    assert outcome.code == 0
    lines = [line.split() for line in outcome.out.splitlines()]
    assert ["what", "waits"] in lines
    assert ["when", "2026-05-02", *lines[[line[0] for line in lines].index("when")][2:]] in lines
    assert next(line for line in lines if "pin" in line)[:2] == ["pin", "pass"]
    assert next(line for line in lines if "window" in line and ">" in line)[:3] == [">", "window", "wait"]
    assert (await at(hall, "plan", "--device", LAMP, PLUG)).code == 2
    assert (await at(hall, "plan", "--device", "zigbee-ffffffffffffffff")).code == 2


HOSTILE = "\x1b[2J\u202e" + "A" * 400
FIGURE = {"value": 90.0, "known": "measured here"}


def planned(outcome: str, **changes: Any) -> dict[str, Any]:
    part = {
        "component": "0x1409",
        "outcome": outcome,
        "reason": None,
        "sentence": HOSTILE,
        "update": None,
        "from_display_version": "1",
        "release": {"display_version": HOSTILE},
        "steps": [{}, {}],
        "when": {"kind": "wake", "begins": None},
        "minutes": FIGURE,
        "airtime_seconds": FIGURE,
        "air_share": {"value": 0.25, "known": "estimate"},
        "battery_percent": {"value": 1.25, "known": "estimate"},
        "rules": [{"rule": "pin", "outcome": "pass", "reason": None, "sentence": HOSTILE, "facts": {"pin": HOSTILE}, "decides": False}],
    }
    return {"device": LAMP, "name": HOSTILE, "components": [part | changes]}


async def test_what_was_measured_is_told_as_it_is_and_what_is_reckoned_as_about() -> None:
    (part,) = planned("waits")["components"]
    assert plan.facts(planned("waits"), part)["takes"] == "1 h 30 min"
    assert plan.facts(planned("waits"), part)["air"] == "1 min 30 s on the air (25% of it)"
    assert plan.facts(planned("waits"), part)["battery"] == "about 1.2 % of the battery"


@pytest.mark.parametrize("outcome", ["nothing", "stopped", "asks", "waits", "begins", "runs", "something new"])
@pytest.mark.parametrize("width", [40, 80, 120])
async def test_a_plan_fits_the_terminal_whatever_devices_are_called(outcome: str, width: int) -> None:
    console = Console(width=width, force_terminal=True, color_system=None, record=True, file=None, highlight=False)
    empty = {"device": LAMP, "name": "x", "components": []}
    with console.capture() as capture:
        console.print(plan.plans(console, [planned(outcome), planned(outcome, when=None, release=None, minutes=None), empty]))
        console.print(plan.rules(console, planned(outcome)["components"][0]["rules"]))
    text = capture.get()
    assert max(len(line) for line in text.splitlines()) <= width
    assert "\u202e" not in text


async def test_devices_that_nothing_may_be_given_to_are_exit_4_where_they_are_named(hall: Hall) -> None:
    plans = hall.desk.plan

    async def stopped(device_id: Any) -> Any:
        found = await plans(device_id)
        return replace(found, components=[replace(each, outcome="stopped", reason="pinned") for each in found.components])

    hall.desk.plan = stopped  # type: ignore[method-assign]
    assert [(await at(hall, *each)).code for each in (("plan",), ("plan", LAMP), ("plan", "--device", LAMP))] == [0, 4, 4]
