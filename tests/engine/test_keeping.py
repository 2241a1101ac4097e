"""Images that a device proved are kept to go back to; what nobody offers and nobody may need goes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from otagate.engine import keeping
from otagate.engine.library import KEPT
from otagate.engine.views import OrderRequest
from otagate.model.ids import Sha256
from otagate.model.lifecycle import State
from tests.engine.bench import Bench, Hub, MemoryFolder, image_bytes
from tests.engine.radio import LAMP, NEW, NEWER, OLD, Lamp
from tests.engine.test_offers import FILE, INDEX, entry, index, told
from tests.virtual_time import instantly


async def updated(hub: Hub, version: int) -> None:
    await hub.until_ended((await hub.order(version=version)).update.id)
    assert hub.bench.lamp.version == version


def images(hub: Hub) -> dict[Sha256, str]:
    return {each.sha256: each.source for each in hub.library.images()}


def of(hub: Hub, version: int) -> Sha256:
    return next(each.sha256 for each in hub.library.images() if each.facts.file_version == version)


@pytest.mark.parametrize("keep_good", [0, 1, 2])
@instantly
async def test_a_file_that_leaves_its_folder_is_kept_where_it_is_one_of_the_last_good_ones(keep_good: int) -> None:
    folder = MemoryFolder(files={"new": image_bytes(NEW), "newer": image_bytes(NEWER), "other": image_bytes(NEWER + 1)})
    bench = Bench(lamps={LAMP: Lamp(version=OLD)}, folders=[folder], keep_good=keep_good)
    async with bench.hub() as hub:
        await hub.ready()
        await hub.until(lambda: len(hub.library.images()) == 3)
        await updated(hub, NEW)
        await updated(hub, NEWER)
        good = [of(hub, NEWER), of(hub, NEW)]
        folder.files.clear()
        await hub.desk.refresh("folder", actor="anna")
        assert images(hub) == dict.fromkeys(good[:keep_good], KEPT)
        assert [each.release for each in await hub.desk.offers(LAMP)] == []  # it is for going back, and offered to nobody
        result = await hub.desk.order(OrderRequest(devices=(LAMP,), rollback=True), actor="anna")
        if keep_good < 2:
            assert "not stored any more" in str(result.refused[0].error)
            return
        assert (await hub.until_ended(result.updates[0].update.id)).state is State.SUCCEEDED
        assert bench.lamp.version == NEW


@instantly
async def test_a_file_that_comes_back_to_its_folder_is_offered_again() -> None:
    folder = MemoryFolder(files={"new": image_bytes(NEW)})
    bench = Bench(lamps={LAMP: Lamp(version=OLD)}, folders=[folder])
    async with bench.hub() as hub:
        await hub.ready()
        await hub.until(lambda: len(hub.library.images()) == 1)
        await updated(hub, NEW)
        folder.files.clear()
        await hub.desk.refresh("folder", actor="anna")
        assert set(images(hub).values()) == {KEPT}
        folder.files["new"] = image_bytes(NEW)
        await hub.desk.refresh("folder", actor="anna")
        assert set(images(hub).values()) == {"folder"}


@instantly
async def test_what_was_kept_goes_when_newer_ones_have_proved_good() -> None:
    folder = MemoryFolder(files={"new": image_bytes(NEW)})
    bench = Bench(lamps={LAMP: Lamp(version=OLD)}, folders=[folder], keep_good=1)
    async with bench.hub() as hub:
        await hub.ready()
        await hub.until(lambda: len(hub.library.images()) == 1)
        await updated(hub, NEW)
        folder.files = {"newer": image_bytes(NEWER)}
        await hub.desk.refresh("folder", actor="anna")
        assert sorted(images(hub).values()) == ["folder", KEPT]
        assert await hub.keeping.prune() == 0
        await updated(hub, NEWER)
        assert await hub.keeping.prune() == 1
        assert images(hub) == {of(hub, NEWER): "folder"}


@instantly
async def test_what_a_service_brought_goes_some_time_after_it_offers_it_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(lamps={LAMP: Lamp(version=OLD)}, sources=[index()], keep_good=1)
    bench.services.documents[INDEX] = [entry(image_bytes(version), version, f"{FILE}{version}") for version in (NEW, NEWER)]
    bench.services.files = {f"{FILE}{version}": image_bytes(version) for version in (NEW, NEWER)}
    async with bench.hub() as hub:
        await told(hub)
        await updated(hub, NEW)
        await updated(hub, NEWER)
        uploaded = await hub.add_image(NEWER + 9)
        assert timedelta(days=7) <= keeping._OLD
        monkeypatch.setattr(keeping, "_OLD", timedelta(0))
        assert await hub.keeping.prune() == 0  # they are offered still
        bench.services.documents[INDEX] = []
        await hub.desk.refresh("index", actor="anna")
        monkeypatch.setattr(keeping, "_OLD", timedelta(days=1))
        assert await hub.keeping.prune() == 0
        monkeypatch.setattr(keeping, "_OLD", timedelta(0))
        assert await hub.keeping.prune() == 1
        assert images(hub) == {of(hub, NEWER): "index", uploaded: "upload"}


@instantly
async def test_an_image_that_an_update_needs_is_never_pruned() -> None:
    bench = Bench(lamps={LAMP: Lamp(version=OLD)}, keep_good=0)
    async with bench.hub() as hub:
        await hub.ready()
        image = await hub.add_image(NEW)
        await hub.desk.halt(actor="anna")
        await hub.order()
        await hub.library.hand_over(image, source=KEPT)
        assert await hub.keeping.prune() == 0
        assert set(images(hub)) == {image}
