"""What an adoption did, or would do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from otagate.adoption.words import words_of
from otagate.engine.registry import Adopted
from otagate.model.ids import DeviceId, zigbee_device_id
from otagate.model.networks import KnownNetwork, LeftOut, NetworkIdentity, spell_ieee


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`outcome` is empty where nothing was done; `pinned`: only the network that was told of will be accepted on the stick."""

    radio: str
    network: KnownNetwork
    pinned: bool
    outcome: Mapping[DeviceId, Adopted]
    further: tuple[LeftOut, ...] = ()

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Everything that was found and not taken over."""
        return (*self.network.left_out, *self.further)

    def document(self, *, dry_run: bool) -> dict[str, Any]:
        """For machines; without the network key."""
        words = words_of(self.network)
        refused = {each.what for each in self.further}
        return {
            "radio": self.radio,
            "from": self.network.program,
            "dry_run": dry_run,
            "network": _identity(self.network.identity),
            "pinned": self.pinned,
            "devices": [
                {
                    "id": (device := zigbee_device_id(each.ieee)),
                    "name": words[device].name or each.model or "",
                    "room": words[device].room or None,
                    "groups": words[device].groups,
                    "manufacturer": each.manufacturer,
                    "model": each.model,
                    "manufacturer_code": each.manufacturer_code,
                    "network_address": each.nwk,
                    "endpoints": [endpoint.number for endpoint in each.endpoints],
                    "last_seen": each.last_seen.isoformat() if each.last_seen is not None else None,
                    "outcome": self.outcome.get(device),
                }
                for each in self.network.devices
                if spell_ieee(each.ieee) not in refused
            ],
            "groups": [{"number": each.number, "name": each.name, "members": len(each.members)} for each in self.network.groups],
            "left_out": [{"what": each.what, "why": each.why} for each in self.left_out],
            "remarks": list(self.network.remarks),
        }


def _identity(identity: NetworkIdentity | None) -> dict[str, Any] | None:
    if identity is None:
        return None
    return {
        "extended_pan_id": spell_ieee(identity.extended_pan_id),
        "pan_id": identity.pan_id,
        "channel": identity.channel,
        "coordinator": spell_ieee(identity.coordinator),
    }
