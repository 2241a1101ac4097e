"""When one broadcast is better than one Image Notify each."""

from __future__ import annotations

import pytest

from otagate.sessions.ota_notify import query_jitter


@pytest.mark.parametrize(
    ("told", "meant", "jitter"),
    [
        (1, 1, None),
        (2, 2, None),
        (3, 3, 100),
        (8, 8, 100),
        (3, 4, 75),
        (3, 5, 60),
        (3, 6, 50),
        (3, 7, None),  # the most would ask in vain
        (2, 50, None),
        (50, 99, 51),
        (4, 3, 100),
    ],
)
def test_a_broadcast_serves_three_or_more_of_whom_the_most_may_begin(told: int, meant: int, jitter: int | None) -> None:
    assert query_jitter(told=told, meant=meant, heeded=True) == jitter


def test_no_broadcast_where_anybody_within_hearing_mistakes_it() -> None:
    assert query_jitter(told=8, meant=8, heeded=False) is None
