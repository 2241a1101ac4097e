"""When a stick is borrowed from the program that has it, and when it goes back."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from otagate.model.devices import Device
from otagate.model.ids import RadioName
from otagate.model.lifecycle import State
from otagate.model.updates import Update
from otagate.policy.admit import Scene
from otagate.policy.air import Air, RadioAir
from otagate.policy.guards import House, Watch
from otagate.policy.lease import NOTHING, Borrowed, Lent, Terms, Work, away_for, judge_borrowed, judge_lent, rest_after, work_on
from otagate.policy.settings import PolicySettings
from otagate.policy.window import AnyWindow, OneTime, Window
from tests.policy.cases import NOW, RADIO, device, device_id, update

TERMS = Terms()
ONE = Work(begins=1)
NIGHT = Window(name="night", zone=ZoneInfo("UTC"), start=60, end=300)

PAST = OneTime(name="past", begins=NOW - timedelta(days=2), ends=NOW - timedelta(days=1))

LENT = Lent(since=1_000.0, rest=60.0, called=False, barred=False, work=ONE)


@pytest.mark.parametrize(
    ("changes", "deed"),
    [
        pytest.param({}, "take", id="an update may begin"),
        pytest.param({"work": Work(runs=1)}, "take", id="an update is under way"),
        pytest.param({"work": NOTHING}, "rest", id="nothing to do"),
        pytest.param({"since": 59.0}, "rest", id="its owner has just got it back"),
        pytest.param({"since": 60.0}, "take", id="its owner has had it long enough"),
        pytest.param({"since": 0.0, "work": NOTHING, "called": True}, "take", id="an operator wants it"),
        pytest.param({"barred": True}, "rest", id="another network was on it"),
        pytest.param({"barred": True, "called": True}, "take", id="another network was on it, and an operator wants it"),
    ],
)
def test_a_lent_stick_is_taken_for_something_to_do_or_an_operators_word(changes: dict[str, Any], deed: str) -> None:
    assert judge_lent(replace(LENT, **changes)).deed == deed


BORROWED = Borrowed(since=100.0, idle=0.0, down=0.0, called=None, trouble=None, work=ONE)


@pytest.mark.parametrize(
    ("changes", "ending"),
    [
        pytest.param({}, None, id="something to do"),
        pytest.param({"work": NOTHING, "idle": 59.0}, None, id="nothing to do for a moment"),
        pytest.param({"work": NOTHING, "idle": 60.0}, "done", id="nothing to do"),
        pytest.param({"work": NOTHING, "idle": 299.0, "called": 299.0}, None, id="an operator wants it"),
        pytest.param({"work": NOTHING, "idle": 300.0, "called": 300.0}, "done", id="an operator wanted it"),
        pytest.param({"since": 3_529.0}, None, id="almost too long"),
        pytest.param({"since": 3_530.0}, "time", id="so long that devices can just be told"),
        pytest.param({"since": 3_530.0, "called": 1.0}, "time", id="too long for an operator too"),
        pytest.param({"down": 120.0}, "failed", id="the radio does not come up"),
        pytest.param({"trouble": "in_use"}, "failed", id="its owner still drives it"),
        pytest.param({"trouble": "wrong_network"}, "wrong_network", id="another network is on it"),
        pytest.param({"trouble": "wrong_network", "called": 1.0}, "wrong_network", id="another network, whoever wants it"),
    ],
)
def test_a_borrowed_stick_goes_back_when_it_is_of_no_use_and_never_too_late(changes: dict[str, Any], ending: str | None) -> None:
    step = judge_borrowed(replace(BORROWED, **changes), TERMS)
    assert (step.deed, step.ending) == ("keep" if ending is None else "give_back", ending)


def test_the_pause_after_loans_of_no_use_doubles_up_to_its_bound() -> None:
    pauses = [rest_after("done", useful=False, in_vain=count, terms=TERMS) for count in range(9)]
    assert pauses == [300, 600, 1200, 2400, 4800, 9600, 19_200, 21_600, 21_600]


def test_after_a_useful_loan_the_pause_is_short_and_as_long_as_the_longest_loan_where_that_was_used_up() -> None:
    assert rest_after("done", useful=True, in_vain=3, terms=TERMS) == 60
    assert rest_after("time", useful=True, in_vain=0, terms=TERMS) == 3_600
    assert rest_after("failed", useful=True, in_vain=0, terms=TERMS) == 300


def test_scaled_terms_leave_what_the_operator_gave() -> None:
    scaled = Terms(most=600.0, idle=6.0, called=30.0, down=12.0, part=7.0, ready=6.0, again=6.0, rest=30.0, longest=2_160.0, look=0.5)
    assert Terms(most=600.0).scaled(10.0) == scaled


# --- what there is to do ------------------------------------------------------------------------------------------------------------------


def work(
    *queue: Update,
    running: tuple[Update, ...] = (),
    staged: tuple[Update, ...] = (),
    borrowed: bool = False,
    back_in: float = 0.0,
    radio: RadioAir | None = None,
    windows: tuple[Window, ...] = (),
    changed: dict[str, Any] | None = None,
    **air: Any,
) -> Work:
    """Of devices 0 to 9, which nobody has heard for a day, on a radio that is not up."""
    known: dict[Any, Device] = {
        device_id(n): device(id=device_id(n), **({"last_seen": NOW - timedelta(days=1)} | (changed or {}))) for n in range(10)
    }
    radios = {RADIO: radio or RadioAir(up=False, reason="in_use")}
    scene = Scene(
        queue=queue,
        running=running,
        air=Air(
            **({"radios": radios, "devices": known, "house": House(windows=windows), "policy_of": lambda _: PolicySettings(windows=windows)} | air)
        ),
        now=NOW,
    )
    waits = {each.id: back_in for each in running}
    return work_on(RADIO, scene, staged, borrowed=borrowed, back_in=waits, terms=TERMS)


def on_air(number: int, state: State = State.TRANSFERRING, **changes: Any) -> Update:
    return update(number, state=state, started=NOW, **changes)


ELSEWHERE = RadioName("zigbee1")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({}, Work(begins=1), id="may begin"),
        pytest.param({"borrowed": True}, Work(begins=1), id="may begin, and the stick is here"),
        pytest.param({"halted": True}, NOTHING, id="halted"),
        pytest.param({"radio": RadioAir(up=False, paused="Paused.")}, NOTHING, id="its radio is paused"),
        pytest.param({"paused": frozenset({update(1).id})}, NOTHING, id="paused"),
        pytest.param({"windows": (NIGHT,)}, NOTHING, id="its window is closed"),
        pytest.param({"changed": {"online": False}}, Work(begins=1), id="nobody hears whether its device is there"),
        pytest.param({"changed": {"online": False}, "borrowed": True}, NOTHING, id="its device is not there"),
        pytest.param({"changed": {"sleepy": True}}, Work(begins=1), id="its device may wake"),
        pytest.param({"changed": {"sleepy": True}, "borrowed": True}, Work(begins=1), id="its device may wake, and is waited for"),
        pytest.param({"asleep": {device_id(1)}}, Work(begins=1), id="its device slept when it was heard last"),
    ],
)
def test_a_queued_update_is_something_to_do_where_it_would_begin_on_a_radio_that_is_up(given: dict[str, Any], expected: Work) -> None:
    assert work(update(1), **given) == expected


@pytest.mark.parametrize(
    ("row", "given", "expected"),
    [
        pytest.param(on_air(1), {}, Work(runs=1, moves=True), id="transferring"),
        pytest.param(on_air(1, State.CONFIRMING), {}, Work(runs=1), id="lived with"),
        pytest.param(on_air(1), {"halted": True}, NOTHING, id="halted"),
        pytest.param(on_air(1), {"paused": frozenset({update(1).id})}, NOTHING, id="paused"),
        pytest.param(on_air(1, foreign=True), {}, NOTHING, id="another program's"),
        pytest.param(on_air(1, radio=ELSEWHERE), {}, NOTHING, id="on another radio"),
        pytest.param(on_air(1), {"windows": (NIGHT,), "borrowed": True}, Work(runs=1, moves=True), id="finishes though its window is closed"),
        pytest.param(on_air(1), {"windows": (NIGHT,)}, NOTHING, id="is no reason to borrow outside its window"),
        pytest.param(on_air(1), {"back_in": 61.0, "borrowed": True}, NOTHING, id="its device was told to wait for a later loan"),
        pytest.param(on_air(1), {"back_in": 61.0}, NOTHING, id="its device would not ask yet"),
        pytest.param(on_air(1), {"back_in": 60.0, "borrowed": True}, Work(runs=1, moves=True), id="its device asks in a moment"),
        pytest.param(on_air(1), {"back_in": 60.0}, Work(runs=1, moves=True), id="its device asks when the radio is just up"),
    ],
)
def test_what_is_under_way_keeps_the_stick_and_borrows_it_in_its_window_only(row: Update, given: dict[str, Any], expected: Work) -> None:
    assert work(running=(row,), **given) == expected


@pytest.mark.parametrize(
    ("windows", "rest", "seconds"),
    [
        pytest.param((), 3_600.0, 3_600, id="no windows: as long as the other program has the stick"),
        pytest.param((NIGHT,), 60.0, 13 * 3_600, id="until its window opens"),
        pytest.param((NIGHT,), 14 * 3_600.0, 14 * 3_600, id="its window is open before the stick is back"),
        pytest.param((NIGHT,), 18 * 3_600.0, 37 * 3_600, id="the window after that"),
        pytest.param((PAST,), 60.0, 24 * 3_600 + 60, id="none opens any more"),
    ],
)
def test_a_device_in_mid_transfer_waits_until_its_window_is_open_and_the_stick_is_back(
    windows: tuple[AnyWindow, ...], rest: float, seconds: float
) -> None:
    watch = Watch(now=NOW, house=House())
    told = away_for(on_air(1), PolicySettings(windows=windows), watch, rest=rest, back_in=0.0, terms=TERMS)
    assert told == pytest.approx(seconds + TERMS.ready, abs=1)


@pytest.mark.parametrize(("back_in", "seconds"), [(599.0, 660.0), (600.0, None)])
def test_a_device_that_waits_for_long_enough_anyway_is_not_told_again(back_in: float, seconds: float | None) -> None:
    assert away_for(on_air(1), PolicySettings(), Watch(now=NOW, house=House()), rest=600.0, back_in=back_in, terms=TERMS) == seconds


def test_an_image_that_a_device_holds_is_something_to_do_when_it_may_be_used() -> None:
    held = on_air(1, State.STAGED, hold_activation=True)
    assert work(staged=(held,)) == NOTHING
    assert work(staged=(replace(held, activate_from=NOW),)) == Work(begins=1)
    assert work(staged=(replace(held, activate_from=NOW + timedelta(hours=1)),)) == NOTHING


def test_for_an_image_that_a_device_holds_the_same_are_asked() -> None:
    held = on_air(1, State.STAGED, hold_activation=True, activate_from=NOW)
    asks = {"policy_of": lambda _: PolicySettings(interlocks=("fire",))}
    assert work(staged=(held,), **asks) == Work(asks=frozenset({"fire"}))
    assert work(staged=(held,), **asks, house=House(interlocks={"fire": "it burns"})) == NOTHING
    assert work(staged=(held,), **asks, house=House(interlocks={"fire": None})) == Work(begins=1)
    spares = {"policy_of": lambda _: PolicySettings(spare_in_use=True)}
    assert work(staged=(held,), **spares) == Work(begins=1)
    assert work(staged=(held,), **spares, house=House(in_use={device_id(1): True})) == NOTHING
    assert work(staged=(held,), **spares, house=House(in_use={device_id(1): False})) == Work(begins=1)


def test_an_interlock_is_asked_before_the_stick_is_borrowed_and_a_device_only_after() -> None:
    asks = {"policy_of": lambda _: PolicySettings(interlocks=("fire",))}
    assert work(update(1), **asks) == Work(asks=frozenset({"fire"}))
    assert work(update(1), **asks, house=House(interlocks={"fire": "it burns"})) == NOTHING
    assert work(update(1), **asks, house=House(interlocks={"fire": None})) == Work(begins=1)
    assert work(update(1), policy_of=lambda _: PolicySettings(spare_in_use=True)) == Work(begins=1)
    spared = House(in_use={device_id(1): True})
    assert work(update(1), policy_of=lambda _: PolicySettings(spare_in_use=True), house=spared) == NOTHING
