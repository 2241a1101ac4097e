"""Back to the last good image: what the device proved before, as far as it is stored."""

from __future__ import annotations

import pytest

from otagate.engine.views import OrderRequest, OrderResult
from otagate.model.advisories import Advisory
from otagate.model.lifecycle import State
from tests.engine.bench import Bench, Hub
from tests.engine.radio import LAMP, NEW, NEWER, OLD, Lamp
from tests.virtual_time import instantly


async def roll_back(hub: Hub, **wishes: object) -> OrderResult:
    return await hub.desk.order(OrderRequest(devices=(LAMP,), rollback=True, **wishes), actor="test")  # type: ignore[arg-type]


async def back(hub: Hub) -> tuple[object, ...]:
    """What the device says of its way back."""
    shown = (await hub.desk.device(LAMP)).components[0].back
    assert shown is not None
    return (shown.version, shown.image, shown.sentence)


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
        assert await back(hub) == (NEW, good, "It can go back to 0x00000002, which it proved before.")
        planned = await roll_back(hub, dry_run=True)
        assert [each.update.image for each in planned.updates] == [good]
        (made,) = (await roll_back(hub)).updates
        assert (made.update.image, made.update.to_version, made.update.allow_downgrade) == (good, NEW, True)
        assert (await hub.until_ended(made.update.id)).state is State.SUCCEEDED
        assert bench.lamp.version == NEW
        (refused,) = (await roll_back(hub)).refused  # what it came with was never brought by us
        assert "nothing to roll" in str(refused.error)
        told = "There is nothing to roll 0x1409 back to: no older version was brought here and proved by the device."
        assert await back(hub) == (None, None, told)


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
        assert await back(hub) == (None, None, "0x1409 ran 0x00000002 well, but its image is not stored any more: add the file again.")


@instantly
@pytest.mark.parametrize("wishes", [{"version": NEW}, {"image": "ab" * 32}])
async def test_a_rollback_names_neither_version_nor_image(wishes: dict[str, object]) -> None:
    async with Bench().hub() as hub:
        await hub.ready()
        (refused,) = (await roll_back(hub, **wishes)).refused
        assert refused.error.code == "policy-refused"


@instantly
async def test_a_device_that_would_not_go_back_is_not_sent_back_again_by_itself() -> None:
    bench = Bench(lamps={LAMP: Lamp(version=OLD)})
    async with bench.hub() as hub:
        await hub.ready()
        for version in (NEW, NEWER):
            await hub.add_image(version)
            await hub.until_ended((await hub.order()).update.id)
        bench.lamp.goes = "rejects"
        (made,) = (await roll_back(hub)).updates
        assert (await hub.until_ended(made.update.id)).state is State.FAILED
        (refused,) = (await roll_back(hub)).refused
        assert refused.error.code == "policy-refused"
        assert f"did not take an older version before (update {made.update.id})" in str(refused.error)
        assert (await back(hub))[:2] == (None, None)
        bench.lamp.goes = "well"  # an order by name is tried all the same, and when it works the way back is open again
        again = await hub.order(version=NEW, allow_downgrade=True)
        assert (await hub.until_ended(again.update.id)).state is State.SUCCEEDED
        await hub.until_ended((await hub.order(version=NEWER)).update.id)
        assert (await back(hub))[0] == NEW


@instantly
async def test_there_is_no_way_back_to_an_image_that_an_advisory_names() -> None:
    bench = Bench(lamps={LAMP: Lamp(version=OLD)})
    async with bench.hub() as hub:
        await hub.ready()
        good = await hub.add_image(NEW)
        await hub.until_ended((await hub.order()).update.id)
        await hub.add_image(NEWER)
        await hub.until_ended((await hub.order()).update.id)
        hub.cases.advise([Advisory(sentence="It dies of it", source="us", sha256=(good,))])
        (refused,) = (await roll_back(hub)).refused
        assert refused.reason == "advisory"
        assert await back(hub) == (None, None, "It dies of it; see us.")


@instantly
async def test_lists_of_devices_tell_of_no_way_back() -> None:
    async with Bench(lamps={LAMP: Lamp(version=OLD)}).hub() as hub:
        await hub.ready()
        assert [each.components[0].back for each in (await hub.desk.devices()).items] == [None]
