"""Whether an update worked: the device comes back and tells its version, however late, or does not."""

from __future__ import annotations

import pytest

from otagate.model.errors import StoreUnavailable
from otagate.model.ids import UpdateId
from otagate.model.lifecycle import State
from otagate.model.updates import Update
from tests.engine.bench import Bench, Hub, a_bench, an_order, the_end
from tests.engine.radio import LAMP, NEW
from tests.virtual_time import instantly


async def told_to_use_it_asleep(hub: Hub) -> Update:
    """An update of a device that sleeps, up to the word to use its image."""
    await hub.add_image(NEW)
    await hub.until(lambda: hub.registry.devices())
    hub.radio.wake(LAMP)
    await hub.ready()
    update = (await hub.order()).update
    await hub.until_state(update.id, State.ACTIVATING)
    return update


@instantly
async def test_a_device_that_returns_with_the_old_version_fails_the_update() -> None:
    update = await the_end(a_bench(boots="old"))
    assert update.error is not None
    assert (update.state, update.error.code, update.completed_transfers) == (State.FAILED, "version-unchanged", 1)


@instantly
async def test_what_its_ota_client_says_of_its_maker_tells_whether_a_device_lies_about_its_version() -> None:
    bench = a_bench(boots="old", model="lumi.curtain.acn003", client_maker=0x115F)
    async with bench.hub() as hub:
        await hub.add_image(NEW, manufacturer_code=0x115F)
        await hub.ready()
        update = await hub.until_ended((await hub.order()).update.id)
    assert update.error is not None
    assert (update.state, update.error.code) == (State.FAILED, "version-unprovable")


@instantly
async def test_a_device_that_boots_the_old_image_once_more_before_the_new_one_succeeds() -> None:
    bench = a_bench(boots="old")
    async with bench.hub() as hub:
        update = await an_order(hub)
        await hub.until_state(update.id, State.CONFIRMING)
        asked = bench.lamp.interrogations
        await hub.until(lambda: bench.lamp.interrogations >= asked + 2)
        bench.lamp.version = NEW
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED


@instantly
async def test_a_device_that_never_returns_fails_the_update_as_lost() -> None:
    update = await the_end(a_bench(boots="never"))
    assert update.error is not None
    assert (update.state, update.error.code) == (State.FAILED, "device-lost")


@instantly
async def test_a_device_that_uses_the_image_without_a_word_is_done_when_it_is_back() -> None:
    bench = a_bench(goes="leaves")
    async with bench.hub() as hub:
        update = await hub.until_ended((await an_order(hub)).id)
        assert hub.kinds(update.id) == ["created", "admitted", "verified", "accepted", "rebooted", "version_matches"]
    assert (update.state, update.attempts, bench.lamp.downloads) == (State.SUCCEEDED, 0, 1)


@instantly
async def test_a_device_that_reboots_with_the_whole_image_and_the_old_version_goes_on_where_it_was() -> None:
    bench = a_bench(goes="leaves", boots="old")
    async with bench.hub() as hub:
        update = await an_order(hub)
        asked = bench.lamp.interrogations
        await hub.until(lambda: bench.lamp.interrogations > asked)
        await hub.pass_time(seconds=5)
        assert hub.state(update.id) is State.TRANSFERRING
        bench.lamp.goes, bench.lamp.boots = "well", "new"
        hub.radio.finish(LAMP)
        ended = await hub.until_ended(update.id)
        assert "stalled" not in hub.kinds(update.id)
    assert (ended.state, ended.attempts) == (State.SUCCEEDED, 0)


@instantly
async def test_a_device_that_comes_back_in_the_middle_of_its_download_is_not_asked_for_its_version() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        update = await an_order(hub)
        asked = bench.lamp.interrogations
        await hub.until(lambda: bench.lamp.offset >= 0.3)
        hub.radio.announce(LAMP)
        await hub.until(lambda: bench.lamp.offset >= 0.8)
        assert bench.lamp.interrogations == asked
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED


@instantly
async def test_a_device_that_does_not_announce_itself_is_found_by_asking_it() -> None:
    bench = a_bench(boots="never")
    async with bench.hub() as hub:
        update = await an_order(hub)
        await hub.until_state(update.id, State.ACTIVATING)
        bench.lamp.busy, bench.lamp.version = "", NEW
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED


@instantly
async def test_the_time_without_a_radio_is_not_counted_against_a_device_that_activates() -> None:
    bench = a_bench(boots="never")
    async with bench.hub() as hub:
        update = await an_order(hub)
        await hub.until_state(update.id, State.ACTIVATING)
        hub.radio.unplug()
        await hub.pass_time(days=2)
        assert hub.state(update.id) is State.ACTIVATING
        bench.lamp.busy, bench.lamp.version = "", NEW
        hub.radio.plug_in()
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED


@instantly
async def test_a_sleeping_device_that_activates_is_asked_when_it_is_heard_and_not_every_minute() -> None:
    bench = a_bench(sleepy=True, boots="never")
    async with bench.hub() as hub:
        update = await told_to_use_it_asleep(hub)
        asked = bench.lamp.interrogations
        await hub.pass_time(hours=12)
        assert bench.lamp.interrogations == asked
        bench.lamp.busy, bench.lamp.version = "", NEW
        hub.radio.wake(LAMP)
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED


@instantly
async def test_an_announcement_from_before_the_reboot_proves_nothing() -> None:
    bench = a_bench(reboot=300.0)
    async with bench.hub() as hub:
        update = await an_order(hub)
        await hub.until(lambda: bench.lamp.busy == "ending")
        hub.store.full = True  # the end waits for the disk, and meanwhile the device rejoins
        await hub.until(lambda: hub.journal.trouble is not None)
        hub.radio.announce(LAMP)
        hub.store.full = False
        await hub.until_state(update.id, State.ACTIVATING)
        await hub.pass_time(minutes=3)
        assert hub.state(update.id) is State.ACTIVATING
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED


@instantly
async def test_a_device_that_takes_the_whole_image_twice_in_vain_is_left_alone_until_an_operator_forces_it() -> None:
    bench = a_bench(boots="old")
    async with bench.hub() as hub:
        first = await hub.until_ended((await an_order(hub)).id)
        again = await hub.desk.retry(first.id, actor="test")
        second = await hub.until_ended(again.update.id)
        assert first.error is not None
        assert second.error is not None
        assert (first.error.code, second.error.code) == ("version-unchanged", "update-loop")
        with pytest.raises(Exception, match="still runs the version it had") as refusal:
            await hub.desk.retry(second.id, actor="test")
        assert getattr(refusal.value, "code", "") == "update-loop"
        bench.lamp.boots = "new"
        forced = await hub.order(force=True)
        assert (await hub.until_ended(forced.update.id)).state is State.SUCCEEDED


@instantly
async def test_a_sleeping_device_that_told_its_new_version_need_not_tell_it_again_because_the_store_could_not_be_read() -> None:
    bench = a_bench(sleepy=True, boots="never")
    async with bench.hub() as hub:
        update = await told_to_use_it_asleep(hub)

        async def fail_a_few_times(_update: UpdateId) -> None:
            bench.lamp.there = False  # it sleeps again
            asked.append(bench.lamp.interrogations)
            if len(asked) == 5:
                hub.store.portraits.get = get  # type: ignore[method-assign]
            raise StoreUnavailable("the disk cannot be read")

        asked: list[int] = []
        get = hub.store.portraits.get
        hub.store.portraits.get = fail_a_few_times  # type: ignore[method-assign]
        bench.lamp.busy, bench.lamp.version = "", NEW
        hub.radio.wake(LAMP)
        assert (await hub.until_ended(update.id, within=600)).state is State.SUCCEEDED
        assert {*asked, bench.lamp.interrogations} == {asked[0]}
    assert not bench.lamp.there
