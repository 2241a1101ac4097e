"""What a driver knows of its nodes, in the words of its server and behind the real library's own classes, and a line that answers by heart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zwave_js_server.client import Client
from zwave_js_server.model.controller import Controller
from zwave_js_server.model.node import Node

from otagate.radios.zwave_line import ZwaveLine

HOME_ID = 0xE1B2C3D4
COUNTERS = ("messagesTX", "messagesRX", "messagesDroppedRX", "messagesDroppedTX", "NAK", "CAN", "timeoutACK", "timeoutResponse", "timeoutCallback")
VERSION, BATTERY, FIRMWARE_UPDATE = 0x86, 0x80, 0x7A
METADATA = {"manufacturerId": 0x027A, "firmwareId": 0x1000, "checksum": 0, "firmwareUpgradable": True, "maxFragmentSize": 40, "hardwareVersion": 1}


def value(command_class: int, name: str, told: Any) -> dict[str, Any]:
    """A value of a node, as a dump of its state lists it."""
    metadata = {"type": "any", "readable": True, "writeable": False, "label": name, "stateful": True, "secret": False}
    names = {"commandClassName": str(command_class), "property": name, "propertyName": name}
    return {"endpoint": 0, "commandClass": command_class, "ccVersion": 2, "metadata": metadata, "value": told} | names


def node_state(number: int = 2, *, classes: tuple[int, ...] = (VERSION, FIRMWARE_UPDATE), **changes: Any) -> dict[str, Any]:
    """The state of a node after its interview; what is changed to None is not told at all."""
    listed = [{"id": each, "name": str(each), "version": 2, "isSecure": False} for each in classes]
    state = {
        "nodeId": number,
        "index": 0,
        "status": 4,
        "ready": True,
        "isListening": True,
        "isFrequentListening": False,
        "manufacturerId": 0x027A,
        "productType": 3,
        "productId": 0x0082,
        "firmwareVersion": "1.6",
        "label": "ZSE08",
        "deviceConfig": {"manufacturer": "Zooz", "label": "ZSE08"},
        "interviewStage": "Complete",
        "highestSecurityClass": -1,
        "isControllerNode": False,
        "endpoints": [{"nodeId": number, "index": 0, "commandClasses": listed}],
        "values": [value(VERSION, "firmwareVersions", ["1.6"])],
    }
    return {key: told for key, told in (state | changes).items() if told is not None}


def network(*states: Mapping[str, Any], **changes: Any) -> Controller:
    """The library's picture of a network of these nodes."""
    controller = {"homeId": HOME_ID, "ownNodeId": 1, "statistics": dict.fromkeys(COUNTERS, 0), "inclusionState": 0, "isRebuildingRoutes": False}
    client = Client.__new__(Client)  # it wants a running loop, and nothing here is asked of it
    client.driver = None
    return Controller(client, {"controller": controller | changes, "nodes": [dict(each) for each in states]})


def node(**changes: Any) -> Node:
    """One node of such a network."""
    return network(node_state(**changes)).nodes[2]


class Answers(ZwaveLine):
    """A line that answers by command, or by method of a command class; an exception is raised, a list is answered one by one."""

    def __init__(self, schema: int = 50, /, **answers: Any) -> None:
        super().__init__("ws://nowhere", lambda _: None)
        self._schema = schema
        self.answers = answers
        self.asked: list[tuple[str, dict[str, Any]]] = []

    @property
    def highest_schema(self) -> int:
        return self._schema

    async def command(self, command: str, *, within: float | None = None, **fields: Any) -> dict[str, Any]:
        del within
        key = str(fields.get("methodName", command.rpartition(".")[2]))
        self.asked.append((key, fields))
        answer = self.answers.get(key)
        if isinstance(answer, list):
            answer = answer.pop(0)
        if callable(answer):
            answer = await answer()
        if isinstance(answer, Exception):
            raise answer
        return {"response": answer} if "methodName" in fields else (answer or {})
