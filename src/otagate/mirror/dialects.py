"""Indexes as other programs read them. Every entry names its model, so that no other device of its type is offered the file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from otagate.mirror.selection import Offered

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """Of the bytes of an image, in hex, beside its sha256."""

    sha512: str
    sha3_256: str


def zigbee2mqtt(offers: Iterable[tuple[Offered, Digests, str]]) -> list[Json]:
    """zigbee2mqtt's index: a list of images, each with its address."""
    return [
        _without_none(
            {
                "fileName": offer.file_name,
                "fileVersion": offer.file_version,
                "fileSize": offer.size,
                "manufacturerCode": offer.manufacturer_code,
                "imageType": offer.image_type,
                "sha512": digests.sha512,
                "otaHeaderString": offer.header_string,
                "hardwareVersionMin": offer.hardware_min,
                "hardwareVersionMax": offer.hardware_max,
                "modelId": offer.model,
                "manufacturerName": None if offer.manufacturer is None else [offer.manufacturer],
                "releaseNotes": offer.notes,
                "url": url,
            }
        )
        for offer, digests, url in offers
    ]


def zigpy(offers: Iterable[tuple[Offered, Digests, str]]) -> Json:
    """The index of zigpy's provider `zigpy_remote`."""
    return {
        "firmwares": [
            _without_none(
                {
                    "binary_url": url,
                    "file_version": offer.file_version,
                    "file_size": offer.size,
                    "image_type": offer.image_type,
                    "manufacturer_id": offer.manufacturer_code,
                    "manufacturer_names": [] if offer.manufacturer is None else [offer.manufacturer],
                    "model_names": [offer.model],
                    "changelog": offer.notes,
                    "checksum": f"sha3-256:{digests.sha3_256}",
                    "min_hardware_version": offer.hardware_min,
                    "max_hardware_version": offer.hardware_max,
                }
            )
            for offer, digests, url in offers
        ]
    }


DIALECTS: Mapping[str, Callable[[Iterable[tuple[Offered, Digests, str]]], Json | list[Json]]] = {"zigbee2mqtt": zigbee2mqtt, "zigpy": zigpy}
"""By the word in the address of the index."""


def _without_none(entry: Json) -> Json:
    return {name: value for name, value in entry.items() if value is not None}
