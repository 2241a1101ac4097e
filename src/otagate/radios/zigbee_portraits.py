"""How a Zigbee device is set, read and set again through zigpy: groups, bindings, reporting, what it is at power-on, what is on.

One question at a time, each of few frames and of the lowest priority, so that the transfers of the radio go first. A device that leaves questions
unanswered is asked no more of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import structlog

from otagate.model.portraits import MOST_SETTINGS, Portrait, Setting, SettingKind

if TYPE_CHECKING:
    from zigpy.device import ZigbeeDevice
    from zigpy.zcl import Cluster

LOG = structlog.get_logger("otagate.radio")

_GROUPS = 0x0004
_BINDINGS = "bindings"
_MOST_PAGES = 8
_MOST_QUESTIONS = 40
_MOST_SILENCES = 2
_WITHIN = 6.0
"""Seconds that the answer to one question may take; zigpy gives a frame five."""

_ALL_WITHIN = 30.0

_ATTRIBUTES: Final[Mapping[tuple[int, int], SettingKind]] = {
    (0x0006, 0x0000): "on_off",
    (0x0006, 0x4003): "start_up_on_off",
    (0x0008, 0x0000): "level",
    (0x0008, 0x4000): "start_up_level",
    (0x0300, 0x4010): "start_up_color_temperature",
}
"""Cluster and attribute of what is worth keeping (ZCL 3.8.2.2, 3.10.2.3, 5.2.2.2)."""

_REPORTED: Final[Mapping[int, tuple[int, ...]]] = {
    0x0001: (0x0020, 0x0021),
    0x0006: (0x0000,),
    0x0008: (0x0000,),
    0x0101: (0x0000,),
    0x0102: (0x0008, 0x0009),
    0x0201: (0x0000, 0x0008, 0x0012, 0x001C),
    0x0300: (0x0003, 0x0004, 0x0007, 0x0008),
    0x0400: (0x0000,),
    0x0402: (0x0000,),
    0x0403: (0x0000,),
    0x0405: (0x0000,),
    0x0406: (0x0000,),
    0x0500: (0x0002,),
    0x0702: (0x0000, 0x0400),
    0x0B04: (0x0505, 0x0508, 0x050B),
}
"""What hubs have devices report, by cluster: only of these is it asked how (ZCL 2.5.9), in one frame a cluster."""

_SUCCESS, _UNSUPPORTED_ATTRIBUTE, _NOT_FOUND, _UNREPORTABLE = 0x00, 0x86, 0x8B, 0x8C
_NOT_SET = frozenset({_UNSUPPORTED_ATTRIBUTE, _NOT_FOUND, _UNREPORTABLE})


@dataclass(slots=True)
class _Sitting:
    """What was learned so far, question by question."""

    device: ZigbeeDevice
    asked: int = 0
    silences: int = 0
    answered: list[str] = field(default_factory=list)
    settings: list[Setting] = field(default_factory=list)

    async def ask(self, *questions: str) -> None:
        """Ask as long as there is room and the device answers; what it does not answer whole is not known."""
        for question in questions:
            if self.asked >= _MOST_QUESTIONS or self.silences >= _MOST_SILENCES:
                return
            self.asked += 1
            try:
                async with asyncio.timeout(_WITHIN):
                    found = await _answer(self.device, question)
            except TimeoutError:
                self.silences += 1
                continue
            if found is not None and len(self.settings) + len(found) <= MOST_SETTINGS:
                self.answered.append(question)
                self.settings += found

    def portrait(self) -> Portrait:
        """As far as it goes."""
        return Portrait(answered=tuple(self.answered), settings=tuple(self.settings))


async def portray(device: ZigbeeDevice, questions: Collection[str] | None) -> Portrait:
    """What the device tells of its settings; with `questions`, only in answer to these."""
    sitting = _Sitting(device)
    try:
        async with asyncio.timeout(_ALL_WITHIN):
            await sitting.ask(*(_first_questions(device) if questions is None else questions))
            if questions is None:
                await sitting.ask(*_reporting_questions(device, sitting))
    except TimeoutError:
        LOG.debug("settings read in part", device=str(device.ieee), answered=len(sitting.answered))
    return sitting.portrait()


def _first_questions(device: ZigbeeDevice) -> list[str]:
    found = [_BINDINGS, *(f"groups/{number}" for number, clusters in _servers(device) if _GROUPS in clusters)]
    for number, clusters in _servers(device):
        found += [f"attribute/{number}/0x{cluster:04x}/0x{key:04x}" for cluster, key in _ATTRIBUTES if cluster in clusters]
    return found


def _reporting_questions(device: ZigbeeDevice, sitting: _Sitting) -> list[str]:
    """Reports go where bindings lead: of a cluster that none begins at there is nothing to ask."""
    bound = {each.at.rsplit(" to ", 1)[0] for each in sitting.settings if each.kind == "binding"}
    places = [f"{number}/0x{cluster:04x}" for number, clusters in _servers(device) for cluster in _REPORTED if cluster in clusters]
    return [f"reporting/{place}" for place in places if place in bound or _BINDINGS not in sitting.answered]


def _servers(device: ZigbeeDevice) -> list[tuple[int, Mapping[int, Cluster]]]:
    return [(number, endpoint.in_clusters) for number, endpoint in sorted(device.endpoints.items()) if number]


# --- one question -------------------------------------------------------------------------------------------------------------------------


async def _answer(device: ZigbeeDevice, question: str) -> list[Setting] | None:
    """What is set, in answer to a question; None where the device has no such place, or says that it cannot tell. Raises TimeoutError."""
    from zigpy.exceptions import DeliveryError, ZigbeeException

    kind, *where = question.split("/")
    try:
        if kind == _BINDINGS:
            return await _bindings(device)
        cluster = _cluster(device, int(where[0]), int(where[1], 16) if len(where) > 1 else _GROUPS)
        if cluster is None:
            return None
        if kind == "groups":
            return await _groups(cluster, question)
        return await (_reporting(cluster, question) if kind == "reporting" else _attribute(cluster, question, int(where[2], 16)))
    except DeliveryError:
        raise TimeoutError from None
    except (ZigbeeException, AttributeError, LookupError, TypeError, ValueError) as error:  # a Default Response, or what no answer should be
        LOG.debug("no answer to a question", device=str(device.ieee), question=question, error=str(error))
        return None


def _cluster(device: ZigbeeDevice, endpoint: int, cluster: int) -> Cluster | None:
    found = device.endpoints.get(endpoint)
    return None if found is None else found.in_clusters.get(cluster)


async def _groups(cluster: Cluster, question: str) -> list[Setting]:
    """Get Group Membership (ZCL 3.6.2.3.3) with an empty list: all of them, in one frame."""
    answer = await cluster.command(0x02, [], priority=_low())
    endpoint = cluster.endpoint.endpoint_id
    return [Setting(kind="group", question=question, at=f"{endpoint}/0x{int(each):04x}") for each in answer.groups]


async def _attribute(cluster: Cluster, question: str, key: int) -> list[Setting] | None:
    answer = await cluster.read_attributes_raw([key], priority=_low())
    record = next((each for each in answer.status_records if each.attrid == key), None)
    if record is not None and record.status in _NOT_SET:
        return []
    if record is None or record.status != _SUCCESS:
        return None
    at, value = f"endpoint {cluster.endpoint.endpoint_id}", int(record.value.value)
    return [Setting(kind=_ATTRIBUTES[cluster.cluster_id, key], question=question, at=at, value=str(value))]


async def _reporting(cluster: Cluster, question: str) -> list[Setting] | None:
    """Read Reporting Configuration (ZCL 2.5.9) of all attributes that are looked at."""
    from zigpy.zcl import foundation

    keys = _REPORTED[cluster.cluster_id]
    records = [foundation.ReadReportingConfigRecord(direction=0, attrid=key) for key in keys]
    answer = await cluster.general_command(foundation.GeneralCommand.Read_Reporting_Configuration, records, priority=_low())
    told = {int(each.config.attrid): each for each in answer.attribute_configs}
    if not set(keys) <= set(told) or any(each.status not in (_SUCCESS, *_NOT_SET) for each in told.values()):
        return None
    place = f"{cluster.endpoint.endpoint_id}/0x{cluster.cluster_id:04x}"
    return [
        Setting(kind="reporting", question=question, at=f"{place}/0x{key:04x}", value=_written(told[key].config))
        for key in keys
        if told[key].status == _SUCCESS
    ]


def _written(config: Any) -> str:
    """A reporting configuration as text: its record from the data type on (ZCL 2.5.7.1), in hex."""
    return str(config.serialize()[3:].hex())


async def _bindings(device: ZigbeeDevice) -> list[Setting] | None:
    """Mgmt_Bind (Zigbee R22 2.4.3.3.4), page by page."""
    found: list[Setting] = []
    start = 0
    for _ in range(_MOST_PAGES):
        answer = await device.zdo.Mgmt_Bind_req(start, priority=_low())
        status, total, entries = answer[0], answer[1], answer[3]
        if status != _SUCCESS:
            return None
        found += [setting for each in entries if (setting := _binding(each)) is not None]
        start += len(entries)
        if start >= total or not entries:
            break
    return found if start >= total else None  # part of a table would look like losses later


def _binding(entry: Any) -> Setting | None:
    to = entry.DstAddress
    target = f"group 0x{int(to.nwk):04x}" if to.addrmode == 1 else f"{_hex(to.ieee)}/{int(to.endpoint)}"
    return Setting(kind="binding", question=_BINDINGS, at=f"{int(entry.SrcEndpoint)}/0x{int(entry.ClusterId):04x} to {target}")


def _hex(ieee: Any) -> str:
    return f"{int.from_bytes(ieee.serialize(), 'little'):016x}"


def _low() -> Any:
    from zigpy.types import PacketPriority

    return PacketPriority.LOW


# --- giving back --------------------------------------------------------------------------------------------------------------------------


async def restore(device: ZigbeeDevice, settings: Sequence[Setting]) -> None:
    """Set the device so again; what it refuses, or does not answer twice, is left as it is."""
    from zigpy.exceptions import ZigbeeException

    silences = 0
    try:
        async with asyncio.timeout(_ALL_WITHIN):
            for each in settings:
                try:
                    async with asyncio.timeout(_WITHIN):
                        await _GIVE[each.kind](device, each)
                except (TimeoutError, ZigbeeException, AttributeError, LookupError, TypeError, ValueError) as error:
                    LOG.debug("setting not given back", device=str(device.ieee), setting=each.name, error=str(error))
                    silences += isinstance(error, TimeoutError)
                if silences >= _MOST_SILENCES:
                    return
    except TimeoutError:
        LOG.debug("settings given back in part", device=str(device.ieee))


async def _give_group(device: ZigbeeDevice, setting: Setting) -> None:
    """Add Group (ZCL 3.6.2.3.1)."""
    endpoint, group = setting.at.split("/")
    await device.endpoints[int(endpoint)].in_clusters[_GROUPS].command(0x00, int(group, 16), "", priority=_low())


async def _give_binding(device: ZigbeeDevice, setting: Setting) -> None:
    """Bind (Zigbee R22 2.4.3.2.2)."""
    from zigpy.zdo.types import MultiAddress

    source, target = setting.at.split(" to ")
    endpoint, cluster = source.split("/")
    address, _ = MultiAddress.deserialize(_address(target))  # type: ignore[no-untyped-call]
    await device.zdo.Bind_req(device.ieee, int(endpoint), int(cluster, 16), address, priority=_low())


def _address(target: str) -> bytes:
    """The destination of a binding as it is on the air: address mode, then a group, or an IEEE address and an endpoint."""
    if target.startswith("group "):
        return b"\x01" + int(target.removeprefix("group "), 16).to_bytes(2, "little")
    ieee, _, endpoint = target.partition("/")
    return b"\x03" + int(ieee, 16).to_bytes(8, "little") + bytes((int(endpoint),))


async def _give_reporting(device: ZigbeeDevice, setting: Setting) -> None:
    """Configure Reporting (ZCL 2.5.7)."""
    from zigpy.zcl import foundation

    endpoint, cluster, key = setting.at.split("/")
    record = b"\x00" + int(key, 16).to_bytes(2, "little") + bytes.fromhex(setting.value)
    config, _ = foundation.AttributeReportingConfig.deserialize(record)
    config.reportable_change = getattr(config, "reportable_change", 0)  # zigpy copies it, also where discrete types have none
    target = device.endpoints[int(endpoint)].in_clusters[int(cluster, 16)]
    await target.general_command(foundation.GeneralCommand.Configure_Reporting, [config], priority=_low())


async def _give_attribute(device: ZigbeeDevice, setting: Setting) -> None:
    """Write Attributes (ZCL 2.5.3)."""
    from zigpy.zcl import foundation

    target, key = _at(device, setting), int(setting.question.rsplit("/", 1)[1], 16)
    definition = target.find_attribute(key)
    value = foundation.TypeValue(type=definition.zcl_type, value=definition.type(int(setting.value)))
    await target.write_attributes_raw([foundation.Attribute(attrid=key, value=value)], priority=_low())


def _at(device: ZigbeeDevice, setting: Setting) -> Cluster:
    """The cluster of a setting that is an attribute."""
    _, endpoint, cluster, _ = setting.question.split("/")
    found: Cluster = device.endpoints[int(endpoint)].in_clusters[int(cluster, 16)]
    return found


async def _give_switch(device: ZigbeeDevice, setting: Setting) -> None:
    """Off or On (ZCL 3.8.2.3)."""
    await _at(device, setting).command(1 if setting.value == "1" else 0, priority=_low())


async def _give_level(device: ZigbeeDevice, setting: Setting) -> None:
    """Move to Level at once (ZCL 3.10.2.4.1)."""
    await _at(device, setting).command(0x00, int(setting.value), 0, priority=_low())


_Give = Callable[["ZigbeeDevice", Setting], Awaitable[None]]
_GIVE: Final[Mapping[SettingKind, _Give]] = {
    "group": _give_group,
    "binding": _give_binding,
    "reporting": _give_reporting,
    "start_up_on_off": _give_attribute,
    "start_up_level": _give_attribute,
    "start_up_color_temperature": _give_attribute,
    "on_off": _give_switch,
    "level": _give_level,
}
