"""The steps of a job: their order, for what each waits, what ends them, and what joins on the way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otagate.model.ids import ComponentId, UpdateId
from otagate.model.lifecycle import State
from otagate.model.updates import Update
from otagate.policy.job import as_job, failed_before, first_steps, goes_on, host_of, in_turn, joined, linked, rest_of, waits_for_step
from tests.policy.cases import component, device_id, release, update

A, B, C = (ComponentId(f"0x000{n}") for n in range(1, 4))
WORDS = {A: "a", B: "b", C: "c"}


def drafts(component: ComponentId, *versions: int, **more: Any) -> list[Update]:
    return linked([update(1, id=UpdateId(""), component=component, to_version=each, **more) for each in versions])


def told(steps: list[Update]) -> str:
    return " ".join(f"{WORDS[each.component]}{each.to_version}" for each in steps)


def row(number: int, one: ComponentId, step: int, state: State = State.QUEUED, **more: Any) -> Update:
    """A step of a job of three."""
    started = None if state in (State.QUEUED, State.PLANNED) else update().created
    given = {"component": one, "job": "u001", "step": step, "steps": 3, "state": state, "device": device_id(1), "started": started}
    return update(number, **(given | more))


def test_the_first_step_of_every_component_comes_before_the_second_of_any() -> None:
    assert told(in_turn([drafts(A, 2, 3, 4), drafts(B, 7), drafts(C, 5, 6)])) == "a2 b7 c5 a3 c6 a4"
    assert in_turn([]) == []


def test_the_files_of_one_release_follow_each_other() -> None:
    part = release(bundle="b", location="x")
    files = linked([update(1, component=A, release=part, to_version=2), update(2, component=B, release=part, to_version=2)])
    assert told(in_turn([files, drafts(C, 5, 6)])) == "a2 b2 c5 c6"
    assert [each.link for each in files] == [False, False]


def test_one_draft_is_no_job_and_several_are_numbered() -> None:
    assert as_job(drafts(A, 2), "x")[0].job is None
    job = as_job([*drafts(A, 2), *drafts(B, 7, 8)], "x")
    assert [(each.job, each.step, each.steps, each.link) for each in job] == [("x", 1, 3, False), ("x", 2, 3, False), ("x", 3, 3, True)]


def test_a_step_waits_for_those_before_it_on_its_own_component_only() -> None:
    one, two, three = (update(n, job="j", step=n, steps=3) for n in (1, 2, 3))
    first = first_steps([three, one, two])
    assert waits_for_step(one, first) is None
    waiting = waits_for_step(three, first)
    assert waiting is not None
    assert (waiting.reason, waiting.sentence) == ("predecessor", "Step 3 of 3 waits for the step before it.")
    assert waits_for_step(three, first_steps([three])) is None
    other = update(4, job="j", step=2, steps=2, component=component(id="0x0001").id)
    assert waits_for_step(other, first_steps([one, other])) is None
    assert waits_for_step(update(5), first_steps([update(5), update(6, step=0)])) is None


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED, State.SUPERSEDED])
def test_a_step_is_not_begun_where_one_before_it_ended_without_success(state: State) -> None:
    failed, waits = row(1, A, 1, state), row(2, B, 2)
    assert failed_before(waits, [waits, failed]) == failed
    assert failed_before(failed, [waits, failed]) is None
    assert failed_before(waits, [waits, replace(failed, state=State.SUCCEEDED)]) is None
    assert failed_before(waits, [waits, replace(failed, state=State.STAGED)]) is None
    assert failed_before(waits, [waits, replace(failed, job="another")]) is None
    assert failed_before(replace(waits, job=None), [replace(failed, job=None)]) is None


def test_a_step_that_was_taken_again_holds_nothing_back_and_the_next_of_its_chain_is_not_that() -> None:
    failed, again, last = row(1, A, 1, State.FAILED), row(3, A, 1), row(2, B, 2)
    assert failed_before(last, [failed, again, last]) is None
    assert failed_before(last, [failed, replace(again, link=True), last]) == failed


def test_a_chain_and_a_release_go_on_and_another_component_is_another_matter() -> None:
    first, link, other = row(1, A, 1), row(2, A, 3, link=True), row(3, B, 2)
    assert goes_on(first, [first, link, other])
    assert not goes_on(first, [first, other])
    assert not goes_on(link, [link, other])
    assert not goes_on(other, [link, other])
    assert not goes_on(first, [replace(link, job="another")])
    files = [replace(each, release=release(bundle="b", location="x")) for each in (first, other)]
    assert goes_on(files[0], files)
    assert not goes_on(files[0], [files[0], replace(other, release=release(location="x"))])


def test_whoever_holds_an_image_and_wants_another_one_is_joined() -> None:
    host = update(1, state=State.STAGED, wants_more=True)
    assert host_of([update(2), host]) == host
    assert host_of([replace(host, wants_more=False), replace(host, state=State.CONFIRMING)]) is None


def test_what_joins_goes_before_what_has_not_begun() -> None:
    host, later, failed = row(1, A, 1, State.STAGED, steps=2), row(2, A, 2, link=True, steps=2), row(3, B, 2, State.FAILED)
    placed, moved = joined(host, [later, host, failed], drafts(B, 7))
    assert [(each.job, each.step, each.steps) for each in placed] == [("u001", 2, 3)]
    assert [(each.id, each.step, each.steps) for each in moved] == [(host.id, 1, 3), (later.id, 3, 3)]


def test_what_joins_goes_behind_what_was_begun_once() -> None:
    host, stalled = row(1, A, 1, State.STAGED), row(2, B, 2, started=update().created)
    placed, moved = joined(host, [host, stalled], drafts(C, 5))
    assert [each.step for each in placed] == [3]
    assert [each.step for each in moved] == [1, 2]


def test_an_update_that_was_alone_becomes_the_first_step_of_a_job() -> None:
    host = update(1, state=State.STAGED, wants_more=True, started=update().created)
    placed, moved = joined(host, [host, update(9, device=host.device)], drafts(B, 7, 8))
    assert [(each.job, each.step, each.steps) for each in placed] == [(host.id, 2, 3), (host.id, 3, 3)]
    assert [(each.id, each.job, each.step, each.steps) for each in moved] == [(host.id, host.id, 1, 3)]


def test_the_rest_of_a_job_is_where_each_component_did_not_get() -> None:
    done, failed, last, other = row(1, A, 1, State.SUCCEEDED), row(2, B, 2, State.FAILED), row(3, B, 3, State.FAILED), row(4, C, 4, State.CANCELLED)
    assert rest_of(failed, [other, last, failed, done]) == [last, other]
    assert rest_of(failed, [other, last, failed, done, row(5, B, 2, State.SUCCEEDED)]) == [other]
    alone = update(1, state=State.FAILED)
    assert rest_of(alone, [alone, update(2, state=State.FAILED)]) == [alone]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(1, 3), st.integers(1, 3))
def test_steps_of_a_job_are_always_numbered_one_by_one_and_those_of_a_component_stay_in_order(lengths: list[int], begun: int, more: int) -> None:
    ways = [drafts(ComponentId(f"0x{at:04x}"), *range(2, 2 + length)) for at, length in enumerate(lengths)]
    job = [replace(each, id=UpdateId(f"u{at:03}"), job="u000") for at, each in enumerate(as_job(in_turn(ways), "x"))]
    begun = min(begun, len(job))
    running = [replace(each, state=State.STAGED, started=each.created, wants_more=True) for each in job[:begun]]
    if len(job) == 1:
        running = [replace(running[0], job=None)]
    placed, moved = joined(running[-1], [*running, *job[begun:]], drafts(ComponentId("0x00ff"), *range(9, 9 + more)))
    whole = sorted([*placed, *moved], key=lambda each: each.step)
    assert [(each.step, each.steps) for each in whole] == [(at, len(whole)) for at in range(1, len(whole) + 1)]
    assert len(whole) == len(job) + more
    assert [each.started is None for each in whole] == sorted(each.started is None for each in whole)
    for one in {each.component for each in whole}:
        versions = [each.to_version for each in whole if each.component == one]
        assert versions == sorted(versions, key=lambda each: int(each or 0))
