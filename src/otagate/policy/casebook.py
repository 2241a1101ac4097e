"""What is known against releases: advisories, and what became of devices here that took the same image.

Nothing of it is kept by itself: advisories are data, and what became of devices is read from their updates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from otagate.model.advisories import Advisory
from otagate.model.devices import Component, Device
from otagate.model.ids import image_type_of
from otagate.model.lifecycle import State
from otagate.model.releases import Release
from otagate.model.updates import Update
from otagate.model.verdicts import Guard, Verdict
from otagate.model.versions import version_key
from otagate.policy.match import plain_region

HARMS: Final = frozenset(
    {"device-lost", "device-mute", "device-restarts", "version-unchanged", "update-loop", "image-rejected-by-device", "checksum-error"}
)
"""Ends of an update that speak against its image; a source, a radio or a store that failed says nothing of it."""

LIFTED: Final[Guard] = "quarantined"
"""The word of an order that overrules a quarantine; `force` alone does not."""

_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Casebook:
    """`past`: updates that tell of images, by the key of their version. `most`: failed on so many devices, it is given to none; 0 is never."""

    advisories: Sequence[Advisory] = ()
    past: Mapping[tuple[int, ...], Sequence[Update]] = field(default_factory=dict)
    most: int = 2

    def warns(self, device: Device, component: Component, release: Release) -> Verdict | None:
        """The refusal of the first advisory that concerns this release for this component; nothing overrides it."""
        found = next((each for each in self.advisories if concerns(each, device, component, release)), None)
        if found is None:
            return None
        sentence = f"{found.sentence}; see {found.source}."
        return Verdict(decision="refuse", sentence=sentence, reason="advisory", facts={"file_version": release.file_version, "source": found.source})

    def quarantines(self, release: Release) -> Verdict | None:
        """The refusal of an image that failed on several devices here, until an order that overrules it has succeeded."""
        devices = self.failed_on(release)
        if not self.most or len(devices) < self.most:
            return None
        named = ", ".join(devices[:_NAMED]) + (f" and {len(devices) - _NAMED} more" if len(devices) > _NAMED else "")
        sentence = (
            f"This image of {release.display_version} failed on {len(devices)} devices here ({named}), so nobody is given it:"
            f' try it on one device with "override": ["quarantined"]; when that succeeds the quarantine ends.'
        )
        return Verdict(decision="refuse", sentence=sentence, reason="quarantined", facts={"devices": len(devices)})

    def failed_on(self, release: Release) -> list[str]:
        """The devices that this image failed on since it was cleared last, oldest first."""
        devices: dict[str, None] = {}
        for update in self.past.get(version_key(release.file_version), ()):
            if is_same(update, release):
                if clears(update):
                    devices.clear()
                else:
                    devices[update.device] = None
        return list(devices)

    def speaks(self, device: Device, component: Component, release: Release, *, override: Iterable[Guard]) -> Verdict | None:
        """What ends or forbids an update whatever its order said, but for the word that overrules a quarantine."""
        return self.warns(device, component, release) or (None if LIFTED in override else self.quarantines(release))


EMPTY = Casebook()


def tells(update: Update) -> bool:
    """Whether an update that ended says something of its image."""
    return harms(update) or clears(update)


def harms(update: Update) -> bool:
    """Whether it failed for a reason that its image may have caused. What other programs sent is not known."""
    return update.state is State.FAILED and not update.foreign and update.error is not None and update.error.code in HARMS


def clears(update: Update) -> bool:
    """Whether it succeeded against a quarantine: the image is given another chance."""
    return update.state is State.SUCCEEDED and LIFTED in update.override


def is_same(update: Update, release: Release) -> bool:
    """Whether an update was of the image of this release: the same bytes where both are known, else the same file of the same source."""
    if update.image is not None and release.sha256 is not None:
        return update.image == release.sha256
    then = update.release
    return then is not None and then.location is not None and (then.source, then.location) == (release.source, release.location)


def concerns(advisory: Advisory, device: Device, component: Component, release: Release) -> bool:
    """Whether an advisory is about this release for this component.

    One of its first keys must be known to fit. Then the benefit of the doubt is the device's: what it has not told does not spare it.
    """
    fits = False
    for key in _FIRST:  # most advisories end with the first of them, and every look at a device asks all
        answer = key(advisory, device, component, release)
        if answer is False:
            return False
        fits = fits or answer is True
    return fits and all(key(advisory, device, component, release) is not False for key in _SECOND)


_Key = Callable[[Advisory, Device, Component, Release], bool | None]


def _codes(advisory: Advisory, device: Device, component: Component, _: Release) -> bool | None:
    own = device.manufacturer_code_of(component)
    return None if not advisory.codes or own is None else own in advisory.codes


def _products(advisory: Advisory, device: Device, _: Component, __: Release) -> bool | None:
    return device.product in advisory.products if advisory.products else None


def _manufacturers(advisory: Advisory, device: Device, _: Component, __: Release) -> bool | None:
    return _named(advisory.manufacturers, device.manufacturer)


def _models(advisory: Advisory, device: Device, _: Component, __: Release) -> bool | None:
    return _named(advisory.models, device.model)


def _bytes(advisory: Advisory, _: Device, __: Component, release: Release) -> bool | None:
    # As with what is inside: bytes that are not here yet are asked about when they are.
    return None if not advisory.sha256 else release.sha256 in advisory.sha256


def _image_types(advisory: Advisory, _: Device, component: Component, __: Release) -> bool | None:
    own = image_type_of(component.id) if component.image_type is None else component.image_type
    return None if not advisory.image_types else own in advisory.image_types


def _outside(advisory: Advisory, device: Device, _: Component, __: Release) -> bool | None:
    own = None if device.node is None else device.node.region
    return None if not advisory.outside or own is None else plain_region(own) not in {plain_region(each) for each in advisory.outside}


def _versions(advisory: Advisory, _: Device, __: Component, release: Release) -> bool | None:
    if release.file_version is None or (advisory.min_version is None and advisory.max_version is None):
        return None
    offered = version_key(release.file_version)
    low = advisory.min_version is None or offered >= version_key(advisory.min_version)
    return low and (advisory.max_version is None or offered <= version_key(advisory.max_version))


def _inner_formats(advisory: Advisory, _: Device, __: Component, release: Release) -> bool | None:
    # What is inside is known only when the bytes are here, and then it is asked again: until then nothing speaks against fetching them.
    return None if not advisory.inner_formats else release.inner_format in advisory.inner_formats


_FIRST: tuple[_Key, ...] = (_codes, _products, _manufacturers, _models, _bytes)
_SECOND: tuple[_Key, ...] = (_image_types, _outside, _versions, _inner_formats)


def _named(patterns: tuple[str, ...], own: str | None) -> bool | None:
    if not patterns or not own or not own.strip():
        return None
    return any(fnmatchcase(own.strip().casefold(), each.casefold()) for each in patterns)
