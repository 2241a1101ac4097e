"""What Home Assistant is told of a device: one discovery message, and its states.

Topics and unique ids are made of device and component ids alone, so no two are ever the same, whatever devices call themselves.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from otagate import __version__
from otagate.engine.views import ComponentView, DeviceView, UpdateView
from otagate.model.ids import ComponentId, DeviceId
from otagate.model.lifecycle import State
from otagate.model.versions import display_version

STATES = ("none", "available", *(each.value for each in State if not each.final), "succeeded", "failed")
_SUMMARY, _NAME = 255, 64
_SHOWN_AS = {"updated": "succeeded"}
_SAME_TO_PEOPLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Every topic: `base` is what ours begin with, `discovery` where Home Assistant looks."""

    base: str
    discovery: str

    @property
    def status(self) -> str:
        """Whether the hub is there."""
        return f"{self.base}/status"

    @property
    def prefix(self) -> str:
        """What the object ids of this hub begin with."""
        return f"{self.base.replace('/', '-')}_"

    def config(self, object_id: str) -> str:
        """Where a discovery message goes."""
        return f"{self.discovery}/device/{object_id}/config"

    def object_id(self, device: DeviceId) -> str:
        """The id of a device's message: letters, digits, - and _, as ids of devices are."""
        return f"{self.prefix}{device}"

    def state(self, device: DeviceId, component: ComponentId | None = None) -> str:
        """Where the state of a device or of one component is."""
        return f"{self.base}/devices/{device}" if component is None else f"{self.base}/devices/{device}/components/{component}"

    def available(self, device: DeviceId) -> str:
        """Whether the device is there."""
        return f"{self.base}/devices/{device}/availability"

    def order(self, device: DeviceId, what: str) -> str:
        """Where something is ordered."""
        return f"{self.base}/orders/{device}/{what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A device with what runs on it. `automatic`: whether policy takes releases by itself."""

    view: DeviceView
    updates: Mapping[ComponentId, UpdateView]
    automatic: bool


def readable(text: str, most: int = _NAME) -> str:
    """Text from outside on one line, without what moves a cursor or turns the line around, cut where it is long."""
    flat = " ".join("".join(" " if unicodedata.category(each) in _SAME_TO_PEOPLE else each for each in text[: 8 * most]).split())
    return flat if len(flat) <= most else f"{flat[: most - 1]}…"


def message(shown: Shown, names: Names, *, operate: bool) -> dict[str, Any]:
    """The discovery message of a device; without `operate` nothing in it can be pressed."""
    device = shown.view.device
    entities: dict[str, Any] = {}
    for component in shown.view.components:
        entities[f"update_{component.component.id}"] = _update(shown, component, names, operate=operate)
    common: dict[str, Any] = {"state_topic": names.state(device.id), "json_attributes_topic": names.state(device.id)}
    entities["state"] = _entity(names, device.id, "state", "sensor", "State", device_class="enum", options=list(STATES), **common)
    entities["eta"] = _entity(names, device.id, "eta", "sensor", "Done", device_class="timestamp", state_topic=common["state_topic"], hidden=True)
    entities["problem"] = _entity(names, device.id, "problem", "binary_sensor", "Problem", device_class="problem", state_topic=common["state_topic"])
    if operate:
        entities["cancel"] = _entity(names, device.id, "cancel", "button", "Cancel", order="PRESS", hidden=True)
        entities["check"] = _entity(names, device.id, "check", "button", "Check", order="PRESS", hidden=True)
        entities["automatic"] = _entity(
            names, device.id, "automatic", "switch", "Automatic updates", state_topic=common["state_topic"], order="ON", hidden=True
        )
    return {
        "device": _device(shown),
        "origin": {"name": "otagate", "sw_version": __version__},
        "availability": [{"topic": names.status}, {"topic": names.available(device.id)}],
        "availability_mode": "all",
        "components": entities,
    }


def _device(shown: Shown) -> dict[str, Any]:
    device = shown.view.device
    address = device.id.removeprefix("zigbee-") if device.protocol == "zigbee" else None
    versions = [display_version(each.component.version) for each in shown.view.components if each.component.version is not None]
    told: dict[str, Any] = {
        "identifiers": [f"otagate_{address or device.id}"],
        "name": f"{readable(device.name) or readable(device.model or '') or device.id} firmware",
        "manufacturer": readable(device.manufacturer or ""),
        "model": readable(device.model or ""),
        "sw_version": readable(", ".join(versions)),
        "suggested_area": readable(device.room or ""),
    }
    if address is not None:
        told["connections"] = [["zigbee", ":".join(address[at : at + 2] for at in range(0, 16, 2))]]
    return {key: value for key, value in told.items() if value}


def _update(shown: Shown, component: ComponentView, names: Names, *, operate: bool) -> dict[str, Any]:
    device, found = shown.view.device, component.component
    told: dict[str, Any] = {
        "platform": "update",
        "unique_id": f"{names.object_id(device.id)}_update_{found.id}",
        "name": None if len(shown.view.components) == 1 else f"Component {found.id}",
        "device_class": "firmware",
        "display_precision": 1,
        "entity_category": "config",
        "state_topic": names.state(device.id, found.id),
        "qos": 1,
    }
    if operate:
        told |= {"command_topic": names.order(device.id, f"install/{found.id}"), "payload_install": "INSTALL", "retain": False}
    return told


def _entity(
    names: Names, device: DeviceId, key: str, platform: str, name: str, *, order: str | None = None, hidden: bool = False, **more: Any
) -> dict[str, Any]:
    told: dict[str, Any] = {"platform": platform, "unique_id": f"{names.object_id(device)}_{key}", "name": name, "qos": 1, **more}
    told["entity_category"] = "config" if order is not None else "diagnostic"
    if "state_topic" in more:
        told["value_template"] = f"{{{{ value_json.{key} }}}}"
    if order is not None:
        told |= {"command_topic": names.order(device, key), "retain": False}
    if order == "PRESS":
        told["payload_press"] = order
    if hidden:
        told["enabled_by_default"] = False  # people have complained of being flooded with entities
    return told


def states(shown: Shown, names: Names, now: datetime) -> dict[str, Any]:
    """The state of a device and of its components, by topic."""
    view = shown.view
    found: dict[str, Any] = {names.available(view.device.id): "online" if view.device.online else "offline"}
    for component in view.components:
        found[names.state(view.device.id, component.component.id)] = _versions(shown, component)
    running = next(iter(shown.updates.values()), None)
    etas = [each.eta_seconds for each in shown.updates.values() if each.eta_seconds is not None]
    found[names.state(view.device.id)] = {
        "state": running.update.state.value if running is not None else _SHOWN_AS.get(view.update_status, view.update_status),
        "reason": None if running is None else running.update.reason,
        "sentence": None if running is None or running.sentence is None else readable(running.sentence, _SUMMARY),
        "eta": None if not etas else (now + timedelta(seconds=max(etas) + 30)).replace(second=0, microsecond=0).isoformat(),
        "problem": "ON" if view.update_status == "failed" else "OFF",
        "automatic": "ON" if shown.automatic else "OFF",
    }
    return found


def _versions(shown: Shown, component: ComponentView) -> dict[str, Any]:
    """The state of an `update` entity: strings are left out where there is none, and a percentage is only there while it moves."""
    found, update = component.component, shown.updates.get(component.component.id)
    installed = None if found.version is None else readable(display_version(found.version))
    latest = installed if component.available is None else readable(component.available.display_version)
    if update is not None and update.update.to_version is not None:
        latest = readable(display_version(update.update.to_version))
    moving = update is not None and update.update.state.running
    told: dict[str, Any] = {"in_progress": moving, "update_percentage": None}
    if update is not None and moving and update.update.bytes_total:
        told["update_percentage"] = min(100.0, round(100 * update.bytes_sent / update.update.bytes_total, 1))
    notes = None if component.available is None or component.available.notes is None else readable(component.available.notes, _SUMMARY)
    texts = {"installed_version": installed, "latest_version": latest, "title": readable(shown.view.device.model or ""), "release_summary": notes}
    return told | {key: value for key, value in texts.items() if value}


def encoded(document: Any) -> bytes:
    """A document as it is sent."""
    return (
        document.encode() if isinstance(document, str) else json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    )
