"""How much a radio has to do, and how well its devices are heard."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from otagate.model.links import Link
from otagate.radios.meter import SECONDS, Meter, Readings, is_news

NOW = datetime(2026, 5, 1, tzinfo=UTC)
CCA = ("PHY_CCA_FAIL_COUNT",)


def fill(meter: Meter, since: float, until: float, *, a_second: int) -> None:
    for second in range(int(since), int(until)):
        for _ in range(a_second):
            meter.heard(30, float(second))


def test_the_air_that_frames_use_is_told_as_a_share_of_the_last_minutes() -> None:
    meter = Meter()
    fill(meter, 0, SECONDS, a_second=100)  # 75 octets and 4.576 ms each
    load = meter.load(SECONDS - 1, NOW)
    assert (load.used, load.refused, load.measured) == (46, 0, NOW)
    assert meter.load(2 * SECONDS + 30, NOW).used == 0


def test_a_burst_just_after_the_start_is_no_load() -> None:
    meter = Meter()
    fill(meter, 0, 5, a_second=100)
    assert meter.load(5.0, NOW).used <= 4


def test_what_a_radio_refuses_is_told_once_it_was_given_enough_to_judge_by() -> None:
    meter = Meter()
    for _ in range(39):
        meter.given(1.0, refused=1)
    assert meter.load(1.0, NOW).refused == 0
    meter.given(1.0)
    assert meter.load(1.0, NOW).refused == 98
    assert meter.load(1.0 + SECONDS + 15, NOW).refused == 0


def test_counters_of_the_radio_itself_count_from_one_look_to_the_next_and_may_begin_anew() -> None:
    meter = Meter()
    meter.counted({"SENT": 1_000, "PHY_CCA_FAIL_COUNT": 900}, 0.0, given="SENT", refused=CCA)
    assert meter.load(0.0, NOW).refused == 0
    meter.counted({"SENT": 1_050, "PHY_CCA_FAIL_COUNT": 950}, 15.0, given="SENT", refused=CCA)
    assert meter.load(15.0, NOW).refused == 50
    meter.counted({"SENT": 0, "PHY_CCA_FAIL_COUNT": 0}, 30.0, given="SENT", refused=CCA)
    assert meter.load(30.0, NOW).refused == 50
    meter.forget()
    assert meter.load(45.0, NOW).refused == 0


def test_how_often_a_frame_is_sent_is_what_the_radio_counts() -> None:
    meter = Meter()

    def count(sent: int, failed: int, repeated: int, now: float) -> None:
        meter.counted({"SENT": sent, "FAILED": failed, "AGAIN": repeated}, now, given="SENT", refused=(), failed="FAILED", repeated="AGAIN")

    count(1_000, 100, 5_000, 0.0)
    assert meter.tries(0.0) == 1.0, "what was before is not lately"
    count(1_090, 110, 5_100, 15.0)
    assert meter.tries(15.0) == 2.0
    for _ in range(100):
        meter.ended(16.0, delivered=False)
    assert meter.tries(16.0) == 2.0, "counted twice"
    count(1_190, 110, 5_100, 80.0)
    assert meter.tries(80.0) == 1.0


def test_a_radio_that_counts_nothing_is_judged_by_how_frames_ended_once_there_are_enough() -> None:
    meter = Meter()
    for _ in range(39):
        meter.ended(1.0, delivered=False)
    assert meter.tries(1.0) == 1.0
    for _ in range(41):
        meter.ended(1.0, delivered=True)
    assert meter.tries(1.0) == pytest.approx((39 * 4 + 41) / 80)
    assert meter.tries(70.0) == 1.0


def test_only_another_load_is_news() -> None:
    meter = Meter()
    first = meter.load(0.0, NOW)
    assert is_news(first, None)
    assert not is_news(meter.load(15.0, NOW), first)
    fill(meter, 15, 30, a_second=50)
    assert is_news(meter.load(30.0, NOW), first)


def test_two_bad_frames_make_no_weak_link_and_three_do() -> None:
    readings = Readings()
    assert readings.link(NOW) is None
    for lqi in (200, 10, 210, 190, 10):
        readings.take(lqi, -60)
    assert readings.link(NOW) == Link(heard=NOW, lqi=190, rssi=-60)
    for _ in range(3):
        readings.take(10, -90)
    assert readings.link(NOW) == Link(heard=NOW, lqi=10, rssi=-90)


def test_a_library_that_does_not_know_the_strength_of_a_signal_tells_none() -> None:
    readings = Readings()
    readings.take(None, 0)
    readings.take(None, None)
    assert readings.link(NOW) is None
    readings.take(0)
    assert readings.link(NOW) == Link(heard=NOW, lqi=0)
