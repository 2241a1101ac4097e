"""The source of type `directory`, as the engine meets it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from otagate.folders.watched import WatchedFolder
from otagate.model.errors import SourceUnavailable
from tests.formats.images import build


class StillClock:
    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return 1_000.0


def watch(path: Path) -> WatchedFolder:
    return WatchedFolder(name="directory", path=path, clock=StillClock(), limit=1 << 20)


@pytest.mark.asyncio
async def test_what_was_not_kept_is_told_again_and_what_was_kept_is_not(tmp_path: Path) -> None:
    (tmp_path / "a.ota").write_bytes(build())
    folder = watch(tmp_path)
    assert [name for name, _ in (await folder.scan()).files] == ["a.ota"]
    assert [name for name, _ in (await folder.scan()).files] == ["a.ota"]
    folder.keep()
    assert (await folder.scan()).files == []


@pytest.mark.asyncio
async def test_a_file_that_is_taken_out_is_gone(tmp_path: Path) -> None:
    (tmp_path / "a.ota").write_bytes(build())
    folder = watch(tmp_path)
    await folder.scan()
    folder.keep()
    (tmp_path / "a.ota").unlink()
    assert list((await folder.scan()).gone) == ["a.ota"]


@pytest.mark.asyncio
async def test_a_file_that_is_no_image_is_skipped_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "page.ota").write_bytes(b"<!DOCTYPE html><html></html>")
    scan = await watch(tmp_path).scan()
    assert scan.files == []
    assert [name for name, _ in scan.skipped] == ["page.ota"]


@pytest.mark.asyncio
async def test_a_missing_folder_is_an_unavailable_source(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="nowhere"):
        await watch(tmp_path / "nowhere").scan()
