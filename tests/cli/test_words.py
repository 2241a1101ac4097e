"""Words for people."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otagate.cli.stops import Exit, exit_of, sentence_of, worst
from otagate.cli.words import REASONS, duration, plain, reason_words, size


@given(st.text())
def test_plain_text_holds_no_character_that_drives_a_terminal(text: str) -> None:
    shown = plain(text)
    assert not any(unicodedata.category(each) in {"Cc", "Cs", "Zl", "Zp"} for each in shown)
    assert not any(each in shown for each in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
    assert len(shown) == len(text)


@given(st.text(alphabet=st.characters(categories=["L", "N", "P"])))
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (241_000, "241.0 kB"),
        (999_949, "999.9 kB"),
        (999_999, "1.0 MB"),
        (2.1e6, "2.1 MB"),
        (5e12, "5000.0 GB"),
    ],
)
def test_sizes_are_readable(count: float, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (-5, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (3600, "1 h 00 min"), (90_000, "1 d 1 h")],
)
def test_durations_are_readable(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_every_reason_of_the_api_has_words() -> None:
    promised = """
        awaiting_approval window_closed radio_busy asleep offline battery_low battery_unknown link_weak cooldown pinned skipped advisory
        image_mismatch region_mismatch quota load source_unreachable paused halted scheduled wave backoff predecessor quarantined below_floor
        ambiguous clock_unsynced in_use interlock
    """
    assert set(REASONS) == set(promised.split())
    assert reason_words("new\x1b") == "new\ufffd"
    assert reason_words(None) == ""


@pytest.mark.parametrize(
    ("slug", "status", "code"),
    [
        ("policy-refused", 409, Exit.REFUSED),
        ("image-corrupt", 422, Exit.REFUSED),
        ("image-too-large", 413, Exit.REFUSED),
        ("no-release", 404, Exit.REFUSED),
        ("invalid-request", 422, Exit.USAGE),
        ("unauthorized", 401, Exit.USAGE),
        ("unknown-update", 404, Exit.USAGE),
        ("device-unreachable", 504, Exit.FAILED),
        ("internal", 500, Exit.FAILED),
        ("shutting-down", 503, Exit.UNREACHABLE),
        ("already-current", 409, Exit.DONE),
    ],
)
def test_a_problem_has_its_exit_code(slug: str, status: int, code: Exit) -> None:
    assert exit_of({"type": f"/problems/{slug}", "status": status}) is code
    assert exit_of({"type": f"https://hub.example/problems/{slug}", "status": status}) is code


def test_a_problem_without_anything_still_says_something() -> None:
    assert sentence_of({}) == "the daemon refused"
    assert exit_of({}) is Exit.FAILED


def test_a_failure_outweighs_a_refusal() -> None:
    assert worst([Exit.DONE, Exit.REFUSED, Exit.FAILED, Exit.USAGE]) is Exit.FAILED
    assert worst([Exit.DONE, Exit.USAGE, Exit.REFUSED]) is Exit.REFUSED
    assert worst([]) is Exit.DONE
