from __future__ import annotations

from datetime import timedelta

import pytest

from otagate.model.devices import PolicyOverride
from otagate.policy.settings import PolicySettings


def test_without_a_word_of_the_operator_releases_wait_for_approval() -> None:
    assert PolicySettings() == PolicySettings(mode="ask", retries=3)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (None, PolicySettings(mode="ask", retries=5)),
        (PolicyOverride(), PolicySettings(mode="ask", retries=5)),
        (PolicyOverride(default="never"), PolicySettings(mode="never", retries=5)),
        (PolicyOverride(retries=0), PolicySettings(mode="ask", retries=0)),
        (PolicyOverride(channel="beta"), PolicySettings(mode="ask", retries=5, channel="beta")),
        (PolicyOverride(cooldown=timedelta(0)), PolicySettings(mode="ask", retries=5, cooldown=timedelta(0))),
        (PolicyOverride(battery_floor=0), PolicySettings(mode="ask", retries=5, battery_floor=0)),
    ],
)
def test_an_override_changes_what_it_names_and_nothing_else(override: PolicyOverride | None, expected: PolicySettings) -> None:
    assert PolicySettings(mode="ask", retries=5).overridden(override) == expected
