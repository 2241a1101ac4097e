"""Reading the queue ahead: slots fill one after the other, and nothing is foreseen outside of its window."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

from otagate.policy.admit import explain
from otagate.policy.air import Air, RadioAir
from otagate.policy.cost import COIN, airtime, cost_of, drained
from otagate.policy.forecast import When, foresee
from otagate.policy.guards import House
from otagate.policy.pace import QUICK, Kin, rate_of
from otagate.policy.settings import PolicySettings
from otagate.policy.window import Window
from tests.policy.cases import COMPONENT, DEVICE, NOW, RADIO, component, device, device_id, update

NIGHT = Window(name="night", zone=ZoneInfo("Europe/Berlin"), start=60, end=180)
HALF_HOUR = int(QUICK * 25 * 60)
"""Bytes that take 25 minutes, half an hour with what comes around them."""


def foreseen(count: int, *, parallel: int = 1, windows: tuple[Window, ...] = (), **changes: object) -> list[When]:
    queue = [update(each, bytes_total=HALF_HOUR) for each in range(1, count + 1)]
    devices = {device_id(each): device(id=device_id(each), **changes) for each in range(1, count + 1)}
    settings = PolicySettings(windows=windows)
    air = Air(radios={RADIO: RadioAir(parallel=parallel)}, devices=devices, policy_of=lambda _: settings, house=House(windows=windows))
    lines = explain(queue, [], [], air=air, now=NOW)
    return foresee(queue, [], [], lines, air=air, now=NOW)


def test_of_two_for_one_slot_the_second_begins_when_the_first_has_ended() -> None:
    first, second = foreseen(2)
    assert (first.kind, second.kind) == ("now", "turn")
    assert second.begins == first.ends == NOW + timedelta(minutes=30)


def test_a_night_that_is_full_sends_the_rest_to_the_next_one_also_where_clocks_are_changed() -> None:
    found = foreseen(4, windows=(NIGHT,))  # the night of 31 March 2024 is an hour shorter: from 1:00 to 3:00 it has one hour
    begins = [each.begins for each in found]
    assert None not in begins
    local = [f"{each.astimezone(NIGHT.zone):%m-%d %H:%M}" for each in begins if each is not None]
    assert local == ["03-31 01:00", "03-31 01:30", "04-01 01:00", "04-01 01:30"]


def test_what_waits_for_somebody_is_not_given_a_time() -> None:
    (found,) = foreseen(1, power="battery", battery_percent=30)
    assert (found.kind, found.begins) == ("unknown", None)
    assert "30 %" in found.sentence


def test_a_device_that_sleeps_begins_when_it_wakes() -> None:
    (found,) = foreseen(1, sleepy=True, last_seen=NOW - timedelta(hours=1))
    assert found.kind == "wake"


def test_a_rate_is_the_devices_own_else_that_of_its_model_else_an_estimate() -> None:
    fast = device(components=(component(rate=500.0),))
    kin = Kin.of([fast])
    assert rate_of(COMPONENT.id, fast, kin).known == "measured here"
    assert (rate_of(COMPONENT.id, DEVICE, kin).value, rate_of(COMPONENT.id, DEVICE, kin).known) == (500.0, "as others of its model")
    assert rate_of(COMPONENT.id, replace(DEVICE, model="Lamp 2"), kin).known == "estimate"


def test_the_air_of_a_quarter_of_a_mebibyte_is_what_the_frames_of_two_hops_need() -> None:
    seconds = airtime(256 * 1024, DEVICE)
    assert seconds is not None
    assert 100 < seconds < 110  # 5,243 blocks of two frames, 9.9 ms a hop
    assert airtime(1, device(protocol="cloud")) is None


def test_only_a_battery_is_told_what_it_loses() -> None:
    assert cost_of(1000, COMPONENT.id, DEVICE).battery is None
    spent = cost_of(60 * 3600, COMPONENT.id, device(power="battery", sleepy=True)).battery
    assert spent is not None
    assert round(spent.value, 1) == round(100 * 12 / COIN, 1)  # an hour awake


def test_what_a_battery_lost_here_counts_more_than_what_its_kind_loses() -> None:
    sleeper = device(power="battery", sleepy=True, components=(replace(COMPONENT, drain=8.0),))
    spent = cost_of(1 << 19, COMPONENT.id, sleeper).battery
    assert spent is not None
    assert (spent.value, spent.known) == (4.0, "measured here")


def test_a_drain_is_learned_half_from_the_last_image_and_nothing_from_a_new_battery() -> None:
    assert drained(None, 1 << 18, charged=90, left=88) == 8.0
    assert drained(8.0, 1 << 18, charged=88, left=88) == 4.0
    assert drained(8.0, 1 << 18, charged=60, left=100) == 8.0
    assert drained(None, 1 << 18, charged=88, left=88) is None
    assert drained(8.0, 0, charged=90, left=80) == drained(8.0, 1, charged=None, left=80) == drained(8.0, 1, charged=90, left=None) == 8.0
