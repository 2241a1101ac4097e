"""The Radio beside a running zigbee2mqtt: devices, versions and updates over its MQTT topics; the coordinator stays its own.

zigbee2mqtt goes on without us, and restarts without asking. It has no queue and no pause: which update begins, and when, is decided here, and the
bytes are those that were verified here, fetched from us once. Its own index decides nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import structlog

from otagate.model.devices import Component, Device
from otagate.model.errors import BrokerUnavailable, DeviceUnreachable, OtagateError, RadioUnavailable, UnknownDevice
from otagate.model.ids import DeviceId, RadioName, ieee_of, zigbee_device_id
from otagate.model.links import Link
from otagate.ports import (
    Broker,
    Clock,
    DeviceAsked,
    DeviceFound,
    DeviceGone,
    DeviceReturned,
    DeviceSeen,
    DeviceSilent,
    DeviceSlept,
    Emit,
    Message,
    Wanted,
)
from otagate.radios.handouts import Counter
from otagate.radios.recent import Recent
from otagate.radios.remote import RemoteRadio
from otagate.radios.zigbee2mqtt_devices import component_of, describe
from otagate.radios.zigbee2mqtt_requests import Checked, Kind, Kinds, Requests
from otagate.radios.zigbee2mqtt_transfers import Transfers
from otagate.sessions import zigbee2mqtt_documents as documents
from otagate.sessions.zigbee2mqtt import Patience
from otagate.sessions.zigbee2mqtt_documents import Peer

LOG = structlog.get_logger("otagate.radio")

_TICK = 1.0
_LARGEST_STATE = 64 << 10
_TELL_SEEN_EVERY = 60.0
_SETTLING = 15.0
"""Seconds after its start in which zigbee2mqtt tells states from before: they are no sign of life of a device."""

_GREETING = 5.0
"""Seconds until zigbee2mqtt must have said that it is there, where the broker has kept it."""

_WARMING = 3.0
"""Seconds from its word that it is there until requests reach it: it says so before it subscribes."""

OLDEST = (2, 12, 0)
"""The first that can break an update off. Those before 2.8 would take no address, and update from their own index."""

CANNOT = "updates through it cannot be paused, held back or paced"


class Line(Broker, Protocol):
    """A line of our own to the broker of zigbee2mqtt."""

    async def run(self) -> None:
        """One life of it. Raises BrokerUnavailable with why it ended."""

    async def widen(self) -> None:
        """Subscribe to what is wanted by now. Raises BrokerUnavailable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Zigbee2mqttSettings:
    """`base` is its base topic; `images_url` where it reaches this hub, where that is not where the API listens. `pace`: of simulated hardware."""

    name: RadioName
    base: str = "zigbee2mqtt"
    images_url: str | None = None
    pace: float = 1.0


class Zigbee2mqttRadio(RemoteRadio[Transfers]):
    """One zigbee2mqtt; implements `ports.Radio` and `ports.Listener`. `kinds` are those that anybody knows images of."""

    def __init__(
        self,
        settings: Zigbee2mqttSettings,
        *,
        line: Line,
        counter: Counter,
        kinds: Kinds,
        emit: Emit,
        clock: Clock,
        patience: Patience | None = None,
    ) -> None:
        self._settings = settings
        self._line = line
        self._kinds = kinds
        self._clock = clock
        self._peers: dict[DeviceId, Peer] = {}
        self._names: dict[str, DeviceId] = {}
        self._requests = Requests(base=settings.base, broker=line, counter=counter, kinds=kinds, images_url=settings.images_url)
        super().__init__(
            settings.name,
            transfers=Transfers(requests=self._requests, counter=counter, peers=self._peers, emit=emit, clock=clock, patience=patience or Patience()),
            emit=emit,
            elsewhere=f"devices are paired, and the network is copied, with zigbee2mqtt itself, which has the coordinator of {settings.name}",
        )
        self._online = self._listed = self._up = False
        self._release: tuple[int, int, int] | None = None
        self._online_at = self._ready_at = 0.0
        self._silent_since: float | None = None  # the line is up, and nothing was heard of zigbee2mqtt yet
        self._seen = Recent[DeviceId](clock, _TELL_SEEN_EVERY)
        self._battery: dict[DeviceId, int] = {}
        self._strangers: dict[DeviceId, frozenset[Kind]] = {}  # they told a version, and are of none of these kinds
        self._recognising = False
        self._tasks: asyncio.TaskGroup | None = None
        line.listen(self)

    # --- one life -----------------------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """See `ports.Radio.run`."""
        self._tell("starting", f"connecting to the broker of zigbee2mqtt, topic {self._settings.base}")
        try:
            async with asyncio.TaskGroup() as group:
                self._tasks = self._transfers.tasks = group
                group.create_task(self._keep_time(), name=f"time:{self.name}")
                try:
                    await self._line.run()
                except BrokerUnavailable as error:
                    raise RadioUnavailable(str(error)) from error
                raise RadioUnavailable("the line to the broker ended")
        finally:
            self._tasks = self._transfers.tasks = None
            self._online = self._up = False
            self._requests.lose()

    async def _keep_time(self) -> None:
        while True:
            await asyncio.sleep(_TICK / self._settings.pace)
            if self._up:
                self._transfers.tick()
                self._recognise()
            elif self._is_ready() or self._is_silent():
                self._judge()

    def _is_ready(self) -> bool:
        """Whether requests reach zigbee2mqtt, as far as it says."""
        return self._missing() is None and self._clock.monotonic() >= self._ready_at

    def _missing(self) -> str | None:
        """Why nothing can be asked of it, whatever time has passed."""
        if not self._online:
            return "it is not running, as its topic bridge/state says"
        if self._release is None:
            return "it has not told which version it is: its topic bridge/info is empty, until it restarts"
        if self._release < OLDEST:
            return f"it is version {_dotted(self._release)}, and {_dotted(OLDEST)} or newer is needed: what is older updates from its own index"
        return None if self._listed else "it has not told its devices yet"

    def _is_silent(self) -> bool:
        """Whether the line is up for so long that zigbee2mqtt should have been heard."""
        return self._silent_since is not None and self._clock.monotonic() - self._silent_since >= _GREETING

    def _judge(self) -> None:
        """Whether it is up: the line, the program behind it, and what that tells of its devices."""
        self._silent_since = None
        if self._is_ready() and not self._up:
            self._up = True
            release = _dotted(self._release or OLDEST)
            self._tell("up", f"zigbee2mqtt {release} at topic {self._settings.base}, {len(self._peers)} devices; {CANNOT}")
            self._transfers.back()
        elif (missing := self._missing()) is not None:
            self._up = False
            self._tell("retrying", f"zigbee2mqtt at topic {self._settings.base}: {missing}")
            self._requests.lose()

    # --- the port -----------------------------------------------------------------------------------------------------------------------

    async def interrogate(self, device: DeviceId) -> Device:
        """See `ports.Radio.interrogate`: zigbee2mqtt has it asked for an image, which there is none, and it tells what it runs."""
        peer = self._peer(device)
        if peer.endpoint is None or not peer.interviewed:
            return self._describe(peer)
        if self._transfers.busy(device):
            raise DeviceUnreachable(f"{device} is receiving an image; it is asked afterwards")
        checked = await self._check(peer)
        return replace(self._describe(peer), components=self._components(peer, checked))

    async def _check(self, peer: Peer) -> Checked:
        if not self._up:
            raise RadioUnavailable(f"radio {self.name} is not up")
        return await self._requests.check(peer)

    def _components(self, peer: Peer, checked: Checked) -> tuple[Component, ...]:
        device = zigbee_device_id(peer.ieee)
        if checked.kind is not None:
            self._strangers.pop(device, None)
            return (component_of(peer, checked.kind, checked.version),)
        if device in self._peers:  # it may have left while it was asked
            self._strangers[device] = checked.among
        return ()

    async def notify(self, device: DeviceId) -> Component:
        """See `ports.Radio.notify`: that is how a device is asked here anyway."""
        told = await self.interrogate(device)
        if not told.components:
            raise DeviceUnreachable(f"no image is known of the kind of {device}, so nobody can say what it is")
        return told.components[0]

    def _peer(self, device: DeviceId) -> Peer:
        ieee_of(device)
        try:
            return self._peers[device]
        except KeyError:
            if not self._up:
                raise RadioUnavailable(f"radio {self.name} is not up") from None
            raise UnknownDevice(f"radio {self.name} does not know {device}") from None

    def _describe(self, peer: Peer) -> Device:
        return describe(peer, self.name, self._battery.get(zigbee_device_id(peer.ieee)))

    # --- who is of no known kind ---------------------------------------------------------------------------------------------------------

    def _recognise(self) -> None:
        """Images of other kinds are known than when a device was asked whose kind was not among them: ask it anew, one after the other."""
        if not self._strangers or self._recognising:
            return
        kinds = frozenset(self._kinds())
        peers = (self._peers[each] for each, among in self._strangers.items() if among != kinds and each in self._peers)
        awake = [each for each in peers if not each.sleepy]
        if awake:
            self._recognising = True
            self._spawn(self._recognise_all(awake, kinds), "recognise")

    async def _recognise_all(self, peers: Iterable[Peer], kinds: frozenset[Kind]) -> None:
        try:
            for peer in peers:
                await self._recognise_one(peer, kinds)
        finally:
            self._recognising = False

    async def _recognise_one(self, peer: Peer, kinds: frozenset[Kind]) -> None:
        device = zigbee_device_id(peer.ieee)
        if device not in self._strangers:
            return
        self._strangers[device] = kinds  # whatever comes of it, it is not asked the same again and again
        try:
            found = self._components(peer, await self._check(peer))
        except OtagateError as error:
            LOG.info("a device is not recognised", device=device, error=str(error))
            return
        for component in found:
            self._emit(DeviceAsked(device=device, component=component))

    def _spawn(self, work: Coroutine[Any, Any, None], what: str) -> None:
        if self._tasks is None:
            work.close()
        else:
            self._tasks.create_task(work, name=f"{what}:{self.name}")

    # --- what comes over the line --------------------------------------------------------------------------------------------------------

    @property
    def wanted(self) -> Sequence[Wanted]:
        """See `ports.Listener.wanted`: names with a slash have a topic of their own that no plain pattern covers."""
        base = self._settings.base
        deep = [name for name in self._names if "/" in name]
        kept = ["bridge/state", "bridge/info", "bridge/devices", "+", "+/availability", *deep, *(f"{name}/availability" for name in deep)]
        return [*(Wanted(filter=f"{base}/{each}", kept=True) for each in kept), *(Wanted(filter=f"{base}/{each}") for each in _SAID)]

    def up(self) -> None:
        """See `ports.Listener.up`: what the broker has kept comes next."""
        self._silent_since = self._clock.monotonic()

    def down(self) -> None:
        """See `ports.Listener.down`: nothing is assumed of what is not heard."""
        self._online = self._up = False
        self._silent_since = None

    def heard(self, message: Message) -> None:
        """See `ports.Listener.heard`."""
        topic = message.topic.removeprefix(f"{self._settings.base}/")
        match topic:
            case "bridge/state":
                self._state_of_bridge(documents.read_online(message.payload), kept=message.retained)
            case "bridge/info":
                self._info(documents.read_release(message.payload))
            case "bridge/devices":
                self._devices(documents.read_devices(message.payload))
            case "bridge/event":
                self._event(documents.read_event(message.payload))
            case _ if topic.startswith("bridge/response/"):
                self._answered(documents.read_answer(message.payload))
            case _ if not topic.startswith("bridge/") and len(message.payload) <= _LARGEST_STATE:
                self._of_device(topic, message)

    def _state_of_bridge(self, online: bool | None, *, kept: bool) -> None:
        """It says that it is there before it listens; what it has said for long it need not begin."""
        if online is None:
            return
        self._online = online
        now = self._clock.monotonic()
        self._ready_at = now if kept else now + _WARMING
        if online and not kept:
            self._online_at = now
            self._up = False  # it was gone, whether anybody said so or not
        if not online or (kept and self._listed and self._release is not None):
            self._judge()

    def _info(self, release: tuple[int, int, int] | None) -> None:
        if release is None or release == self._release:
            return
        self._release = release
        if self._is_ready() or self._up:
            self._judge()

    def _devices(self, peers: Sequence[Peer] | None) -> None:
        if peers is None:
            return
        before = dict(self._peers)
        self._peers.clear()
        self._peers.update({zigbee_device_id(each.ieee): each for each in peers})
        deep = {name for name in self._names if "/" in name}
        self._names = {each.name: device for device, each in self._peers.items()}
        for device, peer in self._peers.items():
            if before.get(device) != peer:
                self._emit(DeviceFound(device=self._describe(peer)))
        for device in before.keys() - self._peers.keys():
            self._forget(before[device])
            self._emit(DeviceGone(device=device))
        self._listed = True
        if not self._up and self._is_ready():
            self._judge()
        if {name for name in self._names if "/" in name} - deep:
            self._spawn(self._widen(), "widen")

    def _forget(self, peer: Peer) -> None:
        """It has left: nothing that was told of it is true of who comes back under its address."""
        device = zigbee_device_id(peer.ieee)
        self._battery.pop(device, None)
        self._strangers.pop(device, None)
        self._seen.discard(device)
        self._requests.forget(peer)

    async def _widen(self) -> None:
        try:
            await self._line.widen()
        except BrokerUnavailable as error:
            LOG.info("not every device is listened to", radio=self.name, error=str(error))

    def _event(self, event: tuple[str, int] | None) -> None:
        if event is None or (device := zigbee_device_id(event[1])) not in self._peers:
            return
        if event[0] == "device_announce":
            self._seen.add(device)
            self._emit(DeviceReturned(device=device))

    def _answered(self, answer: documents.Answer | None) -> None:
        if answer is not None and not self._requests.answered(answer):
            self._transfers.answered(answer)

    def _of_device(self, topic: str, message: Message) -> None:
        name, _, last = topic.rpartition("/")
        if last == "availability" and name in self._names:
            if documents.read_online(message.payload) is False and not self._peers[self._names[name]].sleepy:
                self._emit(DeviceSilent(device=self._names[name]))
            return
        device = self._names.get(topic)
        if device is None:
            return
        reading = documents.read_reading(message.payload)
        if reading.battery is not None:
            self._battery[device] = reading.battery
        if reading.update is not None:
            self._requests.told(ieee_of(device), reading.update)
            if not message.retained:
                self._transfers.told(device, reading.update)
        if not message.retained and (reading.update is None or reading.update.stage != "updating"):
            self._seen_now(device, reading.linkquality)

    def _seen_now(self, device: DeviceId, linkquality: int | None) -> None:
        settling = self._clock.monotonic() - self._online_at < _SETTLING / self._settings.pace
        if settling or not self._seen.first(device):
            return
        link = None if linkquality is None else Link(heard=self._clock.now(), lqi=linkquality)
        self._emit(DeviceSeen(device=device, link=link))
        if self._transfers.scheduled(device):  # it was awake for a moment, and did not ask
            self._emit(DeviceSlept(device=device))


_SAID = ("bridge/event", "bridge/response/device/ota_update/#")


def _dotted(release: tuple[int, int, int]) -> str:
    return ".".join(map(str, release))
