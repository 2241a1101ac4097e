"""Many devices at once: nobody starves, and what is written stays in proportion."""

from __future__ import annotations

import asyncio

import pytest

from otagate.engine.views import OrderRequest
from otagate.model.ids import zigbee_device_id
from otagate.model.lifecycle import State
from tests.engine.bench import DAY, Bench
from tests.engine.radio import NEW, Lamp
from tests.virtual_time import instantly

CHECK_IN = 3_600.0


@pytest.mark.parametrize("count", [40, pytest.param(500, marks=pytest.mark.night)])
@instantly
async def test_a_house_full_of_devices_of_which_half_sleep_is_brought_to_the_release(count: int) -> None:
    ids = [zigbee_device_id(number) for number in range(1, count + 1)]
    bench = Bench(lamps={each: Lamp(id=each, sleepy=at % 2 == 0, seconds=600.0) for at, each in enumerate(ids)}, parallel=3)
    async with bench.hub() as hub:
        await hub.add_image(NEW)

        async def check_in() -> None:
            while True:
                for each in ids[::2]:
                    hub.radio.wake(each)
                    await asyncio.sleep(CHECK_IN / (count / 2))

        async with asyncio.TaskGroup() as group:
            sleepers = group.create_task(check_in())
            await hub.ready()
            before = hub.store.commits
            result = await hub.desk.order(OrderRequest(devices=tuple(ids)), actor="test")
            assert len(result.updates) == count
            await hub.until(lambda: all(hub.state(each.update.id).final for each in result.updates), within=5 * DAY)
            sleepers.cancel()
        assert (hub.store.commits - before) / count < 40
        assert hub.radio.most_asking <= 8
    assert {row.state for row in await bench.rows()} == {State.SUCCEEDED}
    assert all(lamp.downloads == 1 for lamp in bench.lamps.values())
