"""Keeps at the broker what Home Assistant shows, and carries out what is pressed there.

Only what differs from what was said last is said, a device at most every few seconds while only its progress changes. After every loss of the line,
and when Home Assistant begins anew, everything is said again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from otagate.engine.desk import Desk
from otagate.engine.patches import DevicePatch, PolicyPatch
from otagate.engine.supervise import outcome
from otagate.engine.views import OrderRequest
from otagate.homeassistant.discovery import Names, Shown, encoded, message, states
from otagate.model.devices import Device
from otagate.model.errors import BrokerUnavailable, OtagateError, UnknownDevice
from otagate.model.ids import ComponentId, DeviceId
from otagate.ports import Broker, Clock, Message, Wanted

LOG = structlog.get_logger("otagate.homeassistant")

ACTOR = "mqtt"
EVERY = 1.0
"""Seconds between two looks at what has changed."""

PROGRESS = 5.0
"""Seconds between two messages of one device while only its progress changes."""

AT_ONCE = 25
"""Devices that are looked at between two looks at everything else: a house of hundreds takes seconds, and holds nothing up."""

_ORDERS = 64
_CHECK = 20.0
_LONGEST = 64
_PROGRESS_KEYS = frozenset({"update_percentage", "eta"})


@dataclass(slots=True, kw_only=True)
class Mirror:
    """Implements `ports.Listener`. `known`: every device of the hub; `automatic`: whether policy takes releases for one by itself."""

    desk: Desk
    broker: Broker
    clock: Clock
    names: Names
    operate: bool
    known: Callable[[], Iterable[Device]]
    automatic: Callable[[Device], bool]
    _said: dict[str, bytes] = field(default_factory=dict, init=False)
    _topics: dict[DeviceId, set[str]] = field(default_factory=dict, init=False)
    _told: dict[DeviceId, tuple[bytes, float]] = field(default_factory=dict, init=False)
    _kept: set[str] = field(default_factory=set, init=False)
    _due: dict[DeviceId, None] = field(default_factory=dict, init=False)
    _orders: asyncio.Queue[Message] = field(default_factory=lambda: asyncio.Queue(_ORDERS), init=False)

    # --- the line -----------------------------------------------------------------------------------------------------------------------

    @property
    def wanted(self) -> Sequence[Wanted]:
        """Orders, Home Assistant's birth, and what the broker keeps of us from before."""
        orders = (Wanted(filter=f"{self.names.base}/orders/#"),) if self.operate else ()
        return (*orders, Wanted(filter=f"{self.names.discovery}/status"), Wanted(filter=self.names.config("+"), kept=True))

    def up(self) -> None:
        """Say everything."""
        self._anew()

    def down(self) -> None:
        """Nobody knows what the broker still has."""
        self._kept.clear()

    def heard(self, message: Message) -> None:
        """Sort it: nothing here waits, and nothing grows without a bound."""
        if message.topic == f"{self.names.discovery}/status":
            if message.payload == b"online":
                self._anew()
        elif message.topic.startswith(f"{self.names.base}/orders/"):
            if message.retained or self._orders.full():
                LOG.warning("an order over MQTT is not carried out", topic=message.topic[:200], why="retained" if message.retained else "too many")
            else:
                self._orders.put_nowait(message)
        elif message.payload and self._is_ours(message):
            self._kept.add(message.topic.split("/")[-2])

    def _is_ours(self, message: Message) -> bool:
        try:
            told = json.loads(message.payload)
            return bool(told["origin"]["name"] == "otagate" and told["availability"][0]["topic"] == self.names.status)
        except (ValueError, LookupError, TypeError, RecursionError):
            return False

    def _anew(self) -> None:
        self._said.clear()
        self._told.clear()
        self._due = dict.fromkeys(each.id for each in self.known())

    # --- what is said -------------------------------------------------------------------------------------------------------------------

    async def show(self) -> None:
        """Say what has changed, for ever."""
        turn = 0
        while True:
            await asyncio.sleep(EVERY)
            if self.broker.trouble is None:
                error = await outcome(self._round(turn), what="what Home Assistant shows")
                if error is not None:
                    LOG.info("Home Assistant is told later", why=str(error))
                turn += 1

    async def _round(self, turn: int) -> None:
        devices = sorted(each.id for each in self.known())
        here = {self.names.object_id(each) for each in devices}
        for gone in [each for each in self._topics if self.names.object_id(each) not in here]:
            for topic in sorted(self._topics[gone]):
                await self._say(topic, b"")
            del self._topics[gone]
        for object_id in sorted(self._kept - here):
            await self._say(self.names.config(object_id), b"")
        self._kept.clear()
        slowly = [devices[(turn * 5 + at) % len(devices)] for at in range(min(5, len(devices)))]  # what changes without a word is found too
        moving = [each for each in devices if each in self._told and b'"in_progress":true' in self._told[each][0]]
        for device in dict.fromkeys([*list(self._due)[:AT_ONCE], *moving, *slowly]):
            await self._show(device)
            self._due.pop(device, None)

    async def _show(self, device: DeviceId) -> None:
        try:
            view = await self.desk.device(device)
            updates = {each.component.id: await self.desk.update(each.update) for each in view.components if each.update is not None}
        except UnknownDevice:
            return
        shown = Shown(view=view, updates=updates, automatic=self.automatic(view.device))
        documents = states(shown, self.names, self.clock.now())
        config = self.names.config(self.names.object_id(device))
        everything = {config: message(shown, self.names, operate=self.operate), **documents}
        still, now = encoded({topic: _without_progress(each) for topic, each in everything.items()}), self.clock.monotonic()
        before = self._told.get(device)
        if before is not None and before[0] == still and now - before[1] < PROGRESS:
            return
        for gone in self._topics.get(device, set()) - everything.keys():
            await self._say(gone, b"")
        self._topics[device] = set(everything)
        changed = [(topic, payload) for topic, each in everything.items() if self._said.get(topic) != (payload := encoded(each))]
        for topic, payload in changed:
            await self._say(topic, payload)
        if changed or before is None:
            self._told[device] = (still, now)

    async def _say(self, topic: str, payload: bytes) -> None:
        """Retained, so that Home Assistant knows it after its own restart; with QoS 1, so that one message at a time waits for the broker."""
        await self.broker.publish(topic, payload, retain=True)
        self._said[topic] = payload

    async def follow(self) -> None:
        """Note whom the journal speaks of, for ever."""
        while True:
            async for fact in self.desk.events():
                device = fact.subject_id if fact.subject == "device" else fact.data.get("device")
                if isinstance(device, str):
                    self._due[DeviceId(device)] = None
            await asyncio.sleep(EVERY)

    # --- what is ordered ----------------------------------------------------------------------------------------------------------------

    async def obey(self) -> None:
        """Carry out orders, one after another, for ever."""
        while True:
            ordered = await self._orders.get()
            _, device, what, *more = [*ordered.topic.removeprefix(self.names.base).strip("/").split("/", 3), "", ""]
            error = await outcome(self._carry_out(DeviceId(device), what, more[0], ordered.payload), what="an order over MQTT")
            if error is not None:
                LOG.warning("an order over MQTT was refused", device=device[:80], order=what[:20], why=str(error))

    async def _carry_out(self, device: DeviceId, what: str, component: str, payload: bytes) -> None:
        view = await self.desk.device(device)
        self._due[device] = None
        if len(payload) > _LONGEST:
            raise BrokerUnavailable("the message is too long to be an order")
        match what, payload:
            case "install", b"INSTALL":
                result = await self.desk.order(OrderRequest(devices=(device,), component=ComponentId(component)), actor=ACTOR)
                if result.refused:
                    raise result.refused[0].error
            case "cancel", b"PRESS":
                for each in view.components:
                    if each.update is not None:
                        await self.desk.cancel(each.update, actor=ACTOR)
            case "check", b"PRESS":
                async with asyncio.timeout(_CHECK):  # the check itself goes on
                    await self.desk.check(device, actor=ACTOR)
            case "automatic", b"ON" | b"OFF":
                wanted = payload == b"ON"
                if self.automatic(view.device) != wanted:
                    await self.desk.amend(device, DevicePatch(policy=PolicyPatch(default="automatic" if wanted else "ask")), actor=ACTOR)
            case _:
                raise OtagateError("nobody knows this order")


def _without_progress(document: Any) -> Any:
    return {key: value for key, value in document.items() if key not in _PROGRESS_KEYS} if isinstance(document, dict) else document
