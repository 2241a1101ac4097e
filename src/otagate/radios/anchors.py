"""Certificate authorities of makers' own, which their firmware servers use: read out of the installed zigpy, which ships them, and copied nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

_KEPT_BY_ZIGPY: Mapping[str, str] = {
    "fw.ota.homesmart.ikea.com": "IKEA_CERT",
    "fw.ota.homesmart.ikea.net": "IKEA_CERT",
    "otau.meethue.com": "HUE_CERT",
}


def anchor_for(host: str) -> str | None:
    """What to trust for this host beside the public authorities, as PEM; None for every other host, and where zigpy has it no longer.

    May import zigpy, which takes its time.
    """
    name = _KEPT_BY_ZIGPY.get(host.lower())
    found = None if name is None else getattr(import_module("zigpy.ota.providers"), name, None)
    return found if isinstance(found, str) and "-----BEGIN CERTIFICATE-----" in found else None
