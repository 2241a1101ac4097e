"""Counters of a transfer: they only rise, give a pace, and reach the disk now and then."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otagate.engine.progress import Progress


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 2_000)), max_size=60))
def test_the_mark_only_rises_and_the_pace_is_never_negative(steps: list[tuple[float, int]]) -> None:
    progress, now, highest = Progress(total=2_000), 0.0, 0
    for pause, offset in steps:
        now += pause
        progress.moved(offset, now)
        highest = max(highest, offset)
        assert progress.offset == highest
        rate = progress.rate(now)
        assert rate is None or rate >= 0


def test_the_pace_is_that_of_the_last_seconds() -> None:
    progress = Progress(total=10_000)
    for second in range(30):
        progress.moved(second * 10, float(second))
    for second in range(30, 60):
        progress.moved(290 + (second - 29) * 100, float(second))
    assert progress.rate(59.0) == pytest.approx(100)
    assert progress.eta(59.0) == pytest.approx((10_000 - progress.offset) / 100)
    assert progress.rate(75.0) is None


def test_a_sample_is_due_after_five_percent_and_only_then() -> None:
    progress = Progress(total=1_000)
    progress.moved(49, 1.0)
    assert not progress.due_on_disk()
    progress.moved(50, 2.0)
    assert progress.due_on_disk()
    progress.saved_now()
    progress.moved(99, 10_000.0)
    assert not progress.due_on_disk()
    progress.moved(100, 10_001.0)
    assert progress.due_on_disk()
