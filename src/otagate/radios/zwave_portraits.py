"""How a Z-Wave node is set, as its driver knows it from the last interview: associations, and parameters that are not at their defaults."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import structlog
from zwave_js_server.const import CommandClass
from zwave_js_server.model.node import Node

from otagate.model.portraits import MOST_SETTINGS, Portrait, Setting
from otagate.radios.zwave_line import CommandRefused, ZwaveLine

LOG = structlog.get_logger("otagate.radio")

_MOST_ENDPOINTS = 8
_ASSOCIATIONS: Final = frozenset({CommandClass.ASSOCIATION, CommandClass.MULTI_CHANNEL_ASSOCIATION})


async def portray(line: ZwaveLine, node: Node, questions: Collection[str] | None) -> Portrait:
    """What the driver tells of the node's settings, without a frame on the air; with `questions`, only in answer to these.

    Raises RadioUnavailable.
    """
    parameters = _parameters(node)
    if questions is None:
        questions = [*_association_questions(node), *(each for each, (value, default) in parameters.items() if value != default)]
    answered: list[str] = []
    settings: list[Setting] = []
    for question in questions:
        if question in parameters:
            found = [Setting(kind="parameter", question=question, at=question.removeprefix("parameter/"), value=str(parameters[question][0]))]
        elif question in _association_questions(node):
            found = await _associations(line, node, question)
        else:
            continue
        if len(settings) + len(found) <= MOST_SETTINGS:
            answered.append(question)
            settings += found
    return Portrait(answered=tuple(answered), settings=tuple(settings))


def _association_questions(node: Node) -> list[str]:
    endpoints = sorted(node.endpoints.values(), key=lambda each: each.index)[:_MOST_ENDPOINTS]
    return [f"associations/{each.index}" for each in endpoints if any(one.id in _ASSOCIATIONS for one in each.command_classes)]


def _parameters(node: Node) -> dict[str, tuple[int, int | None]]:
    """Every parameter that can be set and was read, by its question, with its default where the node tells one (Configuration CC, version 3)."""
    found: dict[str, tuple[int, int | None]] = {}
    for each in node.get_configuration_values().values():
        if each.metadata.writeable and isinstance(each.value, int):
            part = "" if each.property_key is None else f"/{each.property_key}"
            found[f"parameter/{each.endpoint or 0}/{each.property_}{part}"] = (each.value, each.metadata.default)
    return found


async def _associations(line: ZwaveLine, node: Node, question: str) -> list[Setting]:
    endpoint = int(question.rpartition("/")[2])
    told = (await line.command("controller.get_associations", nodeId=node.node_id, endpoint=endpoint)).get("associations")
    groups: Mapping[str, Any] = told if isinstance(told, Mapping) else {}
    return [
        Setting(kind="association", question=question, at=f"{endpoint}/{group} to {_target(each)}")
        for group, members in groups.items()
        for each in members
        if isinstance(each, Mapping)
    ]


def _target(address: Mapping[str, Any]) -> str:
    return f"{address.get('nodeId')}" + ("" if address.get("endpoint") is None else f"/{address['endpoint']}")


async def restore(line: ZwaveLine, node: Node, settings: Sequence[Setting]) -> None:
    """Set the node so again; what it refuses is left as it is. The driver reads back what it has set. Raises RadioUnavailable."""
    for each in settings:
        try:
            await (_set_parameter if each.kind == "parameter" else _associate)(line, node, each)
        except CommandRefused as error:
            LOG.debug("setting not given back", node=node.node_id, setting=each.name, error=error.text[:200])


async def _set_parameter(line: ZwaveLine, node: Node, setting: Setting) -> None:
    endpoint, number, *part = (int(each) for each in setting.at.split("/"))
    value_id = {"commandClass": int(CommandClass.CONFIGURATION), "endpoint": endpoint, "property": number}
    value_id |= {"propertyKey": part[0]} if part else {}
    await line.command("node.set_value", nodeId=node.node_id, valueId=value_id, value=int(setting.value))
    await line.command("node.poll_value", nodeId=node.node_id, valueId=value_id)


async def _associate(line: ZwaveLine, node: Node, setting: Setting) -> None:
    source, target = setting.at.split(" to ")
    endpoint, group = (int(each) for each in source.split("/"))
    number, *other = (int(each) for each in target.split("/"))
    address = {"nodeId": number} | ({"endpoint": other[0]} if other else {})
    await line.command("controller.add_associations", nodeId=node.node_id, endpoint=endpoint, group=group, associations=[address])
