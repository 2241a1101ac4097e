"""The Radio over zwave-js-server: nodes are the driver's, their firmware goes through it, and so may other programs' updates.

The driver is a process that we share with others (Home Assistant, zwave-js-ui) and that goes on without us. After every connect everything is
read anew, and nothing that it did meanwhile is assumed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import structlog
from zwave_js_server.model.node import Node

from otagate.model.devices import Component, Device
from otagate.model.errors import DeviceUnreachable, RadioError, RadioUnavailable, UnknownDevice
from otagate.model.ids import DeviceId, RadioName, node_id_of, zwave_component_id, zwave_device_id
from otagate.model.links import Link, Load
from otagate.model.portraits import Portrait, Setting
from otagate.ports import (
    Clock,
    DeviceAsked,
    DeviceFound,
    DeviceGone,
    DeviceReturned,
    DeviceSeen,
    DeviceSilent,
    DeviceSlept,
    Emit,
    RadioLoaded,
)
from otagate.radios import zwave_nodes as nodes
from otagate.radios import zwave_portraits
from otagate.radios.meter import Meter, is_news
from otagate.radios.recent import Recent
from otagate.radios.remote import RemoteRadio
from otagate.radios.zwave_aftermath import BEFORE_INTERVIEW, Aftermaths
from otagate.radios.zwave_line import ZwaveLine
from otagate.radios.zwave_transfers import Transfers
from otagate.sessions import zwave_words as words
from otagate.sessions.zwave_patience import Patience

LOG = structlog.get_logger("otagate.radio")

_TICK = 1.0
_TELL_SEEN_EVERY = 60.0
_ASK_WITHIN = 20.0
_INTERVIEW_WITHIN = 600.0
_RESTORE_WITHIN = 60.0
_ANSWERED = "NodeInfo"
"""The stage of an interview (zwave-js `InterviewStage`) that ends with the first word of the node itself; from then on it can be asked."""

_REFUSED = ("messagesDroppedTX", "NAK", "CAN", "timeoutACK", "timeoutCallback")
"""What the driver counts of the serial line that speaks of a controller in trouble (its `ControllerStatistics`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZwaveSettings:
    """How to reach one controller; the words are those of the configuration. `pace`: simulated hardware lives so much faster."""

    name: RadioName
    url: str
    region: str | None = None
    pace: float = 1.0


class ZwaveRadio(RemoteRadio[Transfers]):
    """One Z-Wave controller behind zwave-js-server; implements `ports.Radio`."""

    def __init__(self, settings: ZwaveSettings, *, emit: Emit, clock: Clock, patience: Patience | None = None) -> None:
        super().__init__(
            settings.name,
            transfers=Transfers(nodes=self, emit=emit, clock=clock, patience=patience or Patience()),
            emit=emit,
            elsewhere=f"nodes are included, and the controller is copied, with the program that runs the Z-Wave driver of {settings.name}, "
            "such as Home Assistant or Z-Wave JS UI",
        )
        self._settings = settings
        self._clock = clock
        self._line: ZwaveLine | None = None
        self._sleepy: set[DeviceId] = set()
        self._seen = Recent[DeviceId](clock, _TELL_SEEN_EVERY)
        self._aftermaths = Aftermaths(clock)
        self._links: dict[DeviceId, Link] = {}
        self._meter = Meter()
        self._load: Load | None = None
        self._restarted = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None

    # --- one life ---------------------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """See `ports.Radio.run`."""
        line = ZwaveLine(self._settings.url, self._heard)
        self._tell("starting", f"connecting to {line.where}")
        async with line:
            try:
                async with asyncio.TaskGroup() as group:
                    listening = group.create_task(line.listen(), name=f"listen:{self.name}")
                    await line.ready()
                    self._begin(line, group)
                    group.create_task(self._keep_time(), name=f"time:{self.name}")
                    await self._restarted.wait()
                    listening.cancel()
                    raise RadioUnavailable(f"{line.where}: the driver was started again")
            finally:
                self._line = self._tasks = None
                self._transfers.lose()

    def _begin(self, line: ZwaveLine, group: asyncio.TaskGroup) -> None:
        self._restarted.clear()
        self._line, self._tasks = line, group
        self._aftermaths.clear()
        self._links.clear()
        self._meter.forget()
        self._load = None
        for node in line.controller.nodes.values():
            self._linked(self._device_id(node.node_id), _mapping(node.data.get("statistics")))
            self._describe(node)
        self._tell("up", self._sentence(line))
        self._transfers.connect(line, group)

    def _sentence(self, line: ZwaveLine) -> str:
        controller = line.controller
        region = nodes.region_of(controller) or self._settings.region
        told = f"region {region}" if region else "region not known: set `region` of the radio"
        return f"home id {int(controller.home_id or 0):08x}, {told}; {line.sentence}"

    async def _keep_time(self) -> None:
        while True:
            await asyncio.sleep(_TICK / self._settings.pace)
            self._transfers.tick()
            self._tell_load()

    # --- the port ---------------------------------------------------------------------------------------------------------------------

    async def interrogate(self, device: DeviceId) -> Device:
        """See `ports.Radio.interrogate`."""
        line, node = self._node(device)
        described = self._describe_as(node)
        if described.node is not None and described.node.controller:
            return described  # the driver has read it from the chip at its start
        self._require_reachable(device, node)
        components, _ = await self._ask(line, device, node)
        return replace(self._describe_as(node), components=components)

    async def notify(self, device: DeviceId) -> Component:
        """See `ports.Radio.notify`: a Z-Wave node is asked, and tells everything."""
        told = await self.interrogate(device)
        return told.components[0] if told.components else Component(id=zwave_component_id(0))

    async def portray(self, device: DeviceId, questions: Collection[str] | None = None) -> Portrait:
        """See `ports.Keeping.portray`: from the driver's memory, once it has interviewed the node after an update; before that nothing is known."""
        fresh = await self._aftermaths.known_anew(device, within=_INTERVIEW_WITHIN / self._settings.pace)
        line, node = self._node(device)
        if not fresh or not node.ready:
            return Portrait()
        return await zwave_portraits.portray(line, node, questions)

    async def restore(self, device: DeviceId, settings: Sequence[Setting]) -> None:
        """See `ports.Keeping.restore`."""
        line, node = self._node(device)
        with suppress(TimeoutError):
            async with asyncio.timeout(_RESTORE_WITHIN):
                await zwave_portraits.restore(line, node, settings)

    def reported(self, device: DeviceId) -> float | None:
        """See `ports.Keeping.reported`: how often a node reports is not told by its interview."""

    # --- nodes ------------------------------------------------------------------------------------------------------------------------

    def _node(self, device: DeviceId) -> tuple[ZwaveLine, Node]:
        if self._line is None:
            raise RadioUnavailable(f"radio {self.name} is not up")
        controller = self._line.controller
        node = controller.nodes.get(node_id_of(device))
        if node is None or nodes.device_id_of(node, int(controller.home_id or 0)) != device:
            raise UnknownDevice(f"radio {self.name} does not know {device}")
        return self._line, node

    def _describe_as(self, node: Node) -> Device:
        if self._line is None:
            raise RadioUnavailable(f"radio {self.name} is not up")
        return nodes.describe(node, self._line.controller, self.name, self._settings.region)

    def _describe(self, node: Node) -> None:
        """Tell of a node, and whether it sleeps or is silent now."""
        device = self._describe_as(node)
        (self._sleepy.add if device.sleepy else self._sleepy.discard)(device.id)
        self._emit(DeviceFound(device=device))
        if nodes.is_asleep(node):
            self._emit(DeviceSlept(device=device.id))
            self._transfers.slept(device.id)
        elif nodes.is_dead(node):
            self._emit(DeviceSilent(device=device.id))
        elif device.node is not None and device.node.status in ("alive", "awake"):
            self._seen_now(device.id)

    def _require_reachable(self, device: DeviceId, node: Node) -> None:
        """Raises DeviceUnreachable where asking would be in vain, or in the way."""
        left = self._aftermaths.rests(device)
        if left > 0:
            raise DeviceUnreachable(f"{device} restarts with its new firmware; it is asked in {left:.0f} s")
        if self._transfers.moving(device):
            raise DeviceUnreachable(f"{device} is receiving an image; it is asked afterwards")
        if nodes.is_asleep(node):
            raise DeviceUnreachable(f"{device} sleeps; it is asked when it wakes up")

    async def _ask(self, line: ZwaveLine, device: DeviceId, node: Node) -> tuple[tuple[Component, ...], nodes.Metadata | None]:
        try:
            async with asyncio.timeout(_ASK_WITHIN):
                return await nodes.read_components(line, node)
        except TimeoutError:
            raise DeviceUnreachable(f"{device} did not answer within {_ASK_WITHIN:.0f} s") from None

    async def prepare(self, device: DeviceId, target: int) -> tuple[words.Prepared, nodes.Metadata | None]:
        """See `zwave_transfers.Nodes.prepare`."""
        line, node = self._node(device)
        components, metadata = await self._ask(line, device, node)
        prepared = words.Prepared(
            upgradable=metadata is not None and metadata.upgradable,
            targets=0 if metadata is None else len(metadata.firmware_ids),
            largest_fragment=None if metadata is None else metadata.largest_fragment,
            version=components[target].version if target < len(components) else None,
            activation=metadata is not None and metadata.activation,
        )
        return prepared, metadata

    def rest(self, device: DeviceId, seconds: float) -> None:
        """See `zwave_transfers.Nodes.rest`."""
        self._aftermaths.begin(device, seconds)
        if device in self._sleepy and self._tasks is not None:
            delay = max(0.0, seconds - BEFORE_INTERVIEW / self._settings.pace)
            self._tasks.create_task(self._learn_whether_it_sleeps(device, delay), name=f"ping:{device}")

    async def _learn_whether_it_sleeps(self, device: DeviceId, delay: float) -> None:
        """After an update the driver believes a sleeping node to be awake, and interviews it.

        If it sleeps again by then, the driver waits half a minute for its answer, with nothing else on the air, and again and again (zwave-js 15.29
        does not understand the controller's word that a node did not answer); transfers to other nodes end meanwhile. A ping that is not answered
        tells it that the node sleeps, and the interview begins when it wakes up.
        """
        await asyncio.sleep(delay)
        try:
            line, node = self._node(device)
            await line.command("node.ping", nodeId=node.node_id)
        except (RadioError, UnknownDevice) as error:
            LOG.debug("node not pinged", device=device, error=str(error))

    def sleeps(self, device: DeviceId) -> bool:
        """See `zwave_transfers.Nodes.sleeps`."""
        return device in self._sleepy

    # --- what the driver tells --------------------------------------------------------------------------------------------------------

    def _heard(self, event: Mapping[str, Any]) -> None:
        """Every event of the server, after the library took it."""
        if self._line is None:
            return
        kind, number = event.get("event"), event.get("nodeId")
        match event.get("source"):
            case "node" if kind == "statistics updated" and isinstance(number, int):
                self._counted(self._device_id(number), _mapping(event.get("statistics")))
            case "node" if isinstance(number, int):
                self._of_node(str(kind), number, event)
            case "controller" if kind == "statistics updated":
                self._measured(_mapping(event.get("statistics")))
            case "controller":
                self._of_controller(str(kind), event)
            case "driver" if kind == "driver ready":
                self._restarted.set()

    def _of_controller(self, kind: str, event: Mapping[str, Any]) -> None:
        told = event.get("node")
        number = told.get("nodeId") if isinstance(told, Mapping) else None
        if not isinstance(number, int) or self._line is None:
            return
        if kind == "node removed":
            self._forget(self._device_id(number))
        elif kind == "node added" and (node := self._line.controller.nodes.get(number)) is not None:
            self._describe(node)

    def _forget(self, device: DeviceId) -> None:
        """It was removed, and another node may get its number."""
        self._sleepy.discard(device)
        self._seen.discard(device)
        self._links.pop(device, None)
        self._transfers.gone(device)
        self._emit(DeviceGone(device=device))

    def _device_id(self, number: int) -> DeviceId:
        controller = None if self._line is None else self._line.controller
        return zwave_device_id(int((controller.home_id if controller is not None else 0) or 0), number)

    def _of_node(self, kind: str, number: int, event: Mapping[str, Any]) -> None:
        node = None if self._line is None else self._line.controller.nodes.get(number)
        if node is None:
            return
        device = self._device_id(number)
        match kind:
            case "firmware update progress":
                self._transfers.progressed(device, _mapping(event.get("progress")))
                self._seen_now(device)
            case "firmware update finished":
                self._transfers.finished(device, _mapping(event.get("result")))
            case "sleep" | "dead":
                self._describe(node)
            case "alive" | "ready":
                self._describe(node)
                self._emit(DeviceReturned(device=device))
            case "interview stage completed" | "interview completed" | "interview failed":
                self._of_interview(kind, device, node, event)
            case "wake up":
                self._seen.discard(device)
                self._describe(node)
            case "value updated" | "value notification" | "notification":
                self._seen_now(device)

    def _of_interview(self, kind: str, device: DeviceId, node: Node, event: Mapping[str, Any]) -> None:
        if kind == "interview completed":
            self._interviewed(device, node)
        elif event.get("stageName") == _ANSWERED and self._aftermaths.answered(device):
            self._emit(DeviceReturned(device=device))
        elif _mapping(event.get("args")).get("isFinal") is True:
            self._aftermaths.give_up(device)

    def _interviewed(self, device: DeviceId, node: Node) -> None:
        """The driver has read everything anew, so what it knows is fresh."""
        self._aftermaths.interviewed(device)
        self._describe(node)
        for component in nodes.known_components(node):
            self._emit(DeviceAsked(device=device, component=component))
        self._emit(DeviceReturned(device=device))

    def _seen_now(self, device: DeviceId) -> None:
        if self._seen.first(device):
            self._emit(DeviceSeen(device=device, link=self._links.get(device)))

    def _linked(self, device: DeviceId, statistics: Mapping[str, Any]) -> bool:
        """Take how well a node is heard, where the driver says so; whether it was heard since the last time."""
        before, link = self._links.get(device), nodes.link_of(statistics, self._clock.now())
        if link is not None:
            self._links[device] = link
        return link is not None and (before is None or link.heard > before.heard)

    def _counted(self, device: DeviceId, statistics: Mapping[str, Any]) -> None:
        if self._linked(device, statistics):
            self._seen_now(device)

    def _measured(self, statistics: Mapping[str, Any]) -> None:
        """The driver's counts of the serial line: what the controller did not take or did not end."""
        counters = {name: value for name, value in statistics.items() if isinstance(value, int)}
        now = self._clock.monotonic()
        self._meter.counted(counters, now, given="messagesTX", refused=_REFUSED)

    def _tell_load(self) -> None:
        load = self._meter.load(self._clock.monotonic(), self._clock.now())
        if is_news(load, self._load):
            self._load = load
            self._emit(RadioLoaded(radio=self.name, load=load))


def _mapping(told: object) -> Mapping[str, Any]:
    return told if isinstance(told, Mapping) else {}
