"""The order in which tests are begun."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.order import SECONDS, dealt, module_of


@dataclass(frozen=True)
class Named:
    nodeid: str


def named(**counts: int) -> list[Named]:
    return [Named(f"{module}.py::test_{number}") for module, count in counts.items() for number in range(count)]


TESTS = named(a=5, demo=2, b=6, loss=3, c=4, page=4)
LONG = {"demo.py": 100.0, "loss.py": 40.0, "page.py": 30.0, "gone.py": 500.0}


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_every_test_is_begun_once_and_no_long_module_is_torn(workers: int) -> None:
    found = dealt(TESTS, LONG, workers)
    assert sorted(found, key=lambda each: each.nodeid) == sorted(TESTS, key=lambda each: each.nodeid)
    for module in ("demo.py", "loss.py", "page.py"):
        places = [place for place, each in enumerate(found) if module_of(each) == module]
        assert places == list(range(places[0], places[0] + len(places)))


def test_each_part_begins_with_its_share_of_what_takes_long() -> None:
    found = dealt(TESTS, LONG, 2)
    begins = {module_of(found[0]), module_of(found[len(TESTS) // 2])}
    assert begins == {"demo.py", "loss.py"}
    assert module_of(found[len(TESTS) - 1]) not in LONG


def test_a_run_without_workers_begins_with_what_takes_longest() -> None:
    assert [module_of(each) for each in dealt(TESTS, LONG, 1)][:9] == ["demo.py"] * 2 + ["loss.py"] * 3 + ["page.py"] * 4


def test_every_module_that_is_known_to_take_long_is_there() -> None:
    assert [each for each in SECONDS if not (Path(__file__).parents[1] / each).is_file()] == []
