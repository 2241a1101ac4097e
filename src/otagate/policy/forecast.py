"""When updates that wait are likely to begin and to end: the queue, read ahead through windows, times and slots.

What depends on somebody (an approval, a battery, an interlock, a device that is away) cannot be told ahead, and is said so. Nothing here decides:
`admit` does, at the moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from otagate.model.ids import DeviceId
from otagate.model.updates import Update
from otagate.policy import guards
from otagate.policy.admit import in_order
from otagate.policy.air import ON_THE_AIR, Air, Lane, lane_of
from otagate.policy.pace import AROUND, expected
from otagate.policy.settings import PolicySettings
from otagate.policy.trace import Line
from otagate.policy.window import AnyWindow, Calendar

Kind = Literal["now", "time", "window", "turn", "wake", "unknown"]

TIMED = frozenset({"scheduled", "backoff", "quota", "source_unreachable", "cooldown", "window_closed", "radio_busy", "predecessor"})
"""What ends by itself at a time that can be told. A device that is `asleep` wakes at a time of its own."""

_FOR_EVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """When an update is likely to run: `now`, at a `time`, when a `window` opens, when its `turn` comes, at its device's `wake`, or `unknown`.

    `begins` and `ends` in UTC; None where nobody can tell. Of `wake`, `begins` is the earliest. `window`: the one in which it is likely to begin.
    """

    kind: Kind
    sentence: str
    begins: datetime | None = None
    ends: datetime | None = None
    window: str | None = None


@dataclass(slots=True)
class _Slot:
    """The times in which one slot of a lane is free, in order."""

    free: list[tuple[datetime, datetime]]

    def take(self, at: int, begins: datetime, ends: datetime) -> None:
        since, until = self.free[at]
        rest = [(since, begins), (ends, until)]
        self.free[at : at + 1] = [each for each in rest if each[0] < each[1]]


@dataclass(slots=True, kw_only=True)
class _Days:
    """The days to come as they fill."""

    air: Air
    now: datetime
    calendars: dict[tuple[AnyWindow, ...], Calendar] = field(default_factory=dict)
    slots: dict[Lane, list[_Slot]] = field(default_factory=dict)
    free_from: dict[DeviceId, datetime] = field(default_factory=dict)

    def settings(self, update: Update) -> PolicySettings:
        device = self.air.devices.get(update.device)
        return PolicySettings() if device is None else self.air.policy_of(device)

    def needed(self, update: Update) -> timedelta:
        return expected(update, self.air.devices.get(update.device), self.air.house.kin) or AROUND

    def calendar(self, windows: tuple[AnyWindow, ...]) -> Calendar:
        if windows not in self.calendars:
            self.calendars[windows] = Calendar(windows, self.now)
        return self.calendars[windows]

    def lane(self, update: Update) -> list[_Slot]:
        lane = lane_of(update, self.air)
        if lane not in self.slots:
            radio = self.air.radios.get(lane[0])
            count = 1 if radio is None else radio.slow if lane[1] else radio.parallel
            self.slots[lane] = [_Slot([(self.now, _FOR_EVER)]) for _ in range(max(1, count))]
        return self.slots[lane]


def foresee(
    queue: Sequence[Update],
    running: Sequence[Update],
    drafts: Sequence[Update],
    lines: Sequence[Sequence[Line]],
    *,
    air: Air,
    now: datetime,
) -> list[When]:
    """When each update of the queue, in its order, and each draft beside them is likely to run; `lines` are what `admit.explain` says of them.

    A draft takes no slot away from another.
    """
    days = _Days(air=air, now=now)
    for update in running:
        _occupy(update, days)
    waiting = in_order(queue)
    found = [_place(update, line, days, keep=True) for update, line in zip(waiting, lines, strict=False)]
    return found + [_place(draft, line, days, keep=False) for draft, line in zip(drafts, lines[len(waiting) :], strict=True)]


def _occupy(update: Update, days: _Days) -> None:
    ends = days.now + days.needed(update)
    days.free_from[update.device] = ends
    if update.state not in ON_THE_AIR or update.id in days.air.paused:
        return
    slot = next((each for each in days.lane(update) if each.free and each.free[0][0] == days.now), None)
    if slot is not None:
        slot.take(0, days.now, ends)


def _place(update: Update, lines: Sequence[Line], days: _Days, *, keep: bool) -> When:
    obstacle = next((line for line in lines if line.outcome != "pass" and not _ends_by_itself(line)), None)
    if obstacle is not None:
        return When(kind="unknown", sentence=obstacle.sentence)
    windows = guards.windows_of(update, days.settings(update), days.air.house)
    earliest = max(_earliest(update, days), days.free_from.get(update.device, days.now))
    best = _soonest(update, earliest, windows, days)
    if best is None:
        return When(kind="unknown", sentence="No window is open for it in the time that can be foreseen.")
    slot, at, begins = best
    ends = begins + days.needed(update)
    if keep:
        slot.take(at, begins, ends)
        days.free_from[update.device] = ends
    return _told(update, lines, begins, ends, windows, days)


def _ends_by_itself(line: Line) -> bool:
    """Whether what holds it up needs nobody; a source that must be mended is the operator's, though its word is that of one that is away."""
    return line.rule != "source" and (line.reason in TIMED or line.reason == "asleep")


def _told(update: Update, lines: Sequence[Line], begins: datetime, ends: datetime, windows: tuple[AnyWindow, ...] | None, days: _Days) -> When:
    stand = None if windows is None else days.calendar(windows).at(begins)
    opening = None if stand is None else stand.open
    window = None if opening is None else opening.window
    shown = f"{begins:%a %Y-%m-%d %H:%M} (UTC)" if opening is None else opening.shown(begins)
    within = "" if window is None else f", in the window {window}"
    if any(line.reason == "asleep" for line in lines):
        after = "" if begins <= days.now else f", not before {shown}"
        return When(kind="wake", sentence=f"When it wakes{after}{within}.", begins=begins, ends=ends, window=window)
    if begins <= days.now:
        return When(kind="now", sentence=f"Now{within}.", begins=begins, ends=ends, window=window)
    if opening is not None and begins == opening.begins:
        return When(kind="window", sentence=f"When the window {window} opens, on {shown}.", begins=begins, ends=ends, window=window)
    if begins == _earliest(update, days):
        return When(kind="time", sentence=f"On {shown}{within}.", begins=begins, ends=ends, window=window)
    return When(kind="turn", sentence=f"When its turn comes, about {shown}{within}.", begins=begins, ends=ends, window=window)


def _earliest(update: Update, days: _Days) -> datetime:
    """Before this nothing begins, whatever else allows it."""
    found = [days.now] if update.not_before is None else [days.now, update.not_before]
    cooling = guards.cooling(update, days.settings(update), days.now)
    if cooling is not None:
        found.append(datetime.fromisoformat(str(cooling.facts["until"])))
    return max(found)


def _soonest(update: Update, earliest: datetime, windows: tuple[AnyWindow, ...] | None, days: _Days) -> tuple[_Slot, int, datetime] | None:
    """The first time at which a slot is free for as long as it needs and its windows allow it: the slot, the place in it, and when."""
    needed = days.needed(update)
    best: tuple[_Slot, int, datetime] | None = None
    for slot in days.lane(update):
        for at, (since, until) in enumerate(slot.free):
            if best is not None and since >= best[2]:
                break
            begins = _allowed(max(since, earliest), needed, windows, days)
            if begins is not None and begins + needed <= until:
                if best is None or begins < best[2]:
                    best = (slot, at, begins)
                break
    return best


def _allowed(since: datetime, needed: timedelta, windows: tuple[AnyWindow, ...] | None, days: _Days) -> datetime | None:
    """The first instant from `since` on at which its windows let it begin."""
    if windows is None:
        return since
    calendar = days.calendar(windows)
    if guards.fits(needed, calendar.at(since), since):
        return since
    return next((each.begins for each in calendar.after(since) if guards.fits(needed, calendar.at(each.begins), each.begins)), None)
