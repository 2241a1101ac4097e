"""What is known of odd hardware."""

from __future__ import annotations

from dataclasses import fields

import pytest

from otagate.model.errors import ConfigError
from otagate.model.quirks import PLAIN, Quirk
from otagate.quirks import load, read


@pytest.mark.parametrize(
    ("code", "quirk"),
    [
        (0x117A, Quirk(block_limit=40)),
        (0x1135, Quirk(block_limit=40)),
        (0x112E, Quirk(block_limit=40, refusal_status=0x95)),
        (0x1021, Quirk(block_patience=1800.0, end_patience=1800.0)),
        (0x1209, Quirk(block_patience=3900.0)),
        (0x1286, Quirk(end_patience=3900.0)),
        (0xBBAA, Quirk(refusal_status=0x95)),
        (0x110C, Quirk(refusal_status=0x95)),
        (0x1298, Quirk(notify=False)),
    ],
)
def test_each_odd_maker_is_treated_as_its_devices_need(code: int, quirk: Quirk) -> None:
    assert load()(code) == quirk


@pytest.mark.parametrize("code", [None, 0x0000, 0x100B, 0xFFFF])
def test_an_unknown_maker_is_plain(code: int | None) -> None:
    assert load()(code) == PLAIN


def test_a_later_entry_adds_to_an_earlier_one() -> None:
    text = "[[maker]]\ncodes = [1, 2]\nblock_limit = 40\n[[maker]]\ncodes = [2]\nnotify = false\n"
    assert read(text) == {1: Quirk(block_limit=40), 2: Quirk(block_limit=40, notify=False)}


@pytest.mark.parametrize("text", ["[[maker", "[[maker]]\ncodes = [1]\nblock_size = 40\n", "[[maker]]\nblock_limit = 40\n", "codes = [1]\n"])
def test_damaged_data_is_one_error_with_a_sentence(text: str) -> None:
    with pytest.raises(ConfigError, match="quirks are damaged"):
        read(text)


def test_a_quirk_that_says_nothing_is_the_specification() -> None:
    assert all(getattr(PLAIN, each.name) == each.default for each in fields(Quirk))
