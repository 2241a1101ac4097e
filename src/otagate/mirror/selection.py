"""Which stored images may be offered, and for which models: what policy allows to every device of that model that does not run it yet.

An index cannot tell two devices of a model apart, so one device that must not have an image keeps it from all of its model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]

_APPROVED = frozenset({"queued", "fetching", "offering", "transferring", "staged", "activating", "confirming", "succeeded"})
"""States of an update that somebody approved and that has not failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """An image for one model. Sizes are in bytes; `manufacturer` is the name that devices of the model tell."""

    sha256: str
    file_name: str
    size: int
    file_version: int
    manufacturer_code: int
    image_type: int
    header_string: str
    hardware_min: int | None
    hardware_max: int | None
    model: str
    manufacturer: str | None
    notes: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    manufacturer: str | None
    model: str


def select(devices: Sequence[Json], offers: Mapping[str, Sequence[Json]], images: Sequence[Json], updates: Iterable[Json]) -> tuple[Offered, ...]:
    """The documents of the API: devices, their offers by the device's id, images, and updates. Ordered by kind, newest version first."""
    approved = {(each["device"], each["image"]) for each in updates if each["approved_by"] and each["state"] in _APPROVED}
    verdicts: dict[tuple[_Kind, str], set[bool]] = {}
    notes: dict[tuple[_Kind, str], str | None] = {}
    sound = {each["sha256"]: each for each in images if _is_sound(each)}
    for device in devices:
        if not device["model"]:
            continue  # an entry without a model would be for every device of its type
        kind = _Kind(manufacturer=device["manufacturer"], model=device["model"])
        running = {each["id"]: each["version"] for each in device["components"]}
        for offer in offers.get(device["id"], ()):
            image = sound.get(offer["release"]["digests"].get("sha256"))  # files of one version and size are still two
            if image is None or running.get(offer["component"]) == offer["release"]["version"]:
                continue
            told = offer["verdict"]["decision"]
            key = (kind, image["sha256"])
            verdicts.setdefault(key, set()).add(told == "allow" or (told == "ask" and (device["id"], image["sha256"]) in approved))
            notes[key] = notes.get(key) or offer["release"]["changelog"]
    found = [_offered(sound[sha256], kind, notes[kind, sha256]) for (kind, sha256), said in verdicts.items() if said == {True}]
    return tuple(sorted(found, key=lambda each: (each.manufacturer_code, each.image_type, each.model, -each.file_version)))


def _is_sound(image: Json) -> bool:
    whole = all(image[name] is not None for name in ("manufacturer_code", "image_type")) and isinstance(image["file_version"], int)
    return whole and image["destination"] is None and not any(each["result"] == "fail" for each in image["checks"])


def _offered(image: Json, kind: _Kind, notes: str | None) -> Offered:
    return Offered(
        sha256=image["sha256"],
        file_name=image["file_name"],
        size=image["bytes"],
        file_version=image["file_version"],
        manufacturer_code=image["manufacturer_code"],
        image_type=image["image_type"],
        header_string=image["header_string"],
        hardware_min=image["hardware_min"],
        hardware_max=image["hardware_max"],
        model=kind.model,
        manufacturer=kind.manufacturer,
        notes=notes,
    )
