"""Does a release fit a component of a device? Identity only: no wishes of operators, and nothing here can be forced.

First keys (manufacturer code, image type, destination) must be known and equal. Second keys (hardware version, running version, model,
manufacturer name) refuse where they contradict; where the release names one that the device has not told, an operator must be asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from otagate.model.devices import Component, Device
from otagate.model.facts import Scalar
from otagate.model.ids import ieee_of, image_type_of
from otagate.model.releases import Release
from otagate.model.verdicts import Verdict

ANY_MANUFACTURER = 0xFFFF
"""A file with this manufacturer code is meant for every maker (ZCL 8, 11.4.2.5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finding:
    """What one key says: it contradicts, or it leaves a doubt."""

    refuses: bool
    sentence: str


_Key = Callable[[Device, Component, Release], _Finding | None]


def match(device: Device, component: Component, release: Release) -> Verdict:
    """Whether the release fits: allow, refuse (`image_mismatch`, code `incompatible-image`), or ask where a second key is missing."""
    findings = [finding for key in _KEYS if (finding := key(device, component, release)) is not None]
    facts = _facts_used(device, component, release)
    for finding in findings:
        if finding.refuses:
            return Verdict(decision="refuse", sentence=finding.sentence, reason="image_mismatch", code="incompatible-image", facts=facts)
    if findings:
        sentence = " ".join(finding.sentence for finding in findings)
        return Verdict(decision="ask", sentence=sentence, reason="awaiting_approval", facts=facts)
    return Verdict(decision="allow", sentence="The release fits the component.", facts=facts)


def concerns(device: Device, component: Component, release: Release) -> bool:
    """Whether the release is for this kind of component at all: its manufacturer code and image type are the component's."""
    findings = (_manufacturer_code(device, component, release), _image_type(device, component, release))
    return not any(finding is not None and finding.refuses for finding in findings)


# --- first keys: known and equal ---------------------------------------------------------------------------------------------------------


def _manufacturer_code(device: Device, component: Component, release: Release) -> _Finding | None:
    own = _own_manufacturer_code(device, component)
    if release.manufacturer_code == ANY_MANUFACTURER:
        return _doubt("The release is for every manufacturer, so only an operator can say that it is for this device.")
    if own is None:
        return _refusal("The manufacturer code of the device is not known yet.")
    if release.manufacturer_code != own:
        return _refusal(f"The release is for manufacturer 0x{release.manufacturer_code:04x}, the component is of 0x{own:04x}.")
    return None


def _image_type(_: Device, component: Component, release: Release) -> _Finding | None:
    own = _own_image_type(component)
    if release.image_type != own:
        return _refusal(f"The release is for image type 0x{release.image_type:04x}, the component is 0x{own:04x}.")
    return None


def _destination(device: Device, _: Component, release: Release) -> _Finding | None:
    if release.destination is None:
        return None
    if device.protocol == "zigbee" and ieee_of(device.id) == release.destination:
        return None
    return _refusal(f"The release is for the device {release.destination:016x} alone.")


# --- second keys: a contradiction refuses, a gap asks -------------------------------------------------------------------------------------


def _hardware(_: Device, component: Component, release: Release) -> _Finding | None:
    if release.hardware_min is None and release.hardware_max is None:
        return None
    low = 0 if release.hardware_min is None else release.hardware_min
    high = 0xFFFF if release.hardware_max is None else release.hardware_max
    wanted = f"The release is for hardware versions {low} to {high}"
    if component.hardware_version is None:
        return _doubt(f"{wanted}, and the device has not told its own.")
    if not low <= component.hardware_version <= high:
        return _refusal(f"{wanted}, the component has {component.hardware_version}.")
    return None


def _running_version(_: Device, component: Component, release: Release) -> _Finding | None:
    if release.min_file_version is None and release.max_file_version is None:
        return None
    low = 0 if release.min_file_version is None else release.min_file_version
    high = 0xFFFF_FFFF if release.max_file_version is None else release.max_file_version
    wanted = f"The release is for devices that run 0x{low:08x} to 0x{high:08x}"
    if component.version is None:
        return _doubt(f"{wanted}, and the running version is not known.")
    if not low <= component.version <= high:
        return _refusal(f"{wanted}, this one runs 0x{component.version:08x}.")
    return None


def _model(device: Device, _: Component, release: Release) -> _Finding | None:
    return _compare_names("model", release.model, device.model)


def _manufacturer(device: Device, _: Component, release: Release) -> _Finding | None:
    return _compare_names("manufacturer", release.manufacturer, device.manufacturer)


def _compare_names(key: str, wanted: str | None, own: str | None) -> _Finding | None:
    if wanted is None:
        return None
    if not own or not own.strip():
        return _doubt(f"The release is for {key} {wanted!r:.80}, and the device has not told its own.")
    if wanted.strip().casefold() != own.strip().casefold():
        return _refusal(f"The release is for {key} {wanted!r:.80}, the device is {own!r:.80}.")
    return None


_KEYS: tuple[_Key, ...] = (_manufacturer_code, _image_type, _destination, _hardware, _running_version, _model, _manufacturer)


# --- small pieces ------------------------------------------------------------------------------------------------------------------------


def _own_manufacturer_code(device: Device, component: Component) -> int | None:
    # What the OTA client said counts more than the node descriptor: devices made for another brand differ there.
    return device.manufacturer_code if component.manufacturer_code is None else component.manufacturer_code


def _own_image_type(component: Component) -> int:
    return image_type_of(component.id) if component.image_type is None else component.image_type


def _refusal(sentence: str) -> _Finding:
    return _Finding(refuses=True, sentence=sentence)


def _doubt(sentence: str) -> _Finding:
    return _Finding(refuses=False, sentence=sentence)


def _facts_used(device: Device, component: Component, release: Release) -> dict[str, Scalar]:
    """The device's side of every key that the release names; the release itself stands beside the verdict wherever it is shown."""
    facts: dict[str, Scalar] = {
        "manufacturer_code": _own_manufacturer_code(device, component),
        "image_type": _own_image_type(component),
        "version": component.version,
    }
    if release.hardware_min is not None or release.hardware_max is not None:
        facts["hardware_version"] = component.hardware_version
    if release.model is not None:
        facts["model"] = device.model
    if release.manufacturer is not None:
        facts["manufacturer"] = device.manufacturer
    return facts
