"""Files that another program fetches from us once: each behind a word of 256 bits that only the order to it names, and for a bounded time."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from otagate.model.errors import NotFound, RadioUnavailable
from otagate.ports import Clock, Handout

PATH = "/api/v1/handouts/"
_MOST = 1_000
"""Files that lie there at once: one for each update under way and each question."""


def _nobody() -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class _Laid:
    file: Handout
    until: float
    taken: Callable[[], None]


class Counter:
    """Implements `ports.Handouts`. `address` is where the API listens; it is told once that is known."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._laid: dict[str, _Laid] = {}
        self.address: str | None = None

    def lay(self, file: Handout, *, seconds: float, taken: Callable[[], None] = _nobody) -> str:
        """Lay a file there for so long; returns its word. `taken` is called when it is fetched. Raises RadioUnavailable where too many lie there."""
        now = self._clock.monotonic()
        self._laid = {word: each for word, each in self._laid.items() if each.until > now}
        if len(self._laid) >= _MOST:
            raise RadioUnavailable(f"{_MOST} files wait to be fetched already")
        word = secrets.token_urlsafe(32)
        self._laid[word] = _Laid(file, now + seconds, taken)
        return word

    def url(self, word: str, base: str | None = None) -> str:
        """Where the file is fetched: at `base`, or where the API listens. Raises RadioUnavailable where it listens on no port."""
        found = base or self.address
        if found is None:
            raise RadioUnavailable("images cannot be fetched from this hub: give `api.listen` a host:port, or the radio its `images_url`")
        return f"{found.rstrip('/')}{PATH}{word}"

    def take(self, word: str) -> Handout:
        """See `ports.Handouts.take`."""
        laid = self._laid.pop(word, None)
        if laid is None or laid.until <= self._clock.monotonic():
            raise NotFound("nothing lies here, or it was fetched already")
        laid.taken()
        return laid.file

    def withdraw(self, word: str | None) -> None:
        """Nobody gets it any more; idempotent."""
        if word is not None:
            self._laid.pop(word, None)
