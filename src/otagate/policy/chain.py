"""The way to a release that the running version cannot take at once: which releases come first.

Some makers publish steps, each of which wants a version at least and another one at most (Hue's chains, zigbee2mqtt's `minFileVersion` and
`maxFileVersion`). Such a way is planned to its end; nothing of it goes back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Unpack

from otagate.model.devices import Component, Device
from otagate.model.releases import Release
from otagate.model.versions import Version, same_version, version_key
from otagate.policy.judge import Terms
from otagate.policy.plan import choose

MOST_STEPS = 16
"""A longer way is a mistake of whoever offers it."""

ReleasesFor = Callable[[Device, Component], Sequence[Release]]
"""What is offered to a component of a device that runs the version it names."""

Way = list[tuple[Component, Release]]
"""Each step with the component as it is before it."""


def onwards(device: Device, component: Component, first: Release, releases_for: ReleasesFor, **terms: Unpack[Terms]) -> Way:
    """The first release and those that follow by themselves: at each step the newest that is taken then, as far as can be told now."""
    way = [(component, first)]
    while len(way) < MOST_STEPS and way[-1][1].file_version is not None:
        running = replace(way[-1][0], version=way[-1][1].file_version)
        later = _with(device, running)
        choice = choose(later, running, releases_for(later, running), **terms)
        if choice.chosen is None or choice.verdict.decision == "ask" or not _newer(choice.chosen, running):
            break
        way.append((running, choice.chosen))
    return way


def way_to(device: Device, component: Component, version: Version, releases_for: ReleasesFor, **terms: Unpack[Terms]) -> Way:
    """The way to a version that is named, with as large steps as there are; empty where none leads there.

    `terms` are those of the order, so each step of the way is as much as ordered by name.
    """
    named: Terms = {**terms, "named": True}
    seen: set[tuple[int, ...]] = set()

    def search(running: Component, left: int) -> Way:
        seen.add(version_key(running.version))
        if not left or running.version is None:
            return []
        then = _with(device, running)
        trace = choose(then, running, releases_for(then, running), **named).trace
        for release in [each.release for each in trace if each.verdict.allowed and _lies_between(each.release, running, version)]:
            if same_version(release.file_version, version):
                return [(running, release)]
            if version_key(release.file_version) not in seen and (rest := search(replace(running, version=release.file_version), left - 1)):
                return [(running, release), *rest]
        return []

    return search(component, MOST_STEPS)


def _with(device: Device, running: Component) -> Device:
    return replace(device, components=tuple(running if each.id == running.id else each for each in device.components))


def _newer(release: Release, running: Component) -> bool:
    return version_key(release.file_version) > version_key(running.version)


def _lies_between(release: Release, running: Component, version: Version) -> bool:
    return _newer(release, running) and version_key(release.file_version) <= version_key(version)
