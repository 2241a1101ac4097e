"""Text of others, for people."""

from __future__ import annotations

import pytest

from otagate.model.text import readable


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("Lamp 1", "Lamp 1"),
        (" Lamp\n\x1b[31m ", "Lamp[31m"),
        ("Lampe à côté", "Lampe à côté"),
        ("0123456789", "01234567"),
        ("0123456 89", "0123456"),
        ("\x00" * 8, None),
        ("", None),
        (None, None),
        (7, None),
        ("\x00" * 1_000_000 + "Lamp", None),
    ],
    ids=["plain", "control", "letters", "long", "cut-behind-a-word", "nothing", "empty", "none", "number", "endless"],
)
def test_what_others_call_themselves_is_shown_on_one_line_of_bounded_length(told: object, shown: str | None) -> None:
    assert readable(told, longest=12 if told == "Lampe à côté" else 8) == shown
