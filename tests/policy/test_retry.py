from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from otagate.policy.retry import FIRST_PAUSE, LONGEST_PAUSE, UNASKED_PAUSE, after_attempt, judge_loop, progressed
from otagate.policy.settings import PolicySettings
from tests.policy.cases import NOW, update

SETTINGS = PolicySettings(retries=3)


@pytest.mark.parametrize(
    ("began_at", "reached", "total", "answer"),
    [
        (0, 10, 1000, True),
        (0, 9, 1000, False),
        (500, 510, 1000, True),
        (500, 500, 1000, False),
        (500, 0, 1000, False),
        (0, 1, 99, True),
        (0, 0, 50, False),
        (0, 10, 0, False),
    ],
)
def test_an_attempt_progressed_if_its_mark_rose_by_one_percent(began_at: int, reached: int, total: int, answer: bool) -> None:
    assert progressed(began_at, reached, total) is answer


def test_an_attempt_without_progress_is_counted_and_made_again_later() -> None:
    retry = after_attempt(update(attempts=1), began_at=0, reached=0, settings=SETTINGS, now=NOW)
    assert (retry.attempts, retry.spent, retry.verdict.decision, retry.verdict.reason) == (2, False, "hold", "backoff")
    assert retry.not_before is not None
    assert retry.not_before.isoformat(timespec="seconds") in retry.verdict.sentence


def test_pauses_grow_to_an_hour_and_no_further() -> None:
    patient = PolicySettings(retries=10**9)
    pauses = []
    for attempts in (0, 1, 2, 5, 8, 50, 10**8):
        retry = after_attempt(update(attempts=attempts), began_at=0, reached=0, settings=patient, now=NOW)
        assert retry.not_before is not None
        pauses.append(retry.not_before - NOW)
    for pause, floor in zip(pauses, [FIRST_PAUSE * factor for factor in (1, 2, 4, 32)] + [LONGEST_PAUSE] * 3, strict=True):
        assert floor <= pause <= floor * 1.2


def test_devices_that_failed_together_do_not_all_come_back_at_one_moment() -> None:
    moments = {after_attempt(update(n), began_at=0, reached=0, settings=SETTINGS, now=NOW).not_before for n in range(50)}
    assert len(moments) == 50


def test_the_moment_is_the_same_whenever_it_is_asked() -> None:
    first, second = (after_attempt(update(7), began_at=0, reached=0, settings=SETTINGS, now=NOW) for _ in range(2))
    assert first == second


def test_progress_begins_the_count_anew() -> None:
    retry = after_attempt(update(attempts=3), began_at=100, reached=110, settings=SETTINGS, now=NOW)
    assert (retry.attempts, retry.spent) == (0, False)
    assert retry.not_before is not None
    assert FIRST_PAUSE <= retry.not_before - NOW <= FIRST_PAUSE * 1.2


@pytest.mark.parametrize(("retries", "attempts", "spent"), [(3, 2, False), (3, 3, True), (0, 0, True), (1, 0, False)])
def test_attempts_are_spent_after_the_first_and_its_retries(retries: int, attempts: int, spent: bool) -> None:
    retry = after_attempt(update(attempts=attempts), began_at=0, reached=0, settings=PolicySettings(retries=retries), now=NOW)
    assert retry.spent is spent
    assert (retry.verdict.code == "retries-spent") is spent
    assert retry.attempts == attempts + 1


def test_an_offer_that_nobody_takes_stands_for_two_weeks_and_is_seldom_repeated() -> None:
    job, now = update(), NOW
    while True:
        retry = after_attempt(job, began_at=0, reached=0, settings=SETTINGS, now=now, unasked=True)
        if retry.not_before is None:
            break
        if job.attempts >= SETTINGS.retries:
            assert retry.not_before - now >= UNASKED_PAUSE
            assert "asks by itself" in retry.verdict.sentence
        job, now = replace(job, attempts=retry.attempts), retry.not_before
    assert timedelta(days=14) <= now - NOW <= timedelta(days=18)
    assert retry.verdict.code == "retries-spent"


def test_where_no_retry_is_wanted_an_offer_that_nobody_takes_is_the_end() -> None:
    assert after_attempt(update(), began_at=0, reached=0, settings=PolicySettings(retries=0), now=NOW, unasked=True).spent


def test_a_device_that_gives_up_every_two_percent_finishes_with_no_retry_left() -> None:
    job, reached, now = update(attempts=3), 0, NOW
    for began_at in range(0, 1000, 20):
        reached = began_at + 20
        retry = after_attempt(job, began_at=began_at, reached=reached, settings=SETTINGS, now=now)
        assert not retry.spent
        now += timedelta(minutes=1)
    assert reached == job.bytes_total


@pytest.mark.parametrize(
    ("completed", "decision", "reason"), [(0, "allow", None), (1, "allow", None), (2, "refuse", "quarantined"), (9, "refuse", "quarantined")]
)
def test_two_whole_transfers_in_vain_are_a_loop(completed: int, decision: str, reason: str | None) -> None:
    verdict = judge_loop(completed)
    assert (verdict.decision, verdict.reason, verdict.facts) == (decision, reason, {"completed_transfers": completed})


def test_a_loop_is_broken_even_while_attempts_are_left_and_progress_is_made() -> None:
    retry = after_attempt(update(completed_transfers=2), began_at=0, reached=1000, settings=SETTINGS, now=NOW)
    assert (retry.spent, retry.verdict.code, retry.attempts) == (True, "update-loop", 0)
