"""How often a service may be asked, how much it may send, and for how long it wants to be left alone. Pure: the time is given.

Counts are kept in slots, so that a limit over thirty days costs no more memory than one over a minute. A slot counts until all of it is older
than the period: the estimate errs on the polite side.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from otagate.sources.effects import Left, Limit, Service

_SLOTS = 30
_WORTH_KEEPING = timedelta(minutes=1)  # a shorter period has passed when a hub is up again, and a card has only so many writes
_LONGEST_PAUSE = timedelta(hours=1)
_FIRST_PAUSE = timedelta(seconds=60)


@dataclass(slots=True)
class Account:
    """The counts of one service. `dirty`: something has changed that is not on disk."""

    service: Service
    _spent: dict[Limit, dict[int, int]] = field(default_factory=dict)
    paused_until: datetime | None = None
    _refused_in_a_row: int = 0
    _checked: datetime | None = None
    dirty: bool = False

    def wait_for(self, bucket: str, now: datetime) -> timedelta:
        """How long until one more call may be made; zero for now."""
        # A pause that is longer than any was made by a clock that was ahead then.
        pausing = self.paused_until is not None and self.paused_until - now <= _LONGEST_PAUSE
        until = [self.paused_until] if self.paused_until is not None and pausing else []
        until += [self._free_at(limit, now) for limit in self.service.limits if limit.bucket in (None, bucket)]
        return max((each - now for each in until if each > now), default=timedelta())

    def spend_call(self, bucket: str, now: datetime) -> None:
        """A call is about to be made."""
        self._spend("calls", 1, bucket, now)

    def spend_bytes(self, size: int, bucket: str, now: datetime) -> None:
        """So many bytes came."""
        if size:
            self._spend("bytes", size, bucket, now)

    def _spend(self, of: str, amount: int, bucket: str, now: datetime) -> None:
        for limit in self.service.limits:
            if limit.of == of and limit.bucket in (None, bucket):
                slots = self._slots(limit, now)
                number = _slot(limit, now)
                slots[number] = slots.get(number, 0) + amount
                self.dirty = self.dirty or limit.per >= _WORTH_KEEPING

    def check(self, now: datetime) -> datetime | None:
        """Somebody asks for a check: it counts, and None; where the last one was too lately, when the next may be."""
        if self._checked is not None and self._checked <= now < (until := self._checked + self.service.between_checks):
            return until
        self._checked, self.dirty = now, True
        return None

    def refused(self, now: datetime, *, asked: timedelta | None, own: timedelta | None, jitter: float) -> datetime:
        """The service said "not now": stay away for what it `asked`, else for its `own` length, else for longer each time.

        `jitter` is -1 to 1 and moves a length of our own by up to a fifth; no pause is longer than an hour.
        """
        length = asked
        if length is None:
            length = own or min(_FIRST_PAUSE * 2 ** min(self._refused_in_a_row, 10), _LONGEST_PAUSE)
            length *= 1 + jitter / 5
        self._refused_in_a_row += 1
        self.paused_until = now + min(max(length, timedelta(seconds=1)), _LONGEST_PAUSE)
        self.dirty = True
        return self.paused_until

    def answered(self, now: datetime) -> None:
        """The service answers again."""
        self._refused_in_a_row = 0
        if self.paused_until is not None and self.paused_until <= now:
            self.paused_until = None
            self.dirty = True

    def left(self, now: datetime) -> list[Left]:
        """What is left of every limit."""
        return [Left(limit=each, amount=max(0, each.amount - sum(self._slots(each, now).values()))) for each in self.service.limits]

    def _free_at(self, limit: Limit, now: datetime) -> datetime:
        slots = self._slots(limit, now)
        over = sum(slots.values()) - limit.amount + 1
        if over <= 0:
            return now
        length = limit.per.total_seconds() / _SLOTS
        for number in sorted(slots):
            over -= slots[number]
            if over <= 0:
                return datetime.fromtimestamp((number + 1) * length, UTC) + limit.per
        return now + limit.per

    def _slots(self, limit: Limit, now: datetime) -> dict[int, int]:
        """The slots that still count; ones from a future that a clock made up do not outlive one period from now."""
        slots = self._spent.setdefault(limit, {})
        current = _slot(limit, now)
        for number in [each for each in slots if not current - _SLOTS <= each <= current + _SLOTS]:
            del slots[number]
        return slots

    # --- on disk --------------------------------------------------------------------------------------------------------------------------

    def dump(self) -> str:
        """What must survive a restart, as text."""
        spent = {_key(limit): {str(number): amount for number, amount in slots.items()} for limit, slots in self._spent.items()}
        return json.dumps({"spent": spent, "paused_until": _written(self.paused_until), "checked": _written(self._checked)})

    def load(self, text: str) -> None:
        """Take up the counts of an earlier life. Raises ValueError, TypeError, KeyError, AttributeError for text that `dump` did not write."""
        document = json.loads(text)
        limits = {_key(limit): limit for limit in self.service.limits}
        self._spent = {
            limits[key]: {int(number): int(amount) for number, amount in slots.items()} for key, slots in document["spent"].items() if key in limits
        }
        self.paused_until, self._checked = _read(document.get("paused_until")), _read(document.get("checked"))


def _written(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _read(at: str | None) -> datetime | None:
    return None if at is None else datetime.fromisoformat(at).astimezone(UTC)


def _slot(limit: Limit, now: datetime) -> int:
    return int(now.timestamp() / (limit.per.total_seconds() / _SLOTS))


def _key(limit: Limit) -> str:
    return f"{limit.amount} {limit.of} in {int(limit.per.total_seconds())} s of {limit.bucket or 'all'}"
