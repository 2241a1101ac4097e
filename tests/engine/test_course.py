"""The course of an update, from the order to the end, whatever device and disk do."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from otagate.engine.drafts import Past, draft
from otagate.engine.views import OrderRequest
from otagate.engine.waits import Waits
from otagate.model.ids import ComponentId, zigbee_device_id
from otagate.model.lifecycle import Cause, State
from otagate.model.releases import Release
from otagate.model.updates import Update
from otagate.ports import TransferAdvanced
from otagate.sources.index import KINDS, Index
from tests.engine.bench import DAY, Bench, Hub, a_bench, an_order, the_end
from tests.engine.radio import LAMP, NEW, NEWER, OLD, Lamp, orders_of
from tests.virtual_time import instantly

# --- the straight way -------------------------------------------------------------------------------------------------------------------


@instantly
async def test_an_ordered_update_goes_through_every_state_and_succeeds() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        update = await hub.until_ended((await an_order(hub)).id)
        assert hub.kinds(update.id) == ["created", "admitted", "verified", "accepted", "transferred", "activated", "returned", "version_matches"]
        assert orders_of(hub.radio, update.id)[-1] == "Withdraw"
    assert update.state is State.SUCCEEDED
    assert (update.bytes_sent, update.error) == (update.bytes_total, None)
    assert bench.lamp.version == NEW


@instantly
async def test_what_a_device_waits_for_leaves_only_after_its_commit() -> None:
    bench = Bench()
    await the_end(bench)
    steps = [step for step in bench.history if step[0] == "answered" or step[1] in {("update", "accepted"), ("update", "activated")}]
    assert steps == [
        ("committed", ("update", "accepted")),
        ("answered", (Cause.ACCEPTED,)),
        ("committed", ("update", "activated")),
        ("answered", (Cause.TRANSFERRED, Cause.ACTIVATED)),
    ]


@instantly
async def test_progress_reaches_the_disk_in_steps_and_not_with_every_block() -> None:
    bench = a_bench(seconds=2_000.0)
    samples: list[int] = []
    async with bench.hub() as hub:
        update = await an_order(hub)
        await hub.until_state(update.id, State.TRANSFERRING)
        hub.ledger.watch(lambda row: samples.append(row.bytes_sent) if row.state is State.TRANSFERRING else None)
        told = len(await bench.facts())
        await hub.until(lambda: len(samples) >= 3)
        assert (await bench.rows())[0].bytes_sent == samples[-1]
        assert [fact for fact in (await bench.facts())[told:] if fact.subject == "update"] == []  # it is no step of its life
        ended = await hub.until_ended(update.id)
    assert samples == sorted(samples)
    assert len(samples) <= 20
    assert ended.state is State.SUCCEEDED


@instantly
async def test_a_device_that_runs_the_release_when_it_is_offered_is_done() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        update = await an_order(hub)
        bench.lamp.version = NEW
        ended = await hub.until_ended(update.id)
    assert (ended.state, bench.lamp.downloads) == (State.SUCCEEDED, 0)


@instantly
async def test_a_device_that_declines_fails_the_update_at_once() -> None:
    update = await the_end(a_bench(goes="declines"))
    assert update.error is not None
    assert (update.state, update.error.code) == (State.FAILED, "declined-by-device")


@instantly
async def test_an_image_that_the_device_rejects_fails_the_update_at_once() -> None:
    update = await the_end(a_bench(goes="rejects"))
    assert update.error is not None
    assert (update.state, update.error.code) == (State.FAILED, "image-rejected-by-device")


# --- attempts ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.night
@instantly
async def test_a_device_that_does_not_ask_is_offered_the_image_again_after_growing_pauses_and_for_two_weeks_at_most() -> None:
    bench = a_bench(asks=False)
    async with bench.hub() as hub:
        order = await an_order(hub)
        await hub.pass_time(days=20)  # to look every second would be a million looks
        update = await hub.store.updates.get(order.id)
    offers = [fact.at for fact in await bench.facts("verified")]
    gaps = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(offers)]
    assert gaps[:4] == sorted(gaps[:4])
    assert all(6 * 3_600 <= gap <= 8 * 3_600 for gap in gaps[3:])
    assert 14 * DAY <= sum(gaps) <= 18 * DAY
    assert update.error is not None
    assert (update.state, update.error.code) == (State.FAILED, "retries-spent")


@instantly
async def test_a_device_that_heeds_no_notification_is_served_when_it_asks_by_itself_a_day_later() -> None:
    bench = a_bench(asks=False)
    async with bench.hub() as hub:
        update = await an_order(hub)
        await hub.pass_time(days=1)
        assert (await hub.store.updates.get(update.id)).state is State.QUEUED
        bench.lamp.asks = True
        hub.radio.wake(LAMP)
        assert (await hub.until_ended(update.id, within=600)).state is State.SUCCEEDED


@instantly
async def test_a_device_that_aborts_every_few_percent_and_comes_further_each_time_is_brought_to_the_end() -> None:
    bench = a_bench(goes="aborts", stops_at=0.1)
    async with bench.hub() as hub:
        update = await an_order(hub)
        for share in range(1, 9):
            await hub.until(lambda share=share: bench.lamp.busy == "" and bench.lamp.offset >= share / 10)
            bench.lamp.stops_at = (share + 1) / 10
        bench.lamp.goes = "well"
        ended = await hub.until_ended(update.id)
        assert hub.kinds(update.id).count("aborted_by_device") >= 7
    assert (ended.state, ended.attempts) == (State.SUCCEEDED, 0)


@instantly
async def test_a_transfer_that_stalls_at_the_same_place_again_and_again_fails() -> None:
    bench = a_bench(goes="stalls", stops_at=0.5)
    update = await the_end(bench)
    assert update.error is not None
    assert (update.state, update.error.code) == (State.FAILED, "retries-spent")
    assert update.bytes_sent == pytest.approx(update.bytes_total / 2, abs=1)


@instantly
async def test_a_device_that_vanishes_in_the_middle_waits_as_offline_and_burns_no_attempts() -> None:
    bench = a_bench(seconds=600.0)
    async with bench.hub() as hub:
        update = await an_order(hub)
        await hub.until(lambda: bench.lamp.offset >= 0.3)
        bench.lamp.there, bench.lamp.busy = False, ""
        await hub.until(lambda: not hub.registry.device(LAMP).online)
        await hub.until(lambda: hub.waits_for(update.id) == "offline")
        spent = (await hub.store.updates.get(update.id)).attempts
        await hub.pass_time(days=3)
        assert (await hub.store.updates.get(update.id)).attempts == spent
        bench.lamp.there = True
        hub.radio.announce(LAMP)
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED


@instantly
async def test_a_device_that_turns_out_to_run_the_release_after_silence_is_done_without_another_transfer() -> None:
    bench = a_bench(goes="stalls", stops_at=0.9)
    async with bench.hub() as hub:
        update = await an_order(hub)
        await hub.until(lambda: bench.lamp.offset >= 0.9 and not bench.lamp.busy)
        bench.lamp.version = NEW  # its last words were lost
        ended = await hub.until_ended(update.id)
    assert (ended.state, bench.lamp.downloads) == (State.SUCCEEDED, 1)


@instantly
async def test_a_device_that_the_radio_forgot_does_not_keep_its_slot_for_ever() -> None:
    bench = Bench(waits=Waits(silence=3_600.0))
    async with bench.hub() as hub:
        update = await an_order(hub)
        await hub.until_state(update.id, State.TRANSFERRING)
        hub.radio.forget(LAMP)
        await hub.until(lambda: "stalled" in hub.kinds(update.id))
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED


# --- session and row -------------------------------------------------------------------------------------------------------------------


@instantly
async def test_a_repeated_word_of_a_device_is_answered_again_and_not_recorded_again() -> None:
    bench = a_bench(boots="never")
    async with bench.hub() as hub:
        update = await an_order(hub)
        await hub.until_state(update.id, State.ACTIVATING)
        talk = hub.radio.talks[LAMP, bench.lamp.image_type]
        hub.radio.say(talk, (Cause.TRANSFERRED, Cause.ACTIVATED))
        await hub.until(lambda: talk.pending is None)
        assert hub.kinds(update.id).count("transferred") == 1


@instantly
async def test_a_word_that_cannot_follow_is_dropped_and_the_session_told_where_the_update_stands() -> None:
    bench = a_bench(seconds=600.0)
    async with bench.hub() as hub:
        update = await an_order(hub)
        await hub.until_state(update.id, State.TRANSFERRING)
        hub.conductor.advanced(TransferAdvanced(update=update.id, causes=(Cause.RETURNED,), detail="nonsense", token=999))
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED
        names = orders_of(hub.radio, update.id)
    assert names[:3] == ["Serve", "Park", "Serve"]


@instantly
async def test_a_course_that_fails_in_a_way_nobody_foresaw_is_taken_up_again_and_its_siblings_go_on() -> None:
    other = Lamp(id=zigbee_device_id(2))
    bench = Bench(lamps={LAMP: Lamp(), other.id: other})
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        made = await hub.order()
        broken, interrogate = ValueError("a bug in a library"), hub.radio.interrogate

        async def fail_once(device: object) -> object:
            hub.radio.interrogate = interrogate  # type: ignore[method-assign]
            raise broken

        await hub.until_state(made.update.id, State.TRANSFERRING)
        hub.radio.interrogate = fail_once  # type: ignore[method-assign, assignment]
        sibling = await hub.order(other.id)
        assert (await hub.until_ended(made.update.id)).state is State.SUCCEEDED
        assert (await hub.until_ended(sibling.update.id)).state is State.SUCCEEDED


@instantly
async def test_an_update_that_fails_again_and_again_in_a_way_nobody_foresaw_says_so_and_ends() -> None:
    bench = Bench()
    with capture_logs() as logs:  # to write all of them for people takes long
        async with bench.hub() as hub:
            sha256 = await hub.add_image(NEW)
            await hub.ready()
            bench.cache.broken[sha256] = ValueError("a bug in a library")
            made = await hub.order()
            await hub.until(lambda: "relapsed" in hub.kinds(made.update.id), within=60)
            view = await hub.desk.update(made.update.id)
            assert view.sentence is not None
            assert "ValueError" in view.sentence
            ended = await hub.until_ended(made.update.id, within=7 * DAY)
    assert ended.state is State.FAILED
    assert ended.error is not None
    assert "ValueError" in ended.error.detail
    assert ended.error.code == "retries-spent"
    assert sum(each["event"] == "failed unexpectedly" for each in logs) == 10 * ended.attempts


@instantly
async def test_a_version_that_cannot_be_read_for_a_reason_nobody_foresaw_is_told_as_not_confirmed() -> None:
    bench = Bench()
    with capture_logs():
        async with bench.hub() as hub:
            await hub.add_image(NEW)
            await hub.ready()
            update = (await hub.order()).update
            await hub.until_state(update.id, State.ACTIVATING)

            async def fail(_: object) -> object:
                raise ValueError("a bug in a library")

            hub.radio.interrogate = fail  # type: ignore[method-assign, assignment]
            ended = await hub.until_ended(update.id, within=DAY)
    assert ended.error is not None
    assert (ended.state, ended.error.code) == (State.FAILED, "not-confirmed")
    assert "10 times" in ended.error.detail


@instantly
async def test_the_time_for_which_a_device_says_that_it_will_be_away_is_nobodys_silence() -> None:
    bench = a_bench(seconds=600.0)
    async with bench.hub() as hub:
        update = await an_order(hub)
        await hub.until_state(update.id, State.TRANSFERRING)
        bench.lamp.there = False
        news = TransferAdvanced(update=update.id, causes=(Cause.REBOOTED,), detail="it restarts for two hours", token=999, rest=7_200.0)
        hub.conductor.advanced(news)
        await hub.pass_time(hours=2)
        assert hub.state(update.id) is State.CONFIRMING
        bench.lamp.version, bench.lamp.there = NEW, True
        assert (await hub.until_ended(update.id, within=600)).state is State.SUCCEEDED


# --- the disk ---------------------------------------------------------------------------------------------------------------------------


@instantly
async def test_nothing_leaves_and_nothing_is_lost_while_the_disk_is_full() -> None:
    bench = a_bench(seconds=600.0)
    async with bench.hub() as hub:
        update = await an_order(hub)
        await hub.until(lambda: bench.lamp.offset >= 0.3)
        hub.store.full = True
        await hub.until(lambda: bench.lamp.busy == "ending")  # the blocks come from memory
        await hub.pass_time(hours=2)
        assert (Cause.TRANSFERRED, Cause.ACTIVATED) not in [what for step, what in bench.history if step == "answered"]
        assert (await hub.store.updates.get(update.id)).state is State.TRANSFERRING
        refusals = hub.journal.refusals
        assert refusals < 2 * 3_600 * 3  # about once a second and course, not as fast as the machine can
        hub.store.full = False
        assert (await hub.until_ended(update.id, within=600)).state is State.SUCCEEDED
    assert bench.lamp.downloads == 1


@instantly
async def test_a_stall_that_the_full_disk_does_not_take_is_recorded_when_it_does() -> None:
    bench = a_bench(goes="stalls", stops_at=0.5)
    async with bench.hub() as hub:
        update = await an_order(hub)
        await hub.until(lambda: bench.lamp.offset >= 0.5 and not bench.lamp.busy)
        hub.store.full = True
        await hub.until(lambda: hub.journal.trouble is not None, within=DAY)
        bench.lamp.goes = "well"
        hub.store.full = False
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED


@instantly
async def test_a_device_with_two_components_gets_them_one_after_the_other() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.add_image(NEWER, image_type=0x140A)
        await hub.ready()
        second = replace(hub.registry.device(LAMP).components[0], id=ComponentId("0x140a"), image_type=0x140A, version=OLD)
        await hub.registry.asked(LAMP, second)
        request = await hub.desk.order(OrderRequest(devices=(LAMP,)), actor="test")
        ids = [view.update.id for view in request.updates]
        assert len(ids) == 2
        await hub.until_state(ids[0], State.TRANSFERRING)
        assert hub.state(ids[1]) is State.QUEUED
        assert hub.waits_for(ids[1]) == "predecessor"


# --- what a device's own cloud carries out ----------------------------------------------------------------------------------------------

CLOUD = Index(kind=KINDS["z2m-index"], url="https://example.org/index.json", name="tuya")
"""The bench knows no clouds: any source of this name will do, for it is never asked."""


async def an_order_of_a_cloud(hub: Hub) -> Update:
    """An update of the lamp as a cloud would carry it out; the radio of the bench takes the order and says nothing to it."""
    await hub.ready()
    device = hub.registry.device(LAMP)
    release = Release(source="tuya", file_version=NEW, size=0, protocol="cloud", location="0")
    made = draft(device, device.components[0], release, now=hub.clock.now(), actor="test", past=Past([]))
    (update,) = await hub.ledger.create([made])
    assert isinstance(update, Update)
    return update


@instantly
async def test_an_order_to_a_cloud_of_which_nothing_is_heard_ends_and_is_not_given_again() -> None:
    bench = Bench(waits=Waits(silence=600.0, activation_sleepy=1_200.0), sources=[CLOUD])
    async with bench.hub() as hub:
        update = await hub.until_ended((await an_order_of_a_cloud(hub)).id, within=DAY)
        assert hub.kinds(update.id) == ["created", "delegated", "declined"]
        assert orders_of(hub.radio, update.id) == ["Delegate", "Withdraw"]
        assert (update.finished or hub.clock.now()) - update.created >= timedelta(seconds=1_800)
    assert update.error is not None
    assert update.error.code == "transfer-interrupted"


@instantly
async def test_a_cloud_that_is_away_costs_an_update_no_attempt() -> None:
    bench = Bench(sources=[CLOUD])
    async with bench.hub() as hub:
        order = (await an_order_of_a_cloud(hub)).id
        for number in range(1, 6):
            await hub.until_state(order, State.OFFERING)
            away = TransferAdvanced(update=order, causes=(Cause.EXPIRED,), detail="away", token=number, code="source-unreachable")
            hub.intake.emit(away)
            update = await hub.until_state(order, State.QUEUED)
            assert (update.attempts, update.reason) == (0, "source_unreachable")
        await hub.until_state(order, State.OFFERING)
        until = hub.clock.now() + timedelta(hours=2)
        used_up = TransferAdvanced(update=order, causes=(Cause.EXPIRED,), detail="used up", token=6, code="quota", until=until)
        hub.intake.emit(used_up)
        update = await hub.until_state(order, State.QUEUED)
        assert (update.attempts, update.reason, update.not_before) == (0, "quota", until)


@instantly
async def test_an_order_to_a_cloud_that_is_not_configured_any_more_waits_and_says_so() -> None:
    async with Bench().hub() as hub:
        order = (await an_order_of_a_cloud(hub)).id
        await hub.pass_time(hours=24)
        assert hub.kinds(order) == ["created", "waits"]
        assert "'tuya' is not configured any more" in ((await hub.desk.update(order)).sentence or "")
