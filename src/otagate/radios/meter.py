"""How much a radio has to do, counted by slices of time: the newest minutes, and nothing older."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from statistics import median_low

from otagate.model.links import Link, Load
from otagate.policy.airtime import MOST_TRIES, frame_seconds

SECONDS = 180
"""So far back a load is measured."""

_SLICE = 15.0
_SHORTEST = 60.0
"""Seconds over which a load is spread at least: what comes up speaks more at first."""
_FEWEST = 40
"""Frames that must have been given to the radio before refusals of some mean anything."""

READINGS = 5
"""So many of the newest readings of a link make one."""


@dataclass(slots=True)
class _Slice:
    begins: float
    air: float = 0.0
    given: int = 0
    refused: int = 0
    ended: int = 0
    tries: float = 0.0


class Meter:
    """Counts what one radio hears and is given to send. Times are monotonic, in seconds."""

    def __init__(self) -> None:
        self._slices: deque[_Slice] = deque()
        self._counters: Mapping[str, int] = {}

    def heard(self, octets: int, now: float) -> None:
        """A frame with so many octets of its application, which belongs to no update."""
        self._slice(now).air += frame_seconds(octets)

    def given(self, now: float, *, frames: int = 1, refused: int = 0) -> None:
        """So many frames were given to the radio, of which it refused some."""
        found = self._slice(now)
        found.given += frames
        found.refused += min(refused, frames)

    def ended(self, now: float, *, delivered: bool) -> None:
        """A frame was sent to its next hop, or given up after all its repetitions; of no account where the radio counts them itself."""
        if not self._counters:
            self._tried(now, 1, 1.0 if delivered else MOST_TRIES)

    def _tried(self, now: float, frames: int, tries: float) -> None:
        found = self._slice(now)
        found.ended += frames
        found.tries += tries

    def tries(self, now: float) -> float:
        """Transmissions a frame, in the last minute; 1 where there were too few to tell."""
        lately = [each for each in self._slices if each.begins > now - _SHORTEST]
        ended = sum(each.ended for each in lately)
        return sum(each.tries for each in lately) / ended if ended >= _FEWEST else 1.0

    def counted(self, counters: Mapping[str, int], now: float, *, given: str, refused: tuple[str, ...], failed: str = "", repeated: str = "") -> None:
        """What the radio itself has counted since its start, by its own names; a counter that went back began anew.

        `given` were sent, `failed` given up, and so often one was `repeated`.
        """
        before, self._counters = self._counters, dict(counters)
        if not before:
            return

        def rise(name: str) -> int:
            return max(0, counters.get(name, 0) - before.get(name, 0))

        sent, lost = rise(given), sum(rise(each) for each in refused)
        self.given(now, frames=sent + lost, refused=lost)
        frames = sent + rise(failed)
        self._tried(now, frames, frames + rise(repeated))

    def forget(self) -> None:
        """Another life of the radio: nothing of the last one counts."""
        self._slices.clear()
        self._counters = {}

    def load(self, now: float, clock: datetime) -> Load:
        """The load of the last minutes; `clock` is the time of now for people."""
        self._slice(now)
        since = max(now - self._slices[0].begins, _SHORTEST)
        given, refused = sum(each.given for each in self._slices), sum(each.refused for each in self._slices)
        return Load(
            measured=clock,
            seconds=round(since),
            used=min(100, round(100 * sum(each.air for each in self._slices) / since)),
            refused=0 if given < _FEWEST else min(100, round(100 * refused / given)),
        )

    def _slice(self, now: float) -> _Slice:
        while self._slices and self._slices[0].begins <= now - SECONDS:
            self._slices.popleft()
        if not self._slices or now - self._slices[-1].begins >= _SLICE:
            self._slices.append(_Slice(now))
        return self._slices[-1]


def is_news(load: Load, told: Load | None) -> bool:
    """Whether a load differs from what was told."""
    return told is None or (load.used, load.refused) != (told.used, told.refused)


class Readings:
    """The newest readings of one device's link."""

    __slots__ = ("_lqi", "_rssi")

    def __init__(self) -> None:
        self._lqi: list[int] = []  # a deque takes 760 bytes, and there are two a device
        self._rssi: list[int] = []

    def take(self, lqi: int | None, rssi: int | None = None) -> None:
        """Of one frame."""
        if lqi is not None:
            self._lqi = [*self._lqi[1 - READINGS :], lqi]
        if rssi is not None and rssi < 0:  # libraries tell 0 where they do not know
            self._rssi = [*self._rssi[1 - READINGS :], rssi]

    def link(self, heard: datetime) -> Link | None:
        """All of them together; None where nothing was read."""
        if not self._lqi and not self._rssi:
            return None
        return Link(heard=heard, lqi=median_low(self._lqi) if self._lqi else None, rssi=median_low(self._rssi) if self._rssi else None)
