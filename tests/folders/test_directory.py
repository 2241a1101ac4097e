from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otagate.folders import directory
from otagate.folders.directory import SETTLE, ScanResult, Skipped, scan
from otagate.model.errors import SourceUnavailable
from tests.formats.images import build, element, legrand
from tests.formats.real_images import RealImage, real_images

LIMIT = 1 << 20
IMAGE = build()
OTHER = build(file_version=7)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "images"
    path.mkdir()
    return path


class Watch:
    """Scans one folder again and again, as its owner does."""

    def __init__(self, path: Path, limit: int = LIMIT) -> None:
        self.path, self.limit, self.now = path, limit, 100.0
        self.last: ScanResult | None = None

    def scan(self, after: float = 1.0) -> ScanResult:
        self.now += after
        self.last = scan(self.path, self.last.known if self.last else None, now=self.now, limit=self.limit)
        return self.last


def put(path: Path, data: bytes, *, mtime: int = 1_000) -> Path:
    """Write a file with a modification time of its own, so that a test never depends on how fine the clock of the disk is."""
    path.write_bytes(data)
    os.utime(path, (mtime, mtime))
    return path


def names(result: ScanResult) -> list[str]:
    return [each.file_name for each in result.new]


def opened(monkeypatch: pytest.MonkeyPatch, before_open: Callable[[Path], None] = lambda _: None) -> list[str]:
    """Record which files are opened from here on."""
    record: list[str] = []
    real = os.open

    def spy(path: Any, *rest: Any, **more: Any) -> int:
        record.append(Path(path).name)
        before_open(Path(path))
        return real(path, *rest, **more)

    monkeypatch.setattr(directory.os, "open", spy)
    return record


# --- what is new, what is gone -----------------------------------------------------------------------------------------------------------


def test_the_images_of_a_folder_are_found_in_the_order_of_their_names(folder: Path) -> None:
    put(folder / "b.ota", OTHER)
    put(folder / "a.ota", IMAGE)
    result = Watch(folder).scan()
    assert names(result) == ["a.ota", "b.ota"]
    assert [each.data for each in result.new] == [IMAGE, OTHER]
    assert [each.facts.file_version for each in result.new] == [0x0102_0509, 7]
    assert (result.gone, result.skipped, result.settling, result.more) == ((), (), (), False)


def test_a_wrapper_around_an_image_is_cut_off(folder: Path) -> None:
    put(folder / "wrapped.zigbee", legrand(IMAGE))
    assert Watch(folder).scan().new[0].data == IMAGE


def test_an_empty_folder_is_no_error(folder: Path) -> None:
    assert Watch(folder).scan() == ScanResult(new=(), gone=(), skipped=(), settling=(), known={})


def test_an_unchanged_file_is_not_opened_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(folder / "good.ota", IMAGE)
    put(folder / "bad.txt", b"hello")
    watch = Watch(folder)
    watch.scan()
    record = opened(monkeypatch)
    result = watch.scan()
    assert record == []
    assert (result.new, result.gone) == ((), ())
    assert [each.name for each in result.skipped] == ["bad.txt"]


@pytest.mark.parametrize("what", ["time", "size", "inode"])
def test_a_changed_file_is_read_again(folder: Path, what: str) -> None:
    put(folder / "a.ota", IMAGE)
    watch = Watch(folder)
    watch.scan()
    if what == "time":
        put(folder / "a.ota", OTHER, mtime=1_001)
    elif what == "size":
        put(folder / "a.ota", OTHER + b"\x00")
    else:
        put(folder / "other", OTHER).replace(folder / "a.ota")
    result = watch.scan()
    assert [each.data for each in result.new] == [OTHER]
    assert result.gone == ()


def test_a_deleted_file_is_gone_once(folder: Path) -> None:
    put(folder / "a.ota", IMAGE)
    watch = Watch(folder)
    watch.scan()
    (folder / "a.ota").unlink()
    assert watch.scan().gone == ("a.ota",)
    assert watch.scan().gone == ()


def test_a_renamed_file_is_gone_and_new(folder: Path) -> None:
    put(folder / "a.ota", IMAGE)
    watch = Watch(folder)
    watch.scan()
    (folder / "a.ota").rename(folder / "b.ota")
    result = watch.scan()
    assert (names(result), result.gone) == (["b.ota"], ("a.ota",))


def test_a_bad_file_that_goes_away_was_never_there_to_be_gone(folder: Path) -> None:
    put(folder / "bad.txt", b"hello")
    watch = Watch(folder)
    watch.scan()
    (folder / "bad.txt").unlink()
    result = watch.scan()
    assert (result.gone, result.skipped) == ((), ())


def test_what_the_owner_could_not_store_is_new_again(folder: Path) -> None:
    put(folder / "a.ota", IMAGE)
    before = scan(folder, None, now=1.0, limit=LIMIT)
    assert names(scan(folder, {}, now=2.0, limit=LIMIT)) == names(before) == ["a.ota"]


# --- what is passed over, and why --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [".hidden.ota", "a.ota.part", "a.ota~", "A.OTA.TMP", "a.ota.crdownload", ".a.ota.X3fk9"])
def test_hidden_and_unfinished_files_are_left_alone_without_a_word(folder: Path, name: str) -> None:
    put(folder / name, IMAGE)
    assert Watch(folder).scan() == ScanResult(new=(), gone=(), skipped=(), settling=(), known={})


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    # A socket's path is short, so it is made where we stand.
    back = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(back)


def link_out(path: Path) -> None:
    put(path.parent.parent / "outside.ota", IMAGE)
    path.symlink_to(path.parent.parent / "outside.ota")


def link_out_by_dots(path: Path) -> None:
    put(path.parent.parent / "outside.ota", IMAGE)
    path.symlink_to("../outside.ota")


def link_into_a_subfolder(path: Path) -> None:
    (path.parent / ".sub").mkdir()
    put(path.parent / ".sub" / "a.ota", IMAGE)
    path.symlink_to(".sub/a.ota")


def link_round(path: Path) -> None:
    path.symlink_to(path.name)


def link_nowhere(path: Path) -> None:
    path.symlink_to("nothing")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (Path.mkdir, "it is a folder, and only files directly in the watched folder are read"),
        (make_fifo, "it is not a regular file"),
        (make_socket, "it is not a regular file"),
        (link_out, "it is a link that leads out of the folder"),
        (link_out_by_dots, "it is a link that leads out of the folder"),
        (link_into_a_subfolder, "it is a link that leads out of the folder"),
        (link_round, "it is a link that cannot be followed"),
        (link_nowhere, "it is a link that cannot be followed"),
        (lambda path: path.write_bytes(IMAGE[:-1]), "the file is truncated: total image size at byte 52 is 1086, but only 1085 bytes are there"),
        (lambda path: path.write_bytes(b""), "the file is empty"),
        (lambda path: path.write_bytes(b"[]"), "this is a JSON document, perhaps an index"),
        (lambda path: path.write_bytes(bytes(LIMIT + 1)), "it has 1048577 bytes, and 1048576 are allowed"),
    ],
)
def test_what_cannot_be_used_is_named_with_the_reason_at_every_scan(folder: Path, make: Callable[[Path], object], sentence: str) -> None:
    put(folder / "good.ota", IMAGE)
    make(folder / "odd")
    watch = Watch(folder)
    first = watch.scan()
    assert names(first) == ["good.ota"]
    [skipped] = first.skipped
    assert skipped.name == "odd"
    assert sentence in skipped.sentence
    assert watch.scan().skipped == first.skipped


def test_a_link_to_another_file_of_the_folder_is_followed(folder: Path) -> None:
    put(folder / "a-2.0.bin", IMAGE)
    (folder / "latest.ota").symlink_to("a-2.0.bin")
    assert names(Watch(folder).scan()) == ["a-2.0.bin", "latest.ota"]


def test_a_folder_that_is_itself_a_link_is_read(folder: Path, tmp_path: Path) -> None:
    put(folder / "a.ota", IMAGE)
    (folder / "again.ota").symlink_to(folder / "a.ota")
    (tmp_path / "link").symlink_to(folder)
    assert names(Watch(tmp_path / "link").scan()) == ["a.ota", "again.ota"]


@pytest.mark.parametrize(
    ("name", "shown"), [(b"bad\xff.ota", "bad\ufffd.ota"), (b"new\nline.ota", "new\ufffdline.ota"), (b"\xc2\x9b.ota", "\ufffd.ota")]
)
def test_a_name_that_is_no_text_is_named_as_far_as_it_can_be(folder: Path, name: bytes, shown: str) -> None:
    put(folder / os.fsdecode(name), IMAGE)
    assert Watch(folder).scan().skipped == (Skipped(name=shown, sentence="its name has bytes that are no text: rename it"),)


def test_a_name_in_any_script_is_kept(folder: Path) -> None:
    put(folder / "лампа 灯.ota", IMAGE)
    assert names(Watch(folder).scan()) == ["лампа 灯.ota"]


def test_an_unreadable_file_is_named_and_tried_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(folder / "a.ota", IMAGE)
    watch = Watch(folder)

    def deny(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        opened(patch, deny)
        assert watch.scan().skipped == (Skipped(name="a.ota", sentence="it cannot be read: Permission denied"),)
    result = watch.scan()
    assert (names(result), result.skipped) == (["a.ota"], ())


def test_a_file_that_vanishes_while_we_look_is_simply_not_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(folder / "a.ota", IMAGE)
    opened(monkeypatch, Path.unlink)
    assert Watch(folder).scan() == ScanResult(new=(), gone=(), skipped=(), settling=(), known={})


def test_a_pipe_put_in_the_place_of_a_file_does_not_make_us_wait(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(folder / "a.ota", IMAGE)

    def swap(path: Path) -> None:
        path.unlink()
        os.mkfifo(path)

    opened(monkeypatch, swap)
    assert Watch(folder).scan().skipped == (Skipped(name="a.ota", sentence="it changed while it was read"),)


# --- the folder itself -------------------------------------------------------------------------------------------------------------------


def test_a_folder_out_of_reach_is_an_error_and_nothing_is_gone(folder: Path) -> None:
    put(folder / "a.ota", IMAGE)
    watch = Watch(folder)
    watch.scan()
    shutil.move(folder, folder.with_name("away"))
    with pytest.raises(SourceUnavailable, match=r"the folder .*images cannot be read: No such file"):
        watch.scan()
    shutil.move(folder.with_name("away"), folder)
    result = watch.scan()
    assert (result.new, result.gone) == ((), ())


def test_a_file_in_the_place_of_the_folder_is_an_error(folder: Path) -> None:
    put(folder / "file", IMAGE)
    with pytest.raises(SourceUnavailable, match="Not a directory"):
        Watch(folder / "file").scan()


# --- files that are still being copied ---------------------------------------------------------------------------------------------------


def test_a_file_that_is_still_being_copied_is_left_until_it_is_whole(folder: Path) -> None:
    watch = Watch(folder)
    watch.scan()
    put(folder / "a.ota", IMAGE[:100])
    result = watch.scan()
    assert (result.new, result.skipped, result.settling) == ((), (), ("a.ota",))
    put(folder / "a.ota", IMAGE[:500])
    assert watch.scan(after=SETTLE).settling == ("a.ota",)
    put(folder / "a.ota", IMAGE)
    result = watch.scan()
    assert (names(result), result.skipped, result.settling) == (["a.ota"], (), ())


def test_a_broken_file_that_no_longer_changes_is_named_after_a_while(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(folder)
    watch.scan()
    put(folder / "a.ota", IMAGE[:100])
    watch.scan()
    assert watch.scan(after=SETTLE - 1).settling == ("a.ota",)
    result = watch.scan(after=1)
    assert result.settling == ()
    assert "truncated" in result.skipped[0].sentence
    record = opened(monkeypatch)
    assert watch.scan().skipped == result.skipped
    assert record == []


def test_a_whole_file_need_not_settle(folder: Path) -> None:
    watch = Watch(folder)
    watch.scan()
    put(folder / "a.ota", IMAGE)
    assert names(watch.scan()) == ["a.ota"]


def test_a_file_that_is_being_replaced_is_not_gone_until_it_stays_broken(folder: Path) -> None:
    put(folder / "a.ota", IMAGE)
    watch = Watch(folder)
    watch.scan()
    put(folder / "a.ota", OTHER[:70])
    result = watch.scan()
    assert (result.gone, result.settling) == ((), ("a.ota",))
    assert watch.scan(after=1).gone == ()
    assert watch.scan(after=SETTLE).gone == ("a.ota",)
    put(folder / "a.ota", OTHER)
    assert names(watch.scan()) == ["a.ota"]


def test_a_file_that_grows_while_it_is_read_is_left_for_the_next_scan(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(folder)
    watch.scan()
    put(folder / "a.ota", IMAGE)
    with monkeypatch.context() as patch:
        opened(patch, lambda path: put(path, IMAGE + b"more", mtime=2_000) and None)
        result = watch.scan()
    assert (result.new, result.settling) == ((), ("a.ota",))
    assert names(watch.scan()) == ["a.ota"]


# --- bounds ------------------------------------------------------------------------------------------------------------------------------


def test_one_result_holds_a_bounded_number_of_bytes_and_the_next_the_rest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "MAX_BYTES_A_SCAN", 2 * len(IMAGE))
    for name in "abcde":
        put(folder / name, IMAGE)
    watch = Watch(folder)
    looks = [watch.scan() for _ in range(4)]
    assert [names(each) for each in looks] == [["a", "b"], ["c", "d"], ["e"], []]
    assert [each.more for each in looks] == [True, True, False, False]
    assert all(each.gone == () and each.skipped == () for each in looks)


def test_a_changed_file_that_must_wait_for_the_next_scan_is_not_gone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ab":
        put(folder / name, IMAGE)
    watch = Watch(folder)
    watch.scan()
    monkeypatch.setattr(directory, "MAX_BYTES_A_SCAN", len(IMAGE))
    for name in "ab":
        put(folder / name, OTHER, mtime=2_000)
    result = watch.scan()
    assert (names(result), result.gone, result.more) == (["a"], (), True)
    result = watch.scan()
    assert (names(result), result.gone, result.more) == (["b"], (), False)


def test_one_file_larger_than_a_scan_is_still_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "MAX_BYTES_A_SCAN", 10)
    put(folder / "a.ota", build(element(0, bytes(5000))))
    assert names(Watch(folder).scan()) == ["a.ota"]


def test_a_crowded_folder_is_told_and_no_known_file_is_called_gone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("x1", "x2", "x3"):
        put(folder / name, IMAGE)
    watch = Watch(folder)
    watch.scan()
    for number in range(20):
        put(folder / f"y{number}", OTHER)
    monkeypatch.setattr(directory, "MAX_FILES", 3)
    result = watch.scan()
    assert result.gone == ()
    assert result.skipped[-1] == Skipped(name="", sentence="the folder has more than 3 files; the rest is not read")
    (folder / "x2").unlink()
    assert watch.scan().gone == ("x2",)


# --- real files --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("real", real_images("zigbee-images-odd"))
def test_real_files_are_found_or_named(folder: Path, real: RealImage) -> None:
    put(folder / real.path.name, real.bytes)
    result = Watch(folder).scan()
    if real.sha256_as_sent is None:
        assert "truncated" in result.skipped[0].sentence
    else:
        assert result.new[0].facts.file_version == real.truth["file_version"]
        assert len(result.new[0].data) == real.truth["total_image_size"]
