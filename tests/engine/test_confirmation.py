"""Success is the new version told; failure is the old one told often and long enough, or nothing told at all."""

from __future__ import annotations

import pytest

from otagate.engine.confirmation import Confirmation
from otagate.model.lifecycle import Cause
from tests.policy import cases

OLD, NEW = 10, 20


def confirmation(*, back: bool = True, completed: int = 0) -> Confirmation:
    return Confirmation(update=cases.update(completed_transfers=completed), patience=600.0, settle=120.0, back=back)


def cause(of: Confirmation, spent: float) -> Cause | None:
    finding = of.finding(spent)
    return None if finding is None else finding.cause


@pytest.mark.parametrize("back", [True, False])
def test_the_new_version_is_success_however_late(back: bool) -> None:
    asked = confirmation(back=back)
    asked.told(OLD)
    asked.told(None)
    asked.told(NEW)
    assert cause(asked, 10_000) is Cause.VERSION_MATCHES


def test_the_old_version_must_be_told_three_times_and_long_enough() -> None:
    asked = confirmation()
    asked.told(OLD)
    assert cause(asked, 200) is None
    asked.told(OLD)
    asked.told(OLD)
    assert cause(asked, 119) is None
    assert cause(asked, 120) is Cause.MISMATCH


def test_before_the_device_is_known_to_be_back_the_old_version_proves_nothing() -> None:
    asked = confirmation(back=False)
    for _ in range(10):
        asked.told(OLD)
    assert cause(asked, 599) is None
    asked.returned(300)
    for _ in range(3):
        asked.told(OLD)
    assert cause(asked, 419) is None
    assert cause(asked, 420) is Cause.MISMATCH


def test_patience_ends_with_what_is_known() -> None:
    silent, old = confirmation(), confirmation(back=False)
    old.told(OLD)
    assert cause(silent, 599) is None
    assert cause(silent, 600) is Cause.EXPIRED
    assert cause(old, 600) is Cause.MISMATCH


def test_the_second_whole_transfer_in_vain_is_a_loop() -> None:
    first, second = confirmation(), confirmation(completed=1)
    for asked in (first, second):
        asked.told(OLD)
    found = [asked.finding(600) for asked in (first, second)]
    assert [(each.completed_transfers, each.code) for each in found if each] == [(1, None), (2, "update-loop")]


def test_success_and_silence_count_no_transfer() -> None:
    good, silent = confirmation(completed=1), confirmation(completed=1)
    good.told(NEW)
    found = [asked.finding(600) for asked in (good, silent)]
    assert [each.completed_transfers for each in found if each] == [1, 1]


def test_of_a_device_whose_kind_lies_about_its_version_nobody_can_say_what_it_runs() -> None:
    confirmation = Confirmation(update=cases.update(), patience=600.0, settle=120.0, back=True, honest=False)
    for _ in range(3):
        confirmation.told(1)
    found = confirmation.finding(120.0)
    assert found is not None
    assert (found.cause, found.code, found.completed_transfers) == (Cause.EXPIRED, "version-unprovable", 1)
    assert found.detail.endswith("devices of its kind tell versions that they do not run, so nobody can say what it runs")
