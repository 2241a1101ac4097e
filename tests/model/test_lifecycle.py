from __future__ import annotations

import pytest

from otagate.model.errors import IllegalTransition
from otagate.model.lifecycle import AFTER_RESTART, FINAL, PAUSABLE, RUNNING, TABLE, Cause, State, advance, cancellable

# The life of an update as it was agreed, written out apart from the code: "cause state", one line a state.
AGREED = {
    "planned": "approved queued, cancelled cancelled, superseded superseded",
    "queued": "admitted fetching, delegated offering, already_current succeeded, retries_spent failed, cancelled cancelled, superseded superseded",
    "fetching": "verified offering, rejected failed, fetch_failed queued, interrupted queued, cancelled cancelled",
    "offering": "accepted transferring, declined failed, already_current succeeded, expired queued, cancelled cancelled",
    "transferring": "transferred staged, rebooted confirming, image_rejected failed, stalled queued, aborted_by_device queued, cancelled cancelled",
    "staged": "activated activating, rebooted confirming, cancelled cancelled",
    "activating": "returned confirming, lost failed",
    "confirming": "version_matches succeeded, mismatch failed, expired failed",
    "succeeded": "",
    "failed": "",
    "cancelled": "",
    "superseded": "",
}


def agreed() -> dict[str, dict[str, str]]:
    lines = {state: [line.split() for line in row.split(", ") if line] for state, row in AGREED.items()}
    return {state: dict(pairs) for state, pairs in lines.items()}


def reachable(start: State) -> set[State]:
    seen = {start}
    while more := {after for state in seen for after in TABLE[state].values()} - seen:
        seen |= more
    return seen


def test_the_table_is_the_agreed_one() -> None:
    assert {str(state): {str(cause): str(after) for cause, after in row.items()} for state, row in TABLE.items()} == agreed()


def test_every_state_has_a_row_and_every_cause_is_used() -> None:
    assert set(TABLE) == set(State)
    assert {cause for row in TABLE.values() for cause in row} == set(Cause)


def test_every_state_can_be_reached_from_planned() -> None:
    assert reachable(State.PLANNED) == set(State)


@pytest.mark.parametrize("state", sorted(set(State) - FINAL))
def test_every_unfinished_state_can_still_succeed_and_can_still_end_otherwise(state: State) -> None:
    ends = reachable(state) & FINAL
    assert State.SUCCEEDED in ends
    assert ends - {State.SUCCEEDED}


@pytest.mark.parametrize("state", sorted(FINAL))
def test_nothing_follows_a_final_state(state: State) -> None:
    assert not TABLE[state]
    assert state.final
    assert not state.running


def test_only_final_states_are_dead_ends() -> None:
    assert {state for state, row in TABLE.items() if not row} == FINAL


def test_an_update_is_planned_queued_running_or_final_and_never_two_of_them() -> None:
    waiting = {State.PLANNED, State.QUEUED}
    assert waiting | RUNNING | FINAL == set(State)
    assert not waiting & RUNNING
    assert not waiting & FINAL
    assert not RUNNING & FINAL
    assert {state for state in State if state.running} == RUNNING


@pytest.mark.parametrize(("state", "cause"), [(state, cause) for state in State for cause in Cause if cause not in TABLE[state]])
def test_an_illegal_transition_raises_a_sentence_with_both_names(state: State, cause: Cause) -> None:
    before = {each: dict(row) for each, row in TABLE.items()}
    with pytest.raises(IllegalTransition, match=rf"{state}\b.*{cause}\b"):
        advance(state, cause)
    assert {each: dict(row) for each, row in TABLE.items()} == before


@pytest.mark.parametrize(("state", "cause"), [(state, cause) for state in State for cause in TABLE[state]])
def test_a_legal_transition_leads_where_the_agreed_table_says(state: State, cause: Cause) -> None:
    assert advance(state, cause) == agreed()[state][cause]


def test_nobody_can_change_the_table_while_the_daemon_runs() -> None:
    with pytest.raises(TypeError):
        TABLE[State.FAILED] = TABLE[State.QUEUED]  # type: ignore[index]
    with pytest.raises(TypeError):
        TABLE[State.FAILED][Cause.APPROVED] = State.QUEUED  # type: ignore[index]


def test_a_restart_refetches_asks_again_and_keeps_everything_else() -> None:
    changed = {state: after for state, after in AFTER_RESTART.items() if after is not state}
    assert changed == {State.FETCHING: State.QUEUED, State.ACTIVATING: State.CONFIRMING}
    assert set(AFTER_RESTART) == set(State)


def test_a_second_restart_changes_nothing_more() -> None:
    assert all(AFTER_RESTART[after] is after for after in AFTER_RESTART.values())


def test_a_restart_never_ends_and_never_revives_an_update() -> None:
    assert all(state.final == after.final for state, after in AFTER_RESTART.items())


def test_an_update_can_be_cancelled_until_the_device_has_the_order_to_use_its_image() -> None:
    too_late = {State.ACTIVATING, State.CONFIRMING} | FINAL
    assert {state for state in State if not cancellable(state)} == too_late


def test_a_cancel_always_leads_to_cancelled() -> None:
    assert {TABLE[state][Cause.CANCELLED] for state in State if cancellable(state)} == {State.CANCELLED}


def test_a_pause_makes_sense_only_before_the_device_holds_the_image() -> None:
    assert {State.PLANNED, State.QUEUED, State.FETCHING, State.OFFERING, State.TRANSFERRING} == PAUSABLE


def test_a_release_that_came_later_replaces_only_what_has_not_begun() -> None:
    assert {state for state in State if Cause.SUPERSEDED in TABLE[state]} == {State.PLANNED, State.QUEUED}


def test_the_device_rebooting_by_itself_is_confirmed_and_never_believed() -> None:
    assert {row[Cause.REBOOTED] for row in TABLE.values() if Cause.REBOOTED in row} == {State.CONFIRMING}


def test_success_needs_a_version_that_was_read_or_told() -> None:
    ways = {(state, cause) for state, row in TABLE.items() for cause, after in row.items() if after is State.SUCCEEDED}
    told = {(State.QUEUED, Cause.ALREADY_CURRENT), (State.OFFERING, Cause.ALREADY_CURRENT)}
    assert ways == told | {(State.CONFIRMING, Cause.VERSION_MATCHES)}
