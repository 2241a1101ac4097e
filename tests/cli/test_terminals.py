"""Tables under hard conditions: narrow terminals, hostile names, no colour, no terminal."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console, RenderableType

from otagate.cli import tables

HOSTILE = "\x1b]0;owned\x07\x1b[2J\u202egnp.exe\u200f\r\n" + "A" * 4096
DEVICE = {
    "id": "zigbee-000d6f000a9069e7",
    "name": HOSTILE,
    "manufacturer": HOSTILE,
    "model": HOSTILE,
    "components": [],
    "update_status": "unknown",
    "power": "mains",
    "online": True,
    "battery_percent": None,
    "room": HOSTILE,
    "groups": [HOSTILE],
    "outcome": "adopted",
}
RADIO = {"name": HOSTILE, "type": "znp", "state": "up", "devices": 1, "transfers": 0, "parallel": 2, "sentence": HOSTILE}
RECORD = {"device": HOSTILE, "name": HOSTILE, "status": HOSTILE, "version": HOSTILE, "at": None, "details": {HOSTILE: HOSTILE}}
FACT = {"at": None, "subject": "device", "subject_id": HOSTILE, "kind": "found", "actor": HOSTILE, "data": {"name": HOSTILE}}
SHOWN = {
    "devices": lambda console: tables.devices(console, [DEVICE]),
    "adopted": lambda console: tables.adopted(console, [DEVICE]),
    "radios": lambda console: tables.radios(console, [RADIO]),
    "records": lambda console: tables.records(console, [RECORD]),
    "journal": lambda console: tables.journal(console, [FACT]),
    "facts": lambda console: tables.facts(console, [FACT]),
    "pairs": lambda console: tables.pairs(console, {"name": HOSTILE}),
}


def drawn(table: RenderableType, console: Console) -> str:
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [40, 80])
@pytest.mark.parametrize("name", SHOWN)
def test_a_table_fits_a_terminal_whatever_devices_are_called(name: str, width: int) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=width, no_color=True, highlight=False, emoji=False, markup=False)
    text = re.sub(r"\x1b\[\d+(;\d+)*m", "", drawn(SHOWN[name](console), console))  # bold and dim are no colours
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200f\u202e]", text)
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("name", SHOWN)
def test_without_a_terminal_a_table_has_neither_colours_nor_anything_that_moves_the_cursor(name: str) -> None:
    console = Console(file=io.StringIO(), width=100_000, highlight=False, emoji=False, markup=False)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200f\u202e]", drawn(SHOWN[name](console), console))
