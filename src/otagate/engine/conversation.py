"""What a session tells, against what the row already says: after a restart of hub or radio the two need not agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from otagate.model.lifecycle import TABLE, Cause, State

_REACHES: Mapping[Cause, State] = {
    Cause.ACCEPTED: State.TRANSFERRING,
    Cause.TRANSFERRED: State.STAGED,
    Cause.ACTIVATED: State.ACTIVATING,
    Cause.REBOOTED: State.CONFIRMING,
}
_ORDER = list(State)

_SAME_THING: Mapping[tuple[State, Cause], Cause] = {
    (State.TRANSFERRING, Cause.EXPIRED): Cause.STALLED,
    (State.TRANSFERRING, Cause.DECLINED): Cause.IMAGE_REJECTED,
    (State.TRANSFERRING, Cause.ALREADY_CURRENT): Cause.REBOOTED,
    (State.STAGED, Cause.ALREADY_CURRENT): Cause.REBOOTED,
    (State.ACTIVATING, Cause.ALREADY_CURRENT): Cause.RETURNED,
    (State.OFFERING, Cause.STALLED): Cause.EXPIRED,
    (State.OFFERING, Cause.ABORTED_BY_DEVICE): Cause.EXPIRED,
    (State.OFFERING, Cause.IMAGE_REJECTED): Cause.DECLINED,
    (State.ACTIVATING, Cause.REBOOTED): Cause.RETURNED,
}
"""The word of the row's state for what the session, in a state of its own, called otherwise."""

FAILED_ATTEMPT = frozenset({Cause.STALLED, Cause.ABORTED_BY_DEVICE, Cause.EXPIRED, Cause.FETCH_FAILED})
"""Causes that lead back to the queue."""


def still_to_come(state: State, causes: Sequence[Cause]) -> tuple[Cause, ...] | None:
    """What of `causes` the row has not gone through yet: empty where all of it is history, None where it cannot follow from this state at all.

    History is acknowledged and not repeated: a device whose answer was lost asks again, and must get it.
    """
    if state is State.CONFIRMING and Cause.EXPIRED in causes:
        return None  # an offer that nobody took says nothing about the version that a device tells
    rest = list(causes)
    while rest and rest[0] not in TABLE[state] and _behind(rest[0], state):
        rest.pop(0)
    found: list[Cause] = []
    for cause in rest:
        known = cause if cause in TABLE[state] else _SAME_THING.get((state, cause))
        if known is None:
            return None
        found.append(known)
        state = TABLE[state][known]
    return tuple(found)


def _behind(cause: Cause, state: State) -> bool:
    reached = _REACHES.get(cause)
    return reached is not None and not state.final and _ORDER.index(reached) <= _ORDER.index(state)
