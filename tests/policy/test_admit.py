from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from otagate.model.devices import Device, ZwaveNode
from otagate.model.ids import DeviceId, RadioName, UpdateId
from otagate.model.lifecycle import State
from otagate.model.updates import Update
from otagate.model.verdicts import Verdict
from otagate.policy.admit import ASKED_LATER, LISTENED, Admission, admit, explain, has_given_up
from otagate.policy.air import AWAKE_FOR, Air, RadioAir
from otagate.policy.guards import House
from otagate.policy.settings import PolicySettings
from otagate.policy.trace import Line
from otagate.policy.window import OneTime
from tests.policy.cases import NOW, RADIO, device, device_id, update

SECOND = timedelta(seconds=1)


def ask(
    queue: Sequence[Update],
    running: Sequence[Update] = (),
    *,
    radio: RadioAir | None = None,
    sleepy: Sequence[int] = (),
    changed: dict[int, dict[str, Any]] | None = None,
    now: datetime = NOW,
    asleep: Sequence[int] = (),
    **air: Any,
) -> Admission:
    """Ask about updates of devices 0 to 99 on one radio with two slots; `changed` changes some of the devices."""
    devices = [device(id=device_id(n), sleepy=n in sleepy, **(changed or {}).get(n, {})) for n in range(100)]
    known: dict[Any, Device] = {each.id: each for each in devices}
    radios = {RADIO: RadioAir(parallel=2, slow=3) if radio is None else radio}
    return admit(queue, running, air=Air(**({"radios": radios, "devices": known, "asleep": {device_id(n) for n in asleep}} | air)), now=now)


def ids(*numbers: int) -> tuple[UpdateId, ...]:
    return tuple(UpdateId(f"u{number:03}") for number in numbers)


def on_air(number: int, state: State = State.TRANSFERRING, **changes: Any) -> Update:
    return update(number, state=state, started=NOW, **changes)


# --- the decision table: every reason, once in and once out --------------------------------------------------------------------------------

ONE = update(1)
HELD: list[Any] = [
    pytest.param("halted", ONE, {"halted": True}, id="halted"),
    pytest.param("paused", ONE, {"paused": frozenset(ids(1))}, id="paused"),
    pytest.param("paused", ONE, {"radio": RadioAir(paused="The radio is paused.")}, id="radio paused"),
    pytest.param("source_unreachable", ONE, {"trouble_of": lambda each: f"it does not know {each.id}"}, id="source to be mended"),
    pytest.param("wave", ONE, {"held": {ONE.id: Verdict(decision="hold", reason="wave", sentence="Not yet.")}}, id="held by its rollout"),
    pytest.param("scheduled", update(1, not_before=NOW + SECOND), {}, id="scheduled"),
    pytest.param("backoff", update(1, not_before=NOW + SECOND, started=NOW - SECOND), {}, id="backoff"),
    pytest.param("offline", update(1, radio=RadioName("gone")), {}, id="radio unknown"),
    pytest.param("offline", ONE, {"radio": RadioAir(up=False)}, id="radio not up"),
    pytest.param(
        "in_use", ONE, {"radio": RadioAir(up=False, reason="in_use", sentence="Another program drives it.")}, id="radio with a word of its own"
    ),
    pytest.param("offline", ONE, {"devices": {}}, id="device unknown"),
    pytest.param("offline", ONE, {"changed": {1: {"online": False}}}, id="device offline"),
    pytest.param("offline", ONE, {"changed": {1: {"online": False}}, "sleepy": (1,)}, id="sleeping device offline"),
    pytest.param("asleep", ONE, {"changed": {1: {"last_seen": NOW - AWAKE_FOR - SECOND}}, "sleepy": (1,)}, id="asleep"),
    pytest.param("asleep", ONE, {"changed": {1: {"last_seen": None}}, "sleepy": (1,)}, id="asleep and never heard"),
    pytest.param("radio_busy", ONE, {"running": [on_air(2), on_air(3)]}, id="all slots taken"),
    pytest.param("radio_busy", ONE, {"radio": RadioAir(parallel=0)}, id="no slots at all"),
    pytest.param("predecessor", ONE, {"running": [on_air(2, device=device_id(1))]}, id="another update of the device runs"),
    pytest.param("predecessor", ONE, {"running": [on_air(2, State.STAGED, device=device_id(1))]}, id="another update of the device is staged"),
    pytest.param("predecessor", update(1, job="j", step=2, steps=2), {"running": [on_air(2, job="j", step=1, steps=2)]}, id="a step before it runs"),
]
ADMITTED: list[Any] = [
    pytest.param(on_air(1, State.OFFERING), {"trouble_of": lambda each: "it is not needed any more"}, id="begun before its source was in trouble"),
    pytest.param(ONE, {"halted": False, "paused": frozenset(ids(2))}, id="another is paused"),
    pytest.param(ONE, {"held": {UpdateId("u002"): Verdict(decision="hold", reason="wave", sentence="Not yet.")}}, id="another is held"),
    pytest.param(update(1, not_before=NOW), {}, id="scheduled for now"),
    pytest.param(update(1, not_before=NOW, started=NOW - SECOND), {}, id="backoff over"),
    pytest.param(ONE, {"changed": {1: {"last_seen": NOW - AWAKE_FOR}}, "sleepy": (1,)}, id="just awake"),
    pytest.param(ONE, {"changed": {1: {"last_seen": None}}}, id="mains device never heard"),
    pytest.param(ONE, {"running": [on_air(2)]}, id="one slot left"),
    pytest.param(ONE, {"running": [on_air(2), on_air(3)], "paused": frozenset(ids(3))}, id="a paused transfer gives its slot"),
    pytest.param(
        ONE,
        {"running": [on_air(2, State.STAGED), on_air(3, State.ACTIVATING), on_air(4, State.CONFIRMING)]},
        id="what is staged, activating or confirming needs no air",
    ),
    pytest.param(ONE, {"running": [on_air(2, radio=RadioName("b")), on_air(3, radio=RadioName("b"))]}, id="another radio is busy"),
    pytest.param(update(1, job="j", step=2, steps=2), {"running": [on_air(2, job="other", step=1)]}, id="a step of another job runs"),
    pytest.param(update(1, job="j", step=1, steps=2), {"running": [on_air(2, job="j", step=2)]}, id="a later step runs"),
]


@pytest.mark.parametrize(("reason", "waiting", "world"), HELD)
def test_who_cannot_start_waits_with_the_reason(reason: str, waiting: Update, world: dict[str, Any]) -> None:
    admission = ask([waiting], **world)
    assert admission.admitted == ()
    verdict = admission.waiting[waiting.id]
    assert (verdict.decision, verdict.reason) == ("hold", reason)
    assert verdict.sentence.endswith(".")


@pytest.mark.parametrize(("waiting", "world"), ADMITTED)
def test_who_can_start_is_admitted(waiting: Update, world: dict[str, Any]) -> None:
    admission = ask([waiting], **world)
    assert admission.admitted == (waiting.id,)
    assert admission.waiting == {}


# --- order and lanes ---------------------------------------------------------------------------------------------------------------------


def test_first_created_is_first_admitted_whatever_the_order_of_the_queue() -> None:
    queue = [update(1, created=NOW), update(2, created=NOW - 2 * SECOND), update(3, created=NOW - SECOND)]
    admission = ask(queue)
    assert admission.admitted == ids(2, 3)
    assert admission.waiting[ids(1)[0]].reason == "radio_busy"


def test_of_two_created_at_one_moment_the_ids_decide() -> None:
    assert ask([update(3), update(2), update(1)]).admitted == ids(1, 2)


def test_of_those_that_could_begin_the_priority_decides_who_does() -> None:
    queue = [update(1, priority="low"), update(2), update(3, created=NOW + SECOND, priority="high"), update(4, created=NOW + SECOND)]
    assert ask(queue, now=NOW + SECOND).admitted == ids(3, 2)
    assert ask(queue, now=NOW + SECOND, radio=RadioAir(parallel=9)).admitted == ids(3, 2, 4, 1)


def test_nobody_starves_behind_a_priority() -> None:
    waits = [update(1, priority="low"), update(2)]
    later = [update(n, created=NOW + timedelta(hours=49), priority="high") for n in range(3, 99)]
    assert ask([*later, *waits], now=NOW + timedelta(hours=49)).admitted == ids(2, 1)


def test_a_priority_takes_no_slot_of_the_other_lane() -> None:
    queue = [update(1, priority="low"), *(update(n, priority="high") for n in range(2, 8))]
    assert ids(1)[0] in ask(queue, sleepy=range(2, 8)).admitted


def test_who_cannot_start_does_not_hold_up_who_can() -> None:
    queue = [update(n, created=NOW + n * SECOND) for n in range(1, 5)]
    assert ask(queue, changed={1: {"online": False}, 2: {"online": False}}).admitted == ids(3, 4)


def test_sleeping_devices_take_no_slot_of_mains_devices_nor_the_other_way_round() -> None:
    queue = [update(n, created=NOW + n * SECOND) for n in range(1, 11)]
    admission = ask(queue, sleepy=(1, 2, 3, 4, 5))
    assert admission.admitted == ids(1, 2, 3, 6, 7)
    assert {each.reason for each in admission.waiting.values()} == {"radio_busy"}
    assert "3 transfers that zigbee0 may make to slow devices" in admission.waiting[ids(4)[0]].sentence
    assert "2 transfers that zigbee0 may make to mains devices" in admission.waiting[ids(8)[0]].sentence


def test_running_updates_count_in_the_lane_of_their_device() -> None:
    assert ask([update(1), update(2)], [on_air(3), on_air(4)], sleepy=(2, 4)).admitted == ids(1, 2)


def test_two_updates_of_one_device_are_never_admitted_together() -> None:
    admission = ask([update(1), update(2, device=device_id(1)), update(3)])
    assert admission.admitted == ids(1, 3)
    assert admission.waiting[ids(2)[0]].reason == "predecessor"


def test_the_steps_of_a_job_start_one_after_the_other() -> None:
    first, second = update(2, job="j", step=1, steps=2), update(1, job="j", step=2, steps=2)
    admission = ask([second, first])
    assert admission.admitted == ids(2)
    assert admission.waiting[ids(1)[0]].sentence == "Step 2 of 2 waits for the step before it."


def test_an_empty_queue_admits_nobody() -> None:
    assert ask([]) == Admission(admitted=(), waiting={})


def test_a_z_wave_node_that_takes_its_time_is_no_mains_device() -> None:
    nodes = {1: {"node": ZwaveNode(listening="frequent")}, 2: {"node": ZwaveNode(long_range=True)}, 3: {"node": ZwaveNode()}}
    queue = [update(n, created=NOW + n * SECOND) for n in range(1, 4)]
    assert ask(queue, changed=nodes, radio=RadioAir(parallel=1, slow=1)).admitted == ids(1, 3)


def test_a_device_that_went_to_sleep_for_sure_is_asleep_however_lately_it_was_heard() -> None:
    admission = ask([update(1)], sleepy=(1,), asleep=(1,))
    assert admission.waiting[ids(1)[0]].reason == "asleep"


def test_what_begins_only_when_its_device_wakes_takes_no_slot_until_then() -> None:
    offered = update(2, state=State.OFFERING)
    radio = RadioAir(parallel=1, slow=1)
    assert ask([update(1)], [offered], sleepy=(1, 2), asleep=(2,), radio=radio).admitted == ids(1)
    assert ask([update(1)], [offered], sleepy=(1, 2), radio=radio).admitted == ()


def test_a_device_that_another_program_updates_is_in_use_and_takes_a_slot() -> None:
    foreign = update(5, device=device_id(1), state=State.TRANSFERRING, foreign=True)
    admission = ask([update(1), update(2)], [foreign], radio=RadioAir(parallel=1, slow=1))
    assert {each: verdict.reason for each, verdict in admission.waiting.items()} == dict(zip(ids(1, 2), ("in_use", "radio_busy"), strict=True))


@pytest.mark.parametrize(("waits", "runs", "said"), [("zigbee-1", "tuya-v1", "Its cloud updates"), ("tuya-v1", "zigbee-1", "by a radio here")])
def test_one_device_is_not_updated_from_both_sides_at_once(waits: str, runs: str, said: str) -> None:
    here, there = DeviceId(waits), DeviceId(runs)
    twins = {here: {there}, there: {here}}
    known = {each: device(id=each) for each in (here, there)}
    admission = ask([update(1, device=here)], [on_air(2, device=there)], twins=twins, devices=known)
    assert (admission.admitted, admission.waiting[UpdateId("u001")].reason) == ((), "in_use")
    assert said in admission.waiting[UpdateId("u001")].sentence
    assert ask([update(1, device=here)], [on_air(2, device=there)], devices=known).admitted == ids(1)
    both = ask([update(1, device=here), update(2, device=there)], twins=twins, devices=known)
    assert (both.admitted, set(both.waiting)) == (ids(1), set(ids(2)))


# --- what is told of each without anybody beginning ----------------------------------------------------------------------------------------


def explained(*queue: Update, radios: dict[Any, RadioAir] | None = None, settings: PolicySettings | None = None, **air: Any) -> list[dict[str, Line]]:
    known = {each.id: each for each in (device(id=device_id(n)) for n in range(10))}
    wanted = PolicySettings() if settings is None else settings
    world = Air(**({"radios": radios or {RADIO: RadioAir(parallel=1)}, "devices": known, "policy_of": lambda each: {each.id: wanted}[each.id]} | air))
    return [{line.rule: line for line in lines} for lines in explain(queue, [], [], air=world, now=NOW)]


def test_every_rule_speaks_also_of_a_radio_and_a_device_that_nobody_knows() -> None:
    (lines,) = explained(update(1, radio=RadioName("gone")), devices={})
    assert {rule for rule, line in lines.items() if line.outcome == "wait"} == {"radio", "device"}


def test_of_a_window_that_is_closed_only_that_is_told_and_not_how_much_of_it_is_left() -> None:
    later = OneTime(name="night", begins=NOW + timedelta(hours=1), ends=NOW + timedelta(hours=2))
    (lines,) = explained(update(1), settings=PolicySettings(windows=(later,)))
    assert (lines["window"].outcome, lines["ends_in_time"].outcome) == ("wait", "pass")


def test_who_could_begin_takes_a_slot_from_those_behind_it_and_nobody_else_does() -> None:
    first, second, third = explained(update(1, not_before=NOW + SECOND), update(2), update(3))
    assert (first["time"].outcome, first["slot"].outcome) == ("wait", "pass")
    assert (second["slot"].outcome, third["slot"].outcome) == ("pass", "wait")


def test_who_is_asked_only_when_an_update_begins_holds_nothing_back_in_an_explanation() -> None:
    (lines,) = explained(update(1), settings=PolicySettings(spare_in_use=True, interlocks=("fire",)))
    assert [(lines[rule].outcome, lines[rule].sentence) for rule in ("interlocks", "in_use")] == [("pass", ASKED_LATER)] * 2
    _, behind = explained(update(1), update(2), settings=PolicySettings(spare_in_use=True, interlocks=("fire",)))
    assert behind["slot"].outcome == "wait", "what is asked for one tells nothing of the next"
    (lines,) = explained(update(1), settings=PolicySettings(spare_in_use=True), house=House(in_use={device_id(1): True}))
    assert (lines["in_use"].outcome, lines["in_use"].reason) == ("wait", "in_use")


# --- what is given up -------------------------------------------------------------------------------------------------------------------------

MONTH = timedelta(days=30)


def asleep_since(then: datetime, *, now: datetime, listened: timedelta = LISTENED, **world: Any) -> tuple[bool, str]:
    """Whether an order for a device that was heard last `then` is given up, and what is said of it."""
    changes = {"actor": "anna"} | world.pop("order", {})
    house = House(clock=world.pop("clock", None))
    settings = world.pop("settings", PolicySettings())
    devices = {device_id(1): device(id=device_id(1), sleepy=True, last_seen=then)}
    air = Air(radios={RADIO: RadioAir()}, devices=devices, listened=listened, house=house, policy_of=lambda _: settings)
    verdict = admit([update(1, created=NOW, **changes)], [], air=air, now=now).waiting[ids(1)[0]]
    assert verdict.reason == "asleep"
    return has_given_up(verdict, air, now), verdict.sentence


def test_a_sleeper_that_is_not_heard_is_given_up_on_the_day_that_was_said() -> None:
    assert asleep_since(NOW, now=NOW + MONTH - SECOND) == (
        False,
        "The device sleeps; the update starts when it wakes. It is given up when nothing is heard of the device until 2024-04-29 12:00 UTC.",
    )
    assert asleep_since(NOW, now=NOW + MONTH)[0]


@pytest.mark.parametrize(
    "world",
    [
        {"then": NOW + timedelta(days=1)},  # it was heard since
        {"listened": LISTENED - SECOND},  # the hub has just begun to listen
        {"clock": "it has not been set"},
        {"order": {"actor": "policy"}},
        {"order": {"not_before": NOW + timedelta(days=1)}},  # ordered for later
        {"settings": PolicySettings(asleep_for=timedelta(0))},
        {"settings": PolicySettings(asleep_for=MONTH + SECOND)},
    ],
    ids=str,
)
def test_a_sleeper_is_not_given_up(world: dict[str, Any]) -> None:
    assert not asleep_since(**({"then": NOW, "now": NOW + MONTH} | world))[0]


def test_a_date_counts_for_those_only_whom_nobody_has_heard_since_the_order() -> None:
    assert not asleep_since(NOW - 2 * MONTH, now=NOW + MONTH - SECOND)[0]
    assert asleep_since(NOW - 2 * MONTH, now=NOW + MONTH)[0]
