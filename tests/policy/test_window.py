"""When a window is open: by the clock on the wall, through nights on which clocks are changed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otagate.policy.guards import preview
from otagate.policy.window import BUILT, AnyWindow, OneTime, Opening, Window, hours, judge_clock, openings

BERLIN = ZoneInfo("Europe/Berlin")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")


def window(start: str, end: str, *, zone: ZoneInfo = BERLIN, name: str = "night", **more: object) -> Window:
    def minutes(text: str) -> int:
        return int(text[:2]) * 60 + int(text[3:])

    return Window(name=name, zone=zone, start=minutes(start), end=minutes(end), **more)  # type: ignore[arg-type]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def on(of: AnyWindow, day: str) -> list[tuple[str, str]]:
    """The openings that begin within this day of UTC and the one after, as times of UTC."""
    since = utc(day)
    found = openings([of], since, since + timedelta(days=2))
    return [(f"{each.begins:%d %H:%M}", f"{each.ends:%d %H:%M}") for each in found]


@pytest.mark.parametrize(
    ("of", "day", "expected"),
    [
        pytest.param(window("01:00", "05:00"), "2026-01-14", [("14 00:00", "14 04:00"), ("15 00:00", "15 04:00")], id="winter"),
        pytest.param(window("01:00", "05:00"), "2026-07-14T12:00", [("14 23:00", "15 03:00"), ("15 23:00", "16 03:00")], id="summer"),
        pytest.param(window("22:30", "05:00"), "2026-07-14T12:00", [("14 20:30", "15 03:00"), ("15 20:30", "16 03:00")], id="over midnight"),
        pytest.param(window("00:00", "24:00", days=frozenset({2})), "2026-01-13", [("13 23:00", "14 23:00")], id="a whole Wednesday"),
        pytest.param(
            window("22:00", "02:00", days=frozenset({6})), "2026-01-18", [("18 21:00", "19 01:00")], id="Sunday's night is Monday's morning"
        ),
        # Berlin, 2026-03-29: 02:00 becomes 03:00 at 01:00 UTC
        pytest.param(window("01:00", "05:00"), "2026-03-28T12:00", [("29 00:00", "29 03:00"), ("29 23:00", "30 03:00")], id="an hour is missing"),
        pytest.param(
            window("02:30", "05:00"), "2026-03-28T12:00", [("29 01:00", "29 03:00"), ("30 00:30", "30 03:00")], id="begins in what is missing"
        ),
        pytest.param(
            window("01:00", "02:30"), "2026-03-28T12:00", [("29 00:00", "29 01:00"), ("29 23:00", "30 00:30")], id="ends in what is missing"
        ),
        pytest.param(window("02:10", "02:50"), "2026-03-28T12:00", [("30 00:10", "30 00:50")], id="is missing"),
        # Berlin, 2026-10-25: 03:00 becomes 02:00 at 01:00 UTC
        pytest.param(window("01:00", "05:00"), "2026-10-24T12:00", [("24 23:00", "25 04:00"), ("26 00:00", "26 04:00")], id="an hour comes twice"),
        pytest.param(
            window("02:30", "05:00"), "2026-10-24T12:00", [("25 01:30", "25 04:00"), ("26 01:30", "26 04:00")], id="begins in what comes twice"
        ),
        pytest.param(
            window("01:00", "02:30"), "2026-10-24T12:00", [("24 23:00", "25 00:30"), ("26 00:00", "26 01:30")], id="ends in what comes twice"
        ),
        pytest.param(window("02:10", "02:50"), "2026-10-24T12:00", [("25 00:10", "25 00:50"), ("26 01:10", "26 01:50")], id="would come twice"),
        # Lord Howe, 2026-10-04: 02:00 becomes 02:30 at 15:30 UTC; 2026-04-05: 02:00 becomes 01:30 at 15:00 UTC
        pytest.param(
            window("02:15", "04:00", zone=LORD_HOWE),
            "2026-10-03T12:00",
            [("03 15:30", "03 17:00"), ("04 15:15", "04 17:00")],
            id="half an hour is missing",
        ),
        pytest.param(
            window("01:45", "04:00", zone=LORD_HOWE),
            "2026-04-04T12:00",
            [("04 15:15", "04 17:30"), ("05 15:15", "05 17:30")],
            id="half an hour comes twice",
        ),
    ],
)
def test_a_window_opens_by_the_clock_on_the_wall(of: Window, day: str, expected: list[tuple[str, str]]) -> None:
    assert on(of, day) == expected


def test_on_a_blackout_date_no_window_opens_and_what_is_open_closes_at_midnight() -> None:
    night = window("22:00", "05:00", blackout=frozenset({date(2026, 12, 24)}))
    found = openings([night], utc("2026-12-22T12:00"), utc("2026-12-26T12:00"))
    assert [(f"{each.begins.astimezone(BERLIN):%d %H:%M}", f"{each.ends.astimezone(BERLIN):%d %H:%M}") for each in found] == [
        ("22 22:00", "23 05:00"),
        ("23 22:00", "24 00:00"),
        ("25 22:00", "26 05:00"),
    ]


def test_windows_that_touch_are_one_that_ends_as_the_last_of_them_does() -> None:
    evening, night = window("22:00", "24:00", name="evening"), window("00:00", "04:00", at_end="pause")
    now = utc("2026-01-14T22:00")
    stand = hours([night, evening], now)
    assert stand.open == Opening(window="evening, night", begins=utc("2026-01-14T21:00"), ends=utc("2026-01-15T03:00"), at_end="pause", zone=BERLIN)


def test_a_window_that_opens_once_opens_once() -> None:
    once = OneTime(name="once", begins=datetime(2026, 5, 1, 1, tzinfo=BERLIN), ends=datetime(2026, 5, 1, 3, tzinfo=BERLIN), at_end="pause")
    before, during, after = (hours([once], utc(text)) for text in ("2026-04-01T00:00", "2026-04-30T23:00", "2026-05-01T01:00"))
    assert before.next is not None
    assert (before.open, before.next.begins, before.last) == (None, utc("2026-04-30T23:00"), None)
    assert during.open is not None
    assert (after.open, after.next) == (None, None)
    assert after.last is not None
    assert after.last.at_end == "pause"


def test_a_window_that_is_open_on_one_day_of_the_year_is_found() -> None:
    closed = frozenset(date(2026, 1, 1) + timedelta(days=each) for each in range(364))
    stand = hours([window("01:00", "02:00", blackout=closed)], utc("2026-01-02T00:00"))
    assert stand.next is not None
    assert stand.next.begins == utc("2026-12-31T00:00")


def test_a_preview_tells_the_openings_to_come_the_one_that_is_open_first() -> None:
    found = preview([window("01:00", "05:00", days=frozenset({0, 2}))], utc("2026-01-14T01:00"), most=3)
    assert [f"{each.begins:%a %d %H}" for each in found] == ["Wed 14 00", "Mon 19 00", "Wed 21 00"]
    assert found[0].shown(found[0].begins) == "Wed 2026-01-14 01:00 (Europe/Berlin)"


def test_a_preview_of_what_never_opens_again_is_empty() -> None:
    assert preview([OneTime(name="x", begins=utc("2026-01-01"), ends=utc("2026-01-02"))], utc("2026-01-02"), most=3) == []


# --- the clock itself --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "synced", "held"),
    [(BUILT, True, False), (BUILT - timedelta(seconds=1), True, True), (BUILT, False, True), (utc("1970-01-01"), False, True)],
)
def test_a_clock_that_cannot_be_right_opens_no_window(now: datetime, synced: bool, held: bool) -> None:
    assert (judge_clock(now, synced=synced) is not None) is held


# --- laws ----------------------------------------------------------------------------------------------------------------------------------

MINUTES = st.integers(0, 1439)
ZONES = st.sampled_from([BERLIN, LORD_HOWE, ZoneInfo("UTC"), ZoneInfo("America/St_Johns"), ZoneInfo("Africa/Casablanca"), ZoneInfo("Asia/Beirut")])
WINDOWS = st.builds(
    lambda start, length, zone, days, blackout: Window(
        name="w", zone=zone, start=start, end=(start + length) % 1440 or 1440, days=frozenset(days), blackout=frozenset(blackout)
    ),
    MINUTES,
    st.integers(1, 1439),
    ZONES,
    st.sets(st.integers(0, 6), min_size=1),
    st.sets(st.dates(date(2026, 3, 20), date(2026, 4, 10)), max_size=6),
)
MOMENTS = st.sampled_from(["2026-03-29", "2026-10-25", "2026-10-04", "2026-04-05", "2026-03-08", "2026-11-01", "2026-06-15"]).flatmap(
    lambda day: st.integers(-2 * 86_400, 2 * 86_400).map(lambda seconds: utc(day) + timedelta(seconds=seconds))
)


def shows_a_time_of(of: Window, now: datetime) -> bool:
    """Whether somebody who looks at the clock on the wall, and at the calendar beside it, finds the window open."""
    shown = now.astimezone(of.zone)
    minute = shown.hour * 60 + shown.minute
    if shown.date() in of.blackout:
        return False
    over_midnight = of.end <= of.start
    today = shown.date().weekday() in of.days and of.start <= minute and (over_midnight or minute < of.end)
    yesterday = shown.date() - timedelta(days=1)
    return today or (over_midnight and minute < of.end and yesterday.weekday() in of.days and yesterday not in of.blackout)


@given(WINDOWS, MOMENTS)
def test_no_window_is_open_when_the_clock_on_the_wall_says_otherwise(of: Window, now: datetime) -> None:
    if hours([of], now).open is not None:
        assert shows_a_time_of(of, now)


@given(WINDOWS, MOMENTS)
def test_a_window_is_open_whenever_the_clock_says_so_but_in_hours_that_come_twice(of: Window, now: datetime) -> None:
    shown = now.astimezone(of.zone)
    offsets = {(now + timedelta(hours=each)).astimezone(of.zone).utcoffset() for each in range(-26, 27)}
    if shows_a_time_of(of, now) and len(offsets) == 1:
        assert hours([of], now).open is not None, shown


@given(st.lists(WINDOWS, min_size=1, max_size=3), MOMENTS)
def test_what_opens_next_is_closed_now_and_what_is_open_ends_later(several: list[Window], now: datetime) -> None:
    stand = hours(several, now)
    if stand.open is not None:
        assert stand.open.begins <= now < stand.open.ends
    if stand.next is not None:
        assert stand.next.begins > now
        assert hours(several, stand.next.begins).open is not None
        between = now + (stand.next.begins - now) / 2
        assert stand.open is not None or hours(several, between).open is None
    if stand.last is not None:
        assert stand.last.ends <= now
    assert stand == hours(list(reversed(several)), now)
