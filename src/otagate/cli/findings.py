"""What an examination finds: a sentence, and what mends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Result = Literal["ok", "warning", "bad"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. `remedy` is a command to type, or what to do where no command does it."""

    check: str
    result: Result
    sentence: str
    remedy: str | None = None

    def document(self) -> Mapping[str, Any]:
        """The same for programs."""
        return {"check": self.check, "result": self.result, "sentence": self.sentence, "remedy": self.remedy}


def ok(check: str, sentence: str) -> Finding:
    """Nothing is wrong here."""
    return Finding(check=check, result="ok", sentence=sentence)


def warning(check: str, sentence: str, remedy: str) -> Finding:
    """The hub works, and this should be known."""
    return Finding(check=check, result="warning", sentence=sentence, remedy=remedy)


def bad(check: str, sentence: str, remedy: str) -> Finding:
    """The hub does not work, or not as it should."""
    return Finding(check=check, result="bad", sentence=sentence, remedy=remedy)
