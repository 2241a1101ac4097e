"""Values on paper: records of CSV that no spreadsheet takes for formulas, and text that cannot turn a line around."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Sequence

_FORMULA = frozenset("=+-@")
_BREAKING = ("Cc", "Zl", "Zp")


def csv_line(values: Sequence[object]) -> str:
    """One record (RFC 4180) on one line, without what a spreadsheet would take for a formula."""
    text = io.StringIO()
    csv.writer(text).writerow([_cell(each) for each in values])
    return text.getvalue()


def flat(text: str) -> str:
    """Text on one line: control characters and line ends become spaces."""
    return "".join(" " if unicodedata.category(char) in _BREAKING else char for char in text)


def _cell(value: object) -> object:
    """A value as spreadsheets may have it: text that begins like a formula is marked as text."""
    if not isinstance(value, str):
        return value
    plain = flat(value)
    begin = unicodedata.normalize("NFKC", plain.lstrip()[:1])  # full-width forms count as well
    return f"'{plain}" if begin and begin[0] in _FORMULA else plain
