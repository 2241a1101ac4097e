"""The Radio over zigpy: ordinary traffic through its application, the OTA Upgrade cluster through our own path.

A frame of the OTA cluster is answered in the radio's own callback, on bytes, without a task. Where the fast path of the stack is missing or breaks,
`handle_message` receives and zigpy's public API sends: slower, never silent. Sessions live as long as this object, not as long as a connection.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import structlog

from otagate.model.devices import Component, Device
from otagate.model.errors import DeviceUnreachable, RadioError, RadioInUse, RadioUnavailable, UnknownDevice
from otagate.model.ids import DeviceId, RadioName, UpdateId, zigbee_component_id
from otagate.model.orders import Order
from otagate.model.quirks import Quirk
from otagate.ports import (
    Clock,
    DeviceAsked,
    DeviceFound,
    DeviceGone,
    DeviceReturned,
    DeviceSeen,
    Emit,
    Knocked,
    RadioChanged,
    RadioState,
    TransferAdvanced,
    TransferProgressed,
)
from otagate.radios import stacks
from otagate.radios.attach import StateFiles, attach_network, listen_first
from otagate.radios.outbox import Outbox
from otagate.radios.peers import Peer, describe, device_id_of, ota_endpoints, read_components
from otagate.sessions import ota_frames as ota
from otagate.sessions.effects import Advance, Announce, Asked, Effects, Knock, Reply
from otagate.sessions.ota_transfer import Patience
from otagate.sessions.zigbee import OtaServer

if TYPE_CHECKING:
    from zigpy.application import ControllerApplication
    from zigpy.device import ZigbeeDevice

LOG = structlog.get_logger("otagate.radio")

_RESETS_ALLOWED = 1
_RESET_WINDOW = 60.0
_FEED_EVERY = 1.0
_SEEN_EVERY = 60.0
_PROGRESS_EVERY = 0.25
_ASK_BOUND = 20.0
_SLOW_SENDS = 8
_DEVICE_ANNCE = 0x0013
_ZHA = 0x0104
_BUSY_PAUSE = 0.02
_BUSY_RETRIES = 10

QuirkOf = Callable[[int | None], Quirk]
"""Manufacturer code → quirk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZigbeeSettings:
    """How to reach one coordinator; the words are those of the configuration."""

    name: RadioName
    type: str
    path: str
    network: Literal["existing", "form"] = "existing"
    baudrate: int | None = None
    flow_control: str | None = None
    channel: int | None = None
    listen_seconds: float = 3.0


class ZigbeeRadio:
    """One Zigbee coordinator; implements `ports.Radio`."""

    def __init__(
        self, settings: ZigbeeSettings, *, state_dir: Path, emit: Emit, clock: Clock, quirk_of: QuirkOf, patience: Patience | None = None
    ) -> None:
        self._settings = settings
        self._files = StateFiles.of(state_dir, settings.name)
        self._emit = emit
        self._clock = clock
        self._quirk_of = quirk_of
        self._patience = patience or Patience()
        self._tokens = itertools.count(1)
        self._sessions: dict[DeviceId, OtaServer] = {}
        self._updates: dict[UpdateId, DeviceId] = {}
        self._waiting: dict[int, tuple[DeviceId, int]] = {}
        self._resets: deque[float] = deque(maxlen=_RESETS_ALLOWED + 1)
        self._outbox: Outbox[tuple[Peer, int]] = Outbox()
        self._peers: dict[DeviceId, Peer] = {}
        self._by_nwk: dict[int, Peer] = {}
        self._app: ControllerApplication | None = None
        self._fast: stacks.FastPath | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._sends = 0
        self._lost: asyncio.Future[str] | None = None

    @property
    def name(self) -> RadioName:
        """The name in the configuration."""
        return self._settings.name

    # --- one life ---------------------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """See `ports.Radio.run`."""
        settings = self._settings
        self._tell("starting", f"opening {settings.path}")
        await listen_first(settings.path, settings.listen_seconds)
        app = await self._open()
        try:
            why = await self._serve(app)
        finally:
            await self._close(app)
        if why == "reset":
            self._count_reset()
        raise RadioUnavailable(f"{settings.path}: {'the coordinator reset itself' if why == 'reset' else why}")

    async def _open(self) -> ControllerApplication:
        settings = self._settings
        self._files.prepare()
        application = stacks.application_class(settings.type)
        config = stacks.zigpy_config(
            settings.type,
            path=settings.path,
            database=self._files.database,
            baudrate=settings.baudrate,
            flow_control=settings.flow_control,
            channel=settings.channel,
        )
        app = await application.new(config, start_radio=False)
        try:
            await app.connect()
            await attach_network(app, self._files, may_form=settings.network == "form")
        except BaseException as error:
            await self._close(app)
            if isinstance(error, RadioError) or not isinstance(error, Exception):
                raise
            raise RadioUnavailable(_plainly(settings.path, error)) from error
        return app

    async def _serve(self, app: ControllerApplication) -> str:
        """Serve until the connection is lost; returns why."""
        self._app = app
        self._lost = asyncio.get_running_loop().create_future()
        for device in app.devices.values():
            self._adopt(device)
        app.add_listener(self)
        slow = self._attach_fast_path(app)
        async with asyncio.TaskGroup() as self._tasks:
            sender = self._tasks.create_task(self._outbox.run(reply=self._send_reply, announce=self._send_announce))
            try:
                network = app.state.network_info
                sentence = f"channel {network.channel}, PAN 0x{network.pan_id:04x}, {max(len(self._peers) - 1, 0)} devices{slow}"
                self._tell("up", sentence)
                self._reopen_sessions()
                return await self._lost
            finally:
                sender.cancel()
                self._forget_life()

    def _attach_fast_path(self, app: ControllerApplication) -> str:
        self._fast = stacks.fast_path(self._settings.type)
        if self._fast is None:
            return "; OTA over the library's public interface"
        try:
            self._fast.attach(app, take=self._take, lost=lambda _: self._give_up("reset"), too_long=self._too_long)
        except stacks.FastPathUnavailable as error:
            return self._without_fast_path(error)
        return ""

    def _without_fast_path(self, error: Exception) -> str:
        """For good: a new release of a radio library may slow OTA down, never stop it."""
        if self._fast is not None:
            self._fast.detach()
        self._fast = None
        LOG.warning("fast path unavailable", radio=self.name, error=str(error))
        return "; OTA over the library's public interface, because its inside has changed"

    def _forget_life(self) -> None:
        if self._fast is not None:
            self._fast.detach()
        for peer in self._peers.values():
            if peer.timer is not None:
                peer.timer.cancel()
            for waiter in peer.asked:
                waiter.cancel()
        self._peers.clear()
        self._by_nwk.clear()
        self._outbox.clear()
        self._app = self._tasks = None

    @staticmethod
    async def _close(app: ControllerApplication) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(10.0):
                await app.shutdown()

    def _give_up(self, why: str) -> None:
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(why)

    def _count_reset(self) -> None:
        now = self._clock.monotonic()
        self._resets.append(now)
        if len(self._resets) > _RESETS_ALLOWED and now - self._resets[0] <= _RESET_WINDOW:
            self._resets.clear()
            raise RadioInUse(
                f"{self._settings.path} was reset twice within {_RESET_WINDOW:.0f} s and not by us: another program drives it; "
                "stop it, then reattach the radio"
            )

    def _tell(self, state: RadioState, sentence: str) -> None:
        self._emit(RadioChanged(radio=self.name, state=state, sentence=sentence))

    # --- the port ---------------------------------------------------------------------------------------------------------------------

    async def interrogate(self, device: DeviceId) -> Device:
        """See `ports.Radio.interrogate`."""
        peer = self._peer(device)
        if not peer.device.is_initialized:
            peer.device.schedule_initialize()
            raise DeviceUnreachable(f"{device} has not finished its interview yet")
        components = await read_components(peer.device)
        if any(each.image_type is None for each in components):
            components = [await self._ask_by_notify(peer)]
        return replace(describe(peer.device, self.name), components=tuple(components))

    async def _ask_by_notify(self, peer: Peer) -> Component:
        """A client without the attributes tells its identity only in Query Next Image."""
        if not peer.session.quirk.notify:
            raise DeviceUnreachable(f"{peer.id} does not tell its image type and must not be notified; it is known when it asks by itself")
        waiter: asyncio.Future[Component] = asyncio.get_running_loop().create_future()
        peer.asked.append(waiter)
        self._outbox.announce((peer, peer.endpoint), ota.image_notify(0))
        try:
            async with asyncio.timeout(_ASK_BOUND):
                return await waiter
        except TimeoutError:
            raise DeviceUnreachable(f"{peer.id} did not ask for an image within {_ASK_BOUND:.0f} s after a notify") from None
        finally:
            if waiter in peer.asked:
                peer.asked.remove(waiter)

    def _peer(self, device: DeviceId) -> Peer:
        if self._app is None:
            raise RadioUnavailable(f"radio {self.name} is not up")
        try:
            return self._peers[device]
        except KeyError:
            raise UnknownDevice(f"radio {self.name} does not know {device}") from None

    def command(self, order: Order) -> None:
        """See `ports.Radio.command`."""
        device = getattr(order, "device", None) or self._updates.get(order.update)
        if device is None:
            return
        self._updates[order.update] = device
        session = self._session(device)
        effects = session.command(order, self._clock.monotonic())
        peer = self._peers.get(device)
        if peer is not None:
            self._perform(peer, peer.endpoint, effects)
            self._schedule(peer)

    def committed(self, token: int) -> None:
        """See `ports.Radio.committed`."""
        waiting = self._waiting.pop(token, None)
        if waiting is None:
            return
        device, endpoint = waiting
        effects = self._session(device).committed(token, self._clock.monotonic())
        peer = self._peers.get(device)
        if peer is not None:
            self._perform(peer, endpoint, effects)
            self._schedule(peer)

    async def permit_joining(self, seconds: int) -> None:
        """See `ports.Radio.permit_joining`."""
        if self._app is None:
            raise RadioUnavailable(f"radio {self.name} is not up")
        try:
            await self._app.permit(seconds)
        except Exception as error:
            raise RadioUnavailable(f"radio {self.name} did not open the network: {_plain(error)}") from error

    # --- frames in --------------------------------------------------------------------------------------------------------------------

    def _take(self, nwk: int, source_endpoint: int, own_endpoint: int, lqi: int, frame: bytes) -> bool:
        """From the fast path: an OTA request of a known device is ours, everything else is zigpy's."""
        peer = self._by_nwk.get(nwk)
        if peer is None or own_endpoint != 1 or not ota.is_request(frame):
            return False
        if peer.device.nwk != nwk:
            return False
        now = self._clock.monotonic()
        if now - peer.fed >= _FEED_EVERY:
            self._feed(peer, lqi, now)
        self._receive(peer, source_endpoint, frame, now)
        return True

    def _receive(self, peer: Peer, endpoint: int, frame: bytes, now: float) -> None:
        peer.endpoint = endpoint
        effects = peer.session.receive(frame, now)
        if len(effects) == 1 and type(effects[0]) is Reply:
            self._outbox.reply((peer, endpoint), effects[0].frame)
        elif effects:
            self._perform(peer, endpoint, effects)
        if frame[2] != ota.IMAGE_BLOCK:  # a block only puts its timers off, and a timer that is early looks again
            self._schedule(peer)
        elif now >= peer.progress_due:
            self._tell_progress(peer, now)

    def _feed(self, peer: Peer, lqi: int, now: float) -> None:
        """What zigpy would have learnt from the frame."""
        peer.fed = now
        peer.device.last_seen = self._clock.now()
        peer.device.lqi = lqi
        self._tell_seen(peer, now)

    def _tell_seen(self, peer: Peer, now: float) -> None:
        if now - peer.told >= _SEEN_EVERY:
            peer.told = now
            self._emit(DeviceSeen(device=peer.id))

    def _tell_progress(self, peer: Peer, now: float) -> None:
        peer.progress_due = now + _PROGRESS_EVERY
        for update, device in self._updates.items():
            if device == peer.id and (offset := peer.session.high_water(update)):
                self._emit(TransferProgressed(update=update, offset=offset))

    def handle_message(self, device: ZigbeeDevice, profile: int, cluster: int, src_ep: int, dst_ep: int, data: bytes) -> None:
        """zigpy's listener for every frame before its debouncer: what the fast path did not take."""
        peer = self._adopt(device)
        if peer is None:
            return
        now = self._clock.monotonic()
        self._tell_seen(peer, now)
        if cluster == ota.CLUSTER and src_ep and ota.is_request(data):
            self._receive(peer, src_ep, bytes(data), now)
            return
        if cluster == ota.CLUSTER and src_ep and (refused := ota.default_response_in(data)):
            peer.session.refused(*refused)
        if profile == 0 and cluster == _DEVICE_ANNCE:
            self._emit(DeviceReturned(device=peer.id))
        self._perform(peer, peer.endpoint, peer.session.heard(now))

    # --- zigpy's other listeners --------------------------------------------------------------------------------------------------------

    def connection_lost(self, exc: Exception | None) -> None:
        """The serial line or the watchdog failed."""
        self._give_up(_plain(exc) if exc is not None else "the connection was closed")

    def device_joined(self, device: ZigbeeDevice) -> None:
        """A device joined or came back under another address; its interview has not begun."""
        self._adopt(device)

    def raw_device_initialized(self, device: ZigbeeDevice) -> None:
        """The interview is done; zigpy may replace the object right after."""
        self._adopt(device)

    def device_initialized(self, device: ZigbeeDevice) -> None:
        """The device is ready."""
        peer = self._adopt(device)
        if peer is not None:
            self._emit(DeviceFound(device=describe(device, self.name)))

    def device_left(self, device: ZigbeeDevice) -> None:
        """The device left, to come back or not."""
        self._emit(DeviceGone(device=device_id_of(device)))

    def device_removed(self, device: ZigbeeDevice) -> None:
        """An operator removed the device."""
        self.device_left(device)

    # --- peers ------------------------------------------------------------------------------------------------------------------------

    def _adopt(self, device: Any) -> Peer | None:
        if not hasattr(device, "ota_in_progress") or int(device.nwk) == 0:
            return None
        device.ota_in_progress = True  # zigpy's own OTA answers stay off
        device_id = device_id_of(device)
        peer = self._peers.get(device_id)
        if peer is None or peer.device is not device:
            peer = self._new_peer(device, device_id, peer)
        self._by_nwk[int(device.nwk)] = peer
        return peer

    def _new_peer(self, device: ZigbeeDevice, device_id: DeviceId, old: Peer | None) -> Peer:
        peer = Peer(device=device, id=device_id, session=self._session(device_id))
        if old is not None:
            peer.asked, peer.timer, peer.endpoint = old.asked, old.timer, old.endpoint
        endpoints = ota_endpoints(device) if device.is_initialized else []
        if endpoints:
            peer.endpoint = endpoints[0]
        node = device.node_desc
        if node is not None:
            peer.session.quirk = self._quirk_of(int(node.manufacturer_code))
            peer.session.sleepy = not node.is_receiver_on_when_idle
        self._peers[device_id] = peer
        if device.is_initialized and old is None:
            self._emit(DeviceFound(device=describe(device, self.name)))
        return peer

    def _session(self, device: DeviceId) -> OtaServer:
        if device not in self._sessions:
            self._sessions[device] = OtaServer(tokens=self._tokens, patience=self._patience)
        return self._sessions[device]

    def _reopen_sessions(self) -> None:
        """The time without a radio is nobody's silence."""
        now = self._clock.monotonic()
        for peer in list(self._peers.values()):
            self._perform(peer, peer.endpoint, peer.session.reopened(now))
            self._schedule(peer)

    # --- effects ----------------------------------------------------------------------------------------------------------------------

    def _perform(self, peer: Peer, endpoint: int, effects: Effects) -> None:
        for effect in effects:
            match effect:
                case Reply(frame):
                    self._outbox.reply((peer, endpoint), frame)
                case Announce(frame):
                    self._outbox.announce((peer, peer.endpoint), frame)
                case Advance():
                    self._advance(peer, endpoint, effect)
                case Asked():
                    self._tell_asked(peer, endpoint, effect)
                case Knock(update):
                    self._emit(Knocked(update=update))

    def _advance(self, peer: Peer, endpoint: int, effect: Advance) -> None:
        if effect.token is not None:
            self._waiting[effect.token] = (peer.id, endpoint)
            while len(self._waiting) > 1_000:
                del self._waiting[next(iter(self._waiting))]
        self._emit(TransferAdvanced(update=effect.update, causes=effect.causes, detail=effect.detail, token=effect.token, offset=effect.offset))

    def _tell_asked(self, peer: Peer, endpoint: int, effect: Asked) -> None:
        component = Component(
            id=zigbee_component_id(effect.image_type),
            version=effect.file_version,
            manufacturer_code=effect.manufacturer_code,
            image_type=effect.image_type,
            hardware_version=effect.hardware_version,
            endpoint=endpoint,
        )
        for waiter in peer.asked:
            if not waiter.done():
                waiter.set_result(component)
        self._emit(DeviceAsked(device=peer.id, component=component))

    def _schedule(self, peer: Peer) -> None:
        wake = peer.session.wake_at()
        if wake is None or wake == float("inf"):
            return
        delay = max(wake - self._clock.monotonic(), 0.0)
        loop = asyncio.get_running_loop()
        if peer.timer is not None:
            if not peer.timer.cancelled() and peer.timer.when() <= loop.time() + delay and peer.timer.when() > loop.time():
                return
            peer.timer.cancel()
        peer.timer = loop.call_later(delay, self._on_timer, peer)

    def _on_timer(self, peer: Peer) -> None:
        peer.timer = None
        if self._app is None:
            return
        if self._outbox.waits_for((peer, peer.endpoint)):  # the next block of a page waits for the one before
            peer.timer = asyncio.get_running_loop().call_later(0.002, self._on_timer, peer)
            return
        self._perform(peer, peer.endpoint, peer.session.tick(self._clock.monotonic()))
        self._schedule(peer)

    # --- frames out -------------------------------------------------------------------------------------------------------------------

    async def _send_reply(self, to: tuple[Peer, int], frame: bytes) -> None:
        peer, endpoint = to
        if self._fast is None:
            self._spawn(self._send_slowly(peer, endpoint, frame, ack=False))
            return
        try:
            await self._send_fast(peer, endpoint, frame)
        except stacks.FastPathUnavailable as error:
            self._tell("up", "serving" + self._without_fast_path(error))
            self._spawn(self._send_slowly(peer, endpoint, frame, ack=False))
        except (DeviceUnreachable, stacks.Busy) as error:
            LOG.debug("reply not sent", radio=self.name, device=peer.id, error=str(error))  # the device asks again

    def _too_long(self, nwk: int) -> None:
        peer = self._by_nwk.get(nwk)
        if peer is not None:
            peer.session.too_long()

    async def _send_fast(self, peer: Peer, endpoint: int, frame: bytes) -> None:
        """A block goes without APS acknowledgement: the device's next request is one. Anything else is worth its acknowledgement."""
        if self._fast is None:
            return
        is_block = frame[2] == 0x05 and frame[0] == 0x19
        for _ in range(_BUSY_RETRIES):
            try:
                await self._fast.send(nwk=int(peer.device.nwk), endpoint=endpoint, frame=frame, ack=not is_block)
            except stacks.Busy:
                await asyncio.sleep(_BUSY_PAUSE)
            else:
                return

    def _send_announce(self, to: tuple[Peer, int], frame: bytes) -> None:
        peer, endpoint = to
        self._spawn(self._send_slowly(peer, endpoint, frame, ack=True))

    def _spawn(self, sending: Coroutine[Any, Any, None]) -> None:
        if self._tasks is None or self._sends >= _SLOW_SENDS:
            sending.close()  # the device asks again; a flood does not pile up here
            return
        self._sends += 1
        self._tasks.create_task(sending).add_done_callback(self._sent)

    def _sent(self, _: asyncio.Task[None]) -> None:
        self._sends -= 1

    async def _send_slowly(self, peer: Peer, endpoint: int, frame: bytes, *, ack: bool) -> None:
        """Through zigpy's public API."""
        from zigpy.exceptions import DeliveryError

        if self._app is None:
            return
        device = peer.device
        try:
            request: Any = self._app.request  # its annotations want zigpy's own integers
            await request(
                device, _ZHA, ota.CLUSTER, 1, endpoint, frame[1], frame, expect_reply=False, ask_for_ack=ack,
                extended_timeout=peer.session.sleepy,
            )  # fmt: skip
        except (DeliveryError, TimeoutError) as error:
            LOG.debug("frame not delivered", radio=self.name, device=peer.id, error=str(error))


def _plain(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _plainly(path: str, error: Exception) -> str:
    """What went wrong while opening, in one sentence."""
    cause: BaseException = error
    while cause.__cause__ is not None and not str(cause):
        cause = cause.__cause__
    if isinstance(cause, FileNotFoundError):
        return f"{path} does not exist: is the stick plugged in, and is the path right?"
    if isinstance(cause, PermissionError):
        return f"{path} cannot be opened: another program holds it, or this user may not use it ({cause})"
    if isinstance(cause, TimeoutError):
        return f"{path} does not answer like a coordinator of this type"
    return f"{path} cannot be used: {_plain(cause)}"
