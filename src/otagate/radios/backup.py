"""A copy of a Zigbee network, as a file that only its owner reads: what a new stick needs to become the old one.

The file is an Open Coordinator Backup (the JSON that zigpy, zigbee2mqtt and others restore). It holds the network key, so it goes nowhere else: not
into an answer, not into a log.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from otagate.files import make_folder, write_durably
from otagate.model.errors import RadioUnavailable
from otagate.model.ids import RadioName
from otagate.ports import RadioBackup

if TYPE_CHECKING:
    from zigpy.application import ControllerApplication

FORMAT = "open-coordinator-backup"
KEPT = 20
"""Copies of one radio that are kept; a further one takes the place of the oldest."""

_READ_BOUND = 90.0


async def back_up(app: ControllerApplication, folder: Path, *, radio: RadioName, now: datetime) -> RadioBackup:
    """Read the network from the coordinator and write it below `folder`, durably.

    Raises RadioUnavailable; what the library raises passes through.
    """
    try:
        async with asyncio.timeout(_READ_BOUND):
            backup = await app.backups.create_backup(load_devices=True)
    except TimeoutError:
        raise RadioUnavailable(f"the coordinator did not tell its network within {_READ_BOUND:.0f} s") from None
    if not backup.is_complete():
        raise RadioUnavailable("the coordinator did not tell all of its network: a copy of that would be of no use")
    told = backup.as_open_coordinator_json()
    data = json.dumps(told, indent=2, sort_keys=True).encode() + b"\n"
    path = folder / f"{radio}-{now:%Y%m%dT%H%M%S.%fZ}.json"
    await asyncio.to_thread(_write, path, data)
    await asyncio.to_thread(_forget_oldest, path, radio)
    return RadioBackup(
        radio=radio,
        path=path,
        format=FORMAT,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        devices=len(told.get("devices", ())),
        created=now,
    )


def _write(path: Path, data: bytes) -> None:
    try:
        make_folder(path.parent)
        write_durably(path, data)
    except OSError as error:
        raise RadioUnavailable(f"the copy of the network cannot be written to {path.parent}: {error.strerror}") from None


def _forget_oldest(newest: Path, radio: RadioName) -> None:
    """Besides the one that was just written, whatever its name says of the time: clocks go back."""
    others = [each for each in newest.parent.glob(f"{radio}-????????T??????.??????Z.json") if each != newest]
    for each in sorted(others)[: 1 - KEPT]:
        each.unlink(missing_ok=True)
