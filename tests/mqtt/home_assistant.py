"""A strict reader of what Home Assistant takes by MQTT discovery: unknown keys, wrong types and what breaks an entity are errors."""

from __future__ import annotations

import re
from typing import Any

_ID = re.compile(r"[A-Za-z0-9_-]+")
_COMMON = {
    "platform",
    "unique_id",
    "name",
    "qos",
    "entity_category",
    "enabled_by_default",
    "value_template",
    "json_attributes_topic",
    "json_attributes_template",
    "device_class",
}
_KEYS = {
    "update": {"state_topic", "command_topic", "payload_install", "retain", "display_precision"},
    "sensor": {"state_topic", "options"},
    "binary_sensor": {"state_topic"},
    "button": {"command_topic", "payload_press", "retain"},
    "switch": {"state_topic", "command_topic", "retain"},
    "select": {"state_topic", "command_topic", "retain", "options"},
}
_NEEDED = {
    "update": {"state_topic"},
    "sensor": {"state_topic"},
    "binary_sensor": {"state_topic"},
    "button": {"command_topic"},
    "switch": {"command_topic"},
    "select": {"command_topic", "options"},
}
_DEVICE = {"identifiers", "connections", "manufacturer", "model", "name", "sw_version", "suggested_area", "via_device", "configuration_url"}
_STATE = {"installed_version", "latest_version", "title", "release_summary", "release_url", "in_progress", "update_percentage"}


def check_message(topic: str, message: dict[str, Any], prefix: str = "homeassistant") -> None:
    """AssertionError where Home Assistant would not take it."""
    head, kind, object_id, tail = topic.rsplit("/", 3)
    assert (head, kind, tail) == (prefix, "device", "config")
    assert _ID.fullmatch(object_id)
    assert message.keys() == {"device", "origin", "availability", "availability_mode", "components"}
    assert message["availability_mode"] == "all"
    assert all(each.keys() == {"topic"} for each in message["availability"])
    assert isinstance(message["origin"]["name"], str)
    device = message["device"]
    assert device.keys() <= _DEVICE
    assert device["identifiers"]
    assert all(isinstance(value, str) and value for key, value in device.items() if key not in ("identifiers", "connections"))
    assert all(len(each) == 2 for each in device.get("connections", ()))
    entities = [each for each in message["components"].values() if each.keys() != {"platform"}]  # one that is taken away has no more than that
    assert len({each["unique_id"] for each in entities}) == len(entities)
    assert all(_ID.fullmatch(key) for key in message["components"])
    assert re.fullmatch(r"https?://\S+", device.get("configuration_url", "http://-"))
    for entity in entities:
        _check_entity(entity)


def _check_entity(entity: dict[str, Any]) -> None:
    platform = entity["platform"]
    assert entity.keys() <= _COMMON | _KEYS[platform], entity
    assert entity.keys() >= _NEEDED[platform] | {"unique_id", "name"}, entity
    assert entity["qos"] == 1
    assert not entity.get("retain")
    assert ("command_topic" in entity) == ("payload_install" in entity) or platform != "update", "no default: pressing it would fail"
    assert 1 <= len(entity.get("options", ["-"])) == len(set(entity.get("options", ["-"])))
    for key, value in entity.items():
        if key.endswith("_topic"):
            assert not set(value) & set("+#\0")
    assert entity.get("entity_category") in ("config", "diagnostic")
    assert entity.get("entity_category") != "config" or platform not in ("sensor", "binary_sensor")


def check_state(state: dict[str, Any]) -> None:
    """AssertionError where the `update` entity could not read its state."""
    assert state.keys() <= _STATE
    assert isinstance(state["in_progress"], bool)
    percent = state["update_percentage"]
    assert percent is None or (state["in_progress"] and 0 <= percent <= 100)
    assert all(isinstance(value, str) and value for key, value in state.items() if key not in ("in_progress", "update_percentage"))
    assert len(state.get("release_summary", "")) <= 255
    assert re.fullmatch(r"https?://\S+", state.get("release_url", "http://-"))
