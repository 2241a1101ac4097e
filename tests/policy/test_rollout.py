from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otagate.model.ids import ComponentId, DeviceId, UpdateId
from otagate.model.lifecycle import State
from otagate.model.portraits import Behaviour
from otagate.model.rollouts import DEFAULT_WAVES, Rollout, RolloutId, RolloutState, Selection, Tally, Wave, WavePlan
from otagate.model.updates import Failure, Update
from otagate.policy.rollout import draw_waves, forgive, hold_of, judge_rollout, tally, wave_state, with_wave_opened
from tests.policy.cases import NOW, update

DAY = timedelta(days=1)
STRICT = WavePlan(share=0.1, success=1.0, error=0.0)


def some(count: int, *, image: str = "aa") -> dict[DeviceId, str]:
    return {DeviceId(f"zigbee-{n:016x}"): image for n in range(count)}


def rollout(*waves: Wave, state: RolloutState = RolloutState.RUNNING) -> Rollout:
    return Rollout(
        id=RolloutId("r1"), name="lamps", select=Selection(), version=None, waves=waves, state=state, sentence="", actor="token:admin", created=NOW
    )


def wave(
    size: int, plan: WavePlan = STRICT, *, opened: datetime | None = NOW, proved: datetime | None = None, forgiven: int = 0, first: int = 0
) -> Wave:
    devices = tuple(DeviceId(f"zigbee-{n:016x}") for n in range(first, first + size))
    return Wave(plan=plan, devices=devices, opened=opened, proved=proved, forgiven=forgiven)


def ended(n: int, device: DeviceId, state: State, code: str | None = None, component: str = "0x0101") -> Update:
    error = Failure(code=code, detail="why") if code else None
    return replace(update(n), id=UpdateId(f"u{n:08d}"), device=device, component=ComponentId(component), state=state, error=error)


# --- who is in which wave -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(1, [1]), (2, [1, 1]), (3, [1, 1, 1]), (4, [1, 1, 1, 1]), (20, [1, 1, 5, 13]), (100, [1, 5, 25, 69]), (500, [5, 25, 125, 345])],
)
def test_one_device_goes_first_and_what_the_shares_leave_over_goes_last(count: int, sizes: list[int]) -> None:
    assert [len(each.devices) for each in draw_waves(some(count), DEFAULT_WAVES)] == sizes


def test_the_same_devices_and_image_always_make_the_same_waves() -> None:
    devices = some(50)
    assert draw_waves(devices, DEFAULT_WAVES) == draw_waves(dict(reversed(devices.items())), DEFAULT_WAVES)


def test_another_image_meets_other_devices_first() -> None:
    firsts = {draw_waves(some(50, image=f"{n:02x}"), DEFAULT_WAVES)[0].devices for n in range(10)}
    assert len(firsts) > 5


def test_the_rest_must_show_what_the_wave_before_it_had_to() -> None:
    waves = draw_waves(some(10), [WavePlan(share=0.5, success=0.7, error=0.3, gate="manual")])
    assert [(len(each.devices), each.plan.success, each.plan.gate) for each in waves] == [(5, 0.7, "manual"), (5, 0.7, "manual")]


@given(count=st.integers(0, 200), shares=st.lists(st.floats(0.001, 1.0), min_size=1, max_size=6))
def test_every_device_is_in_exactly_one_wave_and_no_wave_is_empty(count: int, shares: list[float]) -> None:
    waves = draw_waves(some(count), [WavePlan(share=share) for share in shares])
    assert sorted(device for each in waves for device in each.devices) == sorted(some(count))
    assert all(each.devices for each in waves)


# --- how a wave did -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "outcome"),
    [
        (Behaviour(kept=3), Tally(succeeded=1)),
        (Behaviour(restored=("group 1/0x0005",), not_compared=("binding",)), Tally(succeeded=1)),
        (Behaviour(kept=3, lost=("group 1/0x0005",)), Tally(failed=1)),
    ],
)
def test_a_device_that_lost_what_could_not_be_given_back_counts_as_failed(behaviour: Behaviour, outcome: Tally) -> None:
    (device,) = some(1)
    assert tally(wave(1), [replace(ended(1, device, State.SUCCEEDED), behaviour=behaviour)]) == outcome


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], Tally(excused=1)),
        ([(State.QUEUED, None)], Tally(pending=1)),
        ([(State.SUCCEEDED, None)], Tally(succeeded=1)),
        ([(State.FAILED, "version-unchanged")], Tally(failed=1)),
        ([(State.FAILED, "device-lost")], Tally(failed=1)),
        ([(State.FAILED, "radio-unavailable")], Tally(excused=1)),
        ([(State.FAILED, "source-unreachable")], Tally(excused=1)),
        ([(State.CANCELLED, None)], Tally(excused=1)),
        ([(State.SUPERSEDED, None)], Tally(excused=1)),
    ],
)
def test_only_what_the_device_did_counts(states: list[tuple[State, str | None]], expected: Tally) -> None:
    one = wave(1)
    assert tally(one, [ended(n, one.devices[0], *each) for n, each in enumerate(states)]) == expected


def test_a_retry_takes_the_place_of_the_failure() -> None:
    one = wave(1)
    failed, again = ended(1, one.devices[0], State.FAILED, "device-lost"), ended(2, one.devices[0], State.SUCCEEDED)
    assert tally(one, [again, failed]) == Tally(succeeded=1)


def test_a_device_of_two_components_has_succeeded_only_when_both_have() -> None:
    one = wave(1)
    main, radio = ended(1, one.devices[0], State.SUCCEEDED), ended(2, one.devices[0], State.QUEUED, component="0x0102")
    assert tally(one, [main, radio]) == Tally(pending=1)
    assert tally(one, [main, replace(radio, state=State.FAILED)]) == Tally(failed=1)


def test_steps_of_a_chain_that_were_not_begun_say_nothing_beside_the_one_that_failed() -> None:
    one = wave(1)
    began = {"job": "j", "steps": 3, "started": NOW}
    failed = replace(ended(1, one.devices[0], State.FAILED, "device-lost"), step=1, **began)
    rest = [replace(ended(n, one.devices[0], State.FAILED, "predecessor-failed"), job="j", step=n, steps=3) for n in (2, 3)]
    assert tally(one, [failed, *rest]) == Tally(failed=1)
    again = replace(ended(4, one.devices[0], State.SUCCEEDED), job="k", step=1, steps=1, started=NOW)
    assert tally(one, [failed, *rest, again]) == Tally(succeeded=1)
    assert tally(one, [replace(failed, state=State.SUCCEEDED, error=None), replace(rest[0], state=State.QUEUED, error=None)]) == Tally(pending=1)


def test_devices_of_other_waves_do_not_count() -> None:
    assert tally(wave(1), [ended(1, DeviceId("zigbee-000000000000ffff"), State.SUCCEEDED)]) == Tally(excused=1)


# --- what follows -------------------------------------------------------------------------------------------------------------------------


def judged(waves: Sequence[Wave], tallies: Sequence[Tally], now: datetime = NOW) -> tuple[str, int]:
    step = judge_rollout(rollout(*waves), tallies, now)
    assert step.sentence
    return step.action, step.wave


def test_the_first_wave_opens_at_once() -> None:
    assert judged([wave(1, opened=None), wave(9, opened=None, first=1)], [Tally(pending=1), Tally(pending=9)]) == ("open", 0)


def test_a_canary_that_fails_stops_the_rollout_at_one_device() -> None:
    step = judge_rollout(rollout(wave(1), wave(9, opened=None, first=1)), [Tally(failed=1), Tally(pending=9)], NOW + 100 * DAY)
    assert (step.action, step.wave) == ("pause", 0)
    assert step.sentence.startswith("1 of 1 device of wave 1 failed")


def test_a_wave_under_way_is_waited_for() -> None:
    assert judged([wave(4), wave(9, opened=None)], [Tally(succeeded=3, pending=1), Tally(pending=9)]) == ("wait", 0)


def test_a_wave_that_succeeded_soaks_before_the_next_one_opens() -> None:
    waves = [wave(4), wave(9, opened=None)]
    tallies = [Tally(succeeded=4), Tally(pending=9)]
    assert judged(waves, tallies) == ("prove", 0)
    proved = [replace(waves[0], proved=NOW), waves[1]]
    soaking = judge_rollout(rollout(*proved), tallies, NOW + DAY - timedelta(seconds=1))
    assert (soaking.action, soaking.until) == ("wait", NOW + DAY)
    assert judged(proved, tallies, NOW + DAY) == ("open", 1)


def test_a_wave_may_be_proved_while_some_of_it_still_sleep() -> None:
    plan = WavePlan(share=0.5, success=0.75)
    assert judged([wave(4, plan), wave(4, opened=None)], [Tally(succeeded=3, pending=1), Tally(pending=4)]) == ("prove", 0)


def test_a_failure_in_the_soak_stops_the_rollout() -> None:
    plan = WavePlan(share=0.5, success=0.75, error=0.02)
    waves = [wave(4, plan, proved=NOW), wave(4, opened=None)]
    assert judged(waves, [Tally(succeeded=3, failed=1), Tally(pending=4)]) == ("pause", 0)


def test_a_late_failure_of_an_earlier_wave_stops_what_runs_now() -> None:
    waves = [wave(4, proved=NOW), wave(4, first=4), wave(4, opened=None)]
    assert judged(waves, [Tally(succeeded=3, failed=1), Tally(succeeded=2, pending=2), Tally(pending=4)]) == ("pause", 0)


def test_failures_below_the_threshold_are_borne() -> None:
    plan = WavePlan(share=0.5, success=0.9, error=0.1)
    assert judged([wave(10, plan), wave(4, opened=None)], [Tally(succeeded=9, failed=1), Tally(pending=4)]) == ("prove", 0)
    assert judged([wave(10, plan), wave(4, opened=None)], [Tally(succeeded=8, failed=2), Tally(pending=4)]) == ("pause", 0)


def test_a_wave_that_ended_with_too_few_successes_asks_an_operator() -> None:
    plan = WavePlan(share=0.5, success=0.9, error=0.5)
    step = judge_rollout(rollout(wave(10, plan), wave(4, opened=None)), [Tally(succeeded=7, failed=3), Tally(pending=4)], NOW)
    assert step.action == "pause"
    assert "Only 7 of 10 devices" in step.sentence


def test_a_wave_whose_radio_was_gone_proves_nothing_and_fails_nothing() -> None:
    step = judge_rollout(rollout(wave(3), wave(4, opened=None)), [Tally(excused=3), Tally(pending=4)], NOW)
    assert step.action == "pause"
    assert "could not be carried out" in step.sentence
    assert judged([wave(3), wave(4, opened=None)], [Tally(excused=2, succeeded=1), Tally(pending=4)]) == ("prove", 0)


def test_a_manual_gate_waits_for_an_operator() -> None:
    plan = WavePlan(share=0.1, gate="manual", soak=timedelta(0))
    assert judged([wave(1, plan, proved=NOW), wave(4, opened=None)], [Tally(succeeded=1), Tally(pending=4)]) == ("ask", 1)


def test_the_rollout_is_finished_when_nobody_of_it_is_still_to_come() -> None:
    waves = [wave(4, WavePlan(share=0.5, success=0.5), proved=NOW), wave(4, proved=NOW, first=4)]
    assert judged(waves, [Tally(succeeded=3, pending=1), Tally(succeeded=4)]) == ("wait", 0)
    step = judge_rollout(rollout(*waves), [Tally(succeeded=4), Tally(succeeded=3, excused=1)], NOW)
    assert step.action == "finish"
    assert step.sentence == "All waves have ended: 7 succeeded, 0 failed, 1 could not be carried out or were cancelled."


def test_behind_the_last_wave_there_is_nothing_to_be_asked() -> None:
    plan = WavePlan(share=1.0, success=0.9, error=0.5)
    assert judged([wave(10, plan)], [Tally(succeeded=7, failed=3)]) == ("prove", 0)


def test_what_an_operator_has_seen_does_not_stop_the_rollout_again_but_more_of_it_does() -> None:
    found = [Tally(succeeded=2, failed=1), Tally(pending=4)]
    seen = forgive(rollout(wave(3), wave(4, opened=None), state=RolloutState.PAUSED), found, NOW)
    assert seen.state is RolloutState.RUNNING
    assert judge_rollout(seen, found, NOW + DAY).action == "open"
    assert judge_rollout(seen, [Tally(succeeded=1, failed=2), found[1]], NOW + DAY).action == "pause"


def test_a_wave_that_was_proved_by_a_clock_that_was_ahead_waits_from_now_and_not_for_years() -> None:
    waves = [wave(2, proved=NOW + 4_000 * DAY), wave(4, opened=None)]
    found = [Tally(succeeded=2), Tally(pending=4)]
    assert judged(waves, found) == ("prove", 0)
    waves[0] = replace(waves[0], proved=NOW)
    assert judge_rollout(rollout(*waves), found, NOW).until == NOW + DAY


def test_waves_are_told_in_hawkbits_words() -> None:
    assert wave_state(wave(2, opened=None), Tally(pending=2)) == "scheduled"
    assert wave_state(wave(2), Tally(pending=2)) == "running"
    assert wave_state(wave(2, proved=NOW), Tally(succeeded=2)) == "finished"
    assert wave_state(wave(2), Tally(succeeded=1, failed=1)) == "error"


@pytest.mark.parametrize(
    ("state", "index", "reason"),
    [
        (RolloutState.RUNNING, 0, None),
        (RolloutState.RUNNING, 1, "wave"),
        (RolloutState.WAITING_FOR_APPROVAL, 0, None),
        (RolloutState.WAITING_FOR_APPROVAL, 1, "wave"),
        (RolloutState.PAUSED, 0, "paused"),
        (RolloutState.PAUSED, 1, "wave"),
        (RolloutState.HALTED, 0, "halted"),
        (RolloutState.HALTED, 1, "halted"),
        (RolloutState.FINISHED, 1, None),
    ],
)
def test_an_update_begins_only_when_its_wave_is_open_and_its_rollout_goes_on(state: RolloutState, index: int, reason: str | None) -> None:
    found = hold_of(update(wave=index), rollout(wave(1), wave(1, opened=None, first=1), state=state))
    assert (None if found is None else found.reason) == reason


# --- laws ---------------------------------------------------------------------------------------------------------------------------------


class Fate:
    """What becomes of each device once its wave is open, drawn beforehand."""

    def __init__(self, outcomes: Sequence[str]) -> None:
        self.outcomes = outcomes

    def tallies(self, one: Rollout) -> list[Tally]:
        at, found = 0, []
        for each in one.waves:
            mine = self.outcomes[at : at + len(each.devices)]
            at += len(each.devices)
            counts = {word: mine.count(word) for word in ("succeeded", "failed", "excused")} if each.opened else {"pending": len(mine)}
            found.append(Tally(**counts))
        return found


@given(
    outcomes=st.lists(st.sampled_from(["succeeded", "failed", "excused"]), min_size=1, max_size=60),
    plans=st.lists(st.builds(WavePlan, share=st.floats(0.01, 0.6), success=st.floats(0.1, 1.0), error=st.floats(0.0, 0.5)), min_size=1, max_size=4),
)
def test_no_wave_opens_behind_one_that_failed_too_often_and_every_rollout_comes_to_a_stop(outcomes: list[str], plans: list[WavePlan]) -> None:
    one = rollout(*draw_waves(some(len(outcomes)), plans))
    fate, now = Fate(outcomes), NOW
    for _ in range(4 * len(one.waves) + 2):
        tallies = fate.tallies(one)
        step = judge_rollout(one, tallies, now)
        if step.action == "open":
            for before in range(step.wave):
                counted = tallies[before].total - tallies[before].excused
                assert tallies[before].failed <= one.waves[before].plan.error * counted + 1e-6
                assert tallies[before].succeeded >= one.waves[before].plan.success * counted - 1e-6
            one = with_wave_opened(one, step.wave, now)
        elif step.action == "prove":
            waves = [replace(each, proved=now) if at == step.wave else each for at, each in enumerate(one.waves)]
            one = replace(one, waves=tuple(waves))
        elif step.action == "wait":
            assert step.until is not None
            now = step.until
        else:
            assert step.action in ("pause", "finish")
            return
    pytest.fail("the rollout goes round in circles")
