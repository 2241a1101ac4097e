"""When updates may use the air: windows that recur on some days or open once, as openings between two instants.

People write wall-clock time, and the wall clock jumps. An opening holds only instants at which the wall clock of its zone shows a time of the
window: an hour that does not exist is not waited for (what would begin in it begins when the clock has jumped), and of an hour that comes twice the
beginning is the second and the end the first, so that an opening is never longer on such a night than the clock on the wall says.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Literal
from zoneinfo import ZoneInfo

AtEnd = Literal["finish", "pause"]
"""What becomes of a transfer that runs when its window closes."""

EVERY_DAY = frozenset(range(7))
"""Days of the week, Monday is 0."""

_NEAR = timedelta(days=9)
_FAR = timedelta(days=400)
_BACK = timedelta(days=2)
"""An opening lasts a day at most, and a day an hour or so more by the clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A window that recurs: on `days` (0 is Monday) from `start` to `end`, minutes after midnight in its zone.

    One that ends no later than it starts ends on the next day, and belongs to the day on which it starts. On a date of `blackout` none starts, and
    one of the day before ends at midnight.
    """

    name: str
    zone: ZoneInfo
    start: int
    end: int
    days: frozenset[int] = EVERY_DAY
    blackout: frozenset[date] = frozenset()
    at_end: AtEnd = "finish"

    def openings(self, since: datetime, until: datetime) -> Iterable[Opening]:
        """Every opening that ends after `since` and begins before `until`, in order."""
        day = (since - _BACK).astimezone(self.zone).date()
        last = until.astimezone(self.zone).date()
        while day <= last:
            found = self._opening_on(day)
            if found is not None and since < found.ends and found.begins < until:
                yield found
            day += timedelta(days=1)

    def _opening_on(self, day: date) -> Opening | None:
        if day.weekday() not in self.days or day in self.blackout:
            return None
        tomorrow = day + timedelta(days=1)
        first, begins = self._instants(day, self.start)
        ends, _ = self._instants(day, self.end) if self.end > self.start else self._instants(tomorrow, self.end)
        if ends <= begins:  # the whole of it lies in an hour that comes twice
            begins = first
        if tomorrow in self.blackout:
            ends = min(ends, self._instants(tomorrow, 0)[0])
        return Opening(window=self.name, begins=begins, ends=ends, at_end=self.at_end, zone=self.zone) if begins < ends else None

    def _instants(self, day: date, minute: int) -> tuple[datetime, datetime]:
        """The first and the last instant at which the clock on the wall shows this; where it never does, the one at which it jumps over it."""
        shown = datetime.combine(day, time()) + timedelta(minutes=minute)
        early, late = (shown.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        if early <= late:
            return early, late
        jump = self._jump(late, early)
        return jump, jump

    def _jump(self, low: datetime, high: datetime) -> datetime:
        """The instant of the one change of the offset between two; to the second (PEP 495: in a gap, fold 0 tells the later instant)."""
        before = low.astimezone(self.zone).utcoffset()
        while high - low > timedelta(seconds=1):
            middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
            if middle.astimezone(self.zone).utcoffset() == before:
                low = middle
            else:
                high = middle
        return high


@dataclass(frozen=True, slots=True, kw_only=True)
class OneTime:
    """A window that opens once."""

    name: str
    begins: datetime
    ends: datetime
    at_end: AtEnd = "finish"

    def openings(self, since: datetime, until: datetime) -> Iterable[Opening]:
        """The one opening, where it ends after `since` and begins before `until`."""
        if since < self.ends and self.begins < until:
            begins, ends = self.begins.astimezone(UTC), self.ends.astimezone(UTC)
            yield Opening(window=self.name, begins=begins, ends=ends, at_end=self.at_end, zone=self.begins.tzinfo or UTC)


AnyWindow = Window | OneTime


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A period in which updates may use the air: from `begins` until just before `ends`, both in UTC. People read it in `zone`."""

    window: str
    begins: datetime
    ends: datetime
    at_end: AtEnd = "finish"
    zone: tzinfo = UTC

    def shown(self, instant: datetime) -> str:
        """An instant for people: the day and the clock on the wall of the window's zone."""
        return f"{instant.astimezone(self.zone):%a %Y-%m-%d %H:%M} ({self.zone})"

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.ends - self.begins


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """The openings around an instant: the one that is open, the one that comes next, and the one that closed last."""

    open: Opening | None = None
    next: Opening | None = None
    last: Opening | None = None


def openings(windows: Sequence[AnyWindow], since: datetime, until: datetime) -> list[Opening]:
    """What several windows allow together, in order; those that overlap or touch are one, which ends as the one of them that ends last."""
    found = sorted((each for window in windows for each in window.openings(since, until)), key=_order)
    merged: list[Opening] = []
    for each in found:
        if not merged or merged[-1].ends < each.begins:
            merged.append(each)
        elif (each.ends, each.at_end) > (merged[-1].ends, merged[-1].at_end):
            names = dict.fromkeys((*merged[-1].window.split(", "), each.window))
            merged[-1] = replace(merged[-1], window=", ".join(names), ends=each.ends, at_end=each.at_end)
    return merged


def _order(opening: Opening) -> tuple[datetime, datetime, str, str, str]:
    """A total order: whoever lists the windows in another way gets the same."""
    return (opening.begins, opening.ends, opening.at_end, opening.window, str(opening.zone))


def hours(windows: Sequence[AnyWindow], now: datetime) -> Hours:
    """How windows stand at an instant. What is more than about a year away is not looked for."""
    found = openings(windows, now - _NEAR, now + _NEAR)
    if not any(each.begins > now for each in found):
        found = openings(windows, now - _NEAR, now + _FAR)
    return _stand(found, now)


def _stand(found: Sequence[Opening], now: datetime) -> Hours:
    return Hours(
        open=next((each for each in found if each.begins <= now < each.ends), None),
        next=next((each for each in found if each.begins > now), None),
        last=next((each for each in reversed(found) if each.ends <= now), None),
    )


class Calendar:
    """The openings of some windows for a while, looked up once and asked about many instants of it."""

    def __init__(self, windows: Sequence[AnyWindow], now: datetime, ahead: timedelta = timedelta(days=60)) -> None:
        self._openings = openings(windows, now - _NEAR, now + ahead)
        if not any(each.begins > now for each in self._openings):
            self._openings = openings(windows, now - _NEAR, now + _FAR)

    def at(self, instant: datetime) -> Hours:
        """How the windows stand then."""
        from_here = max(0, bisect_right(self._openings, instant, key=lambda each: each.begins) - 1)
        return _stand(self._openings[max(0, from_here - 1) : from_here + 2], instant)

    def after(self, instant: datetime) -> Sequence[Opening]:
        """The openings that begin later, in order."""
        return self._openings[bisect_right(self._openings, instant, key=lambda each: each.begins) :]


BUILT = datetime(2026, 1, 1, tzinfo=UTC)
"""No clock that is right can show an earlier time to this version."""


def judge_clock(now: datetime, *, synced: bool) -> str | None:
    """Why this clock opens no window, or None; `synced` is False where something keeps the time of this machine and has not set it yet."""
    if now < BUILT:
        return (
            f"The clock of the hub shows {now:%Y-%m-%d}, when this version was not made yet: nothing that is bound to a time begins until it is set."
        )
    if not synced:
        return "The clock of the hub has not been set from the network since it started: nothing that is bound to a time begins until it is."
    return None
