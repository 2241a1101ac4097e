from __future__ import annotations

from otagate.policy.settings import PolicySettings


def test_without_a_word_of_the_operator_releases_wait_for_approval() -> None:
    assert PolicySettings() == PolicySettings(mode="ask", retries=3)
