"""The report as values: everything in it is text or a number as people read it, so that every form says the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Standing = Literal["current", "behind", "unlisted", "unknown"]
"""Of a component: it runs the newest release that is known for it; a newer one is known; no source knows any; it has not told what it runs."""

_MONTH = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Month:
    """A month of the calendar, `2026-11`."""

    year: int
    month: int

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"

    @property
    def following(self) -> Month:
        """The month after it."""
        return Month(year=self.year + self.month // 12, month=self.month % 12 + 1)


def parse_month(text: str) -> Month:
    """Read `2026-11`. Raises ValueError with a sentence."""
    found = _MONTH.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no month: write year and month, as in 2026-11")
    return Month(year=int(found[1]), month=int(found[2]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One component of one device as it stands when the report is made; `why` says what keeps it from the newest release."""

    device: str
    name: str
    room: str
    manufacturer: str
    model: str
    protocol: str
    component: str = ""
    installed: str = ""
    newest: str = ""
    standing: Standing = "unknown"
    why: str = ""
    last_seen: datetime | None = None
    image: str = ""
    """The SHA-256 of the image that an update of the hub brought and the device proved, where it still runs that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption:
    """Something that is not as the general rules have it: what, about which device, why, and who wanted it. Empty where nobody said."""

    kind: str
    device: str
    name: str
    what: str
    reason: str
    by: str
    since: datetime | None = None
    update: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An update that ended in the month. `seconds` from its start to its end; `fact` is the line of the journal that tells the end."""

    update: str
    device: str
    name: str
    component: str
    ordered_by: str
    approved_by: str
    finished: datetime
    started: datetime | None
    seconds: float | None
    from_version: str
    to_version: str
    image: str
    source: str
    retries: int
    result: str
    failure: str
    fact: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """How far the chain of the journal held when the report was made: up to fact `last`, whose link is `chain`."""

    holds: bool
    sentence: str
    last: int
    chain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The report of a month of one hub; the month is this machine's, from `begins` to before `ends`."""

    month: Month
    begins: datetime
    ends: datetime
    made: datetime
    version: str
    items: Sequence[Item]
    exemptions: Sequence[Exemption]
    attempts: Sequence[Attempt]
    journal: Journal

    @property
    def whole(self) -> bool:
        """Whether the month was over."""
        return self.made >= self.ends

    def count(self, standing: Standing) -> int:
        """How many components stand so."""
        return sum(each.standing == standing for each in self.items)

    @property
    def share(self) -> float | None:
        """Which share of the components for which that can be said is current, 0 to 1; None where it can be said of none."""
        known = self.count("current") + self.count("behind")
        return self.count("current") / known if known else None

    @property
    def summary(self) -> Sequence[str]:
        """What matters, in sentences."""
        devices = len({each.device for each in self.items})
        ended = [each.result for each in self.attempts]
        good, bad = ended.count("succeeded"), ended.count("failed")
        rest = len(ended) - good - bad
        period = "" if self.whole else " The month is not over."
        return (
            f"{_many(devices, 'device')} with {_many(len(self.items), 'component')}. {self._shares()}",
            f"{_many(len(self.exemptions), 'exception')} to the general rules.",
            f"{_many(len(ended), 'update')} ended in the month: {good} succeeded, {bad} failed, {rest} were cancelled or overtaken.{period}",
            self.journal.sentence,
        )

    def _shares(self) -> str:
        share = self.share
        if share is None:
            told = "Of none of them it can be said whether it is current."
        else:
            known = self.count("current") + self.count("behind")
            told = f"{self.count('current')} of {known} run the newest release that is known for them ({percent(share)})."
        unlisted, unknown = self.count("unlisted"), self.count("unknown")
        told += f" No source knows a release for {unlisted}." if unlisted else ""
        return told + (f" {unknown} have not told what they run." if unknown else "")


def percent(share: float) -> str:
    """A share in percent, rounded down: only all of them are 100 %."""
    return f"{int(share * 1000) / 10:.1f} %"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
