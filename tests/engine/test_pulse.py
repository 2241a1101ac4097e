"""Signs of life of the store: a refusal is one, silence is none."""

from __future__ import annotations

import asyncio

from otagate.engine.pulse import Pulse, watch_store
from otagate.stores.memory import MemoryStore
from tests.virtual_time import VirtualClock, instantly


@instantly
async def test_a_store_that_answers_or_refuses_is_alive_and_one_that_hangs_is_not() -> None:
    store, clock = MemoryStore(), VirtualClock()
    pulse = Pulse(clock, every=5.0)
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch_store(store, pulse))
        await asyncio.sleep(60)
        assert pulse.silent(longest=10) == []
        async with store.transaction():  # who never ends it keeps everybody else waiting
            await asyncio.sleep(60)
            assert pulse.silent(longest=10) == ["store"]
        await asyncio.sleep(1)
        assert pulse.silent(longest=10) == []
        await store.close()  # from now on it refuses
        await asyncio.sleep(60)
        assert pulse.silent(longest=10) == []
        watching.cancel()
