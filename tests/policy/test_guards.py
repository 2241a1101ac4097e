"""What stands guard before an update begins: for every word one case in and one case out."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otagate.model.devices import ZwaveNode
from otagate.model.ids import UpdateId
from otagate.model.lifecycle import State
from otagate.model.links import Link, Load
from otagate.model.updates import Update
from otagate.model.verdicts import Guard, Verdict
from otagate.policy.admit import Admission, admit, explain
from otagate.policy.air import Air, RadioAir
from otagate.policy.guards import House, Watch, fits, stands_still
from otagate.policy.pace import AROUND, QUICK, SLOW, expected, learned
from otagate.policy.settings import PolicySettings
from otagate.policy.window import OneTime, Window, hours
from tests.policy.cases import NOW, RADIO, component, device, device_id, release, update

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def around(begins: timedelta, ends: timedelta, **more: Any) -> OneTime:
    """A window from so long after now until so long after now."""
    return OneTime(name="night", begins=NOW + begins, ends=NOW + ends, **more)


OPEN, SHUT = around(-HOUR, HOUR), around(HOUR, 2 * HOUR)
NIGHTLY = Window(name="night", zone=ZoneInfo("UTC"), start=11 * 60, end=13 * 60)
SMALL = {"bytes_total": 1000}
HOURS = {"bytes_total": int(3 * 3600 * QUICK)}
FAST = component(rate=100_000.0)
BATTERY = {"power": "battery", "battery_percent": 100}
SERVICE = release(location="x", released=NOW - timedelta(days=3))


def ask(
    mine: Update,
    *,
    settings: dict[str, Any] | None = None,
    of: dict[str, Any] | None = None,
    now: datetime = NOW,
    load: Load | None = None,
    **house: Any,
) -> Admission:
    """Ask about one update of a device that could begin if nothing stood guard."""
    found = device(**{"id": mine.device, **(of or {})})
    wanted = PolicySettings(**(settings or {}))
    air = Air(radios={RADIO: RadioAir(load=load)}, devices={found.id: found}, policy_of=lambda _: wanted, house=House(**house))
    return admit([mine], [], air=air, now=now)


def heard(*, of: dict[str, Any] | None = None, settings: dict[str, Any] | None = None, age: timedelta = timedelta(0), **link: Any) -> dict[str, Any]:
    """A world in which the device was heard so."""
    return {"links": {device_id(1): Link(heard=NOW - age, **link)}, "of": of, "settings": settings}


def loaded(*, settings: dict[str, Any] | None = None, **load: Any) -> dict[str, Any]:
    """A world in which its radio has so much to do."""
    return {"load": Load(measured=NOW, seconds=180, **load), "settings": settings}


LONG_RANGE = {"node": ZwaveNode(long_range=True)}


def row(reason: str | None, *, name: str, world: dict[str, Any] | None = None, changes: dict[str, Any] | None = None, **more: Any) -> Any:
    return pytest.param(reason, update(1, **{"actor": "anna", **more, **(changes or {})}), world or {}, id=name)


BELOW = {"of": {**BATTERY, "battery_percent": 69}}
UNKNOWN = {"of": {**BATTERY, "battery_percent": None}}
NOT_NOW = {"settings": {"windows": (SHUT,)}}
UNSET = {"settings": {"windows": (OPEN,)}, "clock": "The clock is not set."}
LIMITED: dict[str, Any] = {"started": NOW, "changes": {"reason": "quota"}}
UNTOLD = {"clock": "The clock is not set."}
ASKED = {"settings": {"interlocks": ("fire", "frost")}}
SPARED = {"settings": {"spare_in_use": True}}
TABLE = [
    row(None, name="no window is any time"),
    row("window_closed", name="window closed", world=NOT_NOW),
    row(None, name="window open", world={"settings": {"windows": (OPEN,)}}),
    row(None, name="one of several windows open", world={"settings": {"windows": (SHUT, OPEN)}}),
    row(None, name="window overruled", world=NOT_NOW, override=("window_closed",), because="x"),
    row(None, name="window forced", world=NOT_NOW, force=True),
    row("window_closed", name="another guard overruled", world=NOT_NOW, override=("battery_low",), because="x"),
    row("window_closed", name="ordered for a window, none is its own", world={"windows": (SHUT,)}, in_window=True),
    row(None, name="ordered for a window, one is open", world={"windows": (SHUT, OPEN)}, in_window=True),
    row("window_closed", name="ordered for a window, none is left", in_window=True),
    row(None, name="not ordered for a window, and none is its own", world={"windows": (SHUT,)}),
    row(
        "window_closed", name="ends too late, and the next window is long enough", world={"settings": {"windows": (NIGHTLY,)}}, bytes_total=1_000_000
    ),
    row(None, name="ends in time", world={"settings": {"windows": (NIGHTLY,)}}, **SMALL),
    row(None, name="ends in time at the rate it reached before", world={"settings": {"windows": (NIGHTLY,)}, "of": {"components": (FAST,)}}, **HOURS),
    row(None, name="no window is long enough: at the beginning of one", world={"settings": {"windows": (around(-HOUR, 2 * HOUR),)}}, **HOURS),
    row("window_closed", name="no window is long enough: near the end of one", world={"settings": {"windows": (around(-2 * HOUR, HOUR),)}}, **HOURS),
    row(None, name="no window is long enough: it pauses", world={"settings": {"windows": (around(-2 * HOUR, HOUR, at_end="pause"),)}}, **HOURS),
    row(None, name="nobody knows its size", world={"settings": {"windows": (NIGHTLY,)}}, bytes_total=0),
    row(None, name="used in a window, brought at any time", world=NOT_NOW, hold_activation=True, activate_in_window=True),
    row("window_closed", name="used and brought in a window", world=NOT_NOW, activate_in_window=True, in_window=True),
    row("clock_unsynced", name="clock not set", world=UNSET),
    row(None, name="clock not set, and no window", world={"clock": "The clock is not set."}),
    row("clock_unsynced", name="clock not set, at a time that it shows as over", world=UNTOLD, not_before=NOW),
    row("clock_unsynced", name="clock not set, at a time to come", world=UNTOLD, not_before=NOW + HOUR),
    row(None, name="clock not set, at a time, overruled", world=UNTOLD, not_before=NOW, override=("window_closed",), because="x"),
    row(
        "clock_unsynced",
        name="clock not set, a release old enough by it",
        actor="policy",
        release=SERVICE,
        world=UNTOLD | {"settings": {"cooldown": DAY}},
    ),
    row(None, name="clock not set, a release that somebody ordered", release=SERVICE, world=UNTOLD),
    row(None, name="clock not set, a release that needs no age", actor="policy", release=SERVICE, world=UNTOLD | {"settings": {"cooldown": 0 * DAY}}),
    row(None, name="clock not set, a file that is here", actor="policy", world=UNTOLD | {"settings": {"cooldown": DAY}}),
    row(
        None,
        name="clock not set, a release whose age is overruled",
        actor="policy",
        override=("cooldown",),
        because="x",
        release=SERVICE,
        world=UNTOLD | {"settings": {"cooldown": DAY}},
    ),
    row(None, name="clock not set, the pause after an attempt is over", world=UNTOLD, not_before=NOW, started=NOW),
    row("backoff", name="a pause as long as one can be", not_before=NOW + 12 * HOUR, started=NOW),
    row(None, name="a pause that is longer than any: the clock went back", not_before=NOW + 13 * HOUR, started=NOW),
    row("quota", name="a source that wants a month", not_before=NOW + 30 * DAY, **LIMITED),
    row(None, name="a source that wants decades: the clock went back", not_before=NOW + 9999 * DAY, **LIMITED),
    row("scheduled", name="ordered for years later", not_before=NOW + 999 * DAY),
    row("asleep", name="heard in the future of a clock that went back", world={"of": {"sleepy": True, "last_seen": NOW + HOUR}}),
    row(None, name="clock not set, window overruled", world=UNSET, override=("window_closed",), because="x"),
    row("cooldown", name="new release", actor="policy", release=SERVICE),
    row(None, name="new release that somebody ordered", release=SERVICE),
    row(None, name="new release that somebody approved", actor="policy", approved_by="anna", release=SERVICE),
    row(None, name="new release overruled", actor="policy", override=("cooldown",), because="x", release=SERVICE),
    row(None, name="release old enough", actor="policy", release=SERVICE, world={"settings": {"cooldown": 3 * DAY}}),
    row("cooldown", name="release not quite old enough", actor="policy", release=SERVICE, world={"settings": {"cooldown": 3 * DAY + HOUR}}),
    row("cooldown", name="release without a date, planned just now", actor="policy", release=replace(SERVICE, released=None)),
    row(None, name="release without a date, planned long ago", actor="policy", release=replace(SERVICE, released=None), created=NOW - 14 * DAY),
    row("cooldown", name="release from the future, planned just now", actor="policy", release=replace(SERVICE, released=NOW + 99 * DAY)),
    row(None, name="release from the future, planned long ago", actor="policy", release=replace(SERVICE, released=NOW), created=NOW - 14 * DAY),
    row(None, name="a file that is here has no cooldown", actor="policy"),
    row("battery_low", name="battery low", world=BELOW),
    row(None, name="battery at the floor", world={"of": {**BATTERY, "battery_percent": 70}}),
    row(None, name="battery low overruled", world=BELOW, override=("battery_low",), because="x"),
    row("battery_low", name="low is not unknown", world=BELOW, override=("battery_unknown",), because="x"),
    row(None, name="a floor of its own", world={**BELOW, "settings": {"battery_floor": 50}}),
    row(None, name="mains with a spare battery", world={"of": {"battery_percent": 5}}),
    row("battery_unknown", name="battery unknown", actor="policy", world=UNKNOWN),
    row(None, name="battery unknown, ordered", world=UNKNOWN),
    row(None, name="battery unknown, approved", actor="policy", approved_by="anna", world=UNKNOWN),
    row(None, name="battery unknown, overruled", actor="policy", override=("battery_unknown",), because="x", world=UNKNOWN),
    row(None, name="battery unknown, no floor", actor="policy", world={**UNKNOWN, "settings": {"battery_floor": 0}}),
    row("link_weak", name="heard badly", world=heard(lqi=19)),
    row(None, name="heard just well enough", world=heard(lqi=20)),
    row(None, name="nobody knows how well it is heard"),
    row(None, name="heard badly, overruled", world=heard(lqi=19), override=("link_weak",), because="x"),
    row("link_weak", name="heard badly, another guard overruled", world=heard(lqi=19), override=("load",), because="x"),
    row(None, name="heard badly, forced", world=heard(lqi=19), force=True),
    row(None, name="a floor of nought", world=heard(lqi=0, settings={"lqi_floor": 0})),
    row("link_weak", name="a link floor of its own", world=heard(lqi=99, settings={"lqi_floor": 100})),
    row("link_weak", name="heard badly this morning", world=heard(lqi=19, age=24 * HOUR)),
    row(None, name="heard badly the day before", world=heard(lqi=19, age=25 * HOUR)),
    row("link_weak", name="heard badly, in the future of a clock that went back", world=heard(lqi=19, age=-HOUR)),
    row("link_weak", name="a weak signal, no link quality", world=heard(rssi=-95)),
    row(None, name="a signal just strong enough", world=heard(rssi=-94)),
    row(None, name="a weak signal of a good link quality", world=heard(lqi=200, rssi=-95)),
    row(None, name="a weak signal of Long Range", world=heard(rssi=-106, of=LONG_RANGE)),
    row("link_weak", name="a signal that only Long Range would hear", world=heard(rssi=-95, of={"node": ZwaveNode()})),
    row("link_weak", name="too weak a signal of Long Range", world=heard(rssi=-107, of=LONG_RANGE)),
    row(None, name="heard, nobody knows how", world=heard()),
    row("load", name="the air is in use", world=loaded(used=51)),
    row("load", name="the radio refuses", world=loaded(refused=51)),
    row(None, name="as much to do as it may have", world=loaded(used=50, refused=50)),
    row(None, name="much to do, overruled", world=loaded(used=51), override=("load",), because="x"),
    row("load", name="much to do, another guard overruled", world=loaded(used=51), override=("link_weak",), because="x"),
    row(None, name="all to do, and no limit", world=loaded(used=100, refused=100, settings={"load_limit": 100})),
    row("interlock", name="interlock not asked", world=ASKED),
    row("interlock", name="interlock says no", world={**ASKED, "interlocks": {"fire": None, "frost": "it freezes"}}),
    row(None, name="interlocks say yes", world={**ASKED, "interlocks": {"fire": None, "frost": None}}),
    row(None, name="interlock of others says no", world={"interlocks": {"fire": "fire test"}}),
    row(None, name="interlock overruled", world=ASKED, override=("interlock",), because="x"),
    row("in_use", name="not asked whether it is on", world=SPARED),
    row("in_use", name="it is on", world={**SPARED, "in_use": {device_id(1): True}}),
    row(None, name="it is off", world={**SPARED, "in_use": {device_id(1): False}}),
    row(None, name="it is on, which does not matter", world={"in_use": {device_id(1): True}}),
    row(None, name="it is on, overruled", world=SPARED, override=("in_use",), because="x"),
]


@pytest.mark.parametrize(("reason", "mine", "world"), TABLE)
def test_the_decision_table(reason: str | None, mine: Update, world: dict[str, Any]) -> None:
    admission = ask(mine, **world)
    if reason is None:
        assert admission.admitted == (mine.id,)
        return
    assert admission.admitted == ()
    verdict = admission.waiting[mine.id]
    assert (verdict.decision, verdict.reason) == ("hold", reason)
    assert verdict.sentence.endswith(".")


def test_every_guard_of_the_queue_has_a_case_in_and_a_case_that_overrules_it() -> None:
    held = {each.values[0] for each in TABLE}
    overruled = {guard for each in TABLE for guard in each.values[1].override if each.values[0] is None}  # type: ignore[union-attr]
    of_releases = {"pinned", "skipped", "awaiting_approval", "battery_unknown", "quarantined"}
    assert set(get_args(Guard)) - of_releases <= held & overruled
    assert "battery_unknown" in held


def sentence(mine: Update, **world: Any) -> str:
    return ask(mine, **world).waiting[mine.id].sentence


def test_a_closed_window_says_when_it_opens_by_the_clock_of_its_zone() -> None:
    berlin = Window(name="night", zone=ZoneInfo("Europe/Berlin"), start=60, end=300)
    assert sentence(update(1), settings={"windows": (berlin,)}) == ("No window is open for it; night opens on Sun 2024-03-31 01:00 (Europe/Berlin).")
    assert sentence(update(1), settings={"windows": (around(-2 * HOUR, -HOUR),)}) == "No window is open for it; none opens any more."


def test_what_is_moved_to_a_window_with_its_use_says_why() -> None:
    assert "uses an image as soon as it has it" in sentence(update(1, activate_in_window=True, in_window=True), **NOT_NOW)
    assert "uses an image" not in sentence(update(1, in_window=True), **NOT_NOW)


def test_what_ends_too_late_says_how_long_it_takes_and_how_long_there_is() -> None:
    told = sentence(update(1, bytes_total=1_000_000), settings={"windows": (NIGHTLY,)})
    assert told == "It is likely to take 88 min, and its window closes in 60 min; night opens on Sun 2024-03-31 11:00 (UTC)."


def test_a_cooldown_says_on_which_date_it_ends() -> None:
    assert "on 2024-04-10" in sentence(update(1, release=SERVICE, actor="policy"))


def test_a_low_battery_says_how_low_and_what_is_wanted() -> None:
    assert sentence(update(1), **BELOW) == "Its battery is at 69 %, and no update begins below 70 %."


def test_a_weak_link_says_how_it_was_heard_and_when_and_what_is_wanted() -> None:
    told = "It was heard 5 min ago with a link quality of 19 of 255, and no update begins below 20."
    assert sentence(update(1), **heard(lqi=19, age=timedelta(minutes=5))) == told
    assert sentence(update(1), **heard(rssi=-95)) == "It was heard just now with a signal of -95 dBm, and no update begins below -94."


@pytest.mark.parametrize(
    ("seconds", "told"), [(59, "just now"), (60, "1 min ago"), (7_140, "119 min ago"), (7_200, "2.0 h ago"), (36_000, "10.0 h ago")]
)
def test_how_long_ago_is_told_in_minutes_and_of_many_in_hours(seconds: int, told: str) -> None:
    assert f"It was heard {told} with" in sentence(update(1), **heard(lqi=19, age=timedelta(seconds=seconds)))


def test_a_closed_window_tells_programs_which_one_opens_and_when() -> None:
    verdict = ask(update(1), **NOT_NOW).waiting[update(1).id]
    assert verdict.facts == {"opens": "2024-03-30T13:00:00+00:00", "window": "night"}
    assert ask(update(1), settings={"windows": (CLOSED,)}).waiting[update(1).id].facts == {}


def test_a_loaded_radio_says_with_what_and_since_when() -> None:
    told = "In the last 3 min other traffic used 70 % of the time on the air of its radio, and no update begins above 50 %."
    assert sentence(update(1), **loaded(used=70, refused=60)) == told
    told = "In the last 3 min its radio refused 70 % of what it was given to send, and no update begins above 50 %."
    assert sentence(update(1), **loaded(used=60, refused=70)) == sentence(update(1), **loaded(used=70, refused=70)) == told


def test_an_explanation_tells_how_a_device_was_heard_also_where_that_is_good_enough() -> None:
    found = device(id=device_id(1))
    air = Air(
        radios={RADIO: RadioAir(load=Load(measured=NOW, seconds=180, used=3))}, devices={found.id: found}, house=House(links=heard(lqi=99)["links"])
    )
    (lines,) = explain([update(1)], [], [], air=air, now=NOW)
    said = {line.rule: (line.outcome, dict(line.facts)) for line in lines}
    assert said["link"] == ("pass", {"lqi": 99, "rssi": None, "repeaters": None, "heard": NOW.isoformat(timespec="seconds")})
    assert said["load"] == ("pass", {"used": 3, "refused": 0, "seconds": 180, "measured": NOW.isoformat(timespec="seconds")})


def test_only_those_are_asked_whose_answer_is_all_that_is_missing() -> None:
    both = {"interlocks": ("fire",), "spare_in_use": True}
    first = ask(update(1), settings=both)
    assert (first.asks_interlocks, first.asks_devices) == ({"fire"}, frozenset())
    second = ask(update(1), settings=both, interlocks={"fire": None})
    assert (second.asks_interlocks, second.asks_devices) == (frozenset(), {device_id(1)})
    closed = ask(update(1), settings={**both, "windows": (SHUT,)})
    assert (closed.asks_interlocks, closed.asks_devices) == (frozenset(), frozenset())


# --- when a window closes ----------------------------------------------------------------------------------------------------------------


def still(windows: tuple[Any, ...], *, moving: bool, now: datetime = NOW, clock: str | None = None, **changes: Any) -> Verdict | None:
    mine = update(1, state=State.TRANSFERRING if moving else State.OFFERING, **changes)
    return stands_still(mine, PolicySettings(windows=windows), Watch(now=now, house=House(clock=clock)), moving=moving)


CLOSED, CLOSED_PAUSING = around(-2 * HOUR, -HOUR), around(-2 * HOUR, -HOUR, at_end="pause")


def test_a_transfer_finishes_or_pauses_as_the_window_says_that_closed_last() -> None:
    assert still((CLOSED,), moving=True) is None
    held = still((CLOSED_PAUSING, SHUT), moving=True)
    assert held is not None
    assert (held.reason, held.sentence) == ("window_closed", "Its window has closed; night opens on Sat 2024-03-30 13:00 (UTC).")
    assert still((CLOSED_PAUSING, OPEN), moving=True) is None
    assert still((around(-5 * HOUR, -4 * HOUR, at_end="pause"), CLOSED), moving=True) is None
    assert still((SHUT,), moving=True) is None, "no window has closed on it"


def test_what_was_only_offered_does_not_begin_when_the_window_has_closed() -> None:
    assert still((CLOSED,), moving=False) is not None
    assert still((CLOSED_PAUSING,), moving=False) is not None
    assert still((CLOSED, OPEN), moving=False) is None
    assert still((), moving=False) is None
    assert still((CLOSED,), moving=False, force=True) is None


def test_what_moves_is_not_stopped_for_a_clock_that_nobody_trusts() -> None:
    assert still((CLOSED_PAUSING,), moving=True, clock="It is 1970.") is None


# --- whether it may begin in what is left of a window ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("needed", "windows", "may"),
    [
        (1, (around(-HOUR, HOUR),), True),
        (2, (around(-HOUR, HOUR), around(10 * HOUR, 12 * HOUR)), False),  # exactly the length of the next one
        (4, (around(-HOUR, 2 * HOUR), around(10 * HOUR, 15 * HOUR)), False),  # the next one is longer
        (6, (around(-HOUR, 2 * HOUR), around(10 * HOUR, 15 * HOUR)), True),  # no window is long enough, and this one has just begun
        (9, (around(-HOUR, HOUR),), True),  # exactly half of it is left
        (9, (around(-HOUR - timedelta(seconds=1), HOUR),), False),
        (9, (around(-2 * HOUR, HOUR, at_end="pause"),), True),
        (1, (SHUT,), False),
    ],
)
def test_what_takes_so_many_hours_begins_where_it_ends_in_time_or_no_window_is_long_enough(
    needed: int, windows: tuple[OneTime, ...], may: bool
) -> None:
    assert fits(needed * HOUR, hours(windows, NOW), NOW) is may


# --- how long it takes -------------------------------------------------------------------------------------------------------------------


def test_the_time_an_update_takes_is_that_of_its_kind_until_its_device_has_shown_better() -> None:
    mine = update(1, bytes_total=int(600 * QUICK))
    assert expected(mine, device()) == AROUND + timedelta(seconds=600)
    assert expected(mine, device(sleepy=True)) == AROUND + timedelta(seconds=600 * QUICK / SLOW)
    assert expected(mine, device(components=(component(rate=2 * QUICK),))) == AROUND + timedelta(seconds=300)
    assert expected(replace(mine, bytes_sent=int(300 * QUICK), state=State.TRANSFERRING), device()) == AROUND + timedelta(seconds=300)
    assert expected(update(1, bytes_total=0), device()) is None


def test_a_rate_is_learned_half_from_the_last_transfer() -> None:
    assert learned(None, 1000, 10) == 100
    assert learned(100, 1000, 5) == 150
    assert (learned(100, 1000, 0), learned(None, 0, 10)) == (100, None)


# --- laws --------------------------------------------------------------------------------------------------------------------------------

ORDERS = st.fixed_dictionaries(
    {
        "bytes_total": st.integers(0, 10_000_000),
        "in_window": st.booleans(),
        "actor": st.sampled_from(["policy", "anna"]),
        "approved_by": st.sampled_from([None, "b"]),
    }
)
SETTINGS = st.builds(
    PolicySettings,
    windows=st.lists(
        st.builds(
            lambda start, length, pause: Window(
                name="w", zone=ZoneInfo("Europe/Berlin"), start=start, end=(start + length) % 1440 or 1440, at_end="pause" if pause else "finish"
            ),
            st.integers(0, 1439),
            st.integers(1, 1439),
            st.booleans(),
        ),
        max_size=2,
    ).map(tuple),
    battery_floor=st.integers(0, 100),
)
MOMENTS = st.integers(-400_000, 400_000).map(lambda seconds: NOW + timedelta(seconds=seconds))


@given(st.lists(st.tuples(ORDERS, st.none() | st.integers(0, 100)), min_size=1, max_size=8), SETTINGS, MOMENTS, st.randoms(use_true_random=False))
def test_nothing_begins_outside_a_window_or_below_the_floor_and_the_order_of_arrival_changes_nothing(
    drawn: list[tuple[dict[str, Any], int | None]], wanted: PolicySettings, now: datetime, dice: Any
) -> None:
    queue = [update(number, created=NOW, **order) for number, (order, _) in enumerate(drawn)]
    devices = {device_id(n): device(id=device_id(n), power="battery", battery_percent=percent) for n, (_, percent) in enumerate(drawn)}
    air = Air(radios={RADIO: RadioAir(parallel=3)}, devices=devices, policy_of=lambda _: wanted, house=House(windows=wanted.windows))
    admission = admit(queue, [], air=air, now=now)
    started = [each for each in queue if each.id in admission.admitted]
    for each in started:
        if wanted.windows or each.in_window:
            assert hours(wanted.windows, now).open is not None
        percent = devices[each.device].battery_percent
        assert percent is None or percent >= wanted.battery_floor
        assert percent is not None or not each.unasked or wanted.battery_floor == 0
    shuffled = list(queue)
    dice.shuffle(shuffled)
    assert admit(shuffled, [], air=air, now=now) == admission
    assert {each.id for each in queue} == {*admission.admitted, *(UpdateId(each) for each in admission.waiting)}
