"""The command line, run against a real server whose counter is in memory."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest
from typer.testing import CliRunner

from otagate.cli.app import app
from tests.api.conftest import Hall, hall, open_hall

__all__ = ["hall", "open_hall"]


@pytest.fixture(autouse=True)
def _no_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTAGATE_URL", "OTAGATE_TOKEN_FILE", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        (line,) = self.out.splitlines()
        return json.loads(line)

    @property
    def lines(self) -> list[Any]:
        """The JSON lines on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]


async def otagate(*arguments: str) -> Outcome:
    """Run one command as it is typed."""
    result = await asyncio.to_thread(CliRunner().invoke, app, list(arguments), prog_name="otagate")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Outcome(code=result.exit_code, out=result.stdout, err=result.stderr)


async def at(hall: Hall, *arguments: str) -> Outcome:
    """The same, told where the hub and its token are."""
    return await otagate(*arguments, "--url", hall.base, "--token-file", str(hall.settings.token_file))
