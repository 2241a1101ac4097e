"""A simulated device: endpoints, application, ZDO and OTA client behind one receiver, with a power switch."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from otagate_rig import zcl, zdo
from otagate_rig.aps import BROADCAST_RX_ON, COORDINATOR, ApsFrame, DeviceKind, NetworkIdentity
from otagate_rig.clusters import POLL_CONTROL, Application
from otagate_rig.indirect import PollSchedule
from otagate_rig.ota_client import OtaClient
from otagate_rig.ota_commands import OTA_CLUSTER
from otagate_rig.ota_wire import Send

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otagate_rig.ota_commands import ImageId
    from otagate_rig.ota_oracle import Counters, Violation
    from otagate_rig.ota_wire import Effect
    from otagate_rig.spec import DeviceSpec

HOME_AUTOMATION = 0x0104
DEVICE_TYPE_PLUG = 0x0051
DEVICE_TYPE_SENSOR = 0x0302
ALL_ENDPOINTS = 0xFF
CHECK_IN = 0x00
MOST_COMMANDS_KEPT = 100_000


class Uplink(Protocol):
    """What a device needs of the network that it is in."""

    def uplink(self, device: Device, frame: ApsFrame, *, at: float | None = None) -> None:
        """Put a frame of the device on the air, at loop time `at` where the device has a time of its own."""

    def came_back(self, device: Device) -> None:
        """The device has its power again."""

    def left(self, device: Device, *, rejoin: bool) -> None:
        """The device has left the network."""

    def polls_changed(self, device: Device) -> None:
        """The device may poll at another rate now."""


@dataclass(frozen=True, slots=True)
class CommandSeen:
    """An application command that arrived: when on the loop's clock, and the seconds since the coordinator was given it."""

    at: float
    cluster: int
    command: int
    latency: float


class Device:
    """One node of the simulated network. All times are the loop's unless they are told to be the device's."""

    def __init__(self, spec: DeviceSpec, network: Uplink, *, clock: float, server_second: float, seed: int, known: Mapping[ImageId, bytes]) -> None:
        """`clock` is the number of device seconds in a second of the loop."""
        self.spec = spec
        dice = random.Random(spec.ieee ^ seed)  # noqa: S311 - a simulation wants repeatable dice
        self.ota = OtaClient(spec, dice=dice, known=known, server_second=server_second)
        self.application = Application(spec)
        self.identity: NetworkIdentity | None = None
        self.nwk = 0xFFFE
        self.parent = 0xFFFE
        self.powered = True
        self.commands: deque[CommandSeen] = deque(maxlen=MOST_COMMANDS_KEPT)
        self.zdo_answers: Counter[int] = Counter()
        """Requests to its ZDO that it answered, by request cluster: an interview leaves its trace here."""
        self._network = network
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        phase = dice.random() * spec.poll_interval / clock
        self.polling = PollSchedule(self._loop.time() - phase, spec.poll_interval / clock)
        self._fast_until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._power_timer: asyncio.TimerHandle | None = None
        self._check_in_timer: asyncio.TimerHandle | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self.bindings = {zdo.binding(spec.ieee, spec.endpoint, *each) for each in spec.bindings}
        self._tsn = 0
        self._server_known = not spec.behaviours.discovers_server
        self._held: Send | None = None
        self.ota.power_up(self._loop.time() * clock)
        self._arm()
        self._plan_check_in()

    @property
    def ieee(self) -> int:
        """The IEEE address."""
        return self.spec.ieee

    @property
    def file_version(self) -> int:
        """The firmware that runs now."""
        return self.ota.file_version

    @property
    def violations(self) -> list[Violation]:
        """What the OTA server did wrong so far."""
        return self.ota.oracle.violations

    @property
    def counters(self) -> Counters:
        """What the OTA client saw so far."""
        return self.ota.oracle.counters

    @property
    def sleepy(self) -> bool:
        """Whether frames wait at the parent until the device polls."""
        return self.spec.kind is DeviceKind.SLEEPY

    @property
    def polls(self) -> int:
        """How often a sleepy device has polled its parent."""
        return self.polling.polls(self._loop.time() if self.powered else 0.0) if self.sleepy else 0

    def node(self) -> zdo.Node:
        """The device as its ZDO describes it."""
        plug = self.spec.kind is not DeviceKind.SLEEPY
        endpoint = zdo.Endpoint(
            id=self.spec.endpoint,
            profile=HOME_AUTOMATION,
            device_type=DEVICE_TYPE_PLUG if plug else DEVICE_TYPE_SENSOR,
            servers=self.application.servers(),
            clients=(OTA_CLUSTER,),
        )
        return zdo.Node(
            ieee=self.ieee,
            kind=self.spec.kind,
            manufacturer_code=self.spec.manufacturer_code if self.spec.node_manufacturer_code is None else self.spec.node_manufacturer_code,
            endpoints=(endpoint,),
            nwk=self.nwk,
            parent=self.parent,
            extended_pan_id=0 if self.identity is None else self.identity.extended_pan_id,
            bindings=self.bindings,
            binds=self.application.takes("bindings"),
        )

    # Frames

    def receive(self, frame: ApsFrame, *, unicast: bool, at: float, offered: float) -> None:
        """Take a frame that ended on the air at `at` and was given to the coordinator at `offered`."""
        if frame.cluster == OTA_CLUSTER and frame.dst_ep in (self.spec.endpoint, ALL_ENDPOINTS):
            now = at * self._clock
            self._perform(self.ota.receive(frame.data, src_ep=frame.src_ep, unicast=unicast, now=now), at)
        elif frame.dst_ep == 0:
            self._zdo(frame, unicast, at)
        elif frame.dst_ep in (self.spec.endpoint, ALL_ENDPOINTS):
            self._application(frame, unicast, at, offered)
        self._changed()

    def _zdo(self, frame: ApsFrame, unicast: bool, at: float) -> None:
        if frame.cluster == zdo.MATCH_DESC_REQ | zdo.RESPONSE:
            self._server_found(frame.data, at)
            return
        reply = zdo.answer(self.node(), frame.cluster, frame.data, unicast=unicast)
        if reply is None:
            return
        self.zdo_answers[frame.cluster] += 1
        self._send(0, 0, zdo.ZDO_PROFILE, reply.cluster, reply.payload, at)
        if reply.leaves:
            self._network.left(self, rejoin=reply.rejoins)

    def _application(self, frame: ApsFrame, unicast: bool, at: float, offered: float) -> None:
        try:
            request = zcl.decode(frame.data)
        except zcl.MalformedError:
            return
        attributes = self.application.attributes(frame.cluster, self.file_version)
        if attributes is None or request.from_server:
            result = zcl.Answer(zcl.Status.UNSUPPORTED_CLUSTER)
        elif request.cluster_specific:
            self.commands.append(CommandSeen(at, frame.cluster, request.command, at - offered))
            result = self.application.command(frame.cluster, request)
            self._poll_fast(at)
        else:
            reports = {key: record for (where, key), record in self.application.reports.items() if where == frame.cluster}
            result = zcl.answer_general(request, attributes, reports)
            for attribute in result.written:
                self.application.written[frame.cluster, attribute.id] = attribute
            if self.application.takes("reporting"):
                self.application.reports.update(((frame.cluster, key), record) for key, record in result.reported)
        if not unicast:
            return
        data = result.response
        if data is None and zcl.wants_default_response(request, result.status):
            data = zcl.default_response(request, result.status)
        if data:
            self._send(frame.dst_ep, frame.src_ep, frame.profile, frame.cluster, data, at)

    def _send(self, src_ep: int, dst_ep: int, profile: int, cluster: int, data: bytes, at: float | None, *, ack: bool = False) -> None:
        frame = ApsFrame(src=self.nwk, src_ep=src_ep, dst=COORDINATOR, dst_ep=dst_ep, profile=profile, cluster=cluster, data=data, ack=ack)
        self._network.uplink(self, frame, at=at)

    def _perform(self, effects: list[Effect], at: float | None) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self._send_ota(effect, at)
            else:
                self.power_off(effect.seconds)
        if self.powered:
            self._arm()
            if self.sleepy:
                self._set_poll_rate()

    def _send_ota(self, send: Send, at: float | None) -> None:
        if self._server_known or not send.request:
            ack = send.request and self.spec.aps_ack
            endpoint = self.ota.wire.server_endpoint
            self._send(self.spec.endpoint, endpoint, HOME_AUTOMATION, OTA_CLUSTER, send.data, at, ack=ack)
            return
        # §11.7: a client that knows no server looks for one first. Of the requests made meanwhile only the last is still wanted.
        self._held = send
        self._tsn = (self._tsn + 1) & 0xFF
        request = zdo.match_request(self._tsn, COORDINATOR, HOME_AUTOMATION, OTA_CLUSTER)
        self._send(0, 0, zdo.ZDO_PROFILE, zdo.MATCH_DESC_REQ, request, at)

    def _server_found(self, data: bytes, at: float) -> None:
        endpoints = zdo.matched_endpoints(data)
        if not endpoints or self._server_known:
            return
        self._server_known = True
        self.ota.wire.server_endpoint = endpoints[0]
        held, self._held = self._held, None
        if held is not None:
            self._send_ota(held, at)

    def enter(self, identity: NetworkIdentity, *, nwk: int, parent: int) -> None:
        """Be in a network from now on."""
        self.identity, self.nwk, self.parent = identity, nwk, parent
        self._changed()

    def leave(self) -> None:
        """Be in no network from now on."""
        self.identity = None
        self._changed()

    def announce(self, tsn: int = 0) -> None:
        """Broadcast a Device_annce."""
        frame = ApsFrame(
            src=self.nwk,
            src_ep=0,
            dst=BROADCAST_RX_ON,
            dst_ep=0,
            profile=zdo.ZDO_PROFILE,
            cluster=zdo.DEVICE_ANNCE,
            data=zdo.device_annce(self.node(), tsn),
        )
        self._network.uplink(self, frame)

    def check_for_image(self) -> None:
        """Let the OTA client query by itself."""
        if self.powered:
            self._perform(self.ota.check_for_image(self._loop.time() * self._clock), None)
            self._changed()

    # Power

    def power_off(self, seconds: float | None = None) -> None:
        """Switch off, for some seconds of the device's clock or until `power_on`."""
        if self.powered:
            self.polling.polls(self._loop.time())
            self.powered = False
            self.ota.power_lost()
        self._cancel(self._timer)
        self._cancel(self._power_timer)
        self._timer = self._power_timer = None
        if seconds is not None:
            self._power_timer = self._loop.call_later(seconds / self._clock, self.power_on)
        self._changed()

    def power_on(self) -> None:
        """Switch on, and boot into the image that was being applied if there is one."""
        if self.powered:
            return
        self._cancel(self._power_timer)
        self._power_timer = None
        self.powered = True
        now = self._loop.time()
        self.polling.skip(now)
        if not self.spec.behaviours.returns_silently:
            self._network.came_back(self)
        before, effects = self.file_version, self.ota.power_up(now * self._clock)
        if self.file_version != before:
            self._begin_anew()
        self._perform(effects, None)
        self._changed()

    def _begin_anew(self) -> None:
        """New firmware runs, and forgets what its makers did not think of."""
        self.application.forget()
        if "bindings" in self.application.forgot:
            self.bindings.clear()

    def close(self) -> None:
        """Stop every timer."""
        for timer in (self._timer, self._power_timer, self._check_in_timer):
            self._cancel(timer)
        self.powered = False

    # Polls

    def next_poll(self, now: float) -> float:
        """The loop time of the next poll after `now`, infinite while the device is off."""
        return self.polling.next(now) if self.powered else float("inf")

    def _poll_fast(self, at: float) -> None:
        if self.sleepy:
            self._fast_until = at + self.application.fast_poll_seconds / self._clock
            self._set_poll_rate()

    def _set_poll_rate(self) -> None:
        now = self._loop.time()
        fast = self.ota.awaiting or now < self._fast_until
        interval = self.spec.fast_poll_interval if fast else self.spec.poll_interval
        self.polling.change(now, interval / self._clock)
        self._network.polls_changed(self)

    def _plan_check_in(self) -> None:
        seconds = self.spec.behaviours.checks_in
        if self.sleepy and seconds is not None:
            self._check_in_timer = self._loop.call_later(seconds / self._clock, self._check_in)

    def _check_in(self) -> None:
        self._plan_check_in()
        if self.powered:
            self._tsn = (self._tsn + 1) & 0xFF
            data = zcl.encode(zcl.CLUSTER_SPECIFIC | zcl.FROM_SERVER, self._tsn, CHECK_IN)
            self._send(self.spec.endpoint, 1, HOME_AUTOMATION, POLL_CONTROL, data, None)
            # §3.16.5.4: the device polls fast until it has the Check-in Response, for a few seconds at most.
            self._fast_until = self._loop.time() + 8.0 / self._clock
            self._set_poll_rate()

    # Time and waiting

    def _arm(self) -> None:
        """Keep one timer that fires no later than the client's deadline; one that fires early is planned again."""
        deadline = self.ota.deadline
        if deadline is None:
            return
        when = deadline / self._clock
        if self._timer is not None:
            if self._timer.when() <= when:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._due)

    def _due(self) -> None:
        self._timer = None
        now = self._loop.time()
        deadline = self.ota.deadline
        if deadline is None or not self.powered:
            return
        if deadline / self._clock <= now + 1e-6:
            self._perform(self.ota.tick(max(now * self._clock, deadline)), None)
            self._changed()
        else:
            self._arm()

    async def wait_until(self, predicate: Callable[[Device], bool], timeout: float) -> None:
        """Wait until `predicate` holds; raise TimeoutError after `timeout` seconds of the loop."""
        async with asyncio.timeout(timeout):
            while not predicate(self):
                waiter: asyncio.Future[None] = self._loop.create_future()
                self._waiters.append(waiter)
                await waiter

    def _changed(self) -> None:
        if self._waiters:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    @staticmethod
    def _cancel(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()
