"""What a session tells of its update, until that is on disk."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from otagate.model.ids import UpdateId
from otagate.model.lifecycle import Cause
from otagate.sessions.effects import Advance


class Telling:
    """The last word of one session: told every `repeat` seconds until it is on disk, and with it whatever came meanwhile."""

    def __init__(self, update: UpdateId, *, tokens: Iterator[int], repeat: float) -> None:
        self._update = update
        self._tokens = tokens
        self._repeat = repeat
        self._told: Advance | None = None
        self._told_at = 0.0

    @property
    def open(self) -> bool:
        """Whether something was told and is not on disk yet."""
        return self._told is not None

    def tell(
        self,
        causes: tuple[Cause, ...],
        detail: str,
        now: float,
        *,
        offset: int = 0,
        held: bool = False,
        code: str | None = None,
        until: datetime | None = None,
        rest: float = 0.0,
    ) -> tuple[Advance]:
        """The update reached these causes; what is not on disk yet is part of it, under a new token."""
        before = () if self._told is None else self._told.causes
        self._told = Advance(
            update=self._update,
            causes=(*(each for each in before if each not in causes), *causes),
            detail=detail,
            token=next(self._tokens),
            offset=offset,
            held=held,
            code=code,
            until=until,
            rest=rest,
        )
        self._told_at = now
        return (self._told,)

    def again(self, now: float) -> tuple[Advance, ...]:
        """What was told, where it is time to tell it again."""
        if self._told is None or now - self._told_at < self._repeat:
            return ()
        self._told_at = now
        return (self._told,)

    def committed(self, token: int) -> bool:
        """Whether it is what was told with this token that is on disk now."""
        if self._told is None or self._told.token != token:
            return False
        self._told = None
        return True

    def forget(self) -> None:
        """What was told and not written down is moot."""
        self._told = None
