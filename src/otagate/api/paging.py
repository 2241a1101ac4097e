"""Pages of lists. A cursor names the last item that was told, so a page goes on behind it whatever came or went meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

_KEY = 128
"""Characters of a key at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How the cursors of one list look: a letter of its own, then the key of an item in hex. Every text of that form is a cursor.

    `numbers`: the keys of the list are numbers.
    """

    letter: str
    numbers: bool = False

    @property
    def pattern(self) -> str:
        """All that a cursor may be, as a regular expression."""
        return f"^{self.letter}(?:3[0-9]){{1,18}}$" if self.numbers else f"^{self.letter}(?:[2-7][0-9a-f]){{1,{_KEY}}}$"

    def write(self, key: str | None) -> str | None:
        """The cursor that goes on after this item; None at the end."""
        return None if key is None else self.letter + key.encode("ascii").hex()

    def read(self, cursor: str | None) -> str | None:
        """The key in a cursor that fits the pattern."""
        return None if cursor is None else bytes.fromhex(cursor.removeprefix(self.letter)).decode("ascii")


DEVICES, UPDATES, IMAGES, ROLLOUTS = Cursor(letter="d"), Cursor(letter="u"), Cursor(letter="i"), Cursor(letter="r")
LOG, JOURNAL, RECORDS = (Cursor(letter=each, numbers=True) for each in "ljr")


def cut(items: Sequence[T], *, key: Callable[[T], str], limit: int, after: str | None) -> tuple[Sequence[T], str | None]:
    """One page of a list that is at hand, and the key of its last item where more follow; keys fall along the list."""
    rest = [each for each in items if after is None or key(each) < after]
    return rest[:limit], key(rest[limit - 1]) if len(rest) > limit else None
