"""The windows of the configuration: when updates may use the air."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from otagate.config.kinds import Day, Minute, Moment, Name, OneOrMore, Zone
from otagate.config.section import Section
from otagate.policy.window import EVERY_DAY, AnyWindow, AtEnd, OneTime, Window

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_WEEK: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class WindowSettings(Section):
    """A window that recurs (`from`, `to`, `zone`), or one that opens once (`when`, `until`)."""

    name: Name
    """What rules and orders call it."""
    days: Annotated[tuple[Weekday, ...], OneOrMore, Field(max_length=7)] = ()
    """The days on which it opens; without them every day."""
    from_: Minute | None = Field(default=None, alias="from")
    """When it opens, by the clock on the wall of its zone, as in 01:00."""
    to: Minute | None = None
    """When it closes; a time no later than from is on the next day, and 24:00 is the end of the day."""
    zone: Zone | None = None
    """The time zone that is meant, as in Europe/Berlin."""
    blackout: Annotated[tuple[Day, ...], OneOrMore, Field(max_length=1000)] = ()
    """Dates on which it stays closed, as in 2026-12-24."""
    when: Moment | None = None
    """When it opens, for one that opens once, as in 2026-05-01T01:00:00+02:00."""
    until: Moment | None = None
    """When it closes, for one that opens once."""
    at_end: AtEnd = "finish"
    """What becomes of a transfer that runs when it closes: finish, or pause until it opens again."""

    @model_validator(mode="after")
    def _is_one_of_the_two_kinds(self) -> WindowSettings:
        if self.when is not None or self.until is not None:
            if self.days or self.from_ or self.to or self.zone or self.blackout:
                raise ValueError("opens once (when, until) or recurs (days, from, to, zone, blackout): give the keys of one kind")
            if self.when is None or self.until is None:
                raise ValueError("opens once, so it needs both when and until, as in 2026-05-01T01:00:00+02:00")
            if not datetime.fromisoformat(self.when) < datetime.fromisoformat(self.until):
                raise ValueError("never opens: until is not later than when")
        elif self.from_ is None or self.to is None or self.zone is None:
            raise ValueError('is not whole: give from, to and zone, as in from: "01:00", to: "05:00", zone: Europe/Berlin')
        elif self.from_ == self.to or self.from_ == "24:00":
            raise ValueError("is never open or always: write from: 00:00 and to: 24:00 for a whole day")
        return self

    def window(self) -> AnyWindow:
        """What policy reckons with."""
        if self.when is not None and self.until is not None:
            begins, ends = datetime.fromisoformat(self.when), datetime.fromisoformat(self.until)
            return OneTime(name=self.name, begins=begins, ends=ends, at_end=self.at_end)
        return Window(
            name=self.name,
            zone=ZoneInfo(self.zone or "UTC"),
            days=frozenset(_WEEK.index(each) for each in self.days) or EVERY_DAY,
            start=minutes_of(self.from_ or "00:00"),
            end=minutes_of(self.to or "24:00"),
            blackout=frozenset(date.fromisoformat(each) for each in self.blackout),
            at_end=self.at_end,
        )


def minutes_of(text: str) -> int:
    """Minutes after midnight."""
    hour, _, minute = text.partition(":")
    return int(hour) * 60 + int(minute)
