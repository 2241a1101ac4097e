"""Keeps at the broker what Home Assistant shows.

Only what differs from what was said last is said, a device at most every few seconds while only its progress changes. After every loss of the line,
and when Home Assistant begins anew, everything is said again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from otagate.engine.desk import Desk
from otagate.engine.supervise import outcome
from otagate.homeassistant.discovery import Names, Shown, encoded, hub_message, hub_states, message, states
from otagate.homeassistant.kept import entities_of, object_id_of
from otagate.homeassistant.orders import Orders, open_targets
from otagate.model.devices import Device
from otagate.model.errors import UnknownDevice
from otagate.model.ids import DeviceId
from otagate.ports import Broker, Clock, Message, Wanted

LOG = structlog.get_logger("otagate.homeassistant")

EVERY = 1.0
"""Seconds between two looks at what has changed."""

PROGRESS = 5.0
"""Seconds between two messages of one device while only its progress changes."""

AT_ONCE = 25
"""Devices that are looked at between two looks at everything else: a house of hundreds takes seconds, and holds nothing up."""

_PROGRESS_KEYS = frozenset({"update_percentage", "eta"})


@dataclass(slots=True, kw_only=True)
class Mirror:
    """Implements `ports.Listener`. `known`: every device of the hub; `automatic`: whether policy takes releases for one by itself."""

    desk: Desk
    broker: Broker
    clock: Clock
    names: Names
    orders: Orders
    known: Callable[[], Iterable[Device]]
    automatic: Callable[[Device], bool]
    _said: dict[str, bytes] = field(default_factory=dict, init=False)
    _topics: dict[DeviceId, set[str]] = field(default_factory=dict, init=False)
    _told: dict[DeviceId, tuple[bytes, float]] = field(default_factory=dict, init=False)
    _kept: dict[str, dict[str, str]] = field(default_factory=dict, init=False)
    _entities: dict[str, dict[str, str]] = field(default_factory=dict, init=False)
    _due: dict[DeviceId, None] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.orders.changed = self.note

    # --- the line -----------------------------------------------------------------------------------------------------------------------

    @property
    def wanted(self) -> Sequence[Wanted]:
        """Orders, Home Assistant's birth, and what the broker keeps of us from before."""
        orders = (Wanted(filter=f"{self.orders.topic}#"),) if self.orders.scopes else ()
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
        elif message.topic.startswith(self.orders.topic):
            self.orders.take(message)
        elif message.payload and (entities := entities_of(message, self.names)) is not None:
            self._kept[object_id_of(message)] = entities

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
        here = {self.names.hub, *(self.names.object_id(each) for each in devices)}
        for object_id, entities in sorted(self._kept.items()):  # what was told in an earlier life, and may have to be taken back
            if object_id in here:
                self._entities.setdefault(object_id, entities)
            else:
                for topic in self.names.topics_of(object_id, entities):
                    await self._say(topic, b"")
            self._kept.pop(object_id, None)  # and no other: more of them may have been told meanwhile
        for gone in [each for each in self._topics if self.names.object_id(each) not in here]:
            for topic in sorted(self._topics[gone]):
                await self._say(topic, b"")
            del self._topics[gone]
        await self._show_hub()
        slowly = [devices[(turn * 5 + at) % len(devices)] for at in range(min(5, len(devices)))]  # what changes without a word is found too
        moving = [each for each in devices if each in self._told and b'"in_progress":true' in self._told[each][0]]
        for device in dict.fromkeys([*list(self._due)[:AT_ONCE], *moving, *slowly]):
            await self._show(device)
            self._due.pop(device, None)

    async def _show_hub(self) -> None:
        radios = self.desk.radios()
        config = hub_message(radios, self.names)
        told = self._entities.get(self.names.hub, {})
        config["components"] |= {key: {"platform": platform} for key, platform in told.items() if key not in config["components"]}
        documents = {
            self.names.config(self.names.hub): config,
            self.names.hub_state: hub_states(radios, halted=self.desk.halted() is not None),
        }
        for topic, each in documents.items():
            if self._said.get(topic) != (payload := encoded(each)):
                await self._say(topic, payload)

    async def _show(self, device: DeviceId) -> None:
        try:
            view = await self.desk.device(device)
            choices = await self.orders.choices(device)
            updates = {each.component.id: await self.desk.update(each.update) for each in view.components if each.update is not None}
        except UnknownDevice:
            return
        shown = Shown(
            view=view,
            updates=updates,
            automatic=self.automatic(view.device),
            choices={part: list(versions) for part, versions in choices.items()},
            targets=open_targets(view, await self.orders.targets.of(device)),
            said=self.orders.said.get(device),
        )
        everything = self._documents(shown)
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

    def _documents(self, shown: Shown) -> dict[str, Any]:
        """The discovery message and the states of a device, by topic."""
        object_id = self.names.object_id(shown.view.device.id)
        told = self._entities.setdefault(object_id, {})
        config = message(shown, self.names, scopes=self.orders.scopes, gone=told)
        told |= {key: each["platform"] for key, each in config["components"].items()}
        return {self.names.config(object_id): config, **states(shown, self.names, self.clock.now())}

    async def _say(self, topic: str, payload: bytes) -> None:
        """Retained, so that Home Assistant knows it after its own restart; with QoS 1, so that one message at a time waits for the broker."""
        await self.broker.publish(topic, payload, retain=True)
        self._said[topic] = payload

    def note(self, device: DeviceId) -> None:
        """Look at a device soon."""
        self._due[device] = None

    async def follow(self) -> None:
        """Note whom the journal speaks of, for ever."""
        while True:
            async for fact in self.desk.events():
                device = fact.subject_id if fact.subject == "device" else fact.data.get("device")
                if isinstance(device, str):
                    self.note(DeviceId(device))
            await asyncio.sleep(EVERY)


def _without_progress(document: Any) -> Any:
    return {key: value for key, value in document.items() if key not in _PROGRESS_KEYS} if isinstance(document, dict) else document
