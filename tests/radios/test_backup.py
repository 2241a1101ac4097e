"""Copies of a network, and which of them stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from otagate.model.ids import RadioName
from otagate.ports import RadioBackup
from otagate.radios.backup import KEPT, back_up

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


class _Backups:
    """Stands for the coordinator, which always tells the same."""

    async def create_backup(self, *, load_devices: bool) -> Any:
        assert load_devices
        return SimpleNamespace(is_complete=lambda: True, as_open_coordinator_json=lambda: {"devices": []})


async def copy_at(folder: Path, now: datetime) -> RadioBackup:
    app: Any = SimpleNamespace(backups=_Backups())
    return await back_up(app, folder, radio=RadioName("zigbee0"), now=now)


@pytest.mark.asyncio
async def test_a_further_copy_takes_the_place_of_the_oldest(tmp_path: Path) -> None:
    made = [await copy_at(tmp_path, NOW + timedelta(days=day)) for day in range(KEPT + 2)]
    assert sorted(tmp_path.iterdir()) == sorted(each.path for each in made[2:])


@pytest.mark.asyncio
async def test_a_copy_that_was_made_just_now_stays_though_the_clock_went_back(tmp_path: Path) -> None:
    """A machine without a battery for its clock begins in the past until it hears the time."""
    for day in range(KEPT):
        await copy_at(tmp_path, NOW + timedelta(days=day))
    made = await copy_at(tmp_path, NOW - timedelta(days=700))
    assert made.path.exists()
    assert len(list(tmp_path.iterdir())) == KEPT
