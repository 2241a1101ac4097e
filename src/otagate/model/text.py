"""Text of others, for people."""

from __future__ import annotations

_HIDDEN = 8
"""So many times its bound of a text is looked through for what can be shown."""


def readable(told: object, *, longest: int) -> str | None:
    """What others call themselves: printable, of at most so many characters; None where there is nothing of it, or it is no text."""
    if not isinstance(told, str):
        return None
    return "".join(each for each in told[: _HIDDEN * longest] if each.isprintable()).strip()[:longest].strip() or None
