"""What is known of odd hardware, and that every line of it counts."""

from __future__ import annotations

import re
from dataclasses import fields
from importlib.resources import files

import pytest

from otagate.model.errors import ConfigError
from otagate.model.quirks import PLAIN, Quirk, QuirkOf
from otagate.quirks import load, read

DATA = (files("otagate.quirks") / "zigbee.toml").read_text(encoding="utf-8")

Kind = tuple[int, str | None, int | None]
"""Manufacturer code, model and image type."""

KNOWN: dict[Kind, Quirk] = {
    (0x117A, None, None): Quirk(block_limit=40, query_patience=60.0),  # Insta
    (0x1135, None, None): Quirk(block_limit=40, ota_endpoint=0x0A),  # dresden elektronik
    (0x112E, None, None): Quirk(block_limit=40, refusal_status=0x95),  # Busch-Jaeger
    (0x1021, None, None): Quirk(whole_up_to=64, stuck_at=(50, 12), freed_by=(78, 64), block_patience=1_800.0, end_patience=1_800.0),  # Legrand
    (0x1209, None, None): Quirk(block_patience=3_900.0),  # Bosch
    (0x1286, None, 8199): Quirk(end_patience=3_900.0),  # Sonoff TRVZB
    (0x1286, None, 8200): PLAIN,
    (0xBBAA, None, None): Quirk(silent_refusal=True),  # OSRAM
    (0x110C, None, None): Quirk(silent_refusal=True),
    (0x1037, "SPZB0001", None): Quirk(notify=False),  # Eurotronic Spirit
    (0x1037, "another of that chip", None): PLAIN,
    (0x1037, None, None): PLAIN,
    (0x115F, "lumi.airrtc.agl001", None): Quirk(tells_version=False, version_at=(0xFCC0, 0x00EE)),
    (0x115F, "lumi.curtain.acn003", None): Quirk(tells_version=False, version_at=(0xFCC0, 0x00EE)),
    (0x115F, "lumi.curtain.agl001", None): Quirk(tells_version=False, version_at=(0xFCC0, 0x00EE)),
    (0x115F, "lumi.plug", None): PLAIN,
}


def _found(quirk_of: QuirkOf, kind: Kind) -> Quirk:
    code, model, image_type = kind
    quirk = quirk_of(code, model).of_type(image_type)
    return Quirk(**{each.name: getattr(quirk, each.name) for each in fields(Quirk) if each.name != "by_type"})


@pytest.mark.parametrize("kind", KNOWN, ids=lambda kind: f"{kind[0]:04x} {kind[1]} {kind[2]}")
def test_each_odd_device_is_treated_as_it_needs(kind: Kind) -> None:
    assert _found(load(), kind) == KNOWN[kind]


@pytest.mark.parametrize("code", [None, 0x0000, 0x1298, 0xFFFF])
def test_an_unknown_maker_is_plain(code: int | None) -> None:
    assert load()(code, "SPZB0001") == PLAIN


def _without(number: int) -> str:
    return "".join(line for at, line in enumerate(DATA.splitlines(keepends=True)) if at != number)


SETTINGS = [number for number, line in enumerate(DATA.splitlines()) if re.match(r"(?!codes)\w+ =", line)]


@pytest.mark.parametrize("number", SETTINGS, ids=lambda number: DATA.splitlines()[number].replace(" ", ""))
def test_no_line_of_the_data_can_be_lost_unnoticed(number: int) -> None:
    without = read(_without(number))
    assert any(_found(without, kind) != quirk for kind, quirk in KNOWN.items())


def test_every_maker_of_the_data_is_in_the_table() -> None:
    codes = {int(code, 16) for line in DATA.splitlines() if line.startswith("codes") for code in re.findall(r"0x[0-9A-F]{4}", line.split("#")[0])}
    assert codes == {code for code, _, _ in KNOWN}


# --- how data is read ---------------------------------------------------------------------------------------------------------------------


def test_a_later_entry_adds_to_an_earlier_one() -> None:
    quirk_of = read("[[device]]\ncodes = [1, 2]\nblock_limit = 40\n[[device]]\ncodes = [2]\nnotify = false\n")
    assert (quirk_of(1, None), quirk_of(2, None)) == (Quirk(block_limit=40), Quirk(block_limit=40, notify=False))


def test_an_image_type_has_what_holds_for_its_device_wherever_that_is_written() -> None:
    quirk_of = read("[[device]]\ncodes = [1]\nimage_types = [7]\nnotify = false\n[[device]]\ncodes = [1]\nblock_limit = 40\n")
    assert quirk_of(1, None).of_type(7) == Quirk(block_limit=40, notify=False)
    assert quirk_of(1, None).of_type(8).notify


def test_models_may_be_patterns_and_are_told_apart_by_case() -> None:
    quirk_of = read('[[device]]\ncodes = [1]\nmodels = ["lamp *"]\nnotify = false\n')
    assert [quirk_of(1, model).notify for model in ("lamp 1", "Lamp 1", "old lamp 1", None)] == [False, True, True, True]


@pytest.mark.parametrize("text", ["[[device", "[[device]]\ncodes = [1]\nblock_size = 40\n", "[[device]]\nblock_limit = 40\n", "codes = [1]\n"])
def test_damaged_data_is_one_error_with_a_sentence(text: str) -> None:
    with pytest.raises(ConfigError, match="quirks are damaged"):
        read(text)
