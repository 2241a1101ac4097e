"""What policy does by itself: one update, not two; never against an operator; never the same failure again."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from otagate.engine.views import OrderRequest
from otagate.model.ids import zigbee_device_id
from otagate.model.lifecycle import State
from otagate.model.updates import Update
from otagate.policy.settings import PolicySettings
from tests.engine.bench import DAY, Bench, Hub, image_bytes
from tests.engine.radio import LAMP, NEW, NEWER, OLD, Lamp
from tests.virtual_time import instantly


def automatic(**traits: object) -> Bench:
    return Bench(lamps={LAMP: Lamp(**traits)}, mode="automatic")  # type: ignore[arg-type]


async def only(hub: Hub) -> Update:
    """The one update there is, once there is one."""
    await hub.until(lambda: any(fact.kind == "created" for fact in hub.told))
    (row,) = await hub.bench.rows()
    return row


@instantly
async def test_a_release_that_policy_takes_makes_one_update_however_often_it_is_decided() -> None:
    bench = automatic()
    async with bench.hub() as hub:
        await hub.ready()
        await hub.add_image(NEW)
        for _ in range(10):
            hub.consultant.post_all()
            hub.radio.ask(LAMP, OLD)
        await hub.until_ended((await only(hub)).id)
        await hub.pass_time(days=2)
    assert [row.state for row in await bench.rows()] == [State.SUCCEEDED]
    assert bench.lamp.downloads == 1


@pytest.mark.parametrize("head_start", range(8))
@instantly
async def test_policy_and_an_operator_who_want_the_same_at_once_get_one_update(head_start: int) -> None:
    bench = automatic()
    bench.mode = "never"
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        bench.mode = "automatic"
        hub.consultant.post(LAMP)
        for _ in range(head_start):
            await asyncio.sleep(0)
        result = await hub.desk.order(OrderRequest(devices=(LAMP,)), actor="test")
        await hub.pass_time(minutes=30)
        rows = await bench.rows()
    assert [each.state for each in rows if each.state is not State.SUPERSEDED] == [State.SUCCEEDED]
    assert [each.error.code for each in result.refused] in ([], ["already-updating"])
    assert len(result.updates) + len(result.refused) == 1


@pytest.mark.parametrize("mode", ["ask", "never"])
@instantly
async def test_policy_makes_nothing_that_it_must_not_make_alone(mode: str) -> None:
    bench = Bench(mode=mode)  # type: ignore[arg-type]
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        await hub.pass_time(days=1)
    assert await bench.rows() == []


@instantly
async def test_rules_of_single_devices_are_theirs_alone() -> None:
    other = Lamp(id=zigbee_device_id(2))
    bench = Bench(lamps={LAMP: Lamp(), other.id: other}, mode="never", policies={LAMP: PolicySettings(mode="automatic")})
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        await hub.pass_time(days=1)
    assert [row.device for row in await bench.rows()] == [LAMP]


@pytest.mark.parametrize("traits", [{"boots": "old"}, {"goes": "declines"}, {"goes": "rejects"}, {"goes": "stalls"}], ids=str)
@instantly
async def test_what_failed_is_not_tried_again_by_policy_alone(traits: dict[str, object]) -> None:
    bench = automatic(**traits)
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        await hub.until_ended((await only(hub)).id)
        for _ in range(10):
            hub.consultant.post_all()
            await hub.pass_time(hours=7)
    assert [row.state for row in await bench.rows()] == [State.FAILED]


@pytest.mark.parametrize("image_type", [8704, 8710])
@instantly
async def test_an_image_that_has_harmed_its_kind_of_device_is_sent_by_nobody(image_type: int) -> None:
    bench = automatic(image_type=image_type)
    async with bench.hub() as hub:
        await hub.add_image(NEW, image_type=image_type)
        await hub.ready()
        await hub.pass_time(hours=1)
        order = OrderRequest(devices=(LAMP,), force=True)
        (refused,) = (await hub.desk.order(order, actor="test")).refused
        assert (refused.error.code, refused.reason) == ("policy-refused", "advisory")
        assert "left lamps dead" in str(refused.error)
    assert await bench.rows() == []


@instantly
async def test_a_newer_release_is_tried_after_a_failure() -> None:
    bench = automatic(goes="rejects")
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        await hub.until_ended((await only(hub)).id)
        bench.lamp.goes = "well"
        await hub.add_image(NEWER)
        await hub.until(lambda: bench.lamp.version == NEWER)
    assert (await bench.rows())[0].state is State.FAILED


@instantly
async def test_what_an_operator_cancelled_stays_cancelled() -> None:
    bench = automatic(seconds=900.0)
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        row = await only(hub)
        await hub.desk.cancel(row.id, actor="test")
        await hub.pass_time(days=2)
    assert [row.state for row in await bench.rows()] == [State.CANCELLED]


@instantly
async def test_a_device_that_an_operator_took_back_is_not_brought_forward_again() -> None:
    bench = automatic(version=NEW)
    async with bench.hub() as hub:
        bench.mode = "never"
        await hub.add_image(OLD)
        await hub.add_image(NEW)
        await hub.ready()
        back = await hub.order(version=OLD, allow_downgrade=True)
        bench.mode = "automatic"
        assert (await hub.until_ended(back.update.id)).state is State.SUCCEEDED
        await hub.pass_time(days=2)
        assert bench.lamp.version == OLD
        await hub.add_image(NEWER)  # but what is newer than what it ran is new
        await hub.until(lambda: bench.lamp.version == NEWER)


@instantly
async def test_policy_never_goes_back_by_itself() -> None:
    bench = automatic(version=NEWER)
    async with bench.hub() as hub:
        await hub.add_image(OLD)
        await hub.add_image(NEW)
        await hub.ready()
        await hub.pass_time(days=1)
    assert await bench.rows() == []


@instantly
async def test_a_newer_release_takes_the_place_of_an_update_that_policy_made_and_that_has_not_begun() -> None:
    bench = automatic(sleepy=True, asks=False)
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.until(lambda: hub.registry.devices())
        hub.radio.wake(LAMP)
        first = await only(hub)
        await hub.until_state(first.id, State.QUEUED, within=DAY)
        await hub.pass_time(hours=5)
        assert hub.state(first.id) is State.QUEUED
        await hub.add_image(NEWER)
        await hub.until_state(first.id, State.SUPERSEDED)
        assert [(row.to_version, row.state) for row in await bench.rows()] == [(NEW, State.SUPERSEDED), (NEWER, State.QUEUED)]
        await hub.pass_time(seconds=10)
        assert [talk.order.file_version for talk in hub.radio.talks.values()] == [NEWER]


@instantly
async def test_an_operators_own_update_is_superseded_by_nobody() -> None:
    bench = automatic()
    async with bench.hub() as hub:
        await hub.ready()
        bench.mode = "ask"
        await hub.add_image(NEW)
        mine = await hub.order(when=hub.clock.now() + timedelta(days=1))
        bench.mode = "automatic"
        await hub.add_image(NEWER)
        await hub.pass_time(hours=8)
    assert [row.id for row in await bench.rows()] == [mine.update.id]


@instantly
async def test_a_chain_of_releases_is_gone_through_step_by_step() -> None:
    bench = automatic()
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        await hub.until(lambda: bench.lamp.version == NEW)
        await hub.desk.add_image(image_bytes(NEWER), file_name="next.ota", actor="test")
        await hub.until(lambda: bench.lamp.version == NEWER)
    assert [(row.from_version, row.to_version) for row in await bench.rows()] == [(OLD, NEW), (NEW, NEWER)]


@instantly
async def test_a_decision_that_the_full_disk_does_not_take_is_made_again_when_it_does() -> None:
    bench = automatic()
    async with bench.hub() as hub:
        bench.mode = "never"
        await hub.add_image(NEW)
        await hub.ready()
        bench.mode = "automatic"
        hub.store.full = True
        hub.consultant.post(LAMP)
        await hub.pass_time(hours=1)
        assert hub.journal.refusals < 2 * 3_600
        hub.store.full = False
        await hub.until(lambda: bench.lamp.version == NEW, within=600)


@instantly
async def test_a_decision_that_fails_in_a_way_nobody_foresaw_is_made_again_less_and_less_often() -> None:
    bench = automatic()
    async with bench.hub() as hub:
        bench.mode = "never"
        await hub.add_image(NEW)
        await hub.ready()
        await hub.pass_time(minutes=1)
        bench.mode, decide, tries = "automatic", hub.consultant.decide, 0

        async def fail(_: object) -> list[Update]:
            nonlocal tries
            tries += 1
            raise ValueError("a bug")

        hub.consultant.decide = fail  # type: ignore[method-assign]
        hub.consultant.post(LAMP)
        await hub.pass_time(hours=3)
        assert 5 <= tries <= 12
        hub.consultant.decide = decide  # type: ignore[method-assign]
        await hub.until(lambda: bench.lamp.version == NEW, within=2 * 3_600)
