"""What lies ready for another program is fetched once, by its word, and not for long."""

from __future__ import annotations

import pytest

from otagate.model.errors import NotFound, RadioUnavailable
from otagate.ports import Handout
from otagate.radios.handouts import Counter
from tests.virtual_time import VirtualClock

FILE = Handout(body=memoryview(b"image"), media="application/octet-stream")


class ManualClock(VirtualClock):
    """A clock that is set."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_a_file_is_given_out_once_and_whoever_laid_it_there_is_told(clock: ManualClock) -> None:
    taken: list[str] = []
    counter = Counter(clock)
    word = counter.lay(FILE, seconds=10, taken=lambda: taken.append("told"))
    assert len(word) >= 43
    assert counter.take(word) is FILE
    with pytest.raises(NotFound):
        counter.take(word)
    assert taken == ["told"]


def test_no_other_word_opens_it_and_none_when_it_was_withdrawn_or_its_time_is_over(clock: ManualClock) -> None:
    counter = Counter(clock)
    word, late = counter.lay(FILE, seconds=10), counter.lay(FILE, seconds=10)
    assert word != late
    with pytest.raises(NotFound):
        counter.take(word[:-1])
    counter.withdraw(word)
    counter.withdraw(None)
    clock.advance(10)
    for each in (word, late):
        with pytest.raises(NotFound):
            counter.take(each)


def test_there_is_an_end_to_what_lies_there_and_what_is_over_makes_room(clock: ManualClock) -> None:
    counter = Counter(clock)
    for _ in range(1_000):
        counter.lay(FILE, seconds=10)
    with pytest.raises(RadioUnavailable, match="1000 files"):
        counter.lay(FILE, seconds=10)
    clock.advance(10)
    counter.lay(FILE, seconds=10)


def test_the_address_is_the_radios_or_that_of_the_api_and_without_any_it_is_said_what_to_do(clock: ManualClock) -> None:
    counter = Counter(clock)
    with pytest.raises(RadioUnavailable, match=r"`api\.listen` a host:port"):
        counter.url("w")
    assert counter.url("w", "http://hub:1/") == "http://hub:1/api/v1/handouts/w"
    counter.address = "http://127.0.0.1:8377"
    assert counter.url("w") == "http://127.0.0.1:8377/api/v1/handouts/w"
