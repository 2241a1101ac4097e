"""An index that is a file here: its images beside it serve, nothing outside its folder does, and what is elsewhere is fetched from there."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from otagate.engine.talks import Talks
from otagate.engine.timers import SystemClock
from otagate.folders.local_files import LocalFiles
from otagate.model.errors import SourceError, SourceUnavailable
from otagate.model.releases import Release
from otagate.net.cache import DiskImageCache
from otagate.sources.index import KINDS, Index
from otagate.sources.source import ZigbeeQuestion
from tests.engine.services import Services

IMAGE = b"the bytes of an image"


class Place:
    """A folder with an index in it, and the internet around it."""

    def __init__(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "firmware"
        self.folder.mkdir()
        self.internet = Services()
        self.cache = DiskImageCache(tmp_path / "images")
        self.internet.cache = self.cache
        self.index = Index(kind=KINDS["z2m-index"], url=(self.folder / "index.json").as_uri(), name="mine")
        self.talks = Talks(LocalFiles(folder=self.folder, http=self.internet, cache=self.cache, clock=SystemClock()))

    def lists(self, url: str, data: bytes = IMAGE, **more: Any) -> None:
        entry = {
            "url": url,
            "fileVersion": 2,
            "fileSize": len(data),
            "imageType": 1,
            "manufacturerCode": 2,
            "sha512": hashlib.sha512(data).hexdigest(),
        }
        (self.folder / "index.json").write_text(json.dumps([entry | more]))

    async def offers(self) -> list[Release]:
        found = await self.talks.hold(self.index.service, self.index.consult([ZigbeeQuestion(manufacturer_code=2, image_type=1)]))
        return [each.release for each in found.offers]

    async def fetch(self) -> bytes:
        (release,) = await self.offers()
        stored = await self.talks.hold(self.index.service, self.index.fetch(release))
        return bytes(self.cache.open(stored.sha256))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["url", "path"])
async def test_an_image_beside_its_index_serves(place: Place, how: str) -> None:
    (place.folder / "images").mkdir()
    (place.folder / "images" / "lamp 1.ota").write_bytes(IMAGE)
    place.lists("images/lamp 1.ota" if how == "url" else "https://example.org/x", **({} if how == "url" else {"path": "images/lamp 1.ota"}))
    assert await place.fetch() == IMAGE


@pytest.mark.asyncio
async def test_an_image_that_the_index_names_elsewhere_is_fetched_from_there(place: Place) -> None:
    place.lists("https://example.org/lamp.ota")
    place.internet.files["https://example.org/lamp.ota"] = IMAGE
    assert await place.fetch() == IMAGE


@pytest.mark.asyncio
@pytest.mark.parametrize("way", ["../secret", "/etc/passwd", "link", "loop", "pipe", "images", "missing", "a%00b"])
async def test_nothing_outside_the_folder_and_nothing_but_a_file_is_read(place: Place, way: str) -> None:
    (place.folder.parent / "secret").write_bytes(IMAGE)
    (place.folder / "link").symlink_to(place.folder.parent / "secret")
    (place.folder / "loop").symlink_to("loop")
    os.mkfifo(place.folder / "pipe")
    (place.folder / "images").mkdir()
    place.lists(way)
    with pytest.raises(SourceError):
        await place.fetch()


@pytest.mark.asyncio
async def test_another_file_than_the_index_promises_is_not_taken(place: Place) -> None:
    (place.folder / "lamp.ota").write_bytes(IMAGE[::-1])
    place.lists("lamp.ota")
    with pytest.raises(SourceError, match="sha512"):
        await place.fetch()


@pytest.mark.asyncio
async def test_a_missing_index_is_told_by_its_name(place: Place) -> None:
    with pytest.raises(SourceUnavailable, match=r"index\.json"):
        await place.offers()
