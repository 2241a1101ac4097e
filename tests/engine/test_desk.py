"""What operators order: checked the same way whether it is a plan or an order, refused with the reason."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from otagate.engine.patches import DevicePatch, PolicyPatch
from otagate.engine.views import OrderRequest, OrderResult
from otagate.model.errors import AlreadyUpdating, NotInState, StoreUnavailable, UnknownImage, UnknownRadio, UnknownSource, UnknownUpdate
from otagate.model.ids import ComponentId, DeviceId, Sha256, UpdateId, zigbee_device_id
from otagate.model.lifecycle import State
from otagate.model.updates import Update
from tests.engine.bench import Bench, Hub, MemoryFolder, image_bytes
from tests.engine.radio import LAMP, NEW, NEWER, OLD, Lamp
from tests.virtual_time import instantly

STRANGER = zigbee_device_id(99)


async def orders(hub: Hub, **wishes: object) -> OrderResult:
    wishes.setdefault("devices", (LAMP,))
    return await hub.desk.order(OrderRequest(**wishes), actor="anna")  # type: ignore[arg-type]


async def refusals(hub: Hub, **wishes: object) -> list[tuple[str, str | None]]:
    """The codes and reasons of an order that must be refused."""
    result = await orders(hub, **wishes)
    assert result.updates == ()
    return [(each.error.code, each.reason) for each in result.refused]


async def ready(hub: Hub, *versions: int) -> None:
    for version in versions:
        await hub.add_image(version)
    await hub.ready()


@instantly
async def test_a_dry_run_plans_exactly_what_the_order_then_makes_and_changes_nothing() -> None:
    bench = Bench(lamps={LAMP: Lamp(), STRANGER: Lamp(id=STRANGER, version=NEW)})
    async with bench.hub() as hub:
        await ready(hub, NEW)
        facts = len(await bench.facts())
        wishes = {"devices": (LAMP, STRANGER, zigbee_device_id(77))}
        plan = await orders(hub, **wishes, dry_run=True)
        assert (len(await bench.facts()), await bench.rows()) == (facts, [])
        order = await orders(hub, **wishes)
        assert [(each.device, each.error.code) for each in plan.refused] == [(each.device, each.error.code) for each in order.refused]
        for planned, made in zip(plan.updates, order.updates, strict=True):
            for name in ("device", "component", "from_version", "to_version", "image", "bytes_total", "radio", "source", "reason", "state", "actor"):
                assert getattr(planned.update, name) == getattr(made.update, name)


@instantly
async def test_an_order_of_many_makes_what_can_be_made_and_says_why_of_the_rest() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await ready(hub, NEW)
        result = await orders(hub, devices=(LAMP, STRANGER, LAMP))
        assert [each.update.device for each in result.updates] == [LAMP]
        assert [(each.device, each.error.code) for each in result.refused] == [(STRANGER, "unknown-device")]
    assert [row.actor for row in await bench.rows()] == ["anna"]


@instantly
async def test_two_orders_at_once_make_one_update() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await ready(hub, NEW)
        async with asyncio.TaskGroup() as group:
            both = [group.create_task(orders(hub)) for _ in range(2)]
        results = [task.result() for task in both]
        assert sorted(len(each.updates) for each in results) == [0, 1]
        assert [each.error.code for result in results for each in result.refused] == ["already-updating"]
    assert len(await bench.rows()) == 1


@instantly
async def test_what_cannot_be_ordered_is_refused_with_its_reason() -> None:
    bench = Bench(lamps={LAMP: Lamp(version=NEW)})
    async with bench.hub() as hub:
        await ready(hub)
        assert await refusals(hub) == [("no-release", None)]
        await hub.add_image(OLD)
        assert await refusals(hub) == [("downgrade-refused", "below_floor")]
        assert await refusals(hub, force=True) == [("downgrade-refused", "below_floor")]
        await hub.add_image(NEW)
        assert await refusals(hub) == [("already-current", None)]
        assert await refusals(hub, version="soon") == [("no-release", None)]
        assert await refusals(hub, version=NEWER) == [("no-release", None)]
        assert await refusals(hub, component=ComponentId("0x9999")) == [("no-release", None)]
        assert await refusals(hub, image=Sha256("0" * 64)) == [("unknown-image", None)]
        other = await hub.add_image(NEWER, image_type=0x2000)
        assert await refusals(hub, image=other) == [("incompatible-image", "image_mismatch")]
    assert await bench.rows() == []


@instantly
async def test_a_component_that_is_busy_is_told_beside_what_the_others_of_the_device_get() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await ready(hub, NEW)
        first = hub.registry.device(LAMP).components[0]
        second = replace(first, id=ComponentId("0x140a"), image_type=0x140A, version=OLD)
        await hub.registry.asked(LAMP, second)
        await hub.add_image(NEW, image_type=0x140A)
        await hub.desk.halt(actor="anna")
        (busy,) = (await orders(hub, component=second.id)).updates
        result = await orders(hub)
        assert [each.update.component for each in result.updates] == [first.id]
        ((code, detail),) = [(each.error.code, str(each.error)) for each in result.refused]
        assert code == "already-updating"
        assert second.id in detail
        assert busy.update.id in detail


@instantly
async def test_an_older_version_is_sent_only_when_it_is_asked_for() -> None:
    bench = Bench(lamps={LAMP: Lamp(version=NEW)})
    async with bench.hub() as hub:
        await ready(hub, OLD)
        update = await hub.order(allow_downgrade=True, version=f"{OLD:#010x}")
        assert (await hub.until_ended(update.update.id)).state is State.SUCCEEDED
    assert bench.lamp.version == OLD


@instantly
async def test_a_window_that_is_not_configured_is_nothing_to_wait_for() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await ready(hub, NEW)
        result = await orders(hub, when="window")
        assert [each.error.code for each in result.refused] == ["policy-refused"]
        assert "none is configured" in str(result.refused[0].error)


@instantly
async def test_a_time_without_a_zone_is_no_time_and_a_time_that_is_over_is_now() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await ready(hub, NEW)
        assert await refusals(hub, when=datetime(2026, 5, 2, 12)) == [("policy-refused", None)]  # noqa: DTZ001 the point of the test
        update = await hub.order(when=hub.clock.now() - timedelta(days=1))
        assert (await hub.until_ended(update.update.id)).state is State.SUCCEEDED


@instantly
async def test_an_order_that_the_full_disk_does_not_take_is_refused_as_a_whole() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await ready(hub, NEW)
        hub.store.full = True
        with pytest.raises(StoreUnavailable):
            await orders(hub)
        hub.store.full = False
        assert len((await orders(hub)).updates) == 1


# --- what operators say of a device --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("patch", "reason"), [(DevicePatch(pin=OLD), "pinned"), (DevicePatch(skipped=(NEW,)), "skipped")])
def test_a_release_that_an_operator_does_not_want_is_not_taken_until_the_word_is_taken_back(patch: DevicePatch, reason: str) -> None:
    @instantly
    async def story() -> None:
        bench = Bench(mode="automatic")
        async with bench.hub() as hub:
            await hub.ready()
            await hub.desk.amend(LAMP, patch, actor="anna")
            await hub.add_image(NEW)
            await hub.pass_time(days=1)
            assert await bench.rows() == []
            (offer,) = await hub.desk.offers(LAMP)
            assert (offer.verdict.decision, offer.verdict.reason) == ("refuse", reason)
            assert (await hub.desk.device(LAMP)).update_status == "none"
            assert await refusals(hub) == [("policy-refused", reason)]
        async with bench.hub() as hub:  # the word outlives the hub
            await hub.pass_time(days=1)
            assert await bench.rows() == []
            await hub.desk.amend(LAMP, DevicePatch(pin=None, skipped=None), actor="anna")
            await hub.until(lambda: bench.lamp.version == NEW)

    story()


@instantly
async def test_force_goes_against_a_pin() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await ready(hub, NEW)
        await hub.desk.amend(LAMP, DevicePatch(pin=OLD), actor="anna")
        assert len((await orders(hub, force=True)).updates) == 1


@instantly
async def test_what_policy_had_queued_is_withdrawn_when_an_operator_no_longer_wants_it_and_comes_back_when_he_does() -> None:
    bench = Bench(lamps={LAMP: Lamp(seconds=900.0), STRANGER: Lamp(id=STRANGER, seconds=900.0)}, mode="automatic", parallel=1)
    async with bench.hub() as hub:
        await ready(hub, NEW)
        await hub.until(lambda: len(hub.states) == 2)
        (waiting,) = [row for row in await bench.rows() if row.state is State.QUEUED]
        await hub.desk.amend(waiting.device, DevicePatch(pin=OLD), actor="anna")
        gone = await hub.until_ended(waiting.id)
        assert gone.state is State.SUPERSEDED
        log = (await hub.desk.log(waiting.id)).items
        assert "pinned to" in str(log[-1].data["detail"])
        await hub.desk.amend(waiting.device, DevicePatch(pin=None), actor="anna")
        await hub.until(lambda: all(lamp.version == NEW for lamp in bench.lamps.values()))


@instantly
async def test_what_an_operator_allows_is_done_though_the_store_failed_right_after_it_was_written() -> None:
    bench = Bench(mode="automatic")
    async with bench.hub() as hub:
        await hub.ready()
        await hub.desk.amend(LAMP, DevicePatch(skipped=(NEW,)), actor="anna")
        await hub.add_image(NEW)
        await hub.pass_time(minutes=5)
        assert bench.lamp.version == OLD
        unfinished = hub.store.updates.unfinished

        async def fail_once(device: DeviceId | None = None) -> list[Update]:
            hub.store.updates.unfinished = unfinished  # type: ignore[method-assign]
            raise StoreUnavailable("the disk cannot be read")

        hub.store.updates.unfinished = fail_once  # type: ignore[method-assign, assignment]
        with pytest.raises(StoreUnavailable):
            await hub.desk.amend(LAMP, DevicePatch(skipped=None), actor="anna")
        await hub.until(lambda: bench.lamp.version == NEW, within=1_800)


@instantly
async def test_what_an_operator_ordered_is_not_withdrawn_by_a_pin() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await ready(hub, NEW)
        update = (await hub.order(when=hub.clock.now() + timedelta(days=1))).update
        await hub.desk.amend(LAMP, DevicePatch(pin=OLD), actor="anna")
        assert (await hub.until_ended(update.id, within=3 * 86_400.0)).state is State.SUCCEEDED


@instantly
async def test_one_device_can_be_automatic_where_the_others_are_asked_for() -> None:
    bench = Bench(lamps={LAMP: Lamp(), STRANGER: Lamp(id=STRANGER)})
    async with bench.hub() as hub:
        await ready(hub, NEW)
        await hub.desk.amend(LAMP, DevicePatch(policy=PolicyPatch(default="automatic")), actor="anna")
        await hub.until(lambda: bench.lamps[LAMP].version == NEW)
        await hub.pass_time(hours=1)
        assert bench.lamps[STRANGER].version == OLD


# --- retry ------------------------------------------------------------------------------------------------------------------------------


@instantly
async def test_a_retry_is_a_new_update_with_the_wishes_of_the_old() -> None:
    bench = Bench(lamps={LAMP: Lamp(version=NEWER, goes="rejects")})
    async with bench.hub() as hub:
        await ready(hub, NEW)
        first = await hub.until_ended((await hub.order(allow_downgrade=True)).update.id)
        bench.lamp.goes = "well"
        again = (await hub.desk.retry(first.id, actor="ben")).update
        assert again.id != first.id
        assert (again.to_version, again.image, again.allow_downgrade, again.actor) == (NEW, first.image, True, "ben")
        assert (await hub.until_ended(again.id)).state is State.SUCCEEDED


@instantly
async def test_only_what_ended_without_success_is_tried_again_and_only_once_at_a_time() -> None:
    bench = Bench(lamps={LAMP: Lamp(seconds=900.0)})
    async with bench.hub() as hub:
        await ready(hub, NEW)
        update = (await hub.order()).update
        with pytest.raises(NotInState):
            await hub.desk.retry(update.id, actor="test")
        await hub.desk.cancel(update.id, actor="test")
        again = await hub.desk.retry(update.id, actor="test")
        with pytest.raises(AlreadyUpdating):
            await hub.desk.retry(update.id, actor="test")
        await hub.until_ended(again.update.id)
        with pytest.raises(NotInState):
            await hub.desk.retry(again.update.id, actor="test")
        with pytest.raises(UnknownUpdate):
            await hub.desk.retry(UpdateId("u1"), actor="test")


@instantly
async def test_a_retry_of_an_image_that_is_gone_says_so() -> None:
    bench = Bench(lamps={LAMP: Lamp(goes="rejects")})
    async with bench.hub() as hub:
        await ready(hub, NEW)
        failed = await hub.until_ended((await hub.order()).update.id)
        assert failed.image is not None
        await hub.desk.remove_image(failed.image, actor="test")
        with pytest.raises(UnknownImage):
            await hub.desk.retry(failed.id, actor="test")


# --- the rest of the desk -------------------------------------------------------------------------------------------------------------------


@instantly
async def test_an_image_that_an_update_needs_stays_until_the_update_has_ended() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await ready(hub, NEW)
        update = (await hub.order(when=hub.clock.now() + timedelta(days=1))).update
        assert update.image is not None
        with pytest.raises(NotInState, match="needed by update"):
            await hub.desk.remove_image(update.image, actor="test")
        await hub.desk.cancel(update.id, actor="test")
        await hub.desk.remove_image(update.image, actor="test")
        assert await hub.desk.images() == []


@instantly
async def test_an_order_and_the_removal_of_its_image_at_once_never_both_succeed() -> None:
    for first in (True, False):
        bench = Bench()
        async with bench.hub() as hub:
            await ready(hub, NEW)
            (image,) = await hub.desk.images()

            async def remove(hub: Hub = hub, sha256: Sha256 = image.sha256) -> bool:
                try:
                    await hub.desk.remove_image(sha256, actor="test")
                except NotInState:
                    return False
                return True

            async with asyncio.TaskGroup() as group:
                if first:
                    removal, order = group.create_task(remove()), group.create_task(orders(hub))
                else:
                    order, removal = group.create_task(orders(hub)), group.create_task(remove())
            assert removal.result() is not bool(order.result().updates)


@instantly
async def test_what_an_operator_does_to_a_radio_is_in_the_journal_with_the_name() -> None:
    bench = Bench(folders=[MemoryFolder()])
    async with bench.hub() as hub:
        await ready(hub)
        await hub.desk.permit_join("zigbee0", 60, actor="anna")
        await hub.desk.reattach("zigbee0", actor="ben")
        await hub.desk.check(LAMP, actor="cleo")
        await hub.desk.refresh("folder", actor="dora")
        for call in (hub.desk.permit_join("nowhere", 60, actor="x"), hub.desk.reattach("nowhere", actor="x")):
            with pytest.raises(UnknownRadio):
                await call
        with pytest.raises(UnknownSource):
            await hub.desk.refresh("nowhere", actor="x")
    assert ("open", 60) in bench.history
    told = [(fact.kind, fact.actor) for fact in await bench.facts() if fact.actor in {"anna", "ben", "cleo", "dora", "x"}]
    assert told == [("permit_join", "anna"), ("reattach", "ben"), ("checked", "cleo"), ("refreshed", "dora")]


@instantly
async def test_what_was_done_is_not_undone_by_a_journal_that_cannot_be_written() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await ready(hub)
        hub.store.full = True
        await hub.desk.permit_join("zigbee0", 60, actor="anna")
    assert ("open", 60) in bench.history


@instantly
async def test_live_progress_is_told_as_it_rises() -> None:
    bench = Bench(lamps={LAMP: Lamp(seconds=30.0)})
    async with bench.hub() as hub:
        await ready(hub, NEW)
        update = (await hub.order()).update
        seen: list[int] = []

        async def watch() -> None:
            async for view in hub.desk.live():
                assert view.update.id == update.id
                seen.append(view.bytes_sent)

        async with asyncio.TaskGroup() as group:
            group.create_task(watch())
            await hub.until_ended(update.id)
            hub.journal.close()
    assert seen == sorted(set(seen))
    assert len(seen) >= 8


@instantly
async def test_the_same_image_twice_is_one_image() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        first = await hub.desk.add_image(image_bytes(NEW), file_name="a.ota", actor="test")
        again = await hub.desk.add_image(image_bytes(NEW), file_name="b.ota", actor="test")
        assert again == first
        assert len(await bench.facts("added")) == 1
