"""What the API hands out once, to whoever names it: files for a program that has no token of ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Handout:
    """A file: its bytes, readable without copying, and its media type."""

    body: memoryview
    media: str


class Handouts(Protocol):
    """Files behind words that nobody guesses."""

    def take(self, word: str) -> Handout:
        """The file, once; whoever laid it there is told. Raises NotFound where there is none of this word, or it was taken, or its time is over."""
