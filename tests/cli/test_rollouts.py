"""The commands of rollouts."""

from __future__ import annotations

import json

import pytest

from otagate.model.rollouts import WavePlan
from tests.api.conftest import Hall
from tests.api.counter import LAMP, rollout
from tests.cli.conftest import at


@pytest.mark.asyncio
async def test_a_rollout_is_started_with_its_waves(hall: Hall) -> None:
    words = ("rollouts", "start", "hall", "--model", "LCT*", "--wave", "0.05:1:0:1h:manual", "--wave", "0.5", "--wave", "0.2:::0")
    outcome = await at(hall, *words)
    assert outcome.code == 0, outcome.err
    assert "Wave 1 is under way." in outcome.out
    request = hall.desk.orders[0][1]
    plans = request.waves  # type: ignore[attr-defined]
    assert [(each.share, each.success, each.error, each.soak.total_seconds(), each.gate) for each in plans] == [
        (0.05, 1.0, 0.0, 3600, "manual"),
        (0.5, WavePlan(share=1).success, WavePlan(share=1).error, 86400, "auto"),
        (0.2, WavePlan(share=1).success, WavePlan(share=1).error, 0, "auto"),
    ]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("wave", "told"),
    [("five", "share 'five' is no number"), ("0.1:x", "success 'x' is no number"), ("", "write SHARE"), ("1:1:1:1h:auto:x", "write SHARE")],
)
async def test_a_wave_that_cannot_be_read_is_wrong_usage(hall: Hall, wave: str, told: str) -> None:
    outcome = await at(hall, "rollouts", "start", "hall", "--wave", wave)
    assert (outcome.code, hall.desk.orders) == (2, [])
    assert told in outcome.err


@pytest.mark.asyncio
async def test_who_is_left_out_is_told_and_is_the_exit_code(hall: Hall) -> None:
    outcome = await at(hall, "rollouts", "start", "hall", "--device", LAMP, "--device", "zigbee-00000000000000ff")
    assert outcome.code == 2
    assert "zigbee-00000000000000ff: No such device" in outcome.err


@pytest.mark.asyncio
@pytest.mark.parametrize("verb", ["pause", "resume", "halt", "approve", "cancel"])
async def test_a_rollout_is_steered_and_shown(hall: Hall, verb: str) -> None:
    view = rollout(1)
    hall.desk.campaigns[view.rollout.id] = view
    outcome = await at(hall, "rollouts", verb, "r000001", "--json")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["id"] == "r000001"
    assert hall.desk.orders[0][0] == f"{verb}_rollout"


@pytest.mark.asyncio
async def test_rollouts_are_listed_and_shown(hall: Hall) -> None:
    view = rollout(1)
    hall.desk.campaigns[view.rollout.id] = view
    listed = await at(hall, "rollouts", "list")
    shown = await at(hall, "rollouts", "show", "r000001")
    assert "lamps 1" in listed.out
    assert "1 of 1" in listed.out
    assert "To come" in shown.out
