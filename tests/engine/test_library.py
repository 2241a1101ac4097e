"""Images that are here: checked, stored once, offered to what they are for."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from otagate.engine.journal import Journal
from otagate.engine.library import Library
from otagate.model.errors import IntegrityMismatch, Malformed, StoreUnavailable, TooLarge, UnknownImage
from otagate.model.ids import Sha256
from otagate.model.images import Check
from otagate.model.releases import Digest
from otagate.policy.catalogue import merge
from otagate.policy.trust import trust
from otagate.stores.memory import MemoryStore
from tests.engine.bench import FickleStore, MemoryCache, image_bytes
from tests.formats.images import build, element, legrand
from tests.formats.inner import gbl
from tests.formats.zwave_files import as_hex
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
async def test_whoever_promises_a_file_that_came_or_the_image_in_it_is_known_to_mean_that_also_after_a_restart() -> None:
    shelf, plain = Shelf(), image_bytes(2)
    wrapped, twice = legrand(plain), plain + b"trailing"
    sha256 = await shelf.add(wrapped, name="wrapped.bin", source="one")
    await shelf.add(twice, source="two")
    later = Shelf(shelf.disk, shelf.cache)
    await later.library.load()
    (stored,) = (each for each in later.library.releases_for(cases.COMPONENT) if each.sha256 == sha256)
    for file in (wrapped, plain, twice):
        for algorithm in ("sha256", "sha512", "sha3_256"):
            promise = Digest(algorithm=algorithm, value=hashlib.new(algorithm, file).hexdigest())  # type: ignore[arg-type]
            offer = replace(stored, source="three", sha256=None, location="x", digests=(promise,), proofs=())
            assert merge([offer], [stored])[0].sha256 == sha256
    for number in range(50):
        await shelf.add(plain + bytes([number]), source="two")
    assert len(shelf.library.image(sha256).proofs) <= 24


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
async def test_what_a_source_promised_is_held_against_the_image_before_it_is_stored() -> None:
    shelf = Shelf()
    image = b"\x80" * 600
    mine = await shelf.add(image, name="mine.bin")
    for file, name in ((image, "a.bin"), (as_hex(image), "a.hex"), (b"<html>gone</html>", "a.bin")):
        with pytest.raises(IntegrityMismatch, match="service promised 0000"):
            await shelf.library.add(file, file_name=name, source="service", actor="test", promised=Sha256("0" * 64))
    assert [each.sha256 for each in shelf.library.images()] == [mine]  # what an operator gave is not taken away with it
    assert list(shelf.cache.files) == [mine]
    again = await shelf.library.add(as_hex(image), file_name="a.hex", source="service", actor="test", promised=mine)
    assert again.sha256 == mine


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


# --- checked again ------------------------------------------------------------------------------------------------------------------------


async def as_of_old(shelf: Shelf, sha256: Sha256, *keep: str) -> Shelf:
    """The next life of a hub whose image was stored when there were only these checks, all of them passed."""
    image = shelf.library.image(sha256)
    checks = tuple(Check(name=name, result="pass", detail=f"{name} as it was") for name in keep)
    async with shelf.disk.transaction():
        await shelf.disk.catalogue.put(replace(image, facts=replace(image.facts, checks=checks), edition=1))
    later = Shelf(shelf.disk, shelf.cache)
    await later.library.load()
    return later


def results(shelf: Shelf, sha256: Sha256) -> dict[str, str]:
    return {each.name: each.result for each in shelf.library.image(sha256).facts.checks}


@instantly
async def test_an_image_from_before_a_check_is_checked_again_and_that_is_kept() -> None:
    shelf = Shelf()
    sha256 = await shelf.add(image_bytes(2))
    today = results(shelf, sha256)
    later = await as_of_old(shelf, sha256, "header")
    await later.library.check_again()
    assert results(later, sha256) == today
    assert (await shelf.disk.catalogue.get(sha256)).facts.checks == later.library.image(sha256).facts.checks
    facts = await shelf.disk.facts.after(0)
    assert [fact.kind for fact in facts] == ["added", "checked"]
    await later.library.check_again()  # once is enough
    assert await shelf.disk.facts.last_number() == 2


@instantly
async def test_an_image_that_fails_a_check_of_today_is_told_and_trusted_no_more() -> None:
    shelf = Shelf()
    sha256 = await shelf.add(build(element(0, gbl()[:-1] + b"\x00")))
    later = await as_of_old(shelf, sha256, "header", "length", "elements")
    await later.library.check_again()
    assert results(later, sha256)["contents"] == "fail"
    image = later.library.image(sha256)
    assert trust(image.facts, later.library.release(sha256), sha256=sha256).code == "image-corrupt"
    assert (await shelf.disk.facts.after(0))[-1].data["failed"] == "contents"


@instantly
async def test_what_was_found_around_an_image_when_it_came_stays_its_word() -> None:
    shelf = Shelf()
    sha256 = await shelf.add(legrand(image_bytes(2)))
    later = await as_of_old(shelf, sha256, "header", "container")
    await later.library.check_again()
    details = {each.name: each.detail for each in later.library.image(sha256).facts.checks}
    assert (details["header"], details["container"]) == ("header as it was", "container as it was")


@instantly
async def test_an_image_that_no_reader_takes_any_more_fails() -> None:
    shelf = Shelf()
    sha256 = await shelf.add(image_bytes(2))
    later = await as_of_old(shelf, sha256, "header")
    shelf.cache.files[sha256] = b"no image at all"
    await later.library.check_again()
    assert results(later, sha256) == {"header": "pass", "format": "fail"}


@instantly
async def test_bytes_that_cannot_be_read_are_left_as_they_are_and_a_full_disk_is_tried_again() -> None:
    shelf = Shelf()
    lost, kept = await shelf.add(image_bytes(2)), await shelf.add(image_bytes(3))
    await as_of_old(shelf, lost, "header")
    later = await as_of_old(shelf, kept, "header")
    shelf.cache.broken[lost] = IntegrityMismatch("the disk changed them")
    later.store.full = True
    with pytest.raises(StoreUnavailable):
        await later.library.check_again()
    later.store.full = False
    await later.library.check_again()
    assert results(later, lost) == {"header": "pass"}
    assert "length" in results(later, kept)
