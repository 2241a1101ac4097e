"""The Radio over zigpy: ordinary traffic through its application, the OTA Upgrade cluster through our own path.

A frame of the OTA cluster is answered in the radio's own callback, on bytes, without a task. Where the fast path of the stack is missing or breaks,
`handle_message` receives and zigpy's public API sends: slower, never silent. Sessions live as long as this object, not as long as a connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from otagate.model.devices import Component, Device
from otagate.model.errors import DeviceUnreachable, RadioUnavailable, UnknownDevice
from otagate.model.ids import DeviceId, RadioName, UpdateId
from otagate.model.links import Load
from otagate.model.orders import Order
from otagate.model.portraits import Portrait, Setting
from otagate.model.quirks import QuirkOf
from otagate.policy.airtime import AirBudget
from otagate.ports import Clock, DeviceGone, Emit, RadioBackup, RadioChanged, RadioLoaded, RadioNoticed, RadioState
from otagate.radios import stacks, zigbee_portraits
from otagate.radios.attach import StateFiles
from otagate.radios.backup import back_up
from otagate.radios.connection import Connection
from otagate.radios.connection import ZigbeeSettings as ZigbeeSettings
from otagate.radios.interviews import Interviews
from otagate.radios.library import failing, in_our_words
from otagate.radios.meter import Meter, is_news
from otagate.radios.peers import Peer, describe, device_id_of, is_report, read_battery, read_components, read_switch, with_activation
from otagate.radios.questions import Questions
from otagate.radios.sender import Sender
from otagate.radios.switchboard import Switchboard
from otagate.sessions import ota_frames as ota
from otagate.sessions.ota_transfer import Patience

if TYPE_CHECKING:
    from zigpy.application import ControllerApplication
    from zigpy.device import ZigbeeDevice

LOG = structlog.get_logger("otagate.radio")

_ASK_BOUND = 20.0
_SITTINGS = 2
"""Devices that are asked for all their settings at once: transfers go first."""
_MEASURE_EVERY = 15.0


class ZigbeeRadio:
    """One Zigbee coordinator; implements `ports.Radio`."""

    def __init__(
        self, settings: ZigbeeSettings, *, state_dir: Path, emit: Emit, clock: Clock, quirk_of: QuirkOf, patience: Patience | None = None
    ) -> None:
        self._settings = settings
        self._emit = emit
        self._clock = clock
        self._files = StateFiles.of(state_dir, settings.name)
        self._copying = asyncio.Lock()
        self._connection = Connection(settings, self._files, clock, self._noticed)
        self._stack = stacks.STACKS[settings.type]
        self._meter = Meter()
        self._budget = AirBudget(settings.air_share, pace=settings.air_pace)
        self._sender = Sender(
            clock,
            stack=self._stack,
            meter=self._meter,
            left=self._reply_left,
            fast_path_broke=self._fast_path_broke,
            budget=self._budget,
        )
        self._switchboard = Switchboard(
            settings.name, sender=self._sender, meter=self._meter, emit=emit, clock=clock, quirk_of=quirk_of, patience=patience or Patience()
        )
        self._app: ControllerApplication | None = None
        self._fast: stacks.FastPath | None = None
        self._slow_because = ""
        self._interviews = Interviews(pause=settings.interview_pause)
        self._questions = Questions(settings.name)
        self._sittings = asyncio.Semaphore(_SITTINGS)

    @property
    def name(self) -> RadioName:
        """The name in the configuration."""
        return self._settings.name

    @property
    def pauses(self) -> bool:
        """WAIT_FOR_DATA."""
        return True

    # --- one life ---------------------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """See `ports.Radio.run`."""
        self._tell("starting", f"opening {self._settings.path}")
        await self._connection.listen()
        app = await self._connection.load()
        try:
            for device in app.devices.values():  # before the line opens: zigpy would tell a device in mid-download to abort
                self._switchboard.adopt(device)
            app.add_listener(self)
            await self._connection.start()
            await self._serve(app)
        finally:
            self._app = None
            self._questions.end()
            self._detach()
            self._interviews.part()
            self._switchboard.part()
            self._sender.forget()
            self._meter.forget()
            await self._connection.close()

    async def _serve(self, app: ControllerApplication) -> None:
        """Serve until the connection is lost; raises why."""
        self._app = app
        self._slow_because = ""
        self._attach(app)
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(self._sender.run(app, self._fast))
            measuring = group.create_task(self._measure(app))
            try:
                self._tell("up", self._sentence(app))
                self._switchboard.serve()
                self._interviews.begin([peer.device for peer in self._switchboard.peers.values()])
                await self._connection.until_lost()
            finally:
                sending.cancel()
                measuring.cancel()

    async def _measure(self, app: ControllerApplication) -> None:
        """Tell how much the radio has to do, and let firmware have what that leaves, for ever."""
        told: Load | None = None
        stack = self._stack
        while True:
            now = self._clock.monotonic()
            if stack.counters is not None:
                counters = {str(name): int(counter.value) for name, counter in app.state.counters[stack.counters].items()}
                self._meter.counted(counters, now, given=stack.sent, refused=stack.refused, failed=stack.failed, repeated=stack.repeated)
            load = self._meter.load(now, self._clock.now())
            self._budget.learn(tries=self._meter.tries(now), others=load.used / 100)
            if is_news(load, told):
                told = load
                self._emit(RadioLoaded(radio=self.name, load=load))
            await asyncio.sleep(_MEASURE_EVERY)

    def _sentence(self, app: ControllerApplication) -> str:
        network = app.state.network_info
        sentence = f"channel {network.channel}, PAN 0x{network.pan_id:04x}{_firmware(app)}"
        if self._fast is not None:
            return sentence
        because = f", because {self._slow_because}" if self._slow_because else ""
        return f"{sentence}; OTA over the library's public interface{because}"

    def _attach(self, app: ControllerApplication) -> None:
        try:
            self._fast = stacks.tap(self._settings.type, app, take=self._switchboard.take)
        except stacks.FastPathUnavailable as error:
            self._slow_because = str(error)
            LOG.warning("fast path unavailable", radio=self.name, error=str(error))

    def _detach(self) -> None:
        fast, self._fast = self._fast, None
        if fast is not None:
            fast.detach()

    def _fast_path_broke(self, error: stacks.FastPathUnavailable) -> None:
        """For good, as long as the connection lasts: a new release of a radio library may slow OTA down, never stop it."""
        self._detach()
        self._slow_because = str(error)
        LOG.warning("fast path given up", radio=self.name, error=str(error))
        if self._app is not None:
            self._tell("up", self._sentence(self._app))

    def _reply_left(self, peer: Peer) -> None:
        self._switchboard.reply_left(peer)

    def _tell(self, state: RadioState, sentence: str) -> None:
        self._emit(RadioChanged(radio=self.name, state=state, sentence=sentence))

    def _noticed(self, sentence: str) -> None:
        LOG.warning("network changed", radio=self.name, what=sentence)
        self._emit(RadioNoticed(radio=self.name, kind="network_changed", sentence=sentence))

    # --- the port ---------------------------------------------------------------------------------------------------------------------

    def command(self, order: Order) -> None:
        """See `ports.Radio.command`."""
        self._switchboard.command(order)

    async def dismiss(self, updates: Mapping[UpdateId, float], *, within: float) -> None:
        """See `ports.Lendable.dismiss`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._switchboard.dismiss(updates)

    def back_in(self, update: UpdateId) -> float:
        """See `ports.Lendable.back_in`."""
        return self._switchboard.back_in(update)

    async def stop(self, update: UpdateId) -> None:
        """See `ports.Radio.stop`: whoever commits first is right, and the device hears ABORT at its next request."""

    def committed(self, token: int) -> None:
        """See `ports.Radio.committed`."""
        self._switchboard.committed(token)

    async def permit_joining(self, seconds: int) -> None:
        """See `ports.Radio.permit_joining`."""
        with in_our_words(failing(f"radio {self.name} did not open its network")):
            await self._up().permit(seconds)

    async def back_up(self) -> RadioBackup:
        """See `ports.Radio.back_up`."""
        async with self._copying:
            with in_our_words(failing(f"the network of radio {self.name} could not be copied")):
                return await back_up(self._up(), self._files.backups, radio=self.name, now=self._clock.now())

    async def interrogate(self, device: DeviceId) -> Device:
        """See `ports.Radio.interrogate`."""
        peer = self._peer(device)
        if not peer.device.is_initialized:
            if not peer.device.initializing:
                peer.device.schedule_initialize()
            raise DeviceUnreachable(f"{device} has not finished its interview yet")
        async with self._questions.asking():
            with in_our_words(failing(f"radio {self.name} could not ask {device}")):
                components = await read_components(peer.device, version_at=peer.session.quirk.version_at)
                told = [await with_activation(peer, each) for each in components]
                if describe(peer.device, self.name).power == "battery":
                    await read_battery(peer.device)
        components = [each for each in told if each.image_type is not None]
        for each in components:
            if each.image_type not in peer.clients:  # else it has spoken by itself
                peer.learn(each.image_type, each.endpoint)
        if len(components) < len(told) and not peer.session.is_fetching():
            asked = await self.notify(device)  # a client without the attributes
            components = [*(each for each in components if each.id != asked.id), asked]
        return replace(describe(peer.device, self.name), components=tuple(components))

    async def is_on(self, device: DeviceId) -> bool | None:
        """See `ports.Observant.is_on`."""
        async with self._questions.asking():
            with in_our_words(failing(f"radio {self.name} could not ask {device}")):
                return await read_switch(self._peer(device).device)

    async def portray(self, device: DeviceId, questions: Collection[str] | None = None) -> Portrait:
        """See `ports.Keeping.portray`."""
        async with self._sittings, self._questions.asking():
            with in_our_words(failing(f"radio {self.name} could not ask {device}")):
                return await zigbee_portraits.portray(self._peer(device).device, questions)

    async def restore(self, device: DeviceId, settings: Sequence[Setting]) -> None:
        """See `ports.Keeping.restore`."""
        async with self._sittings, self._questions.asking():
            with in_our_words(failing(f"radio {self.name} could not set {device}")):
                await zigbee_portraits.restore(self._peer(device).device, settings)

    def reported(self, device: DeviceId) -> float | None:
        """See `ports.Keeping.reported`."""
        peer = self._switchboard.peers.get(device)
        return None if peer is None or peer.reported is None else self._clock.monotonic() - peer.reported

    async def notify(self, device: DeviceId) -> Component:
        """See `ports.Radio.notify`."""
        peer = self._peer(device)
        if not peer.session.quirk.notify:
            raise DeviceUnreachable(f"{device} must not be notified; what it tells of itself only when it asks for an image is known when it does")
        if peer.session.is_fetching():
            raise DeviceUnreachable(f"{device} fetches an image, and might begin anew if it were notified now; ask when that is over")
        waiter: asyncio.Future[Component] = asyncio.get_running_loop().create_future()
        peer.asked.append(waiter)
        self._sender.announce(peer, ota.image_notify(0))
        bound = max(_ASK_BOUND, peer.session.quirk.query_patience)
        try:
            async with asyncio.timeout(bound):
                await asyncio.wait([waiter])
        except TimeoutError:
            raise DeviceUnreachable(f"{peer.id} did not ask for an image within {bound:.0f} s after a notify") from None
        finally:
            peer.asked.remove(waiter)
        if waiter.cancelled():
            raise RadioUnavailable(f"radio {self.name} was lost meanwhile")
        return waiter.result()

    def _peer(self, device: DeviceId) -> Peer:
        self._up()
        peer = self._switchboard.peers.get(device)
        if peer is None:
            raise UnknownDevice(f"radio {self.name} does not know {device}")
        return peer

    def _up(self) -> ControllerApplication:
        if self._app is None:
            raise RadioUnavailable(f"radio {self.name} is not up")
        return self._app

    # --- zigpy's listeners ------------------------------------------------------------------------------------------------------------

    def handle_message(self, device: ZigbeeDevice, profile: int, cluster: int, src_ep: int, dst_ep: int, data: bytes) -> None:
        """Every frame before zigpy's filter of repetitions: what the fast path did not take."""
        if is_report(data) and (peer := self._switchboard.peers.get(device_id_of(device))) is not None:
            peer.reported = self._clock.monotonic()
        self._switchboard.message(device, profile, cluster, src_ep, bytes(data))

    def connection_lost(self, exc: Exception | None) -> None:
        """The serial line or the watchdog failed."""
        self._connection.lose(exc)
        self._detach()

    def device_joined(self, device: ZigbeeDevice) -> None:
        """A device joined or came back under another address; its interview has not begun."""
        self._switchboard.adopt(device)

    def raw_device_initialized(self, device: ZigbeeDevice) -> None:
        """The interview is done; zigpy may replace the object right after."""
        self._switchboard.adopt(device)

    def device_initialized(self, device: ZigbeeDevice) -> None:
        """The device is ready."""
        self._interviews.settled(device)
        peer = self._switchboard.adopt(device)
        if peer is not None:
            self._switchboard.describe(peer)

    def device_init_failure(self, device: ZigbeeDevice) -> None:
        """An interview failed, somewhere in the middle perhaps."""
        self._interviews.failed(device)

    def device_reinterviewed(self, device: ZigbeeDevice) -> None:
        """The device was interviewed again, and its object replaced."""
        self.device_initialized(device)

    def device_left(self, device: ZigbeeDevice) -> None:
        """The device left, to come back or not."""
        self._interviews.settled(device)
        self._emit(DeviceGone(device=device_id_of(device)))

    def device_removed(self, device: ZigbeeDevice) -> None:
        """An operator removed the device."""
        self._switchboard.forget(device)
        self.device_left(device)


def _firmware(app: ControllerApplication) -> str:
    """What runs on the coordinator, where its library knows."""
    node = app.state.node_info
    told = " ".join(" ".join(str(each).split())[:40] for each in (node.model, node.version) if each)
    return f", {told}" if told.isprintable() and told else ""
