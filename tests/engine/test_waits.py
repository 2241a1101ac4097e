"""Times of the engine, and the clock that stands still while nobody is to blame."""

from __future__ import annotations

from dataclasses import fields

from otagate.engine.waits import Stopwatch, Waits
from tests.virtual_time import VirtualClock


class _Hand(VirtualClock):
    """A clock that is moved by hand."""

    at = 0.0

    def monotonic(self) -> float:
        return self.at


def test_everything_but_the_store_is_shorter_where_the_hardware_lives_faster() -> None:
    plain, fast = Waits(), Waits().scaled(10)
    for each in fields(plain):
        if each.name not in ("store_retry", "pace"):
            assert getattr(fast, each.name) == getattr(plain, each.name) / 10
    assert (fast.store_retry, fast.pace) == (plain.store_retry, 10)


def test_a_stopwatch_counts_only_while_it_runs() -> None:
    clock, running = _Hand(), [True]
    watch = Stopwatch(clock, lambda: running[0])
    clock.at = 10
    assert watch.read() == 10
    running[0] = False
    clock.at = 1_000
    assert watch.read() == 10
    running[0] = True
    clock.at = 1_005
    assert watch.read() == 15
    watch.restart()
    clock.at = 1_006
    assert watch.read() == 1
