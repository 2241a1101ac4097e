"""Does a release fit a component of a device? Identity only: no wishes of operators, and nothing here can be forced.

First keys must be known and equal: protocol, and for Zigbee manufacturer code, image type and destination, for Z-Wave the product and the firmware
target. Second keys (radio region, hardware version, silicon, running version, model, manufacturer name) refuse where they contradict; where the
release names one that the device has not told, an operator must be asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from otagate.model.devices import Component, Device, Product
from otagate.model.facts import Scalar
from otagate.model.ids import ieee_of, image_type_of, target_of
from otagate.model.releases import Fingerprint, Release
from otagate.model.verdicts import Verdict
from otagate.model.versions import Version, display_version, same_version, version_key
from otagate.policy.trace import Line

ANY_MANUFACTURER = 0xFFFF
"""A file with this manufacturer code is meant for every maker (ZCL 8, 11.4.2.5)."""

_SHARED_CODES = frozenset({0x1002, 0x1141})
"""Codes of chip makers' and platforms' kits: unlike things of many brands bear them, often with the very image types of the examples."""

_TELINK = 0xA4C138
"""How the addresses begin that Telink gives its chips."""

_ONE_CHIP = {"silabs-gbl4": "silabs-gbl"}
"""Formats that one chip may take: the second is an older edition of the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finding:
    """What one key says: it contradicts, or it leaves a doubt."""

    refuses: bool
    sentence: str
    reason: str = "image_mismatch"
    code: str = "incompatible-image"


_Key = Callable[[Device, Component, Release], _Finding | None]


def match(device: Device, component: Component, release: Release) -> Verdict:
    """Whether the release fits: allow, refuse (code `incompatible-image` or `region-mismatch`), or ask where a second key is missing."""
    findings = [finding for key, _ in _KEYS.values() if (finding := key(device, component, release)) is not None]
    facts = _facts_used(device, component, release)
    for finding in findings:
        if finding.refuses:
            return Verdict(decision="refuse", sentence=finding.sentence, reason=finding.reason, code=finding.code, facts=facts)
    if findings:
        sentence = " ".join(finding.sentence for finding in findings)
        return Verdict(decision="ask", sentence=sentence, reason="awaiting_approval", facts=facts)
    return Verdict(decision="allow", sentence="The release fits the component.", facts=facts)


def keys(device: Device, component: Component, release: Release) -> list[Line]:
    """What every key says, in the order of `match`."""
    facts = _facts_used(device, component, release)
    return [_line(name, key(device, component, release), passes, facts) for name, (key, passes) in _KEYS.items()]


def _line(name: str, finding: _Finding | None, passes: str, facts: Mapping[str, Scalar]) -> Line:
    used = {name: facts[name]} if name in facts else {}
    if finding is None:
        return Line(rule=name, outcome="pass", sentence=passes, facts=used)
    if finding.refuses:
        return Line(rule=name, outcome="stop", sentence=finding.sentence, reason=finding.reason, facts=used)
    return Line(rule=name, outcome="ask", sentence=finding.sentence, reason="awaiting_approval", facts=used)


def concerns(device: Device, component: Component, release: Release) -> bool:
    """Whether the release is for this kind of component at all: its manufacturer code and image type, or product and target, are the component's."""
    findings = (key(device, component, release) for key in (_protocol, _manufacturer_code, _image_type, _product, _target))
    return not any(finding is not None and finding.refuses for finding in findings)


def wants_hardware(device: Device, component: Component, releases: Iterable[Release]) -> bool:
    """Whether only the hardware version, which is not known yet, can tell if one of the releases fits."""
    if component.hardware_version is not None:
        return False
    others = (each for each in releases if not same_version(each.file_version, component.version))
    return any(_names_hardware(each) and concerns(device, component, each) for each in others)


# --- first keys: known and equal ---------------------------------------------------------------------------------------------------------


def _updatable(device: Device, component: Component, _: Release) -> _Finding | None:
    if device.node is not None and device.node.controller:
        sentence = "The controller itself is updated over its serial line, by the program that runs its driver."
        return _Finding(refuses=True, sentence=sentence, code="not-updatable")
    if component.updatable is not False:
        return None
    return _Finding(refuses=True, sentence="The device says that this firmware cannot be updated.", code="not-updatable")


def _protocol(device: Device, _: Component, release: Release) -> _Finding | None:
    if release.protocol == device.protocol:
        return None
    return _refusal(f"The release is for {_PROTOCOLS[release.protocol]}, the device is {_PROTOCOLS[device.protocol]}.")


def _manufacturer_code(device: Device, component: Component, release: Release) -> _Finding | None:
    if release.manufacturer_code is None:
        return None if release.protocol != "zigbee" else _refusal("The release does not say whose devices it is for.")
    own = device.manufacturer_code_of(component)
    if release.manufacturer_code == ANY_MANUFACTURER:
        return _doubt("The release is for every manufacturer, so only an operator can say that it is for this device.")
    if own is None:
        return _refusal("The manufacturer code of the device is not known yet.")
    if release.manufacturer_code != own:
        return _refusal(f"The release is for manufacturer 0x{release.manufacturer_code:04x}, the component is of 0x{own:04x}.")
    return None


def _image_type(_: Device, component: Component, release: Release) -> _Finding | None:
    if release.protocol != "zigbee":
        return None
    own = _own_image_type(component)
    if release.image_type is None or own is None or release.image_type != own:
        return _refusal(f"The release is for image type {_word(release.image_type)}, the component is {_word(own)}.")
    return None


def _product(device: Device, _: Component, release: Release) -> _Finding | None:
    """A Z-Wave release is for products, and sometimes for those that run certain firmware."""
    if release.protocol != "zwave":
        return None
    if not release.fingerprints:
        return _doubt("The file does not say which product it is for, so only an operator can say that it is for this device.")
    own = device.product
    if own is None:
        return _refusal("Manufacturer, product type and product id of the device are not known yet.")
    named = [each for each in release.fingerprints if each.product == own]
    if not named:
        listed = ", ".join(_product_name(each.product) for each in release.fingerprints[:3])
        return _refusal(f"The release is for the product {listed}; the device is {_product_name(own)}.")
    findings = [_runs(each, device) for each in named]
    return None if None in findings else findings[0]


def _runs(fingerprint: Fingerprint, device: Device) -> _Finding | None:
    """Whether the device runs what the fingerprint asks for in its main firmware, target 0."""
    main = next((each for each in device.components if target_of(each.id) == 0), None)
    return _within(fingerprint.min_version, fingerprint.max_version, None if main is None else main.version)


def _target(_: Device, component: Component, release: Release) -> _Finding | None:
    if release.target is None or release.target == target_of(component.id):
        return None
    return _refusal(f"The release is for firmware target {release.target}, the component is {component.id}.")


def _destination(device: Device, _: Component, release: Release) -> _Finding | None:
    if release.destination is None:
        return None
    if device.protocol == "zigbee" and ieee_of(device.id) == release.destination:
        return None
    return _refusal(f"The release is for the device {release.destination:016x} alone.")


# --- second keys: a contradiction refuses, a gap asks -------------------------------------------------------------------------------------


def _region(device: Device, _: Component, release: Release) -> _Finding | None:
    if release.region is None:
        return None
    own = None if device.node is None else device.node.region
    if own is None:
        return _doubt(f"The release is for the region {release.region!r:.40}, and the controller does not tell its own: set `region` of the radio.")
    if plain_region(own) != plain_region(release.region):
        sentence = f"The release is for the region {release.region!r:.40}, the network is in {own!r:.40}."
        return _Finding(refuses=True, sentence=sentence, reason="region_mismatch", code="region-mismatch")
    return None


def _hardware(_: Device, component: Component, release: Release) -> _Finding | None:
    if not _names_hardware(release):
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
    return _within(release.min_file_version, release.max_file_version, component.version)


def _within(low: Version | None, high: Version | None, running: Version | None) -> _Finding | None:
    if low is None and high is None:
        return None
    bounds = [
        word
        for word in ("" if low is None else f"{display_version(low)} or newer", "" if high is None else f"{display_version(high)} or older")
        if word
    ]
    wanted = f"The release is for devices that run {' and '.join(bounds)}"
    if running is None:
        return _doubt(f"{wanted}, and the running version is not known.")
    if version_key(running) < version_key(low) or (high is not None and version_key(running) > version_key(high)):
        return _refusal(f"{wanted}, this one runs {display_version(running)}.")
    return None


def _model(device: Device, _: Component, release: Release) -> _Finding | None:
    return _compare_names("model", release.models, device.model)


def _manufacturer(device: Device, _: Component, release: Release) -> _Finding | None:
    return _compare_names("manufacturer", release.manufacturers, device.manufacturer)


def _compare_names(key: str, wanted: tuple[str, ...], own: str | None) -> _Finding | None:
    if not wanted:
        return None
    named = " or ".join(f"{each!r:.80}" for each in wanted[:3])
    if not own or not own.strip():
        return _doubt(f"The release is for {key} {named}, and the device has not told its own.")
    if own.strip().casefold() not in {each.strip().casefold() for each in wanted}:
        return _refusal(f"The release is for {key} {named}, the device is {own!r:.80}.")
    return None


def _shared_code(_: Device, __: Component, release: Release) -> _Finding | None:
    """A code that is nobody's own is half a key: without a name beside it, it says too little."""
    if release.manufacturer_code not in _SHARED_CODES or release.models or release.manufacturers or release.destination is not None:
        return None
    return _doubt(
        f"Devices of many makers bear the manufacturer code 0x{release.manufacturer_code:04x}, and the release names no model, "
        "so only an operator can say that it is for this device."
    )


def _silicon(device: Device, component: Component, release: Release) -> _Finding | None:
    """What runs on a chip is of one format for life: an image that proved to run here tells of which, and so does Telink's mark in an address."""
    own, other = component.inner_format, release.inner_format
    if other is None:
        return None
    if own is not None:
        if _ONE_CHIP.get(own, own) == _ONE_CHIP.get(other, other):
            return None
        return _refusal(f"The image is {other} inside, and the one that the device took before was {own}: it is made for another chip.")
    if other == "telink" or device.protocol != "zigbee" or ieee_of(device.id) >> 40 != _TELINK:
        return None
    return _refusal(f"The image is {other} inside, and the address of the device is that of a Telink chip: it is made for another chip.")


_KEYS: Mapping[str, tuple[_Key, str]] = {
    "updatable": (_updatable, "The device does not say that this firmware cannot be updated."),
    "protocol": (_protocol, "It is for devices of this protocol."),
    "manufacturer_code": (_manufacturer_code, "It is for the component's manufacturer code, or tells none where none is needed."),
    "image_type": (_image_type, "It is for the component's image type, or tells none where none is needed."),
    "destination": (_destination, "It is for no other single device."),
    "product": (_product, "It is for this product, or tells none where none is needed."),
    "target": (_target, "It is for no other firmware target."),
    "shared_code": (_shared_code, "Its manufacturer code is one maker's own, or it names more than that."),
    "region": (_region, "It is for no other region."),
    "hardware_version": (_hardware, "It is for no other hardware version."),
    "silicon": (_silicon, "Nothing inside of it speaks of another chip."),
    "running_version": (_running_version, "It may follow the version that runs."),
    "model": (_model, "It is for no other model."),
    "manufacturer": (_manufacturer, "It is for no other manufacturer."),
}
"""By name, each with the sentence for a release that it leaves alone."""


# --- small pieces ------------------------------------------------------------------------------------------------------------------------


_PROTOCOLS = {"zigbee": "Zigbee", "zwave": "Z-Wave", "cloud": "its maker's cloud"}


def plain_region(region: str) -> str:
    """A region without what makes no difference to firmware: capitals, and whether Long Range is on (`USA (Long Range)` is `usa`)."""
    return region.casefold().replace("(long range)", "").strip()


def _product_name(product: Product) -> str:
    return ":".join(f"0x{number:04x}" for number in product)


def _word(value: int | None) -> str:
    return "unknown" if value is None else f"0x{value:04x}"


def _own_image_type(component: Component) -> int | None:
    return image_type_of(component.id) if component.image_type is None else component.image_type


def _names_hardware(release: Release) -> bool:
    return release.hardware_min is not None or release.hardware_max is not None


def _refusal(sentence: str) -> _Finding:
    return _Finding(refuses=True, sentence=sentence)


def _doubt(sentence: str) -> _Finding:
    return _Finding(refuses=False, sentence=sentence)


def _facts_used(device: Device, component: Component, release: Release) -> dict[str, Scalar]:
    """The device's side of every key that the release names; the release itself stands beside the verdict wherever it is shown."""
    facts: dict[str, Scalar] = {"manufacturer_code": device.manufacturer_code_of(component), "version": component.version}
    if device.node is None:
        facts["image_type"] = _own_image_type(component)
    else:
        facts |= {"product_type": device.node.product_type, "product_id": device.node.product_id, "target": target_of(component.id)}
    if release.region is not None:
        facts["region"] = None if device.node is None else device.node.region
    if _names_hardware(release):
        facts["hardware_version"] = component.hardware_version
    if release.models:
        facts["model"] = device.model
    if release.manufacturers:
        facts["manufacturer"] = device.manufacturer
    return facts
