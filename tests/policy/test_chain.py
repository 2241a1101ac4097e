"""The way to a release that the running version cannot take at once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otagate.model.devices import Component, Device
from otagate.model.releases import Release
from otagate.model.versions import version_key
from otagate.policy.chain import MOST_STEPS, onwards, way_to
from otagate.policy.match import match
from otagate.policy.settings import PolicySettings
from tests.policy.cases import DIGEST_B, component, device, release

AUTOMATIC = PolicySettings(mode="automatic")


def step(version: int, low: int | None = None, high: int | None = None, **more: Any) -> Release:
    return release(file_version=version, min_file_version=low, max_file_version=high, **more)


def to(version: int, *offers: Release, **terms: Any) -> list[int]:
    """The versions on the way from 10."""
    way = way_to(device(), component(), version, lambda _, __: offers, **{"settings": AUTOMATIC, "operator": True, **terms})
    return [each.file_version for _, each in way]  # type: ignore[misc]


def on(first: Release, *offers: Release, **terms: Any) -> list[int | str | None]:
    way = onwards(device(), component(), first, lambda _, __: (first, *offers), **{"settings": AUTOMATIC, **terms})
    return [each.file_version for _, each in way]


CHAIN = (step(20, high=19), step(30, 20, 20), step(40, 30))


@pytest.mark.parametrize(
    ("version", "offers", "way"),
    [
        pytest.param(40, CHAIN, [20, 30, 40], id="to the end"),
        pytest.param(30, CHAIN, [20, 30], id="to the middle"),
        pytest.param(20, CHAIN, [20], id="one step"),
        pytest.param(40, CHAIN[1:], [], id="its first step is missing"),
        pytest.param(50, CHAIN, [], id="nobody offers it"),
        pytest.param(9, (step(9),), [], id="never back"),
        pytest.param(40, (step(20), step(30), step(40, 20, 20)), [20, 40], id="the largest step leads nowhere"),
        pytest.param(40, (step(20), step(45), step(40, 20)), [20, 40], id="never past it"),
        pytest.param(40, (step(20, models=("x",)), step(40, 20)), [], id="a step for another model"),
        pytest.param(40, (step(20), step(20, sha256=DIGEST_B), step(40, 20)), [], id="an ambiguous step"),
        pytest.param(40, (step(20, channel="beta"), step(40, 20)), [20, 40], id="the whole way is as good as named"),
    ],
)
def test_the_way_to_a_version_leads_there_or_is_none(version: int, offers: tuple[Release, ...], way: list[int]) -> None:
    assert to(version, *offers) == way


def test_from_a_version_that_nobody_knows_no_way_is_planned() -> None:
    assert way_to(device(), component(version=None), 40, lambda _, __: CHAIN, settings=AUTOMATIC, operator=True) == []


def test_what_follows_a_release_is_the_newest_that_fits_at_each_step() -> None:
    assert on(CHAIN[0], *CHAIN[1:]) == [20, 30, 40]
    assert on(step(20)) == [20]
    assert on(step(20), step(30, 21)) == [20]
    assert on(step(20), step(15)) == [20]
    assert on(release(file_version=None), step(40)) == [None]


def test_what_would_be_asked_for_does_not_follow_by_itself() -> None:
    asks = PolicySettings(mode="ask")
    assert on(CHAIN[0], *CHAIN[1:], settings=asks) == [20]
    assert on(CHAIN[0], *CHAIN[1:], settings=asks, operator=True) == [20, 30, 40]


def test_a_way_has_an_end() -> None:
    endless = [step(version, version - 1, version - 1) for version in range(11, 99)]
    assert len(on(endless[0], *endless[1:])) == MOST_STEPS
    assert to(10 + MOST_STEPS, *endless) == list(range(11, 11 + MOST_STEPS))
    assert to(11 + MOST_STEPS, *endless) == []


VERSIONS = st.integers(8, 16)
OFFERS = st.lists(st.builds(step, VERSIONS, st.none() | VERSIONS, st.none() | VERSIONS), max_size=8)


@given(OFFERS, VERSIONS)
def test_every_step_of_a_way_fits_what_runs_then_and_goes_up(offers: list[Release], version: int) -> None:
    def check(way: list[tuple[Component, Release]], lamp: Device) -> None:
        running = 10
        for before, each in way:
            assert before.version == running
            assert match(lamp, before, each).decision != "refuse"
            assert version_key(each.file_version) > version_key(running)
            running = each.file_version  # type: ignore[assignment]

    lamp = device()
    way = way_to(lamp, component(), version, lambda _, __: offers, settings=AUTOMATIC, operator=True)
    check(way, lamp)
    assert not way or way[-1][1].file_version == version
    for first in offers:
        if match(lamp, component(), first).decision != "refuse" and version_key(first.file_version) > (10,):
            check(onwards(lamp, component(), first, lambda _, __: offers, settings=AUTOMATIC), lamp)
