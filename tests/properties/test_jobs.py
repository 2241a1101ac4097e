"""Laws of the jobs of devices with several processors, whatever devices, operators and the machine do: the order of a job holds, and nothing of one
device runs beside another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otagate.model.facts import Fact
from otagate.model.lifecycle import State
from otagate.model.updates import Update
from otagate.policy.air import ON_THE_AIR
from tests.engine.bench import Bench
from tests.engine.radio import IMAGE_TYPE, NEW, NEWER, OLD, Lamp
from tests.engine.test_laws import LAMPS, STEPS, Step, Story, check, live
from tests.virtual_time import instantly

TYPES = (IMAGE_TYPE - 1, IMAGE_TYPE + 1)
DONE_OR_WAITING = frozenset({State.SUCCEEDED, State.STAGED, State.ACTIVATING, State.CONFIRMING})
"""Where a step stands while one behind it may begin: it has succeeded, or its image is on the device."""


async def _reject(story: Story, number: int) -> None:
    lamp = story.bench.lamps[LAMPS[number % 3]]
    lamp.rejects = ((), (IMAGE_TYPE,), (TYPES[0],), TYPES)[number % 4]


async def _ask(story: Story, number: int) -> None:
    lamp = story.bench.lamps[LAMPS[number % 3]]
    for image_type, version in lamp.others.items():
        story.hub.radio.ask(lamp.id, version, image_type)


async def _publish(story: Story, number: int) -> None:
    """A newer image for one of the processors, or for all."""
    version = NEWER + 1 + number % 3
    for image_type in (IMAGE_TYPE, *TYPES)[number % 3 :]:
        await story.hub.add_image(version, image_type=image_type)


JOB_STEPS: dict[str, Step] = {"reject": _reject, "ask": _ask, "publish": _publish}
WANTED = ("order", "cancel", "retry", "misbehave", "disk", "time", "restart", "reject", "ask", "publish", "announce", "pause", "resume")
_STEPS = st.lists(st.tuples(st.sampled_from(WANTED), st.integers(0, 120)), max_size=25)


def check_one_of_a_component(facts: Sequence[Fact]) -> None:
    """A component never has two updates that have not ended, and a device never two on the air."""
    states: dict[str, State] = {}
    whose: dict[str, tuple[str, str]] = {}
    for fact in (each for each in facts if each.subject == "update"):
        whose[fact.subject_id] = str(fact.data["device"]), str(fact.data["component"])
        states[fact.subject_id] = State(str(fact.data["state"]))
        mine = [each for each, state in states.items() if not state.final and whose[each] == whose[fact.subject_id]]
        begun = [each for each in mine if states[each] not in (State.PLANNED, State.QUEUED)]
        assert len(begun) <= 1, f"{mine} of {whose[fact.subject_id]} at fact {fact.number}"
        air = [each for each, state in states.items() if state in ON_THE_AIR and whose[each][0] == whose[fact.subject_id][0]]
        assert len(air) <= 1, f"{air} are on the air together at fact {fact.number}"


def check_the_order_of_jobs(facts: Sequence[Fact], rows: Sequence[Update]) -> None:
    """Whatever begins, all before it in its job have succeeded, or wait on the device, or were taken again since."""
    row_of = {row.id: row for row in rows}
    states: dict[str, State] = {}
    for fact in (each for each in facts if each.subject == "update"):
        states[fact.subject_id] = State(str(fact.data["state"]))
        row = row_of[fact.subject_id]  # type: ignore[index]
        if fact.kind != "admitted" or row.job is None:
            continue
        before = [each for each in rows if each.job == row.job and each.step < row.step and each.id in states]
        last = {each.component: each for each in sorted(before, key=lambda each: each.id)}
        for each in last.values():
            assert states[each.id] in DONE_OR_WAITING, f"step {row.step}, {row.id}, began while step {each.step}, {each.id}, was {states[each.id]}"


def check_the_jobs(rows: Sequence[Update]) -> None:
    """A job is of one device, and knows how many steps it has."""
    for row in rows:
        assert row.step <= row.steps
        assert row.job is not None or row.steps == 1
        assert all(each.device == row.device for each in rows if row.job is not None and each.job == row.job)


def the_laws_of_jobs(steps: list[tuple[str, int]], mode: Any) -> None:
    async def story() -> None:
        lamps = {
            LAMPS[0]: Lamp(id=LAMPS[0], seconds=30.0, others={TYPES[0]: OLD}),
            LAMPS[1]: Lamp(id=LAMPS[1], seconds=30.0, others=dict.fromkeys(TYPES, OLD), wants_all=True),
            LAMPS[2]: Lamp(id=LAMPS[2], seconds=30.0, others={TYPES[0]: OLD}, wants_all=True, sleepy=True),
        }
        bench = Bench(lamps=lamps, mode=mode, retries=1)
        async with bench.hub() as hub:
            for image_type in (IMAGE_TYPE, *TYPES):
                await hub.add_image(NEW, image_type=image_type)
            told = Story(bench, hub)
        await live(told, steps, {**STEPS, **JOB_STEPS})
        await check(bench)
        facts, rows = await bench.facts(), await bench.rows()
        check_one_of_a_component(facts)
        check_the_order_of_jobs(facts, rows)
        check_the_jobs(rows)

    instantly(story)()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=_STEPS, mode=st.sampled_from(["automatic", "ask"]))
def test_the_order_of_a_job_holds_whatever_happens(steps: list[tuple[str, int]], mode: str) -> None:
    the_laws_of_jobs(steps, mode)


@pytest.mark.night
@pytest.mark.parametrize("part", range(6))  # workers share them
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=_STEPS, mode=st.sampled_from(["automatic", "ask"]))
def test_the_order_of_a_job_holds_through_a_whole_night(part: int, steps: list[tuple[str, int]], mode: str) -> None:
    the_laws_of_jobs(steps, mode)
