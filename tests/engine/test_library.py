"""Images that are here: checked, stored once, offered to what they are for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from otagate.engine.journal import Journal
from otagate.engine.library import Library
from otagate.model.errors import Malformed, StoreUnavailable, TooLarge, UnknownImage
from otagate.model.ids import Sha256
from otagate.stores.memory import MemoryStore
from tests.engine.bench import FickleStore, MemoryCache, image_bytes
from tests.formats.images import legrand
from tests.policy import cases
from tests.virtual_time import VirtualClock, instantly


class Shelf:
    def __init__(self, disk: MemoryStore | None = None, cache: MemoryCache | None = None) -> None:
        self.disk = disk or MemoryStore()
        self.cache = cache or MemoryCache()
        self.store = FickleStore(self.disk, [])
        self.library = Library(self.store, self.cache, Journal(self.store, VirtualClock()), VirtualClock(), max_bytes=100_000)

    async def add(self, data: bytes, *, name: str = "a.ota", source: str = "upload") -> Sha256:
        return (await self.library.add(data, file_name=name, source=source, actor="test")).sha256


@instantly
async def test_what_is_stored_is_what_is_sent_whatever_it_was_wrapped_in() -> None:
    shelf = Shelf()
    plain = image_bytes(2)
    sha256 = await shelf.add(legrand(plain), name="wrapped.bin")
    assert await shelf.add(plain, name="plain.ota") == sha256
    assert bytes(await shelf.library.map(sha256)) == plain
    assert [image.file_name for image in shelf.library.images()] == ["wrapped.bin"]


@instantly
async def test_what_is_no_image_or_too_large_is_refused_and_leaves_nothing() -> None:
    shelf = Shelf()
    with pytest.raises(Malformed):
        await shelf.add(b"no image at all")
    with pytest.raises(TooLarge):
        await shelf.add(image_bytes(2) + b"\x00" * 200_000)
    assert shelf.library.images() == []
    assert shelf.cache.files == {}


@instantly
async def test_a_name_is_for_people_and_nothing_else() -> None:
    shelf = Shelf()
    await shelf.add(image_bytes(2), name="../../etc/\x00pass\nwd" + "x" * 500)
    (image,) = shelf.library.images()
    assert len(image.file_name) <= 200
    assert image.file_name.isprintable()


@instantly
async def test_an_image_is_offered_to_components_of_its_type_only() -> None:
    shelf = Shelf()
    await shelf.add(image_bytes(2))
    await shelf.add(image_bytes(3, image_type=0x2000))
    assert [each.file_version for each in shelf.library.releases_for(cases.COMPONENT)] == [2]
    assert [each.file_version for each in shelf.library.releases_for(replace(cases.COMPONENT, image_type=0x2000))] == [3]
    assert shelf.library.releases_for(replace(cases.COMPONENT, image_type=0x3000)) == ()


@instantly
async def test_an_image_that_the_store_refuses_is_not_there() -> None:
    shelf = Shelf()
    shelf.store.full = True
    with pytest.raises(StoreUnavailable):
        await shelf.add(image_bytes(2))
    assert shelf.library.images() == []
    shelf.store.full = False
    await shelf.add(image_bytes(2))
    assert len(shelf.library.images()) == 1


@instantly
async def test_the_catalogue_survives_a_restart() -> None:
    shelf = Shelf()
    sha256 = await shelf.add(image_bytes(2))
    again = Shelf(shelf.disk, shelf.cache)
    await again.library.load()
    assert again.library.image(sha256) == shelf.library.image(sha256)
    assert [each.sha256 for each in again.library.releases_for(cases.COMPONENT)] == [sha256]


@instantly
async def test_what_was_removed_is_unknown_everywhere() -> None:
    shelf = Shelf()
    sha256 = await shelf.add(image_bytes(2))
    await shelf.library.remove(sha256, actor="test")
    for ask in (shelf.library.image, shelf.library.release, shelf.library.path):
        with pytest.raises(UnknownImage):
            ask(sha256)
    with pytest.raises(UnknownImage):
        await shelf.library.map(sha256)
    with pytest.raises(UnknownImage):
        await shelf.library.remove(sha256, actor="test")
    assert shelf.library.releases_for(cases.COMPONENT) == ()
    assert shelf.cache.files == {}


@instantly
async def test_an_upload_keeps_an_image_that_a_folder_brought_first() -> None:
    shelf = Shelf()
    sha256 = await shelf.add(image_bytes(2), source="folder")
    await shelf.add(image_bytes(2), source="upload")
    assert shelf.library.image(sha256).source == "upload"
    await shelf.add(image_bytes(2), source="folder")
    assert shelf.library.image(sha256).source == "upload"
    assert shelf.library.from_source("folder") == []
