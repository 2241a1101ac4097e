"""What the driver knows of its nodes, and what a node itself says when it is asked, in the hub's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from zwave_js_server.const import CommandClass, NodeStatus, RFRegion, SecurityClass
from zwave_js_server.model.controller import Controller
from zwave_js_server.model.node import Node

from otagate.model.devices import Component, Device, Listening, ZwaveNode
from otagate.model.errors import DeviceRefused, DeviceUnreachable, RadioUnavailable
from otagate.model.ids import DeviceId, RadioName, zwave_component_id, zwave_device_id
from otagate.model.links import Link
from otagate.model.text import readable
from otagate.model.versions import parse_dotted_version
from otagate.radios.zwave_line import CommandRefused, ZwaveLine

_TEXT_BOUND = 128
_MOST_TARGETS = 8
_FIRST_LONG_RANGE = 256

_NO_ANSWER = frozenset({200, 201, 202, 203, 204, 205, 206, 210, 215})
"""Errors of the driver for a node that did not answer or could not be reached (`ZWaveErrorCodes`: Controller_…)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """A Firmware Update Meta Data Report (CC 0x7A, version 8); what a version of the CC does not tell is None."""

    manufacturer_id: int
    firmware_ids: tuple[int, ...]
    upgradable: bool
    largest_fragment: int | None
    hardware_version: int | None
    activation: bool


def device_id_of(node: Node, home_id: int) -> DeviceId:
    """Our id of a node."""
    return zwave_device_id(home_id, node.node_id)


def describe(node: Node, controller: Controller, radio: RadioName, region: str | None) -> Device:
    """What the driver knows of a node, from its interview and since."""
    mine = node.is_controller_node or node.node_id == controller.own_node_id
    listening = _listening(node)
    battery = _value(node, CommandClass.BATTERY, "level")
    model = _clean(node.data.get("label")) or _clean(_config(node).get("label"))
    return Device(
        id=device_id_of(node, _home_id(controller)),
        radio=radio,
        protocol="zwave",
        name=_clean(node.name) or model or "",
        manufacturer=_clean(_config(node).get("manufacturer")),
        model=model,
        manufacturer_code=_number(node.data.get("manufacturerId")),
        power="mains" if mine or (listening == "always" and battery is None) else "battery",
        sleepy=not mine and (listening == "sleeping" or is_asleep(node)),  # before its interview only its silence tells
        battery_percent=battery if isinstance(battery, int) and 0 <= battery <= 100 else None,
        components=known_components(node),
        node=ZwaveNode(
            product_type=_number(node.data.get("productType")),
            product_id=_number(node.data.get("productId")),
            listening="always" if mine else listening,
            long_range=node.node_id >= _FIRST_LONG_RANGE,
            security=_security(node),
            region=region_of(controller) or region,
            controller=bool(mine),
            status=_status(node),
        ),
    )


def link_of(statistics: Mapping[str, Any], now: datetime) -> Link | None:
    """How well a node is heard, by the driver's statistics: on the weakest hop of its last working route, else as the controller hears its frames."""
    route = statistics.get("lwr")
    route = route if isinstance(route, Mapping) else {}
    repeaters, on_the_way = route.get("repeaters"), route.get("repeaterRSSI")
    hops = [route.get("rssi"), *(on_the_way if isinstance(on_the_way, list) else [])]
    told = [each for each in hops if _is_strength(each)] or [each for each in [statistics.get("rssi")] if _is_strength(each)]
    count = len(repeaters) if isinstance(repeaters, list) else None
    heard = _instant(statistics.get("lastSeen")) or now
    return Link(heard=min(heard, now), rssi=round(min(told)), repeaters=count) if told else None


def _instant(told: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(told) if isinstance(told, str) else None
    except ValueError:
        return None
    return None if found is None or found.tzinfo is None else found


def _is_strength(told: object) -> bool:
    """In dBm; 125 to 127 stand for what was not measured (SDK: no signal, saturated, not available)."""
    return isinstance(told, (int, float)) and not isinstance(told, bool) and -128 < told < 0


def region_of(controller: Controller) -> str | None:
    """The region of the controller's radio in small letters; None where it does not tell (500 series)."""
    return _REGIONS.get(_number(controller.data.get("rfRegion")))


_REGIONS: Mapping[int | None, str] = {
    RFRegion.EUROPE: "europe",
    RFRegion.USA: "usa",
    RFRegion.AUSTRALIA_AND_NEW_ZEALAND: "australia/new zealand",
    RFRegion.HONG_KONG: "hong kong",
    RFRegion.INDIA: "india",
    RFRegion.ISRAEL: "israel",
    RFRegion.RUSSIA: "russia",
    RFRegion.CHINA: "china",
    RFRegion.USA_LONG_RANGE: "usa (long range)",
    RFRegion.JAPAN: "japan",
    RFRegion.KOREA: "korea",
    11: "europe (long range)",  # newer than the library
    RFRegion.DEFAULT_EU: "europe",
}


def known_components(node: Node) -> tuple[Component, ...]:
    """The versions that the last interview read, one per firmware target."""
    told = _value(node, CommandClass.VERSION, "firmwareVersions")
    versions = list(told) if isinstance(told, list) else []
    main = _version(node.data.get("firmwareVersion"))
    if main is not None:  # the driver puts the patch of the application's version into this one
        versions[:1] = [main]
    return _components(versions, None, updatable=None if _has_firmware_update(node) else False)


async def read_components(line: ZwaveLine, node: Node) -> tuple[tuple[Component, ...], Metadata | None]:
    """Ask the node which firmware it runs, now: Version Report, and Firmware Update Meta Data Report where it has that command class.

    Raises DeviceUnreachable, DeviceRefused, RadioUnavailable; that also for a node whose first interview is not over, so that it is asked again when
    it is: before that the driver does not even know what it may be asked.
    """
    if is_dead(node) and (await line.command("node.ping", nodeId=node.node_id)).get("responded") is not True:
        raise DeviceUnreachable(f"node {node.node_id} is dead: it does not answer a ping")  # to a dead node the driver sends nothing else
    if not is_known(node):
        raise RadioUnavailable(f"the driver is still getting to know node {node.node_id}; it is asked when that is done")
    report = await _ask(line, node, CommandClass.VERSION, "get")
    told = report.get("firmwareVersions")
    versions: list[Any] = list(told) if isinstance(told, Sequence) and not isinstance(told, str) else []
    if not versions:
        raise DeviceUnreachable(f"node {node.node_id} does not answer")
    if _version(_value(node, CommandClass.VERSION, "applicationVersion")) is not None:
        exact = (await _ask(line, node, CommandClass.VERSION, "getZWaveSoftware")).get("applicationVersion")
        if isinstance(exact, str) and exact.startswith(f"{versions[0]}."):  # some nodes tell there what is no version of theirs; as the driver does
            versions[0] = exact
    metadata = await read_metadata(line, node) if _has_firmware_update(node) else None
    return _components(versions, metadata, updatable=None if metadata is not None else False), metadata


async def read_metadata(line: ZwaveLine, node: Node) -> Metadata:
    """Ask the node what it says of its firmware, now. Raises DeviceUnreachable, DeviceRefused, RadioUnavailable."""
    report = await _ask(line, node, CommandClass.FIRMWARE_UPDATE_MD, "getMetaData")
    manufacturer_id, firmware_id = _number(report.get("manufacturerId")), _number(report.get("firmwareId"))
    if manufacturer_id is None or firmware_id is None:
        raise DeviceUnreachable(f"node {node.node_id} does not tell of its firmware")
    others = report.get("additionalFirmwareIDs")
    further = [each for each in others if isinstance(each, int)] if isinstance(others, list) else []
    return Metadata(
        manufacturer_id=manufacturer_id,
        firmware_ids=(firmware_id, *further),
        upgradable=report.get("firmwareUpgradable") is True,
        largest_fragment=_number(report.get("maxFragmentSize")) or None,
        hardware_version=_number(report.get("hardwareVersion")),
        activation=report.get("supportsActivation") is True,
    )


async def _ask(line: ZwaveLine, node: Node, command_class: CommandClass, method: str) -> Mapping[str, Any]:
    """Have the driver ask the node over the air; an answer that did not come is an empty one."""
    try:
        answer = await line.command(
            "endpoint.invoke_cc_api", nodeId=node.node_id, endpoint=0, commandClass=int(command_class), methodName=method, args=[]
        )
    except CommandRefused as error:
        if error.number in _NO_ANSWER:
            raise DeviceUnreachable(f"node {node.node_id} does not answer: {error.text[:200]}") from None
        raise DeviceRefused(f"node {node.node_id} could not be asked: {error.text[:200]}") from None
    response = answer.get("response")
    return response if isinstance(response, Mapping) else {}


def _offers(metadata: Metadata, target: int) -> bool:
    """Whether the node lets this target be updated; only of the main one it says so by itself."""
    return metadata.upgradable if target == 0 else target < len(metadata.firmware_ids)


def _components(versions: Sequence[Any], metadata: Metadata | None, *, updatable: bool | None = None) -> tuple[Component, ...]:
    targets = max(len(versions), 0 if metadata is None else len(metadata.firmware_ids))
    return tuple(
        Component(
            id=zwave_component_id(target),
            version=_version(versions[target]) if target < len(versions) else None,
            manufacturer_code=None if metadata is None else metadata.manufacturer_id,
            hardware_version=None if metadata is None else metadata.hardware_version,
            firmware_id=metadata.firmware_ids[target] if metadata is not None and target < len(metadata.firmware_ids) else None,
            updatable=updatable if metadata is None else _offers(metadata, target),
            activation=None if metadata is None else "server" if metadata.activation else "at_once",
        )
        for target in range(min(targets, _MOST_TARGETS))
    )


def is_asleep(node: Node) -> bool:
    """Whether the driver is sure that nothing reaches the node."""
    return _state(node) == NodeStatus.ASLEEP


def is_known(node: Node) -> bool:
    """Whether the driver has interviewed the node once, and knows what it is."""
    return bool(node.ready) or _number(node.data.get("productId")) is not None


def is_dead(node: Node) -> bool:
    """Whether the driver found the node silent."""
    return _state(node) == NodeStatus.DEAD


def _has_firmware_update(node: Node) -> bool:
    return any(each.id == CommandClass.FIRMWARE_UPDATE_MD for each in node.command_classes)


def _listening(node: Node) -> Listening:
    if node.is_listening:
        return "always"
    return "frequent" if node.is_frequent_listening else "sleeping" if node.is_listening is False else "always"


def _security(node: Node) -> str | None:
    number = _number(node.data.get("highestSecurityClass"))
    names = {SecurityClass.NONE: "none", SecurityClass.S0_LEGACY: "S0"} | {
        SecurityClass.S2_UNAUTHENTICATED: "S2 unauthenticated",
        SecurityClass.S2_AUTHENTICATED: "S2 authenticated",
        SecurityClass.S2_ACCESS_CONTROL: "S2 access control",
    }
    return None if number is None else names.get(SecurityClass(number)) if number in set(SecurityClass) else None


def _state(node: Node) -> int | None:
    """What the driver says, raw: the library raises where it does not know the word, and one such node must not keep the radio off."""
    return _number(node.data.get("status"))


def _status(node: Node) -> str:
    words = {NodeStatus.ASLEEP: "asleep", NodeStatus.AWAKE: "awake", NodeStatus.DEAD: "dead", NodeStatus.ALIVE: "alive"}
    return next((word for status, word in words.items() if status == _state(node)), "unknown")


def _home_id(controller: Controller) -> int:
    return int(controller.home_id or 0)


def _config(node: Node) -> Mapping[str, Any]:
    config = node.data.get("deviceConfig")
    return config if isinstance(config, Mapping) else {}


def _value(node: Node, command_class: CommandClass, name: str) -> Any:
    value = node.values.get(f"{node.node_id}-{int(command_class)}-0-{name}")
    return None if value is None else value.value


def _version(told: object) -> str | None:
    try:
        return parse_dotted_version(told) if isinstance(told, str) else None
    except ValueError:
        return None


def _number(told: object) -> int | None:
    return told if isinstance(told, int) and not isinstance(told, bool) else None


def _clean(text: object) -> str | None:
    return readable(text, longest=_TEXT_BOUND)
