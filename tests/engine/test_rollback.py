"""Back to the last good image: what the device proved before, as far as it is stored."""

from __future__ import annotations

import pytest

from otagate.engine.views import OrderRequest, OrderResult
from otagate.model.lifecycle import State
from tests.engine.bench import Bench, Hub
from tests.engine.radio import LAMP, NEW, NEWER, OLD, Lamp
from tests.virtual_time import instantly


async def roll_back(hub: Hub, **wishes: object) -> OrderResult:
    return await hub.desk.order(OrderRequest(devices=(LAMP,), rollback=True, **wishes), actor="test")  # type: ignore[arg-type]


@instantly
async def test_a_rollback_brings_the_last_good_image_before_the_one_that_runs() -> None:
    bench = Bench(lamps={LAMP: Lamp(version=OLD)})
    async with bench.hub() as hub:
        await hub.ready()
        good = await hub.add_image(NEW)
        await hub.until_ended((await hub.order()).update.id)
        await hub.add_image(NEWER)
        await hub.until_ended((await hub.order()).update.id)
        assert bench.lamp.version == NEWER
        planned = await roll_back(hub, dry_run=True)
        assert [each.update.image for each in planned.updates] == [good]
        (made,) = (await roll_back(hub)).updates
        assert (made.update.image, made.update.to_version, made.update.allow_downgrade) == (good, NEW, True)
        assert (await hub.until_ended(made.update.id)).state is State.SUCCEEDED
        assert bench.lamp.version == NEW
        (refused,) = (await roll_back(hub)).refused  # what it came with was never brought by us
        assert "nothing to roll" in str(refused.error)


@instantly
async def test_a_rollback_to_an_image_that_is_gone_says_what_to_do() -> None:
    bench = Bench(lamps={LAMP: Lamp(version=OLD)})
    async with bench.hub() as hub:
        await hub.ready()
        good = await hub.add_image(NEW)
        await hub.until_ended((await hub.order()).update.id)
        await hub.add_image(NEWER)
        await hub.until_ended((await hub.order()).update.id)
        await hub.desk.remove_image(good, actor="test")
        (refused,) = (await roll_back(hub)).refused
        assert (refused.error.code, "not stored any more: add the file again" in str(refused.error)) == ("no-release", True)


@instantly
@pytest.mark.parametrize("wishes", [{"version": NEW}, {"image": "ab" * 32}])
async def test_a_rollback_names_neither_version_nor_image(wishes: dict[str, object]) -> None:
    async with Bench().hub() as hub:
        await hub.ready()
        (refused,) = (await roll_back(hub, **wishes)).refused
        assert refused.error.code == "policy-refused"
