"""A table that stays readable on a narrow terminal: nothing that somebody has to type again is cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

PROSE: Final = frozenset({"Name", "Model", "Room", "Groups", "File", "Why", "By", "Note", "Detail", "What it says"})
"""Columns that may be broken into lines."""

_LEAST = 14
"""Characters of a line of prose that still reads."""

_INDENT = 2
_BETWEEN = "  "


class Grid(Table):
    """With lines on a terminal, bare elsewhere. Where its columns do not fit it is shown row by row, and where there are none, `empty` says so."""

    def __init__(self, console: Console, *columns: str, empty: str) -> None:
        super().__init__(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False)
        self._empty = empty
        self._lined = console.is_terminal
        for each in columns:
            no_wrap = each not in PROSE or not console.is_terminal
            self.add_column(each, no_wrap=no_wrap, overflow="fold", justify="right" if each in {"Size", "Bytes"} else "left")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As a table where that fits, if need be without the columns that say nothing."""
        if self._lined and not self.row_count:
            yield Text(self._empty)
            return
        if self._lined and _least_width(self.columns) > options.max_width:
            telling = [each for each in self.columns if any(map(str, each.cells))]
            self.columns = [replace(each, _index=number) for number, each in enumerate(telling)]
        if self._lined and _least_width(self.columns) > options.max_width:
            yield from self._by_rows(options.max_width)
        else:
            yield from super().__rich_console__(console, options)

    def _by_rows(self, width: int) -> Iterator[Text | Padding]:
        headers = [str(each.header) for each in self.columns]
        named = 1 if headers[0] else 2  # a column of marks is no name of a row
        for number, row in enumerate(zip(*(each.cells for each in self.columns), strict=True)):
            cells = [each if isinstance(each, Text) else Text(str(each)) for each in row]
            if number:
                yield Text()
            yield Text.assemble(Text(" ").join(each for each in cells[:named] if each.plain), style="bold")
            pairs = zip(headers[named:], cells[named:], strict=True)
            told = [Text.assemble((f"{header} ", "dim"), each) for header, each in pairs if each.plain]
            for line in _lines(told, width - _INDENT):
                yield Padding(line, (0, 0, 0, _INDENT))


def _least_width(columns: Sequence[Column]) -> int:
    return sum(map(_least, columns)) + 3 * (len(columns) - 1) + 2


def _least(column: Column) -> int:
    widest = max(cell_len(str(each)) for each in (column.header, *column.cells))
    return min(widest, max(_LEAST, cell_len(str(column.header)))) if str(column.header) in PROSE else widest


def _lines(told: list[Text], width: int) -> Iterator[Text]:
    """As many beside each other as there is room for."""
    line = Text()
    for each in told:
        if line.plain and line.cell_len + len(_BETWEEN) + each.cell_len > width:
            yield line
            line = Text()
        line = Text.assemble(line, _BETWEEN if line.plain else "", each)
    if line.plain:
        yield line
