"""What a session tells, read against what the row already says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otagate.engine.conversation import still_to_come
from otagate.model.lifecycle import FINAL, RUNNING, TABLE, Cause, State

A, T, G, R = Cause.ACCEPTED, Cause.TRANSFERRED, Cause.ACTIVATED, Cause.REBOOTED


@pytest.mark.parametrize(
    ("state", "told", "left"),
    [
        (State.OFFERING, (A,), (A,)),
        (State.OFFERING, (A, T, G), (A, T, G)),
        (State.TRANSFERRING, (A,), ()),
        (State.TRANSFERRING, (A, T, G), (T, G)),
        (State.TRANSFERRING, (R,), (R,)),
        (State.STAGED, (T,), ()),
        (State.STAGED, (T, G), (G,)),
        (State.ACTIVATING, (T, G), ()),
        (State.ACTIVATING, (R,), (Cause.RETURNED,)),
        (State.CONFIRMING, (T, G), ()),
        (State.CONFIRMING, (R,), ()),
        (State.TRANSFERRING, (Cause.EXPIRED,), (Cause.STALLED,)),
        (State.OFFERING, (Cause.STALLED,), (Cause.EXPIRED,)),
        (State.TRANSFERRING, (Cause.ALREADY_CURRENT,), (R,)),
        (State.CONFIRMING, (Cause.EXPIRED,), None),
        (State.ACTIVATING, (Cause.STALLED,), None),
        (State.OFFERING, (T,), None),
        (State.STAGED, (Cause.RETURNED,), None),
    ],
)
def test_history_is_acknowledged_the_rest_is_done_and_nonsense_is_neither(
    state: State, told: tuple[Cause, ...], left: tuple[Cause, ...] | None
) -> None:
    assert still_to_come(state, told) == left


@given(state=st.sampled_from(sorted(RUNNING)), told=st.lists(st.sampled_from(list(Cause)), min_size=1, max_size=4))
def test_whatever_is_told_what_is_left_follows_the_table(state: State, told: list[Cause]) -> None:
    left = still_to_come(state, told)
    for cause in left or ():
        assert cause in TABLE[state]
        state = TABLE[state][cause]


@given(state=st.sampled_from(sorted(FINAL)), told=st.lists(st.sampled_from(list(Cause)), min_size=1, max_size=4))
def test_nothing_follows_the_end(state: State, told: list[Cause]) -> None:
    assert still_to_come(state, told) is None
