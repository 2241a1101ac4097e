"""The coordinator backup that zigbee2mqtt keeps: which network it is, and on which stick.

The format is zigpy's open coordinator backup, version 1. For EmberZNet sticks zigbee-herdsman writes the extended PAN id and the coordinator's
address as they travel, least significant byte first; for all others as people write them.
"""

from __future__ import annotations

from typing import Literal

from otagate.adoption.values import hex_bytes, mapping, read_json, whole
from otagate.model.errors import AdoptionError
from otagate.model.networks import NetworkIdentity

_FORMAT = "zigpy/open-coordinator-backup"
_MOVE_AWAY = "move it away to adopt without it: then the network that the stick holds at the first start is taken as it is"


def read_backup(data: bytes, shown: str) -> NetworkIdentity | None:
    """The network in this file, or None where it is of zigbee2mqtt's old format; raises AdoptionError where it cannot be read."""
    document = mapping(read_json(data, shown))
    if "adapterType" in document:
        return None
    if mapping(document.get("metadata")).get("format") != _FORMAT:
        raise AdoptionError(f"{shown} is no backup of a coordinator: {_MOVE_AWAY}")
    coordinator, extended = hex_bytes(document.get("coordinator_ieee"), 8), hex_bytes(document.get("extended_pan_id"), 8)
    key = hex_bytes(mapping(document.get("network_key")).get("key"), 16)
    if coordinator is None or extended is None or key is None:
        raise AdoptionError(f"{shown} lacks the coordinator's address, the extended PAN id or the network key: {_MOVE_AWAY}")
    ember = isinstance(mapping(document.get("stack_specific")).get("ezsp"), dict)
    pan_id = document.get("pan_id")
    order: Literal["little", "big"] = "little" if ember else "big"
    return NetworkIdentity(
        extended_pan_id=int.from_bytes(extended, order),
        coordinator=int.from_bytes(coordinator, order),
        key=key,
        pan_id=_pan_id(pan_id),
        channel=whole(document.get("channel"), range(11, 27)),
    )


def _pan_id(text: object) -> int | None:
    padded = hex_bytes(text.zfill(4), 2) if isinstance(text, str) else None
    return int.from_bytes(padded, "big") if padded is not None else None
