"""Between the devices of one radio and their sessions: frames and time in, effects out to the sender and to the engine.

Everything here runs in the radio's own callbacks and never waits. Sessions stay while connections come and go.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from otagate.model.devices import Component
from otagate.model.errors import RemoteProtocolError
from otagate.model.ids import DeviceId, RadioName, UpdateId
from otagate.model.orders import Dismiss, Order, Serve, Withdraw
from otagate.model.quirks import PLAIN, QuirkOf
from otagate.ports import Clock, DeviceAsked, DeviceFound, DeviceReturned, DeviceSeen, Emit, Knocked, TransferProgressed
from otagate.radios.advances import as_event
from otagate.radios.crier import Crier
from otagate.radios.meter import Meter
from otagate.radios.peers import Peer, clean, component_of, describe, device_id_of, ota_endpoints
from otagate.radios.sender import Sender
from otagate.sessions import ota_frames as ota
from otagate.sessions.effects import Advance, Announce, Asked, Effects, Knock, Reply
from otagate.sessions.ota_transfer import Patience
from otagate.sessions.zigbee import OtaServer

_FEED_EVERY = 1.0
_SEEN_EVERY = 60.0
_PROGRESS_EVERY = 0.25
_EARLY_BOUND = 16
_ANSWERS_HELD = 1_000
_OVERDUE_BOUND = 1.0
_DEVICE_ANNCE = 0x0013


class Switchboard:
    """The devices of one radio and their sessions."""

    def __init__(self, radio: RadioName, *, sender: Sender, meter: Meter, emit: Emit, clock: Clock, quirk_of: QuirkOf, patience: Patience) -> None:
        self._radio = radio
        self._sender = sender
        self._crier = Crier(sender, lambda: self.peers.values())
        self._meter = meter
        self._emit = emit
        self._clock = clock
        self._quirk_of = quirk_of
        self._patience = patience
        self._tokens = itertools.count(1)
        self._sessions: dict[DeviceId, OtaServer] = {}
        self._brands: dict[DeviceId, int] = {}  # the manufacturer code that its OTA client tells
        self._updates: dict[UpdateId, DeviceId] = {}
        self._updates_of: defaultdict[DeviceId, set[UpdateId]] = defaultdict(set)
        self._held: dict[int, tuple[DeviceId, int]] = {}
        self._by_nwk: dict[int, Peer] = {}
        self._serving = False
        self._answered = asyncio.Event()
        self.peers: dict[DeviceId, Peer] = {}

    # --- a life of the radio ----------------------------------------------------------------------------------------------------------

    def serve(self) -> None:
        """The radio is up: from now on time passes for sessions."""
        self._serving = True
        for peer in self.peers.values():
            self._tell_found(peer)
            self._schedule(peer)

    def part(self) -> None:
        """The radio is gone: forget its devices, not their sessions."""
        self._serving = False
        self._crier.forget()
        for peer in self.peers.values():
            if peer.timer is not None:
                peer.timer.cancel()
            for waiter in peer.asked:
                waiter.cancel()
        self.peers.clear()
        self._by_nwk.clear()

    def adopt(self, device: Any) -> Peer | None:
        """The peer of a zigpy device, made or refreshed; None for the coordinator and for what is no Zigbee device."""
        if not hasattr(device, "ota_in_progress") or int(device.nwk) == 0:
            return None
        device.ota_in_progress = True  # zigpy's own OTA answers stay off
        device_id = device_id_of(device)
        peer = self.peers.get(device_id)
        if peer is None or peer.device is not device:
            peer = self._new_peer(device, device_id, peer)
        self._by_nwk[int(device.nwk)] = peer
        return peer

    def _new_peer(self, device: Any, device_id: DeviceId, old: Peer | None) -> Peer:
        peer = Peer(device=device, id=device_id, session=self._session(device_id))
        self.peers[device_id] = peer
        if old is None:
            self._reopen(peer)
        else:
            peer.asked, peer.endpoint, peer.early, peer.readings, peer.clients = old.asked, old.endpoint, old.early, old.readings, old.clients
            if old.timer is not None:
                old.timer.cancel()
            self._schedule(peer)
        self.describe(peer)
        return peer

    def _reopen(self, peer: Peer) -> None:
        """The time without a radio is nobody's silence."""
        self._perform(peer, peer.endpoint, peer.session.reopened(self._clock.monotonic()))
        self._schedule(peer)

    def describe(self, peer: Peer) -> None:
        """Take what the interview told, and tell it where the radio is up; else that is done when it is."""
        device = peer.device
        self._look_up_oddities(peer)
        if device.node_desc is not None:
            peer.session.sleepy = not device.node_desc.is_receiver_on_when_idle
        if device.is_initialized:
            peer.endpoint = next(iter(ota_endpoints(device)), peer.endpoint)
        if self._serving:
            self._tell_found(peer)

    def _learn_brand(self, device: DeviceId, code: int | None) -> None:
        """The manufacturer code of a device's OTA client: who made it for another brand may stand in its node descriptor."""
        if code is None or code == ota.WILD_CARD or self._brands.get(device) == code:
            return
        self._brands[device] = code
        if device in self.peers:
            self._look_up_oddities(self.peers[device])

    def _look_up_oddities(self, peer: Peer) -> None:
        """Those of the brand, and where it has none those of the maker."""
        brand, node, model = self._brands.get(peer.id), peer.device.node_desc, clean(peer.device.model)
        quirk = PLAIN if brand is None else self._quirk_of(brand, model)
        if quirk == PLAIN and node is not None:
            quirk = self._quirk_of(int(node.manufacturer_code), model)
        peer.session.quirk = quirk

    def _tell_found(self, peer: Peer) -> None:
        if not peer.device.is_initialized:
            return
        self._emit(DeviceFound(device=describe(peer.device, self._radio)))
        peer.found = True
        for component in peer.early.values():
            self._emit(DeviceAsked(device=peer.id, component=component))
        peer.early.clear()

    def forget(self, device: Any) -> None:
        """An operator removed the device; what it still sends is zigpy's."""
        peer = self.peers.pop(device_id_of(device), None)
        self._by_nwk = {nwk: each for nwk, each in self._by_nwk.items() if each is not peer}
        if peer is not None and peer.timer is not None:
            peer.timer.cancel()

    def _session(self, device: DeviceId) -> OtaServer:
        if device not in self._sessions:
            self._sessions[device] = OtaServer(tokens=self._tokens, patience=self._patience)
        return self._sessions[device]

    # --- orders -----------------------------------------------------------------------------------------------------------------------

    def command(self, order: Order) -> None:
        """Hand an order to the session of its device; one about an update that was never served here is dropped."""
        device = order.device if isinstance(order, Serve) else self._updates.get(order.update)
        if device is None:
            return
        if isinstance(order, Withdraw):
            del self._updates[order.update]
            self._updates_of[device].discard(order.update)
            self._answered.set()  # nobody need wait for this device any more
        else:
            self._updates[order.update] = device
            self._updates_of[device].add(order.update)
            if isinstance(order, Serve):
                self._learn_brand(device, order.manufacturer_code)
        effects = self._session(device).command(order, self._clock.monotonic())
        self._perform_for(device, None, effects)

    def committed(self, token: int) -> None:
        """What was told with this token is on disk: let the held answer leave."""
        held = self._held.pop(token, None)
        if held is not None:
            device, endpoint = held
            self._perform_for(device, endpoint, self._session(device).committed(token, self._clock.monotonic()))

    def _perform_for(self, device: DeviceId, endpoint: int | None, effects: Effects) -> None:
        peer = self.peers.get(device)
        if peer is not None:
            self._perform(peer, peer.endpoint if endpoint is None else endpoint, effects)
            self._schedule(peer)

    async def dismiss(self, updates: Mapping[UpdateId, float]) -> None:
        """Have devices wait for so many seconds from their next request on; done when all have been told."""
        for update, seconds in updates.items():
            self.command(Dismiss(update=update, seconds=seconds))
        while not all(map(self._is_dismissed, updates)):
            self._answered.clear()
            await self._answered.wait()

    def back_in(self, update: UpdateId) -> float:
        """See `ports.Lendable.back_in`."""
        device = self._updates.get(update)
        return 0.0 if device is None else self._session(device).back_in(update, self._clock.monotonic())

    def _is_dismissed(self, update: UpdateId) -> bool:
        device = self._updates.get(update)
        peer = None if device is None else self.peers.get(device)
        return device is None or peer is None or (peer.session.is_dismissed(update) and not self._sender.waits_for(peer))

    # --- frames in --------------------------------------------------------------------------------------------------------------------

    def take(self, nwk: int, source_endpoint: int, own_endpoint: int, lqi: int, frame: bytes) -> bool:
        """From the fast path: an OTA request of a known device is ours, everything else is zigpy's."""
        if not _has_header(frame):
            return True  # no use to anybody, and zigpy logs a traceback for each
        peer = self._by_nwk.get(nwk)
        if peer is None or own_endpoint != 1 or not ota.is_request(frame) or peer.device.nwk != nwk:
            return False
        now = self._clock.monotonic()
        if now - peer.fed >= _FEED_EVERY:  # what zigpy would have learnt from the frame
            peer.fed = now
            peer.device.last_seen = self._clock.now()
            peer.device.lqi = lqi
            peer.readings.take(lqi)
            self._tell_seen(peer, now)
        self._receive(peer, source_endpoint, frame, now)
        return True

    def message(self, device: Any, profile: int, cluster: int, endpoint: int, frame: bytes) -> None:
        """From zigpy: every frame that the fast path did not take, before zigpy filters repetitions."""
        peer = self.adopt(device)
        if peer is None:
            return
        now = self._clock.monotonic()
        peer.readings.take(device.lqi, device.rssi)  # of the frame before this one: zigpy takes note only after us
        self._tell_seen(peer, now)
        if cluster != ota.CLUSTER:
            self._meter.heard(len(frame), now)
        elif endpoint:
            if ota.is_request(frame):
                self._receive(peer, endpoint, frame, now)
                return
            if refused := ota.default_response_in(frame):
                peer.session.refused(*refused)
        if profile == 0 and cluster == _DEVICE_ANNCE:
            self._tell_progress(peer, now)  # how far it had come when it went away
            self._emit(DeviceReturned(device=peer.id))
        self._perform(peer, peer.endpoint, peer.session.heard(now))

    def _receive(self, peer: Peer, endpoint: int, frame: bytes, now: float) -> None:
        if frame[2] != ota.IMAGE_BLOCK or endpoint != peer.endpoint:
            peer.endpoint = endpoint
            peer.learn(ota.image_type_in(frame), endpoint)
        if frame[2] == ota.QUERY_NEXT_IMAGE:
            self._learn_brand(peer.id, ota.manufacturer_code_in(frame))
            if peer.asked:
                _tell_waiters(peer, endpoint, frame)
        effects = peer.session.receive(frame, now)
        only_answered = not effects
        if len(effects) == 1 and type(effects[0]) is Reply:
            only_answered = True
            self._sender.reply(peer, endpoint, effects[0].frame)
        elif effects:
            self._perform(peer, endpoint, effects)
        if frame[2] != ota.IMAGE_BLOCK or not only_answered:  # a block that is answered puts its timers off, and a timer that is early looks again
            self._schedule(peer)
        elif now >= peer.progress_due:
            self._tell_progress(peer, now)

    def _tell_seen(self, peer: Peer, now: float) -> None:
        lately = now - peer.told < _SEEN_EVERY
        if lately and peer.linked:
            return
        link = peer.readings.link(self._clock.now())
        if lately and link is None:
            return
        peer.told, peer.linked = now, link is not None
        self._emit(DeviceSeen(device=peer.id, link=link))

    def _tell_progress(self, peer: Peer, now: float) -> None:
        peer.progress_due = now + _PROGRESS_EVERY
        for update in self._updates_of[peer.id]:
            if offset := peer.session.high_water(update):
                self._emit(TransferProgressed(update=update, offset=offset))

    # --- effects ----------------------------------------------------------------------------------------------------------------------

    def _perform(self, peer: Peer, endpoint: int, effects: Effects) -> None:
        for effect in effects:
            match effect:
                case Reply(frame):
                    self._sender.reply(peer, endpoint, frame)
                case Announce(frame, image_type):
                    self._crier.announce(peer, frame, image_type)
                case Advance():
                    self._advance(peer, endpoint, effect)
                case Asked():
                    self._tell_asked(peer, endpoint, effect)
                case Knock(update):
                    self._emit(Knocked(update=update))

    def _advance(self, peer: Peer, endpoint: int, effect: Advance) -> None:
        self._held[effect.token] = (peer.id, endpoint)
        while len(self._held) > _ANSWERS_HELD:
            del self._held[next(iter(self._held))]
        self._emit(as_event(effect))

    def _tell_asked(self, peer: Peer, endpoint: int, effect: Asked) -> None:
        component = _component(effect, endpoint)
        if peer.found:
            self._emit(DeviceAsked(device=peer.id, component=component))
        elif len(peer.early) < _EARLY_BOUND:  # nobody knows the device yet: told again right after it is found
            peer.early[component.id] = component

    # --- time -------------------------------------------------------------------------------------------------------------------------

    def _schedule(self, peer: Peer) -> None:
        """Keep one timer that fires no later than the session wants; one that fires early looks again."""
        wake = peer.session.wake_at()
        if wake is None or not self._serving:
            return
        loop = asyncio.get_running_loop()
        when = loop.time() + max(wake - self._clock.monotonic(), 0.0)
        if peer.timer is not None:
            if peer.timer.when() <= when:
                return
            peer.timer.cancel()
        peer.timer = loop.call_at(when, self._on_timer, peer)

    def _on_timer(self, peer: Peer) -> None:
        peer.timer = None
        if self._sender.waits_for(peer) and not peer.overdue:  # the next block of a page would take the place of the one before
            peer.overdue = True
            peer.timer = asyncio.get_running_loop().call_later(_OVERDUE_BOUND, self._on_timer, peer)
            return
        peer.overdue = False
        for effect in peer.session.tick(self._clock.monotonic()):
            page_block = ota.image_type_in(effect.frame) if isinstance(effect, Reply) else None
            self._perform(peer, peer.client_of(page_block), (effect,))
        self._schedule(peer)

    def reply_left(self, peer: Peer) -> None:
        """The sender has sent what waited for this device."""
        self._answered.set()
        if peer.overdue and peer.timer is not None:
            peer.timer.cancel()
            self._on_timer(peer)


def _tell_waiters(peer: Peer, endpoint: int, frame: bytes) -> None:
    """Whoever waits for what the device tells hears it, whatever the session makes of it."""
    with suppress(RemoteProtocolError):
        component = _component(ota.read_query(frame), endpoint)
        for waiter in peer.asked:
            if not waiter.done():
                waiter.set_result(component)


def _component(told: Asked | ota.QueryRequest, endpoint: int) -> Component:
    return component_of(told.manufacturer_code, told.image_type, version=told.file_version, endpoint=endpoint, hardware_version=told.hardware_version)


def _has_header(frame: bytes) -> bool:
    """Whether there is a whole ZCL header (2.4.1): five octets where a manufacturer code is in it, else three."""
    return len(frame) >= 3 and (len(frame) >= 5 or not frame[0] & 0x04)
