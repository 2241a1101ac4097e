"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from otagate.files import clear_unfinished, make_folder, write_durably, written_aside


def test_a_file_appears_whole_closed_to_others_and_replaces_the_one_before(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        for data in (b"first", memoryview(b"second")):
            write_durably(tmp_path / "state", data)
            assert (tmp_path / "state").read_bytes() == data
            assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o600
    finally:
        os.umask(before)
    assert [each.name for each in tmp_path.iterdir()] == ["state"]


def test_a_write_that_fails_leaves_the_file_as_it_was_and_nothing_beside_it(tmp_path: Path) -> None:
    write_durably(tmp_path / "state", b"first")
    with pytest.raises(OSError, match="disk full"), written_aside(tmp_path / "state") as aside:  # noqa: PT012 - the block is what fails
        aside.write_bytes(b"half of the sec")
        raise OSError("disk full")
    assert (tmp_path / "state").read_bytes() == b"first"
    assert [each.name for each in tmp_path.iterdir()] == ["state"]


def test_what_a_crash_left_is_cleared_for_one_name_or_for_all(tmp_path: Path) -> None:
    for name in (".new-a-1", ".new-b[1]-2", ".new-b-3", "kept"):
        (tmp_path / name).touch()
    clear_unfinished(tmp_path, "b[1]")
    assert sorted(each.name for each in tmp_path.iterdir()) == [".new-a-1", ".new-b-3", "kept"]
    clear_unfinished(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["kept"]


def test_a_folder_is_made_for_its_owner_alone_and_one_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    make_folder(tmp_path / "new")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    (tmp_path / "new").chmod(0o750)
    make_folder(tmp_path / "new")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o750
