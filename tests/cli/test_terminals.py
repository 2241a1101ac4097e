"""Tables under hard conditions: narrow terminals, hostile names, no colour, no terminal."""

from __future__ import annotations

import inspect
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
RADIO = {"name": HOSTILE, "type": "znp", "state": "up", "devices": 1, "transfers": 0, "parallel": 2, "sentence": HOSTILE, "paused": False}
RECORD = {"device": HOSTILE, "name": HOSTILE, "status": HOSTILE, "version": HOSTILE, "at": None, "details": {HOSTILE: HOSTILE}}
FACT = {"at": None, "subject": "device", "subject_id": HOSTILE, "kind": "found", "actor": HOSTILE, "data": {"name": HOSTILE}}
NOON = "2026-05-01T12:00:00+00:00"
UPDATE = {
    "id": "u0001",
    "device": DEVICE["id"],
    "component": HOSTILE,
    "from_display_version": HOSTILE,
    "to_display_version": HOSTILE,
    "state": "failed",
    "progress": {"percent": 50.0, "eta_seconds": 10},
    "error": {"type": f"https://x/{HOSTILE}", "title": HOSTILE, "detail": HOSTILE},
    "reason": HOSTILE,
    "sentence": HOSTILE,
    "because": HOSTILE,
    "actor": HOSTILE,
    "started": NOON,
    "finished": NOON,
}
RELEASE = {"display_version": HOSTILE, "source": HOSTILE, "channel": "stable", "size": 10}
OFFER = {"component": HOSTILE, "release": RELEASE, "verdict": {"decision": "refuse", "sentence": HOSTILE}}
IMAGE = {"sha256": "ab" * 32, "file_name": HOSTILE, "checks": [{"name": HOSTILE, "result": "fail"}], "manufacturer_code": 1, "image_type": 2}
SOURCE = {"name": HOSTILE, "type": HOSTILE, "state": "ok", "releases": 1, "last_success": NOON, "next_refresh": None, "sentence": HOSTILE}
RECEIVER = {"name": HOSTILE, "type": "ntfy", "severity": "info", "state": "failing", "waiting": 1, "last_delivered": NOON, "sentence": HOSTILE}
WINDOW = {"name": HOSTILE, "open": True, "openings": [{"begins": NOON, "ends": NOON, "at_end": HOSTILE}]}
COUNTS = dict.fromkeys(("succeeded", "failed", "excused", "pending"), 1)
WAVE = COUNTS | {"number": 1, "state": "open", "devices": [], "success": 0.9, "error": 0.1, "soak": HOSTILE, "gate": HOSTILE, "opened": NOON}
ROLLOUT = {"id": "r1", "name": HOSTILE, "state": "running", "sentence": HOSTILE, "waves": [WAVE]}
SHOWN = {
    "devices": lambda console: tables.devices(console, [DEVICE]),
    "adopted": lambda console: tables.adopted(console, [DEVICE]),
    "releases": lambda console: tables.releases(console, [OFFER]),
    "updates": lambda console: tables.updates(console, [UPDATE]),
    "images": lambda console: tables.images(console, [IMAGE | {"display_version": HOSTILE, "bytes": 10}]),
    "radios": lambda console: tables.radios(console, [RADIO]),
    "sources": lambda console: tables.sources(console, [SOURCE | {"quota_left": None, "quotas": []}]),
    "notifiers": lambda console: tables.notifiers(console, [RECEIVER]),
    "windows": lambda console: tables.windows(console, [WINDOW]),
    "records": lambda console: tables.records(console, [RECORD]),
    "rollouts": lambda console: tables.rollouts(console, [ROLLOUT]),
    "waves": lambda console: tables.waves(console, [WAVE]),
    "history": lambda console: tables.history(console, [UPDATE], {DEVICE["id"]: HOSTILE}),
    "journal": lambda console: tables.journal(console, [FACT]),
    "facts": lambda console: tables.facts(console, [FACT]),
    "pairs": lambda console: tables.pairs(console, {"name": HOSTILE}),
}


def test_every_table_that_there_is_is_tried() -> None:
    made = {name for name, each in inspect.getmembers(tables, inspect.isfunction) if each.__annotations__.get("return") == "Table"}
    assert set(SHOWN) == made - {"table"}


def drawn(table: RenderableType, console: Console) -> str:
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("calls", "quotas", "cell"),
    [
        (None, [], ""),
        (23, [{"of": "calls", "left": 23, "amount": 24, "seconds": 60, "bucket": None}], "23 calls"),
        (
            0,
            [
                {"of": "calls", "left": 24, "amount": 24, "seconds": 60, "bucket": None},
                {"of": "bytes", "left": 2_000_000, "amount": 90_000_000, "seconds": 60, "bucket": "x"},
                {"of": "bytes", "left": 0, "amount": 900_000_000, "seconds": 60, "bucket": None},
            ],
            "0 calls, 0 B",
        ),
    ],
)
def test_what_may_still_be_asked_of_a_source_stands_under_left(calls: int | None, quotas: list[dict[str, object]], cell: str) -> None:
    made = tables.sources(Console(file=io.StringIO()), [SOURCE | {"quota_left": calls, "quotas": quotas}])
    (left,) = [each for each in made.columns if each.header == "Left"]
    assert [str(each) for each in left.cells] == [cell]


@pytest.mark.parametrize("width", [40, 80])
@pytest.mark.parametrize("name", SHOWN)
def test_a_table_fits_a_terminal_whatever_devices_are_called(name: str, width: int) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=width, no_color=True, highlight=False, emoji=False, markup=False)
    text = re.sub(r"\x1b\[\d+(;\d+)*m", "", drawn(SHOWN[name](console), console))  # bold and dim are no colours
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200f\u202e]", text)
    assert max(map(len, text.splitlines())) <= width


def narrow(width: int) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, no_color=True, highlight=False, emoji=False, markup=False)


LAMP = DEVICE | {"name": "Hall lamp", "manufacturer": "Demo", "model": "A19", "update_status": "none"}


def test_on_a_narrow_terminal_nothing_is_cut_that_somebody_has_to_type_again() -> None:
    assert _devices_at(50).splitlines() == [
        "zigbee-000d6f000a9069e7",
        "  Name Hall lamp  Model Demo A19",
        "  Version not read yet  Status none  Power mains",
        "  Online yes",
        "",
        "zigbee-000d6f000a9069e7",
        "  Name Hall lamp  Model Demo A19",
        "  Version not read yet  Status none  Power mains",
        "  Online yes",
    ]


def test_a_column_that_says_nothing_is_left_out_before_a_table_is_taken_apart() -> None:
    header = next(line.split() for line in _devices_at(105).splitlines() if "Device" in line)
    assert header == ["Device", "Name", "Model", "Version", "Status", "Power", "Online"]
    assert "Available" in _devices_at(160)


def test_a_list_of_nothing_says_so_to_people_and_is_a_bare_header_elsewhere() -> None:
    console = narrow(80)
    assert drawn(tables.notifiers(console, []), console).strip() == "Nobody is told: there is no notify in the configuration."
    console = Console(file=io.StringIO(), width=200)
    assert drawn(tables.notifiers(console, []), console).split()[0] == "Receiver"


def _devices_at(width: int) -> str:
    console = narrow(width)
    text = drawn(tables.devices(console, [LAMP, LAMP]), console)
    return "\n".join(line.rstrip() for line in re.sub(r"\x1b\[\d+(;\d+)*m", "", text).splitlines())


@pytest.mark.parametrize("name", SHOWN)
def test_without_a_terminal_a_table_has_neither_colours_nor_anything_that_moves_the_cursor(name: str) -> None:
    console = Console(file=io.StringIO(), width=100_000, highlight=False, emoji=False, markup=False)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200f\u202e]", drawn(SHOWN[name](console), console))


@pytest.mark.parametrize("name", SHOWN)
def test_no_color_is_heeded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    console = Console(file=io.StringIO(), force_terminal=True, width=80, highlight=False, emoji=False, markup=False)
    text = drawn(SHOWN[name](console), console)
    assert not re.search(r"\x1b\[[\d;]*\b(3[0-7]|9[0-7]|4[0-7]|38|48)\b[\d;]*m", text)
