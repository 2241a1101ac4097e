"""What operators read of devices, updates, radios and the hub's health."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from otagate.engine import readings
from otagate.engine.views import JournalFilter, OrderRequest
from otagate.model.errors import UnknownUpdate
from otagate.model.ids import UpdateId, zigbee_device_id
from otagate.model.lifecycle import State
from otagate.ports import RadioChanged
from tests.engine.bench import Bench, Hub
from tests.engine.radio import LAMP, NEW, NEWER, OLD, ZIGBEE0, Lamp
from tests.virtual_time import instantly


async def status(hub: Hub) -> str:
    return (await hub.desk.device(LAMP)).update_status


@instantly
async def test_the_status_of_a_device_follows_its_update() -> None:
    bench = Bench(lamps={LAMP: Lamp(goes="rejects")})
    async with bench.hub() as hub:
        await hub.ready()
        assert await status(hub) == "none"
        await hub.add_image(NEW)
        assert await status(hub) == "available"
        update = (await hub.order(when=hub.clock.now() + timedelta(hours=1))).update
        assert await status(hub) == "waiting"
        view = await hub.desk.device(LAMP)
        assert view.components[0].update == update.id
        await hub.until_state(update.id, State.TRANSFERRING)
        assert await status(hub) == "updating"
        await hub.until_ended(update.id)
        assert await status(hub) == "failed"
        assert (await hub.desk.device(LAMP)).components[0].update is None
        await hub.add_image(NEWER)
        assert await status(hub) == "available"
        bench.lamp.goes = "well"
        await hub.until_ended((await hub.order()).update.id)
        assert await status(hub) == "updated"


@instantly
async def test_a_cancelled_update_leaves_the_release_available_and_is_no_failure() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        sha256 = await hub.add_image(NEW)
        await hub.ready()
        update = (await hub.order(when=hub.clock.now() + timedelta(days=1))).update
        await hub.desk.cancel(update.id, actor="test")
        assert await status(hub) == "available"
        await hub.desk.remove_image(sha256, actor="test")
        assert await status(hub) == "none"


@instantly
async def test_a_failed_update_whose_version_the_device_tells_after_all_counts_as_updated() -> None:
    bench = Bench(lamps={LAMP: Lamp(boots="never")})
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        await hub.until_ended((await hub.order()).update.id)
        assert await status(hub) == "failed"
        bench.lamp.busy, bench.lamp.version = "", NEW
        await hub.desk.check(LAMP, actor="test")
        assert await status(hub) == "updated"


@instantly
async def test_pages_hold_every_device_once_and_filters_narrow_them() -> None:
    ids = [zigbee_device_id(number) for number in range(1, 8)]
    bench = Bench(lamps={each: Lamp(id=each, version=NEW if each == ids[0] else OLD) for each in ids})
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        found, last = [], ""
        for _ in itertools.count():
            page = await hub.desk.devices(limit=3, after=last)
            found += [view.device.id for view in page.items]
            if page.last is None:
                break
            last = page.last
        assert found == ids
        assert len((await hub.desk.devices(limit=7)).items) == 7
        assert (await hub.desk.devices(limit=7)).last is None
        assert len((await hub.desk.devices(update_status="available")).items) == 6
        assert (await hub.desk.devices(radio="other")).items == []
        assert (await hub.desk.devices(protocol="zwave")).items == []
        assert [view.device.id for view in (await hub.desk.devices(q=ids[3][-4:])).items] == [ids[3]]
        assert len((await hub.desk.devices(q="LAMP")).items) == 7


@instantly
async def test_updates_come_newest_first_and_none_twice() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        made = []
        for _ in range(7):
            update = (await hub.order(when=hub.clock.now() + timedelta(days=1))).update
            made.append(update.id)
            await hub.desk.cancel(update.id, actor="test")
        found, last = [], None
        while True:
            page = await hub.desk.updates(limit=2, before=last, states=frozenset({State.CANCELLED}), device=LAMP)
            found += [view.update.id for view in page.items]
            if page.last is None:
                break
            last = UpdateId(page.last)
        assert found == made[::-1]
        assert (await hub.desk.updates(states=frozenset({State.FAILED}))).items == []


@instantly
async def test_a_running_transfer_shows_its_pace_and_a_silent_one_none() -> None:
    bench = Bench(lamps={LAMP: Lamp(seconds=20.0)})
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        update = (await hub.order()).update
        await hub.until(lambda: bench.lamp.offset >= 0.4)
        view = await hub.desk.update(update.id)
        assert view.bytes_per_second == pytest.approx(update.bytes_total / 20, rel=0.3)
        assert view.eta_seconds is not None
        assert 5 < view.eta_seconds < 15
        bench.lamp.busy = ""
        await hub.pass_time(seconds=60)
        view = await hub.desk.update(update.id)
        assert (view.bytes_per_second, view.eta_seconds) == (None, None)
        assert view.bytes_sent > 0


@instantly
async def test_the_log_of_an_update_is_whole_and_in_order() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        update = await hub.until_ended((await hub.order()).update.id)
        log = (await hub.desk.log(update.id)).items
        assert [fact.kind for fact in log] == hub.kinds(update.id)
        with pytest.raises(UnknownUpdate):
            await hub.desk.log(UpdateId("u0"))


@instantly
async def test_offers_say_of_every_release_why_it_would_or_would_not_be_taken() -> None:
    bench = Bench(lamps={LAMP: Lamp(version=NEW)})
    async with bench.hub() as hub:
        for version in (OLD, NEW, NEWER):
            await hub.add_image(version)
        await hub.add_image(NEWER, image_type=0x2000)
        await hub.ready()
        offers = await hub.desk.offers(LAMP)
        assert [(each.release.file_version, each.verdict.decision) for each in offers] == [(NEWER, "ask"), (NEW, "refuse"), (OLD, "refuse")]
        assert all(each.verdict.sentence for each in offers)


# --- health -----------------------------------------------------------------------------------------------------------------------------


@instantly
async def test_the_hub_is_ready_while_its_radio_is_up_or_tried_again_and_not_while_somebody_must_act() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        assert not (await hub.desk.health()).ready  # nothing was tried yet
        await hub.ready()
        assert (await hub.desk.health()).ready
        hub.radio.unplug()
        for _ in range(60):
            await hub.pass_time(seconds=1)
            assert (await hub.desk.health()).ready
        await hub.registry.radio_changed(RadioChanged(radio=ZIGBEE0, state="in_use", sentence="another program has it"))
        health = await hub.desk.health()
        assert not health.ready
        assert health.radios[0].sentence == "another program has it"


@instantly
async def test_a_full_disk_is_told_and_no_reason_to_be_killed_and_a_closed_store_is() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await hub.ready()
        hub.store.full = True
        await hub.desk.permit_join("zigbee0", 0, actor="test")
        health = await hub.desk.health()
        assert (health.ready, health.store) == (True, "no space left on device")
    health = await hub.desk.health()
    assert health.store != "ok"
    await bench.disk.close()
    assert not (await hub.desk.health()).ready


@instantly
async def test_a_radio_shows_how_many_devices_it_has_and_how_many_transfers_run() -> None:
    bench = Bench(lamps={each: Lamp(id=each, seconds=900.0) for each in (LAMP, zigbee_device_id(2))})
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        await hub.until_state((await hub.order()).update.id, State.TRANSFERRING)
        (radio,) = hub.desk.radios()
    assert (radio.devices, radio.transfers, radio.parallel, radio.state) == (2, 1, 2, "up")


@instantly
async def test_the_journal_is_read_backwards_by_who_did_what_to_whom() -> None:
    bench = Bench()
    async with bench.hub() as hub:
        await hub.add_image(NEW)
        await hub.ready()
        for name in ("anna", "ben", "anna"):
            update = (await hub.desk.order(OrderRequest(devices=(LAMP,), when=hub.clock.now() + timedelta(days=1)), actor=name)).updates[0].update
            await hub.desk.cancel(update.id, actor=name)

        async def kinds(limit: int = 100, **wanted: object) -> list[str]:
            found: list[str] = []
            before = None
            while True:
                page = await hub.desk.journal(JournalFilter(**wanted), limit=limit, before=before)  # type: ignore[arg-type]
                found += [f"{fact.kind} by {fact.actor}" for fact in page.items]
                if page.last is None:
                    return found
                before = int(page.last)

        assert await kinds(limit=1, actor="anna") == await kinds(actor="anna")
        assert await kinds(actor="anna", subject="update") == ["cancelled by anna", "created by anna"] * 2
        assert await kinds(subject="update", subject_id=update.id, kind="cancelled") == ["cancelled by anna"]
        assert await kinds(since=hub.clock.now() + timedelta(hours=1)) == []
        assert len(await kinds()) == len(await bench.facts())


@instantly
async def test_a_page_of_the_journal_looks_through_a_bounded_number_of_facts_and_the_next_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "_CHUNK", 2)
    monkeypatch.setattr(readings, "_SCANNED", 4)
    bench = Bench()
    async with bench.hub() as hub:
        await hub.ready()
        for number in range(9):
            await hub.desk.permit_join("zigbee0", number, actor="ben" if number == 0 else "anna")
        pages, found, before = 0, [], None
        while True:
            page = await hub.desk.journal(JournalFilter(actor="ben"), before=before)
            pages, found = pages + 1, [*found, *page.items]
            if page.last is None:
                break
            before = int(page.last)
    assert [fact.data["seconds"] for fact in found] == [0]
    assert pages >= 3
