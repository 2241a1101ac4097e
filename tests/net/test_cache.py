from __future__ import annotations

import errno
import gc
import hashlib
import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from otagate.model.errors import IntegrityMismatch, StoreUnavailable, UnknownImage
from otagate.model.ids import Sha256
from otagate.net.cache import DiskImageCache
from otagate.ports import ImageCache

DATA = bytes(range(256)) * 300
ADDRESS = Sha256(hashlib.sha256(DATA).hexdigest())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cache(root: Path) -> DiskImageCache:
    return DiskImageCache(root)


def files_under(root: Path) -> list[Path]:
    return sorted(each for each in root.rglob("*") if each.is_file())


def place(root: Path, sha256: str = ADDRESS) -> Path:
    return root / "sha256" / sha256[:2] / sha256[2:4] / sha256


def maps_of(path: Path) -> int:
    return Path("/proc/self/maps").read_text().count(str(path))


# --- storing and reading -----------------------------------------------------------------------------------------------------------------


def test_the_cache_is_the_port_that_the_engine_needs(cache: DiskImageCache) -> None:
    port: ImageCache = cache
    assert port.path


@pytest.mark.asyncio
async def test_stored_bytes_are_read_back_by_their_sha256(cache: DiskImageCache) -> None:
    assert await cache.add(DATA) == ADDRESS
    assert cache.open(ADDRESS) == DATA


@pytest.mark.asyncio
async def test_a_view_of_a_larger_file_is_stored_as_just_its_bytes(cache: DiskImageCache) -> None:
    assert await cache.add(memoryview(b"head" + DATA + b"tail")[4:-4]) == ADDRESS
    assert cache.path(ADDRESS).read_bytes() == DATA


@pytest.mark.asyncio
async def test_no_bytes_at_all_can_be_stored_and_read(cache: DiskImageCache) -> None:
    assert cache.open(await cache.add(b"")) == b""


@pytest.mark.asyncio
async def test_stored_bytes_survive_a_new_start(cache: DiskImageCache, root: Path) -> None:
    await cache.add(DATA)
    assert DiskImageCache(root).open(ADDRESS) == DATA


@pytest.mark.asyncio
async def test_the_file_lies_under_its_digest_and_only_the_owner_may_read_it(cache: DiskImageCache, root: Path) -> None:
    await cache.add(DATA)
    assert cache.path(ADDRESS) == place(root)
    assert files_under(root) == [place(root)]
    assert stat.S_IMODE(place(root).stat().st_mode) == 0o600
    for directory in (root, root / "sha256", place(root).parent.parent, place(root).parent):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


@pytest.mark.asyncio
async def test_adding_the_same_bytes_again_writes_nothing(cache: DiskImageCache, root: Path) -> None:
    await cache.add(DATA)
    before = place(root).stat()
    assert await cache.add(DATA) == ADDRESS
    after = place(root).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.asyncio
async def test_every_reader_shares_one_map_that_cannot_be_written(cache: DiskImageCache, root: Path) -> None:
    await cache.add(DATA)
    first, second = cache.open(ADDRESS), cache.open(ADDRESS)
    assert first.obj is second.obj
    assert maps_of(place(root)) == 1
    with pytest.raises(TypeError):
        first[0] = 1


@pytest.mark.asyncio
async def test_a_slice_keeps_the_map_and_the_end_of_the_last_reader_frees_it(cache: DiskImageCache, root: Path) -> None:
    await cache.add(DATA)
    block = cache.open(ADDRESS)[1000:1064]
    gc.collect()
    assert maps_of(place(root)) == 1
    assert cache.open(ADDRESS).obj is block.obj
    del block
    gc.collect()
    assert maps_of(place(root)) == 0
    assert cache.open(ADDRESS) == DATA


# --- what is not there, or no longer what it was -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["", "../../../etc/passwd", "a" * 63, "a" * 65, "A" * 64, "a" * 63 + "\n", "a" * 64 + "\n", "../" * 21 + "x", "\x00" * 64, "٣" * 64]
)
def test_a_name_that_is_no_digest_never_becomes_a_path(cache: DiskImageCache, name: str) -> None:
    with pytest.raises(UnknownImage, match="is not the sha256 of an image"):
        cache.open(Sha256(name))
    with pytest.raises(UnknownImage, match="is not the sha256 of an image"):
        cache.path(Sha256(name))


@pytest.mark.asyncio
async def test_removing_a_name_that_is_no_digest_does_nothing(cache: DiskImageCache, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("keep me")
    await cache.remove(Sha256("../../../../precious"))
    assert (tmp_path / "precious").read_text() == "keep me"


def test_absent_bytes_are_an_unknown_image(cache: DiskImageCache) -> None:
    with pytest.raises(UnknownImage, match=ADDRESS):
        cache.open(ADDRESS)
    with pytest.raises(UnknownImage, match=ADDRESS):
        cache.path(ADDRESS)


@pytest.mark.asyncio
@pytest.mark.parametrize("damage", [b"X", b""])
async def test_bytes_that_the_disk_changed_are_not_given_out(cache: DiskImageCache, root: Path, damage: bytes) -> None:
    await cache.add(DATA)
    place(root).write_bytes(damage + DATA[1:] if damage else b"")
    with pytest.raises(IntegrityMismatch, match="their sha256 is now"):
        cache.open(ADDRESS)


@pytest.mark.asyncio
async def test_adding_again_heals_bytes_that_the_disk_changed(cache: DiskImageCache, root: Path) -> None:
    await cache.add(DATA)
    reader = cache.open(ADDRESS)
    place(root).unlink()
    place(root).write_bytes(b"damage")
    await cache.add(DATA)
    assert cache.open(ADDRESS) == DATA
    assert cache.open(ADDRESS).obj is not reader.obj
    assert reader == DATA


@pytest.mark.asyncio
async def test_a_link_in_the_place_of_an_image_is_not_followed(cache: DiskImageCache, root: Path, tmp_path: Path) -> None:
    await cache.add(DATA)
    (tmp_path / "outside").write_bytes(DATA)
    place(root).unlink()
    place(root).symlink_to(tmp_path / "outside")
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        cache.open(ADDRESS)


@pytest.mark.asyncio
async def test_a_reader_keeps_removed_bytes_and_nobody_else_gets_them(cache: DiskImageCache, root: Path) -> None:
    await cache.add(DATA)
    reader = cache.open(ADDRESS)
    await cache.remove(ADDRESS)
    assert files_under(root) == []
    assert reader == DATA
    with pytest.raises(UnknownImage):
        cache.open(ADDRESS)


@pytest.mark.asyncio
async def test_removing_absent_bytes_is_no_error(cache: DiskImageCache) -> None:
    await cache.remove(ADDRESS)
    await cache.add(DATA)
    await cache.remove(ADDRESS)
    await cache.remove(ADDRESS)
    with pytest.raises(UnknownImage):
        cache.path(ADDRESS)


# --- when the disk refuses, or the power goes --------------------------------------------------------------------------------------------


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """The kernel refuses every write past this size, as a full disk does in the middle of a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.asyncio
async def test_a_write_that_the_kernel_cuts_short_leaves_no_file_and_can_be_tried_again(cache: DiskImageCache, root: Path) -> None:
    with files_limited_to(10_000), pytest.raises(StoreUnavailable, match=f"an image of {len(DATA)} bytes cannot be stored in .*: File too large"):
        await cache.add(DATA)
    assert files_under(root) == []
    assert await cache.add(DATA) == ADDRESS
    assert cache.open(ADDRESS) == DATA


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EROFS, "the disk is read-only"),
        (errno.EIO, "Input/output error"),
    ],
)
@pytest.mark.parametrize("failing_call", range(4))
async def test_a_failure_at_any_sync_is_told_and_leaves_no_half_file(
    cache: DiskImageCache, root: Path, monkeypatch: pytest.MonkeyPatch, number: int, sentence: str, failing_call: int
) -> None:
    calls = 0
    real = os.fsync

    def fsync(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == failing_call + 1:
            raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StoreUnavailable, match=sentence):
        await cache.add(DATA)
    assert [each.read_bytes() for each in files_under(root)] in ([], [DATA])
    assert await cache.add(DATA) == ADDRESS
    assert cache.open(ADDRESS) == DATA


@pytest.mark.asyncio
async def test_bytes_are_synced_before_they_are_visible_and_their_name_after(
    cache: DiskImageCache, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story: list[tuple[str, bool]] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        kind = "file" if stat.S_ISREG(os.fstat(descriptor).st_mode) else "directory"
        story.append((kind, place(root).exists()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    await cache.add(DATA)
    assert story[-2:] == [("file", False), ("directory", True)]


@pytest.mark.asyncio
async def test_what_an_interrupted_write_left_is_deleted_at_the_next_start(cache: DiskImageCache, root: Path) -> None:
    await cache.add(DATA)
    place(root).with_name(".new-abcdef").write_bytes(DATA[:100])
    DiskImageCache(root)
    assert files_under(root) == [place(root)]


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailable, match=r"the image cache .* cannot be used: Not a directory"):
        DiskImageCache(tmp_path / "file" / "cache")


@pytest.mark.asyncio
async def test_an_image_that_cannot_be_deleted_is_told(cache: DiskImageCache, root: Path) -> None:
    place(root).mkdir(parents=True)
    with pytest.raises(StoreUnavailable, match="cannot be deleted: Is a directory"):
        await cache.remove(ADDRESS)


@pytest.mark.asyncio
async def test_strays_are_what_lies_there_for_a_while_and_nobody_knows(cache: DiskImageCache, root: Path) -> None:
    addresses = [await cache.add(bytes([number]) * 100) for number in range(5)]
    known, young, *strays = addresses
    for each in (known, *strays):
        os.utime(place(root, each), (1_000_000, 1_000_000))
    os.utime(place(root, young), (3_000_000, 3_000_000))
    place(root, known).with_name("notes.txt").write_text("not ours")
    before = datetime.fromtimestamp(2_000_000, UTC)
    assert sorted(await cache.strays({known}, before=before, most=10)) == sorted(strays)
    assert len(await cache.strays({known}, before=before, most=2)) == 2
