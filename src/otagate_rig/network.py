"""The simulated network: devices around one coordinator, joining, routing, sleeping children and what the air does to frames."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from functools import partial
from typing import TYPE_CHECKING, Self

from otagate_rig import zdo
from otagate_rig.air import Air, AirSettings, airtime, asdu_limit
from otagate_rig.aps import BROADCAST_ALL, BROADCAST_ROUTERS, COORDINATOR, ApsFrame, Delivery, DeviceKind
from otagate_rig.delivery import ACK_WAIT_SECONDS, APS_RETRIES, AcknowledgedDelivery, Path
from otagate_rig.device import Device
from otagate_rig.indirect import PERSISTENCE_SECONDS, ParentQueue
from otagate_rig.turnaround import Turnaround

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from otagate_rig.aps import Coordinator, NetworkIdentity
    from otagate_rig.ota_commands import ImageId
    from otagate_rig.spec import DeviceSpec

FIRST_BROADCAST = 0xFFF8
FOREVER = 0xFF
# Relays that are no devices of the rig have addresses of their own, by their distance from the coordinator.
FIRST_UNNAMED_RELAY = 0xFFF0
LAST_ASSIGNED = 0xFF00
JOIN_SPACING_SECONDS = 0.1


class Network:
    """A `Medium` with devices. `identity` is the network that they are in from the start, None where they have yet to join one."""

    def __init__(
        self,
        specs: Iterable[DeviceSpec],
        *,
        air: AirSettings | None = None,
        identity: NetworkIdentity | None = None,
        known: Mapping[ImageId, bytes] | None = None,
        announce_after: float | None = 2.0,
    ) -> None:
        """`announce_after` is when the devices announce themselves once the coordinator has come up, in seconds of the loop; None for never."""
        self.settings = air or AirSettings()
        self.air = Air(self.settings)
        self.turnaround = Turnaround()
        self.devices: dict[int, Device] = {}
        self._loop = asyncio.get_running_loop()
        self._dice = random.Random(self.settings.seed)  # noqa: S311 - a simulation wants repeatable dice
        self._by_nwk: dict[int, Device] = {}
        self._queues: dict[int, ParentQueue] = {}
        self._coordinator: Coordinator | None = None
        self._identity: NetworkIdentity | None = None
        self._announce_after = announce_after
        self._closed = False
        self._wants_to_join: dict[int, Device] = {}
        self._open_until = 0.0
        server_second = self.settings.clock / self.settings.server_clock
        for spec in specs:
            device = Device(spec, self, clock=self.settings.clock, server_second=server_second, seed=self.settings.seed, known=known or {})
            self.devices[spec.ieee] = device
            if device.sleepy:
                self._queues[spec.ieee] = ParentQueue(self.air, next_poll=device.next_poll)
            if identity is not None:
                self._place(device, identity)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Fall silent for good."""
        self._closed = True
        self._identity = None
        for queue in self._queues.values():
            queue.close()
        for device in self.devices.values():
            device.close()

    # Medium: the coordinator's side

    def attach(self, coordinator: Coordinator, *, ieee: int) -> None:
        """Make `coordinator` the receiver of the frames for address 0x0000."""
        self._coordinator = coordinator
        for device in self.devices.values():
            device.ota.server_ieee = ieee

    def network_up(self, identity: NetworkIdentity) -> None:
        """Let the devices joined under `identity` hear the coordinator; after the first time they announce themselves."""
        if self._closed:
            return
        self._identity = identity
        if self._announce_after is not None:
            self._loop.call_later(self._announce_after, self.announce)
            self._announce_after = None

    def network_down(self) -> None:
        """Silence the coordinator."""
        self._identity = None
        self._open_until = 0.0

    def permit_joining(self, seconds: int) -> None:
        """Open the network for `seconds` (255 until further notice), or close it with 0."""
        self._open_until = float("inf") if seconds == FOREVER else self._loop.time() + seconds
        self._let_in()

    def ieee_of(self, nwk: int) -> int | None:
        """The IEEE address of a joined device."""
        device = self._by_nwk.get(nwk)
        return None if device is None else device.ieee

    def nwk_of(self, ieee: int) -> int | None:
        """The network address of a joined device."""
        device = self.devices.get(ieee)
        return device.nwk if device is not None and device.identity is not None else None

    def kind_of(self, nwk: int) -> DeviceKind | None:
        """The kind of a joined device."""
        device = self._by_nwk.get(nwk)
        return None if device is None else device.spec.kind

    async def transmit(self, frame: ApsFrame) -> Delivery:
        """Put one frame of the coordinator on the air; returns when its stack would confirm it."""
        self.turnaround.left_coordinator(frame, self._loop.time())
        if self._identity is None:
            return Delivery.NO_ROUTE
        relays = len(frame.route) if frame.route else None
        if len(frame.data) > asdu_limit(relays=relays, encrypted=frame.encrypted):
            return Delivery.TOO_LONG
        done: asyncio.Future[Delivery] = self._loop.create_future()
        confirm = partial(_resolve, done)
        seconds = airtime(len(frame.data), relays=relays, encrypted=frame.encrypted)
        if frame.group is not None or frame.dst >= FIRST_BROADCAST:
            self._broadcast(frame, confirm)
            return await done
        device = self._by_nwk.get(frame.dst)
        if device is None or device.identity != self._identity:
            return Delivery.NO_ROUTE
        if frame.ack:
            return await self._acknowledged(device, frame, seconds, done, confirm)
        offered = self._loop.time()
        self._carry_down(device, seconds, partial(self._hand_down, device, frame, offered), confirm, expired=partial(confirm, Delivery.EXPIRED))
        return await done

    async def _acknowledged(
        self, device: Device, frame: ApsFrame, seconds: float, done: asyncio.Future[Delivery], confirm: Callable[[Delivery], None]
    ) -> Delivery:
        def carry(arrived: Callable[[float], None], expired: Callable[[], None]) -> None:
            self._carry_down(device, seconds, partial(self._unless_off, device, arrived), _ignore, expired=expired)

        path = Path(
            carry=carry,
            carry_ack=partial(self._carry_up, device, airtime(0)),
            hand_over=partial(self._hand_down, device, frame, self._loop.time(), lossless=True),
        )
        wait = ACK_WAIT_SECONDS + (PERSISTENCE_SECONDS if device.sleepy else 0.0)
        retries = 0 if device.sleepy else APS_RETRIES
        delivery = AcknowledgedDelivery(path, wait=wait / self.settings.clock, retries=retries, ended=confirm)
        try:
            delivery.start()
            return await done
        finally:
            delivery.cancel()

    # Down

    def _carry_down(
        self,
        device: Device,
        seconds: float,
        arrived: Callable[[float], None],
        confirm: Callable[[Delivery], None],
        *,
        expired: Callable[[], None],
    ) -> None:
        """Carry a frame to a device; `confirm` hears what the coordinator's MAC knows: the fate of the first hop."""
        hops = device.spec.hops
        if not device.sleepy:
            self.air.send(seconds, hops, partial(self._arrived_awake, device, arrived, confirm))
        elif hops == 1:
            self._queues[device.ieee].put(seconds, partial(self._arrived_awake, device, arrived, confirm), expired)
        else:
            queue = self._queues[device.ieee]

            def at_parent(_: float) -> None:
                confirm(Delivery.SUCCESS)
                queue.put(seconds, arrived, _nothing)

            self.air.send(seconds, hops - 1, at_parent)

    def _arrived_awake(self, device: Device, arrived: Callable[[float], None], confirm: Callable[[Delivery], None], at: float) -> None:
        heard = device.powered or device.spec.hops > 1
        confirm(Delivery.SUCCESS if heard else Delivery.NO_ROUTE)
        arrived(at)

    def _unless_off(self, device: Device, arrived: Callable[[float], None], at: float) -> None:
        if self._hears(device) and not self.air.lose():
            arrived(at)

    def _hand_down(self, device: Device, frame: ApsFrame, offered: float, at: float, *, lossless: bool = False) -> None:
        if self._hears(device) and (lossless or not self.air.lose()):
            device.receive(frame, unicast=True, at=at, offered=offered)

    def _broadcast(self, frame: ApsFrame, confirm: Callable[[Delivery], None]) -> None:
        """Flood: every router repeats the frame once, without acknowledgements."""
        seconds = airtime(len(frame.data), acked=False)
        routers = sum(device.spec.kind is DeviceKind.ROUTER for device in self._by_nwk.values())
        offered = self._loop.time()

        def arrived(at: float) -> None:
            confirm(Delivery.SUCCESS)
            for device in list(self._by_nwk.values()):
                if self._addressed(device, frame):
                    self._hand_broadcast(device, frame, seconds, at, offered)
                elif device.sleepy and frame.dst_ep == 0:
                    self._parent_answers(device, frame)

        self.air.send(seconds * (1 + routers), 1, arrived)

    def _addressed(self, device: Device, frame: ApsFrame) -> bool:
        if frame.group is not None:
            return frame.group in device.application.groups
        if device.sleepy:
            return frame.dst == BROADCAST_ALL
        return frame.dst != BROADCAST_ROUTERS or device.spec.kind is DeviceKind.ROUTER

    def _hand_broadcast(self, device: Device, frame: ApsFrame, seconds: float, at: float, offered: float) -> None:
        def arrived(when: float) -> None:
            if self._hears(device) and not self.air.lose():
                device.receive(frame, unicast=False, at=when, offered=offered)

        if device.sleepy:
            self._queues[device.ieee].put(seconds, arrived, _nothing)
        else:
            arrived(at)

    def _parent_answers(self, device: Device, frame: ApsFrame) -> None:
        """Let a router answer an address request for its sleeping child (R22 §2.4.4.2.1)."""
        if device.parent != COORDINATOR and device.identity == self._identity and frame.cluster in (zdo.NWK_ADDR_REQ, zdo.IEEE_ADDR_REQ):
            reply = zdo.answer(device.node(), frame.cluster, frame.data, unicast=False)
            if reply is not None:
                answer = ApsFrame(
                    src=device.parent, src_ep=0, dst=COORDINATOR, dst_ep=0, profile=zdo.ZDO_PROFILE, cluster=reply.cluster, data=reply.payload
                )
                self._carry_up(device, airtime(len(reply.payload)), partial(self._hand_up, device, answer), None)

    def _hears(self, device: Device) -> bool:
        return device.powered and self._identity is not None and device.identity == self._identity

    # Up

    def uplink(self, device: Device, frame: ApsFrame, *, at: float | None = None) -> None:
        """Put a frame of `device` on the air."""
        if not device.powered or device.identity is None or len(frame.data) > asdu_limit():
            return
        if device.spec.records_route and device.spec.hops > 1:
            frame = dataclasses.replace(frame, route=self._route_to(device))
        seconds = airtime(len(frame.data), acked=frame.dst < FIRST_BROADCAST)
        if not frame.ack:
            self._carry_up(device, seconds, partial(self._hand_up, device, frame), at)
            return

        first = iter((at,))  # a repetition leaves when its time-out has run, not when the frame was made

        def carry(arrived: Callable[[float], None], _: Callable[[], None]) -> None:
            if device.powered:
                self._carry_up(device, seconds, arrived, next(first, None))

        def carry_ack(arrived: Callable[[float], None], _: float) -> None:
            self._carry_down(device, airtime(0), partial(self._unless_off, device, arrived), _ignore, expired=_nothing)

        path = Path(carry=carry, carry_ack=carry_ack, hand_over=partial(self._hand_up, device, frame))
        wait = ACK_WAIT_SECONDS / self.settings.clock
        AcknowledgedDelivery(path, wait=wait, retries=APS_RETRIES, ended=_ignore).start()

    def _carry_up(self, device: Device, seconds: float, arrived: Callable[[float], None], at: float | None) -> None:
        self.air.send(seconds, device.spec.hops, partial(self._arrived_up, device, arrived), at=at)

    def _arrived_up(self, device: Device, arrived: Callable[[float], None], at: float) -> None:
        if self._identity is not None and device.identity == self._identity and not self.air.lose():
            arrived(at)

    def _hand_up(self, device: Device, frame: ApsFrame, _: float) -> None:
        if self._coordinator is not None:
            self.turnaround.reached_coordinator(frame, self._loop.time())
            self._coordinator.frame_received(frame, lqi=max(255 - 40 * device.spec.hops, 20))

    # Membership

    def announce(self) -> None:
        """Let every joined device that has power send a Device_annce."""
        for device in self.devices.values():
            if self._hears(device):
                device.announce()

    def start_joining(self, ieee: int | None = None) -> None:
        """Let one device, or all that are in no network, join as soon as a coordinator permits it."""
        for device in self.devices.values():
            if device.identity is None and ieee in (None, device.ieee):
                self._wants_to_join[device.ieee] = device
        self._let_in()

    def _let_in(self) -> None:
        if self._identity is not None and self._wants_to_join and self._loop.time() < self._open_until:
            ieee = next(iter(self._wants_to_join))
            device = self._wants_to_join.pop(ieee)
            if device.powered:
                self._join(device, self._identity)
            self._loop.call_later(JOIN_SPACING_SECONDS / self.settings.clock, self._let_in)

    def _join(self, device: Device, identity: NetworkIdentity) -> None:
        self._place(device, identity)
        if self._coordinator is not None:
            self._coordinator.device_joined(ieee=device.ieee, nwk=device.nwk, parent=device.parent, rejoined=False)
        device.announce()

    def _place(self, device: Device, identity: NetworkIdentity) -> None:
        nwk = self._dice.randrange(1, LAST_ASSIGNED)
        while nwk in self._by_nwk:
            nwk = self._dice.randrange(1, LAST_ASSIGNED)
        self._by_nwk[nwk] = device
        device.enter(identity, nwk=nwk, parent=self._parent_of(device))

    def move(self, ieee: int, *, announces: bool = True) -> None:
        """Give a joined device another network address, as after a conflict of two; with `announces` False its Device_annce gets lost."""
        device = self.devices[ieee]
        if device.identity is None:
            raise ValueError(f"device {ieee:016x} is in no network")
        before = device.nwk
        self._place(device, device.identity)
        del self._by_nwk[before]
        if announces:
            device.announce()

    def _parent_of(self, device: Device) -> int:
        """A router one hop nearer; where the rig has none, relays that are no devices of it carry the frames."""
        if device.spec.hops == 1:
            return COORDINATOR
        nearer = (
            other.nwk
            for other in self._by_nwk.values()
            if other.spec.kind is DeviceKind.ROUTER and other.spec.hops == device.spec.hops - 1 and other is not device
        )
        return next(nearer, FIRST_UNNAMED_RELAY - device.spec.hops + 1)

    def _route_to(self, device: Device) -> tuple[int, ...]:
        """The relays on the way from the coordinator to a device."""
        relays: list[int] = []
        hops, parent = device.spec.hops - 1, device.parent
        while hops > 0:
            relays.append(parent)
            hops -= 1
            router = self._by_nwk.get(parent)
            parent = router.parent if router is not None else FIRST_UNNAMED_RELAY - hops
        return tuple(reversed(relays))

    def came_back(self, device: Device) -> None:
        """Announce a device that has its power again; a child that keeps no neighbour table rejoins first."""
        if not self._hears(device):
            return
        if self._coordinator is not None and device.spec.kind is not DeviceKind.ROUTER:
            self._coordinator.device_joined(ieee=device.ieee, nwk=device.nwk, parent=device.parent, rejoined=True)
        device.announce()

    def left(self, device: Device, *, rejoin: bool) -> None:
        """Take a device out of the network after its Mgmt_Leave_rsp is on its way; with `rejoin` it comes straight back."""
        nwk = device.nwk
        self._loop.call_later(JOIN_SPACING_SECONDS / self.settings.clock, self._leave, device, nwk, rejoin)

    def _leave(self, device: Device, nwk: int, rejoin: bool) -> None:
        if device.identity is None or device.nwk != nwk:
            return
        if self._coordinator is not None and self._hears(device):
            self._coordinator.device_left(ieee=device.ieee, nwk=nwk, rejoin=rejoin)
        if rejoin:
            self.came_back(device)
        else:
            del self._by_nwk[nwk]
            device.leave()

    def polls_changed(self, device: Device) -> None:
        """Look again at what waits for a sleeping device."""
        self._queues[device.ieee].rearm()


def _resolve(done: asyncio.Future[Delivery], delivery: Delivery) -> None:
    if not done.done():
        done.set_result(delivery)


def _ignore(_: Delivery) -> None:
    pass


def _nothing() -> None:
    pass
