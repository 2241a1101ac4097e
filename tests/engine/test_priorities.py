"""Who goes first: said by the order or later, kept over a restart, told in the journal."""

from __future__ import annotations

import pytest

from otagate.model.errors import NotInState
from otagate.model.ids import zigbee_device_id
from otagate.model.lifecycle import State
from tests.engine.bench import Bench
from tests.engine.radio import NEW, Lamp
from tests.virtual_time import instantly

FIRST, SECOND, THIRD = (zigbee_device_id(number) for number in (1, 2, 3))


@instantly
async def test_what_an_operator_puts_first_begins_first_over_a_restart_too() -> None:
    bench = Bench(lamps={each: Lamp(id=each) for each in (FIRST, SECOND, THIRD)}, parallel=1)
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        await hub.desk.halt(actor="anna")
        last = (await hub.order(FIRST, priority="low")).update
        middle = (await hub.order(SECOND)).update
        first = (await hub.order(THIRD)).update
        await hub.desk.prioritize(first.id, "high", actor="ben")
        await hub.desk.prioritize(first.id, "high", actor="carla")  # it is already
    async with bench.hub() as hub:
        await hub.ready()
        await hub.desk.lift_halt(actor="anna")
        await hub.until_ended(last.id)
    assert [fact.subject_id for fact in await bench.facts("admitted")] == [first.id, middle.id, last.id]
    (told,) = await bench.facts("prioritized")
    assert (told.actor, told.subject_id, told.data["detail"]) == ("ben", first.id, "its priority is high, and was normal")
    assert {row.state for row in await bench.rows()} == {State.SUCCEEDED}


@instantly
async def test_what_has_ended_has_no_priority_any_more() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        update = (await hub.order()).update
        await hub.until_ended(update.id)
        for priority in ("high", "normal"):
            with pytest.raises(NotInState):
                await hub.desk.prioritize(update.id, priority, actor="ben")
