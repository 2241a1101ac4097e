"""The way of an image to its device: bytes that cannot be had, and images that wait on the device for the word."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from otagate.engine.drafts import Past, draft
from otagate.model.errors import IntegrityMismatch, StoreUnavailable
from otagate.model.lifecycle import State
from otagate.model.updates import Update
from otagate.policy.activation import Staging
from otagate.ports import DeviceSeen
from tests.engine.bench import Bench, Hub, a_bench, an_order
from tests.engine.radio import LAMP, NEW, orders_of
from tests.virtual_time import instantly

# --- fetching ---------------------------------------------------------------------------------------------------------------------------


@instantly
async def test_an_image_whose_bytes_have_changed_on_disk_is_never_sent() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        sha256 = await hub.add_image(NEW)
        await hub.ready()
        bench.cache.broken[sha256] = IntegrityMismatch("the bytes have changed")
        ended = await hub.until_ended((await hub.order()).update.id)
    assert ended.error is not None
    assert (ended.state, ended.error.code, bench.lamp.downloads) == (State.FAILED, "image-corrupt", 0)


@instantly
async def test_a_disk_that_cannot_be_read_for_a_while_delays_an_update_and_nothing_else() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        sha256 = await hub.add_image(NEW)
        await hub.ready()
        bench.cache.broken[sha256] = StoreUnavailable("input/output error")
        update = (await hub.order()).update
        await hub.until_state(update.id, State.FETCHING)
        bench.cache.broken.clear()
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED


@instantly
async def test_an_image_that_is_lost_after_the_offer_ends_the_update_with_the_reason() -> None:
    bench = a_bench(asks=False)
    async with bench.hub() as hub:
        update = await an_order(hub)
        await hub.until_state(update.id, State.OFFERING)
        assert update.image is not None
        bench.cache.broken[update.image] = IntegrityMismatch("the bytes have changed")
        ended = await hub.until_ended(update.id)
    assert ended.error is not None
    assert (ended.state, ended.error.code) == (State.FAILED, "image-corrupt")


@instantly
async def test_an_image_that_the_device_no_longer_fits_is_not_sent() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await hub.add_image(NEW, hardware=(3, 4))
        await hub.ready()
        update = (await hub.order(when=hub.clock.now() + timedelta(hours=1))).update
        device = hub.registry.device(LAMP)
        component = replace(device.components[0], hardware_version=9)
        await hub.registry.asked(LAMP, component)  # it tells its hardware only now
        ended = await hub.until_ended(update.id)
    assert ended.error is not None
    assert (ended.state, ended.error.code, bench.lamp.downloads) == (State.FAILED, "incompatible-image", 0)


# --- held images --------------------------------------------------------------------------------------------------------------------------


async def a_held_update(hub: Hub) -> Update:
    """An update whose image the device takes and keeps until told."""
    await hub.add_image(NEW)
    await hub.ready()
    device = hub.registry.device(LAMP)
    choice = hub.consultant.consult(device, device.components[0], operator=True)
    assert choice.chosen is not None
    made = draft(device, device.components[0], choice.chosen, now=hub.clock.now(), actor="test", past=Past(()), staging=Staging(hold_activation=True))
    (update,) = await hub.ledger.create([made])
    assert isinstance(update, Update)
    return await hub.until_state(update.id, State.STAGED)


@instantly
async def test_a_staged_image_is_used_when_an_operator_gives_the_word() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        update = await a_held_update(hub)
        await hub.pass_time(days=7)
        assert hub.state(update.id) is State.STAGED
        await hub.desk.activate(update.id, actor="test")
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED


@instantly
async def test_a_staged_image_that_the_device_uses_by_itself_is_confirmed() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        update = await a_held_update(hub)
        bench.lamp.version = NEW
        hub.radio.announce(LAMP)
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED
        assert "rebooted" in hub.kinds(update.id)


@instantly
async def test_a_staged_device_that_restarts_with_the_old_version_stays_staged() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        update = await a_held_update(hub)
        asked = bench.lamp.interrogations
        hub.radio.announce(LAMP)
        await hub.until(lambda: bench.lamp.interrogations > asked)
        assert hub.state(update.id) is State.STAGED


@instantly
async def test_the_word_to_activate_survives_a_kill_between_the_journal_and_the_air() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        update = await a_held_update(hub)
        hub.kill_when("activated")
        await hub.desk.activate(update.id, actor="test")
    async with bench.hub() as hub:
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED


@instantly
async def test_a_device_that_was_told_to_use_its_image_and_is_silent_is_not_told_again() -> None:
    """A word that was said may only be repeated where the device shows that it did not hear it: by telling the old version."""
    bench = Bench()
    async with bench.hub() as hub:
        update = await a_held_update(hub)
        bench.lamp.boots, bench.lamp.there = "never", False
        await hub.desk.activate(update.id, actor="test")
        await hub.until_ended(update.id)
        assert orders_of(hub.radio, update.id).count("Activate") == 1


@instantly
async def test_a_device_that_has_the_word_as_the_answer_to_its_request_gets_no_other() -> None:
    """Not even while it still tells the old version: it asks again where that answer was lost."""
    bench = a_bench(boots="never")
    async with bench.hub() as hub:
        update = await an_order(hub)
        await hub.until_state(update.id, State.ACTIVATING)
        asked = bench.lamp.interrogations
        bench.lamp.busy = "downloading"
        await hub.until(lambda: bench.lamp.interrogations > asked + 2)
        assert "Activate" not in orders_of(hub.radio, update.id)


@instantly
async def test_a_staged_device_that_comes_back_and_is_not_reached_is_asked_when_it_is_heard_next() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        update = await a_held_update(hub)
        asked, bench.lamp.there = bench.lamp.interrogations, False
        hub.radio.announce(LAMP)
        await hub.until(lambda: bench.lamp.interrogations > asked)
        await hub.pass_time(minutes=2)
        assert hub.state(update.id) is State.STAGED
        bench.lamp.there, bench.lamp.version = True, NEW
        hub.intake.emit(DeviceSeen(device=LAMP))
        assert (await hub.until_ended(update.id, within=600)).state is State.SUCCEEDED
        assert "rebooted" in hub.kinds(update.id)
