"""What Home Assistant is told of a device: one discovery message, and its states.

Topics and unique ids are made of device and component ids alone, so no two are ever the same, whatever devices call themselves.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from otagate import __version__
from otagate.engine.views import ComponentView, DeviceView, RadioView, UpdateView
from otagate.model.ids import ComponentId, DeviceId
from otagate.model.lifecycle import State
from otagate.model.versions import display_version

_ORIGIN = {"name": "otagate", "sw_version": __version__}
STATES = ("none", "available", *(each.value for each in State if not each.final), "succeeded", "failed")
_SUMMARY, _NAME = 255, 64
_UPDATE = "update_"
_SHOWN_AS = {"updated": "succeeded"}
NEWEST = "newest"
"""What the choice of a version shows while nobody has chosen one."""

CHOICES = 20
"""Versions that can be chosen from, the newest ones."""

_SAME_TO_PEOPLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Every topic: `base` is what ours begin with, `discovery` where Home Assistant looks. `page` is where people reach the hub's page."""

    base: str
    discovery: str
    page: str | None = None

    @property
    def status(self) -> str:
        """Whether the hub is there."""
        return f"{self.base}/status"

    @property
    def prefix(self) -> str:
        """What the object ids of this hub begin with."""
        return f"{self.base.replace('/', '-')}_"

    @property
    def hub(self) -> str:
        """The id of the hub's own message, and what its devices name as theirs."""
        return f"{self.prefix}hub"

    @property
    def hub_state(self) -> str:
        """Where the state of the hub is."""
        return f"{self.base}/hub"

    def link(self, device: DeviceId | None = None) -> str | None:
        """The page, or its view of a device; None where nobody said where that is."""
        return self.page if self.page is None or device is None else f"{self.page}/#/device/{device}"

    def config(self, object_id: str) -> str:
        """Where a discovery message goes."""
        return f"{self.discovery}/device/{object_id}/config"

    def object_id(self, device: DeviceId) -> str:
        """The id of a device's message: letters, digits, - and _, as ids of devices are."""
        return f"{self.prefix}{device}"

    def topics_of(self, object_id: str, entities: Collection[str]) -> Sequence[str]:
        """Where something was kept of a device with these entities, or of the hub itself, of which nothing else is known any more."""
        if object_id == self.hub:
            return [self.config(object_id), self.hub_state]
        device = DeviceId(object_id.removeprefix(self.prefix))
        components = [ComponentId(each.removeprefix(_UPDATE)) for each in entities if each.startswith(_UPDATE)]
        return [self.config(object_id), self.available(device), self.state(device), *(self.state(device, each) for each in components)]

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
    """A device with what runs on it. `automatic`: whether policy takes releases by itself.

    `choices` are the versions that may be ordered, `targets` those that were chosen, as people write them, also where one may be ordered no more;
    `said` is what became of what was pressed last.
    """

    view: DeviceView
    updates: Mapping[ComponentId, UpdateView]
    automatic: bool
    choices: Mapping[ComponentId, Sequence[str]] = field(default_factory=dict)
    targets: Mapping[ComponentId, str] = field(default_factory=dict)
    said: str | None = None


def readable(text: str, most: int = _NAME) -> str:
    """Text from outside on one line, without what moves a cursor or turns the line around, cut where it is long."""
    flat = " ".join("".join(" " if unicodedata.category(each) in _SAME_TO_PEOPLE else each for each in text[: 8 * most]).split())
    return flat if len(flat) <= most else f"{flat[: most - 1]}…"


def message(shown: Shown, names: Names, *, scopes: Collection[str], gone: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The discovery message of a device, in which can be pressed what the scopes allow.

    `gone` are entities that were told of before, each with its platform: those that are none any more are told to be so.
    """
    device = shown.view.device
    entities: dict[str, Any] = {}
    for component in shown.view.components:
        entities[f"{_UPDATE}{component.component.id}"] = _update(shown, component, names, operate="operate" in scopes)
    common: dict[str, Any] = {"state_topic": names.state(device.id), "json_attributes_topic": names.state(device.id)}
    entities["state"] = _entity(names, device.id, "state", "sensor", "State", device_class="enum", options=list(STATES), **common)
    entities["eta"] = _entity(names, device.id, "eta", "sensor", "Done", device_class="timestamp", state_topic=common["state_topic"], hidden=True)
    entities["problem"] = _entity(names, device.id, "problem", "binary_sensor", "Problem", device_class="problem", state_topic=common["state_topic"])
    if "operate" in scopes:
        entities |= dict(_target(shown, component, names, common["state_topic"]) for component in shown.view.components)
        entities["cancel"] = _entity(names, device.id, "cancel", "button", "Cancel", order="PRESS", hidden=True)
        entities["check"] = _entity(names, device.id, "check", "button", "Check", order="PRESS", hidden=True)
        entities["automatic"] = _entity(
            names, device.id, "automatic", "switch", "Automatic updates", state_topic=common["state_topic"], order="ON", hidden=True
        )
    if "approve" in scopes:
        entities["approve"] = _entity(names, device.id, "approve", "button", "Approve", order="PRESS", hidden=True)
    ended = {key: {"platform": platform} for key, platform in (gone or {}).items() if key not in entities}
    return {
        "device": _device(shown, names),
        "origin": _ORIGIN,
        "availability": [{"topic": names.status}, {"topic": names.available(device.id)}],
        "availability_mode": "all",
        "components": entities | ended,
    }


def hub_message(radios: Sequence[RadioView], names: Names) -> dict[str, Any]:
    """The discovery message of the hub itself, which its devices are behind."""
    told = {"identifiers": [names.hub], "name": "otagate", "model": "Firmware hub", "sw_version": __version__, "configuration_url": names.link()}
    of_hub = {"qos": 1, "entity_category": "diagnostic", "state_topic": names.hub_state, "platform": "binary_sensor"}
    shown = [("halted", "Halted", "problem"), *((f"radio_{each.name}", f"Radio {each.name}", "connectivity") for each in radios)]
    entities = {
        key: of_hub | {"unique_id": f"{names.hub}_{key}", "name": name, "device_class": kind, "value_template": _read(key)}
        for key, name, kind in shown
    }
    for each in radios:
        attributes = f"{{{{ value_json['told_{each.name}'] | tojson }}}}"
        entities[f"radio_{each.name}"] |= {"json_attributes_topic": names.hub_state, "json_attributes_template": attributes}
    return {
        "device": {key: value for key, value in told.items() if value},
        "origin": _ORIGIN,
        "availability": [{"topic": names.status}],
        "availability_mode": "all",
        "components": entities,
    }


def hub_states(radios: Sequence[RadioView], *, halted: bool) -> dict[str, Any]:
    """The state of the hub itself."""
    up = {f"radio_{each.name}": _on(each.state == "up") for each in radios}
    told = {
        f"told_{each.name}": {"state": each.state, "sentence": readable(each.sentence, _SUMMARY), "borrowed_from": each.borrowed_from}
        for each in radios
    }
    return {"halted": _on(halted), **up, **told}


def _on(value: bool) -> str:
    return "ON" if value else "OFF"


def _read(key: str) -> str:
    return f"{{{{ value_json['{key}'] }}}}"


def _device(shown: Shown, names: Names) -> dict[str, Any]:
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
        "via_device": names.hub,
        "configuration_url": names.link(device.id),
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


def _target(shown: Shown, component: ComponentView, names: Names, state_topic: str) -> tuple[str, dict[str, Any]]:
    """Which version Install brings: choosing one sends nothing to the device."""
    part, device = component.component.id, shown.view.device.id
    name = "Version to install" if len(shown.view.components) == 1 else f"Version to install, component {part}"
    entity = _entity(
        names, device, f"target_{part}", "select", name, state_topic=state_topic, order=f"target/{part}", hidden=True,
        options=list(dict.fromkeys([NEWEST, *shown.choices.get(part, ()), *([shown.targets[part]] if part in shown.targets else [])])),
    )  # fmt: skip
    return f"target_{part}", entity


def _entity(
    names: Names, device: DeviceId, key: str, platform: str, name: str, *, order: str | None = None, hidden: bool = False, **more: Any
) -> dict[str, Any]:
    told: dict[str, Any] = {"platform": platform, "unique_id": f"{names.object_id(device)}_{key}", "name": name, "qos": 1, **more}
    told["entity_category"] = "config" if order is not None else "diagnostic"
    if "state_topic" in more:
        told["value_template"] = _read(key)
    if order is not None:
        told |= {"command_topic": names.order(device, order if platform == "select" else key), "retain": False}
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
        found[names.state(view.device.id, component.component.id)] = _versions(shown, component, names)
    running = next(iter(shown.updates.values()), None)
    etas = [each.eta_seconds for each in shown.updates.values() if each.eta_seconds is not None]
    found[names.state(view.device.id)] = {
        "state": running.update.state.value if running is not None else _SHOWN_AS.get(view.update_status, view.update_status),
        "reason": None if running is None else running.update.reason,
        "sentence": None if running is None or running.sentence is None else readable(running.sentence, _SUMMARY),
        "eta": None if not etas else (now + timedelta(seconds=max(etas) + 30)).replace(second=0, microsecond=0).isoformat(),
        "problem": _on(view.update_status == "failed"),
        "automatic": _on(shown.automatic),
        "last_order": None if shown.said is None else readable(shown.said, _SUMMARY),
        **{f"target_{each.component.id}": shown.targets.get(each.component.id, NEWEST) for each in view.components},
    }
    return found


def _versions(shown: Shown, component: ComponentView, names: Names) -> dict[str, Any]:
    """The state of an `update` entity: strings are left out where there is none, and a percentage is only there while it moves."""
    found, update = component.component, shown.updates.get(component.component.id)
    installed = None if found.version is None else readable(display_version(found.version))
    latest = installed if component.available is None else readable(component.available.display_version)
    if found.id in shown.targets:
        latest = shown.targets[found.id]
    if update is not None and update.update.to_version is not None:
        latest = readable(display_version(update.update.to_version))
    moving = update is not None and update.update.state.running
    told: dict[str, Any] = {"in_progress": moving, "update_percentage": None}
    if update is not None and moving and update.update.bytes_total:
        told["update_percentage"] = min(100.0, round(100 * update.bytes_sent / update.update.bytes_total, 1))
    notes = None if component.available is None or component.available.notes is None else readable(component.available.notes, _SUMMARY)
    texts = {
        "installed_version": installed,
        "latest_version": latest,
        "title": readable(shown.view.device.model or ""),
        "release_summary": notes,
        "release_url": names.link(shown.view.device.id),
    }
    return told | {key: value for key, value in texts.items() if value}


def encoded(document: Any) -> bytes:
    """A document as it is sent."""
    return (
        document.encode() if isinstance(document, str) else json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    )
