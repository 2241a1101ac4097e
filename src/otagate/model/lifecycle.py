"""The life of an update: ONE transition table, and the rules for restart, pause and cancel that are read from it.

Two rules: a cause that the table does not know in a state raises `IllegalTransition` and changes nothing; nothing outside this module decides
what follows what. Recovery, tests and the diagram in ARCHITECTURE.md read `TABLE` and `AFTER_RESTART` as they stand here.
"""

from __future__ import annotations

import enum
from types import MappingProxyType

from otagate.model.errors import IllegalTransition


class State(enum.StrEnum):
    """Where an update stands; the last four are final."""

    PLANNED = "planned"
    QUEUED = "queued"
    FETCHING = "fetching"
    OFFERING = "offering"
    TRANSFERRING = "transferring"
    STAGED = "staged"
    ACTIVATING = "activating"
    CONFIRMING = "confirming"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"

    @property
    def final(self) -> bool:
        """Whether nothing follows this state."""
        return self in FINAL

    @property
    def running(self) -> bool:
        """Whether a conductor's task works on an update in this state."""
        return self in RUNNING


class Cause(enum.StrEnum):
    """What moves an update from one state to the next."""

    APPROVED = "approved"
    ADMITTED = "admitted"
    DELEGATED = "delegated"
    ALREADY_CURRENT = "already_current"
    RETRIES_SPENT = "retries_spent"
    VERIFIED = "verified"
    REJECTED = "rejected"
    FETCH_FAILED = "fetch_failed"
    INTERRUPTED = "interrupted"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    EXPIRED = "expired"
    TRANSFERRED = "transferred"
    REBOOTED = "rebooted"
    IMAGE_REJECTED = "image_rejected"
    STALLED = "stalled"
    ABORTED_BY_DEVICE = "aborted_by_device"
    ACTIVATED = "activated"
    RETURNED = "returned"
    LOST = "lost"
    VERSION_MATCHES = "version_matches"
    MISMATCH = "mismatch"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


FINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED, State.SUPERSEDED})
RUNNING = frozenset({State.FETCHING, State.OFFERING, State.TRANSFERRING, State.STAGED, State.ACTIVATING, State.CONFIRMING})

TABLE: MappingProxyType[State, MappingProxyType[Cause, State]] = MappingProxyType(
    {
        state: MappingProxyType(row)
        for state, row in {
            State.PLANNED: {
                Cause.APPROVED: State.QUEUED,
                Cause.CANCELLED: State.CANCELLED,
                Cause.SUPERSEDED: State.SUPERSEDED,
            },
            State.QUEUED: {
                Cause.ADMITTED: State.FETCHING,
                Cause.DELEGATED: State.OFFERING,
                Cause.ALREADY_CURRENT: State.SUCCEEDED,
                Cause.RETRIES_SPENT: State.FAILED,
                Cause.CANCELLED: State.CANCELLED,
                Cause.SUPERSEDED: State.SUPERSEDED,
            },
            State.FETCHING: {
                Cause.VERIFIED: State.OFFERING,
                Cause.REJECTED: State.FAILED,
                Cause.FETCH_FAILED: State.QUEUED,
                Cause.INTERRUPTED: State.QUEUED,
                Cause.CANCELLED: State.CANCELLED,
            },
            State.OFFERING: {
                Cause.ACCEPTED: State.TRANSFERRING,
                Cause.DECLINED: State.FAILED,
                Cause.ALREADY_CURRENT: State.SUCCEEDED,
                Cause.EXPIRED: State.QUEUED,
                Cause.CANCELLED: State.CANCELLED,
            },
            State.TRANSFERRING: {
                Cause.TRANSFERRED: State.STAGED,
                Cause.REBOOTED: State.CONFIRMING,
                Cause.IMAGE_REJECTED: State.FAILED,
                Cause.STALLED: State.QUEUED,
                Cause.ABORTED_BY_DEVICE: State.QUEUED,
                Cause.CANCELLED: State.CANCELLED,
            },
            State.STAGED: {
                Cause.ACTIVATED: State.ACTIVATING,
                Cause.REBOOTED: State.CONFIRMING,
                Cause.CANCELLED: State.CANCELLED,
            },
            State.ACTIVATING: {
                Cause.RETURNED: State.CONFIRMING,
                Cause.LOST: State.FAILED,
            },
            State.CONFIRMING: {
                Cause.VERSION_MATCHES: State.SUCCEEDED,
                Cause.MISMATCH: State.FAILED,
                Cause.EXPIRED: State.FAILED,
            },
            State.SUCCEEDED: {},
            State.FAILED: {},
            State.CANCELLED: {},
            State.SUPERSEDED: {},
        }.items()
    }
)
"""State → cause → state. A state that a cause leads to from nowhere does not exist."""

AFTER_RESTART: MappingProxyType[State, State] = MappingProxyType(
    {state: state for state in State} | {State.FETCHING: State.QUEUED, State.ACTIVATING: State.CONFIRMING}
)
"""What a state becomes when the process died in it. `offering` and `transferring` keep their state: they are adopted again, not begun again."""

PAUSABLE = frozenset({State.PLANNED, State.QUEUED, State.FETCHING, State.OFFERING, State.TRANSFERRING})
"""Where a pause means anything; it keeps the state."""


def advance(state: State, cause: Cause) -> State:
    """The state that follows; raises IllegalTransition, changing nothing, where the table has no such line."""
    try:
        return TABLE[state][cause]
    except KeyError:
        raise IllegalTransition(f"an update in state {state} has no transition for {cause}") from None


def cancellable(state: State) -> bool:
    """Whether a cancel can be asked for in this state; the session may still refuse it."""
    return Cause.CANCELLED in TABLE[state]


def diagram() -> str:
    """The table as a Mermaid state diagram; ARCHITECTURE.md holds exactly this."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.PLANNED}", f"    [*] --> {State.QUEUED}"]
    for state, row in TABLE.items():
        causes: dict[State, list[str]] = {}
        for cause, target in row.items():
            causes.setdefault(target, []).append(cause)
        lines += [f"    {state} --> {target}: {', '.join(words)}" for target, words in causes.items()]
    lines += [f"    {state} --> [*]" for state in State if state.final]
    return "\n".join(lines)
