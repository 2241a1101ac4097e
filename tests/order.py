"""In which order tests are begun: the modules that take longest first, dealt out to the workers, so that all of them end at about the same time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Protocol, TypeVar


class Collected(Protocol):
    """What is asked of a test that was collected."""

    nodeid: str
    """`path/of/module.py::name`."""


SECONDS = {
    "tests/journeys/test_zwave.py": 150,
    "tests/cli/test_demo.py": 120,
    "tests/journeys/test_hostile_devices.py": 120,
    "tests/journeys/test_zoo.py": 100,
    "tests/journeys/test_loss.py": 90,
    "tests/hil/test_round_trip_on_the_emulated_stick.py": 80,
    "tests/journeys/test_killed.py": 80,
    "tests/journeys/test_networks.py": 70,
    "tests/journeys/test_every_commit_journeys.py": 60,
    "tests/journeys/test_recovery.py": 60,
    "tests/journeys/test_updates.py": 60,
    "tests/properties/test_every_commit.py": 50,
    "tests/api/test_fuzz.py": 40,
    "tests/contracts/test_both_protocols.py": 40,
    "tests/hil/test_plugin.py": 40,
    "tests/journeys/test_clouds.py": 40,
    "tests/journeys/test_broken_library.py": 35,
    "tests/hil/test_round_trip_over_zwave.py": 30,
    "tests/journeys/test_readme_failures.py": 30,
    "tests/journeys/test_unlucky_moments.py": 30,
    "tests/cli/test_adopt.py": 25,
    "tests/contracts/test_radios.py": 25,
    "tests/journeys/test_operators.py": 25,
    "tests/page/test_operating.py": 25,
    "tests/properties/test_conversation.py": 25,
    "tests/zwave/test_rig.py": 25,
    "tests/hil/test_bench.py": 20,
    "tests/hil/test_record.py": 20,
    "tests/journeys/test_adopted.py": 20,
    "tests/journeys/test_iotaap.py": 20,
    "tests/journeys/test_lent.py": 20,
    "tests/engine/test_laws.py": 10,
    "tests/hil/test_upkeep.py": 10,
    "tests/journeys/test_canaries.py": 10,
    "tests/journeys/test_cost_of_a_block.py": 10,
    "tests/journeys/test_real_images.py": 10,
    "tests/journeys/test_services.py": 10,
    "tests/page/test_journey.py": 10,
    "tests/page/test_stock.py": 10,
}
"""Modules that a worker is busy with, or waits in, for long; roughly how long on a quiet machine. Whatever is not here is short."""

T = TypeVar("T", bound=Collected)


def module_of(test: Collected) -> str:
    """The path of its module."""
    return test.nodeid.partition("::")[0]


def dealt(tests: Sequence[T], seconds: Mapping[str, float], workers: int) -> list[T]:
    """The tests in `workers` parts of one length, as xdist's worksteal gives them out: each begins with its share of the modules in `seconds`.

    A module stays together, because its tests may share what is expensive; the longest module that is left goes to the part that has least.
    """
    modules = {module: list(group) for module, group in groupby(sorted(tests, key=module_of), key=module_of)}
    shares: list[tuple[float, list[T]]] = [(0.0, []) for _ in range(workers)]
    for module in sorted(seconds.keys() & modules.keys(), key=lambda each: (-seconds[each], each)):
        shares.sort(key=lambda share: share[0])
        taken, part = shares[0]
        shares[0] = taken + seconds[module], part + modules.pop(module)
    rest = [test for test in tests if module_of(test) in modules]
    begun: list[T] = []
    for number, (_, part) in enumerate(shares):
        length = (len(tests) - len(begun)) // (workers - number)
        room = max(0, length - len(part))
        begun += part + rest[:room]
        rest = rest[room:]
    return begun + rest
