"""How often a service may be asked, how much it may send, and for how long its hosts want to be left alone. Pure: the time is given.

A limit is of the whole service, a pause of the host that asked for it alone: files of one service often lie at other hosts than its index.
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
_MOST_HOSTS = 64
"""Hosts of one service whose pauses are kept: redirects may lead to many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pause:
    """How long a host wants to be left alone, and how many times in a row it said so."""

    until: datetime
    in_a_row: int = 0


@dataclass(slots=True)
class Account:
    """The counts of one service. `dirty`: something has changed that is not on disk."""

    service: Service
    _spent: dict[Limit, dict[int, int]] = field(default_factory=dict)
    _pauses: dict[str, _Pause] = field(default_factory=dict)
    _checked: datetime | None = None
    dirty: bool = False

    def wait_for(self, bucket: str, now: datetime) -> timedelta:
        """How long until the limits allow one more call; zero for now."""
        until = (self._free_at(limit, now) for limit in self.service.limits if limit.bucket in (None, bucket))
        return max((each - now for each in until if each > now), default=timedelta())

    def pause_of(self, host: str, now: datetime) -> timedelta:
        """How long this host wants to be left alone yet; zero where it may be asked."""
        pause = self._pauses.get(host)
        left = timedelta() if pause is None else pause.until - now
        return left if timedelta() < left <= _LONGEST_PAUSE else timedelta()  # a longer one was made by a clock that was ahead then

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

    def refused(self, host: str, now: datetime, *, asked: timedelta | None, own: timedelta | None, jitter: float) -> datetime:
        """A host said "not now": stay away for what it `asked`, else for the service's `own` length, else for longer each time.

        `jitter` is -1 to 1 and moves a length of our own by up to a fifth; no pause is longer than an hour.
        """
        before = self._pauses.pop(host, None)
        in_a_row = 0 if before is None else before.in_a_row
        length = asked
        if length is None:
            length = own or min(_FIRST_PAUSE * 2 ** min(in_a_row, 10), _LONGEST_PAUSE)
            length *= 1 + jitter / 5
        until = now + min(max(length, timedelta(seconds=1)), _LONGEST_PAUSE)
        if len(self._pauses) >= _MOST_HOSTS:
            del self._pauses[min(self._pauses, key=lambda each: self._pauses[each].until)]
        self._pauses[host] = _Pause(until=until, in_a_row=in_a_row + 1)
        self.dirty = True
        return until

    def answered(self, host: str, now: datetime) -> None:
        """A host answers again; what it was asked before a pause that holds yet does not end that."""
        pause = self._pauses.get(host)
        if pause is not None and pause.until <= now:
            del self._pauses[host]
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
        pauses = {host: each.until.isoformat() for host, each in self._pauses.items()}
        checked = None if self._checked is None else self._checked.isoformat()
        return json.dumps({"spent": spent, "pauses": pauses, "checked": checked})

    def load(self, text: str) -> None:
        """Take up the counts of an earlier life. Raises ValueError, TypeError, KeyError, AttributeError for text that `dump` did not write."""
        document = json.loads(text)
        limits = {_key(limit): limit for limit in self.service.limits}
        self._spent = {
            limits[key]: {int(number): int(amount) for number, amount in slots.items()} for key, slots in document["spent"].items() if key in limits
        }
        self._pauses = {host: _Pause(until=_moment(until)) for host, until in document.get("pauses", {}).items()}
        checked = document.get("checked")
        self._checked = None if checked is None else _moment(checked)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _slot(limit: Limit, now: datetime) -> int:
    return int(now.timestamp() / (limit.per.total_seconds() / _SLOTS))


def _key(limit: Limit) -> str:
    return f"{limit.amount} {limit.of} in {int(limit.per.total_seconds())} s of {limit.bucket or 'all'}"
