"""What happened a moment ago, and is forgotten after it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from otagate.radios.recent import Recent


@dataclass
class _Clock:
    seconds: float = 1_000.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 5, 1, tzinfo=UTC)


def test_what_happened_is_recent_for_its_time_and_no_longer() -> None:
    clock = _Clock()
    recent = Recent[str](clock, 60.0)
    assert "lamp" not in recent
    recent.add("lamp")
    clock.seconds += 59.9
    assert "lamp" in recent
    clock.seconds += 0.1
    assert "lamp" not in recent


def test_what_happens_again_is_recent_for_longer_and_what_is_only_tried_again_is_not() -> None:
    clock = _Clock()
    recent = Recent[str](clock, 60.0)
    assert recent.first("lamp")
    recent.add("plug")
    clock.seconds += 40.0
    assert not recent.first("lamp")
    recent.add("plug")
    clock.seconds += 20.0
    assert "plug" in recent
    assert recent.first("lamp")
    recent.discard("lamp")
    recent.discard("nobody")
    assert recent.first("lamp")


def test_whatever_comes_it_keeps_no_more_than_what_is_recent() -> None:
    clock = _Clock()
    recent = Recent[int](clock, 60.0)
    for number in range(10_000):
        recent.add(number)
        clock.seconds += 1.0
    assert sum(number in recent for number in range(10_000)) == 59
    assert len(recent._at) == 59
