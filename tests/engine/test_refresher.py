"""What watched folders hold becomes images; what is wrong is named; one that fails delays no other."""

from __future__ import annotations

from datetime import timedelta

from otagate.model.errors import SourceUnavailable, StoreUnavailable
from otagate.model.ids import Sha256
from otagate.model.lifecycle import State
from tests.engine.bench import Bench, Hub, MemoryFolder, image_bytes
from tests.engine.radio import NEW, NEWER, OLD
from tests.virtual_time import instantly


async def versions(hub: Hub) -> list[int]:
    return sorted(image.facts.file_version for image in await hub.desk.images())


@instantly
async def test_files_come_and_go_and_the_images_with_them() -> None:
    folder = MemoryFolder(files={"a.ota": image_bytes(NEW)})
    bench = Bench(folders=[folder])
    async with bench.hub() as hub:
        await hub.desk.refresh("folder", actor="test")
        assert await versions(hub) == [NEW]
        folder.files = {"a.ota": image_bytes(NEWER)}
        view = await hub.desk.refresh("folder", actor="test")
        assert await versions(hub) == [NEWER]
        assert (view.state, view.releases, view.sentence) == ("ok", 1, "1 images")
        folder.files = {}
        await hub.desk.refresh("folder", actor="test")
        assert await versions(hub) == []


@instantly
async def test_what_is_wrong_with_a_file_is_told_until_it_is_mended() -> None:
    folder = MemoryFolder(files={"good.ota": image_bytes(NEW), "bad.ota": b"no image"})
    bench = Bench(folders=[folder])
    async with bench.hub() as hub:
        for _ in range(2):
            view = await hub.desk.refresh("folder", actor="test")
            assert view.state == "degraded"
            assert "bad.ota" in view.sentence
        folder.files["bad.ota"] = image_bytes(NEWER)
        assert (await hub.desk.refresh("folder", actor="test")).state == "ok"
    assert [fact.data["state"] for fact in await bench.facts("state") if fact.subject == "source"] == ["degraded", "ok"]


@instantly
async def test_a_folder_that_cannot_be_read_keeps_its_images_and_says_why() -> None:
    folder = MemoryFolder(files={"a.ota": image_bytes(NEW)})
    bench = Bench(folders=[folder])
    async with bench.hub() as hub:
        await hub.desk.refresh("folder", actor="test")
        folder.trouble = SourceUnavailable("the folder is not mounted")
        view = await hub.desk.refresh("folder", actor="test")
        assert (view.state, view.sentence) == ("degraded", "the folder is not mounted")
        assert await versions(hub) == [NEW]


@instantly
async def test_one_folder_that_fails_in_a_way_nobody_foresaw_stops_no_other() -> None:
    broken = MemoryFolder(name="broken", trouble=ValueError("a name that is no text"))
    folder = MemoryFolder(files={"a.ota": image_bytes(NEW)})
    bench = Bench(folders=[broken, folder])
    async with bench.hub() as hub:
        await hub.until(lambda: hub.library.images(), within=60)
        hub.refresher.post("broken")
        hub.refresher.post("nowhere")
        await hub.pass_time(seconds=5)
        folder.files["b.ota"] = image_bytes(NEWER)
        hub.refresher.post("folder")
        await hub.until(lambda: len(hub.library.images()) == 2, within=60)


@instantly
async def test_a_source_that_fails_in_a_way_nobody_foresaw_says_so_and_is_read_again_by_itself() -> None:
    folder = MemoryFolder(name="folder", files={"a.ota": image_bytes(NEW)}, trouble=ValueError("a bug"))
    bench = Bench(folders=[folder])
    async with bench.hub() as hub:
        await hub.until(lambda: hub.refresher.view("folder").failures, within=10)
        view = hub.refresher.view("folder")
        assert (view.state, view.failures) == ("degraded", 1)
        assert "ValueError" in view.sentence
        folder.trouble = None
        await hub.until(lambda: hub.library.images(), within=120)
        assert hub.refresher.view("folder").state == "ok"


@instantly
async def test_an_image_in_two_folders_stays_as_long_as_one_has_it() -> None:
    one, two = MemoryFolder(name="one"), MemoryFolder(name="two")
    one.files = {"a.ota": image_bytes(NEW)}
    bench = Bench(folders=[one, two])
    async with bench.hub() as hub:
        await hub.desk.refresh("one", actor="test")
        two.files = {"b.ota": image_bytes(NEW)}
        await hub.desk.refresh("two", actor="test")
        one.files = {}
        await hub.desk.refresh("one", actor="test")
        two_has = await versions(hub)
        two.files = {}
        await hub.desk.refresh("two", actor="test")
        assert (two_has, await versions(hub)) == ([NEW], [])


@instantly
async def test_what_a_folder_no_longer_holds_goes_after_a_restart_too() -> None:
    folder = MemoryFolder(files={"a.ota": image_bytes(NEW)})
    bench = Bench(folders=[folder])
    async with bench.hub() as hub:
        await hub.until(lambda: hub.library.images(), within=60)
    bench.folders = [MemoryFolder()]
    async with bench.hub() as hub:
        await hub.until(lambda: not hub.library.images(), within=60)


@instantly
async def test_an_image_that_an_update_needs_outlives_its_file() -> None:
    folder = MemoryFolder(files={"a.ota": image_bytes(NEW)})
    bench = Bench(folders=[folder], keep_good=0)
    async with bench.hub() as hub:
        await hub.ready()
        await hub.until(lambda: hub.library.images(), within=60)
        update = (await hub.order(when=hub.clock.now() + timedelta(hours=1))).update
        folder.files = {}
        await hub.desk.refresh("folder", actor="test")
        assert (await hub.until_ended(update.id)).state is State.SUCCEEDED
        await hub.desk.refresh("folder", actor="test")
        assert await versions(hub) == []


@instantly
async def test_a_folder_that_the_full_disk_does_not_take_is_read_again() -> None:
    folder = MemoryFolder()
    bench = Bench(folders=[folder])
    async with bench.hub() as hub:
        await hub.pass_time(seconds=5)
        hub.store.full = True
        folder.files = {"a.ota": image_bytes(NEW)}
        hub.refresher.post("folder")
        await hub.pass_time(seconds=60)
        assert [view.state for view in await hub.desk.sources()] == ["degraded"]
        hub.store.full = False
        await hub.until(lambda: hub.library.images(), within=300)  # by itself
        assert [view.state for view in await hub.desk.sources()] == ["ok"]


@instantly
async def test_what_came_with_a_look_that_the_store_cut_short_is_wanted_all_the_same() -> None:
    here, there = MemoryFolder(files={"a.ota": image_bytes(OLD)}), MemoryFolder(name="there", files={"a.ota": image_bytes(OLD)})
    bench = Bench(folders=[here, there], mode="automatic")
    async with bench.hub() as hub:
        await hub.ready()
        await hub.until(lambda: hub.library.images(), within=60)
        await hub.pass_time(minutes=1)
        hand_over = hub.library.hand_over

        async def fail_once(sha256: Sha256, *, source: str) -> None:
            hub.library.hand_over = hand_over  # type: ignore[method-assign]
            raise StoreUnavailable("the disk is full")

        hub.library.hand_over = fail_once  # type: ignore[method-assign]
        there.files = {"b.ota": image_bytes(NEW)}
        hub.refresher.post("there")
        await hub.until(lambda: bench.lamp.version == NEW, within=1_800)
