"""Real firmware files, which are never part of the project: found beside it, or where OTAGATE_TEST_DATA says."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

DATA = Path(os.environ.get("OTAGATE_TEST_DATA", Path(__file__).parents[2] / "../shared/data"))


MISSING = f"no real images in {DATA}: set OTAGATE_TEST_DATA"


def manifest(folder: str) -> list[dict[str, Any]]:
    """What is known to be true of the files in this folder; nothing where it is not here."""
    file = DATA / folder / "manifest.json"
    found: list[dict[str, Any]] = json.loads(file.read_text()) if file.is_file() else []
    return found


@dataclass(frozen=True)
class RealImage:
    """One file with what is known to be true of it."""

    path: Path
    truth: dict[str, Any]

    @property
    def bytes(self) -> bytes:
        return self.path.read_bytes()

    @property
    def sha256_as_sent(self) -> str | None:
        return self.truth["sha256"] if "sha256" in self.truth else self.truth["sha256_of_ota"]


def real_images(*folders: str, truncated: bool = True) -> list[Any]:
    """The files of these folders as pytest parameters, with the truncated ones or without; one skipped parameter where they are missing."""
    found = [
        pytest.param(RealImage(path=DATA / folder / entry["file"], truth=entry), id=entry["file"][:40])
        for folder in folders
        for entry in manifest(folder)
        if truncated or entry.get("sha256_of_ota", entry.get("sha256")) is not None
    ]
    return found or [pytest.param(None, marks=pytest.mark.skip(reason=MISSING), id="missing")]
