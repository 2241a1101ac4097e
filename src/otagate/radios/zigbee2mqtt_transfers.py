"""Updates that zigbee2mqtt carries out: orders to sessions, effects out."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from otagate.model.errors import DeviceUnreachable, RadioUnavailable, UnknownDevice
from otagate.model.ids import DeviceId, UpdateId, ieee_of
from otagate.model.orders import Order, Park, Pause, Resume, Serve, Watch, Withdraw
from otagate.ports import Clock, DeviceAsked, DeviceSlept, Emit, ForeignTransfer, Handout, TransferProgressed
from otagate.radios.advances import as_event
from otagate.radios.handouts import Counter
from otagate.radios.recent import Recent
from otagate.radios.zigbee2mqtt_devices import component_of
from otagate.radios.zigbee2mqtt_requests import DeviceBusy, Requests
from otagate.sessions import zigbee2mqtt_words as words
from otagate.sessions.effects import Advance
from otagate.sessions.zigbee2mqtt import Delegation, Patience, Phase
from otagate.sessions.zigbee2mqtt_documents import Answer, Peer, UpdateState

LOG = structlog.get_logger("otagate.radio")

_LATELY = 60.0
"""Seconds in which what we ended may still be told as under way."""

_TRANSACTION = "otagate:"


@dataclass(slots=True)
class _Job:
    """One session with its order. `word` is that of the file that lies ready for it."""

    order: Serve | Watch
    session: Delegation
    word: str | None = None


@dataclass(slots=True, kw_only=True)
class Transfers:
    """The sessions of one zigbee2mqtt. They live as long as this object, not as long as a line."""

    requests: Requests
    counter: Counter
    peers: Mapping[DeviceId, Peer]
    emit: Emit
    clock: Clock
    patience: Patience
    tasks: asyncio.TaskGroup | None = None
    _jobs: dict[UpdateId, _Job] = field(default_factory=dict)
    _ended: Recent[DeviceId] = field(init=False)
    _tokens: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self._ended = Recent(self.clock, _LATELY)

    # --- orders -------------------------------------------------------------------------------------------------------------------------

    def command(self, order: Order) -> None:
        """See `ports.Radio.command`."""
        job = self._jobs.get(order.update)
        match order:
            case Serve() | Watch():
                self._open(order)
            case Park() if job is not None:
                job.session.forget()
                if job.session.untouched or not job.session.busy:
                    self._drop(order.update)
            case Withdraw() if job is not None:
                self._call_back(order.update, job)
                self._drop(order.update)
            case Pause() if job is not None:
                self._perform(order.update, job.session.pause(self.clock.monotonic()))
            case Resume():
                return
            case _ if job is not None:
                LOG.error("an order that zigbee2mqtt does not understand", update=order.update, order=type(order).__name__)

    def _open(self, order: Serve | Watch) -> None:
        """A session that stands is the same session: zigbee2mqtt may be at it."""
        job = self._jobs.get(order.update)
        if job is not None and not job.session.over:
            return
        peer = self.peers.get(order.device)
        session = Delegation(
            order.update,
            tokens=self._tokens,
            patience=self.patience,
            now=self.clock.monotonic(),
            order=order if isinstance(order, Serve) else None,
            sleepy=peer is not None and peer.sleepy,
        )
        self._jobs[order.update] = _Job(order, session)

    def committed(self, token: int) -> None:
        """See `ports.Radio.committed`."""
        for update, job in self._jobs.items():
            before = job.session.over
            job.session.committed(token)
            if job.session.over and not before and job.session.awake:
                self._spawn(update, self._read_back(job.order.device), "read")
        self._sweep()

    async def stop(self, update: UpdateId) -> None:
        """See `ports.Radio.stop`: the file is taken away first, because zigbee2mqtt can break off nothing before it has it."""
        job = self._jobs.get(update)
        if job is None:
            return
        if job.session.stopping():
            peer = self._peer(job.order.device)
            self.counter.withdraw(job.word)
            if job.session.phase is Phase.SCHEDULED:
                await self.requests.unschedule(peer)
            else:
                await self.requests.abort(peer)
        job.session.stopped(self.clock.monotonic())

    def _peer(self, device: DeviceId) -> Peer:
        try:
            return self.peers[device]
        except KeyError:
            raise UnknownDevice(f"zigbee2mqtt tells of no {device}") from None

    def _call_back(self, update: UpdateId, job: _Job) -> None:
        peer = self.peers.get(job.order.device)
        if job.session.phase is Phase.SCHEDULED and peer is not None:
            self._spawn(update, self._unschedule(peer), "unschedule")

    def _drop(self, update: UpdateId) -> None:
        job = self._jobs.pop(update)
        self.counter.withdraw(job.word)
        self._ended.add(job.order.device)

    def _sweep(self) -> None:
        for update in [each for each, job in self._jobs.items() if job.session.over]:
            self._drop(update)

    # --- what comes in ------------------------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Time has passed."""
        for update in list(self._jobs):
            self._feed(update, words.Tick())
        self._sweep()

    def back(self) -> None:
        """zigbee2mqtt is there again."""
        for update in list(self._jobs):
            self._feed(update, words.Back())

    def told(self, device: DeviceId, state: UpdateState) -> None:
        """The state of a device says something of its firmware."""
        mine = [update for update, job in self._jobs.items() if job.order.device == device and job.session.busy]
        for update in mine:
            self._feed(update, words.Told(state))
        if state.stage == "updating" and not mine and device not in self._ended:
            self.emit(ForeignTransfer(device=device))

    def answered(self, answer: Answer) -> None:
        """An order was answered."""
        if answer.transaction.startswith(_TRANSACTION):
            self._feed(UpdateId(answer.transaction.removeprefix(_TRANSACTION)), words.Answered(answer))

    def scheduled(self, device: DeviceId) -> bool:
        """Whether an update of ours waits there for the device to ask."""
        return any(job.order.device == device and job.session.phase is Phase.SCHEDULED for job in self._jobs.values())

    def busy(self, device: DeviceId) -> bool:
        """Whether an update of ours is under way with the device, or may be."""
        return any(job.order.device == device and job.session.busy and job.session.phase is not Phase.SCHEDULED for job in self._jobs.values())

    # --- what sessions want done --------------------------------------------------------------------------------------------------------

    def _feed(self, update: UpdateId, event: words.Event) -> None:
        job = self._jobs.get(update)
        if job is not None:
            self._perform(update, job.session.receive(event, self.clock.monotonic()))

    def _perform(self, update: UpdateId, effects: words.Effects) -> None:
        job = self._jobs[update]
        for effect in effects:
            match effect:
                case Advance():
                    self.emit(as_event(effect))
                case words.Progress():
                    self.emit(TransferProgressed(update=update, offset=effect.offset))
                case words.Sleeps():
                    self.emit(DeviceSlept(device=job.order.device))
                case words.Look():
                    self._spawn(update, self._look(job.order.device), "look")
                case words.Post():
                    self._spawn(update, self._post(update, job, effect), "post")
                case words.CallBack() if (peer := self.peers.get(job.order.device)) is not None:
                    self._spawn(update, self._unschedule(peer), "unschedule")

    def _spawn(self, update: UpdateId, work: Coroutine[Any, Any, words.Event | None], what: str) -> None:
        if self.tasks is None:
            work.close()
            return
        self.tasks.create_task(self._carry_out(update, work), name=f"zigbee2mqtt:{what}:{update}")

    async def _carry_out(self, update: UpdateId, work: Coroutine[Any, Any, words.Event | None]) -> None:
        job = self._jobs.get(update)
        event = await work
        if event is not None and job is not None and self._jobs.get(update) is job:
            self._feed(update, event)

    async def _look(self, device: DeviceId) -> words.Event:
        try:
            checked = await self.requests.check(self._peer(device))
        except DeviceBusy:
            return words.Looked(busy=True)
        except (DeviceUnreachable, UnknownDevice) as error:
            return words.Looked(busy=False, detail=str(error))
        except RadioUnavailable:
            return words.Unseen()
        if checked.kind is not None:
            peer = self._peer(device)
            self.emit(DeviceAsked(device=device, component=component_of(peer, checked.kind, checked.version)))
        return words.Looked(busy=False, version=checked.version)

    async def _read_back(self, device: DeviceId) -> None:
        """Who sleeps is asked while it is awake: nobody else asks it before it is heard again."""
        await self._look(device)

    async def _post(self, update: UpdateId, job: _Job, effect: words.Post) -> words.Event | None:
        """Lay the image ready and order; whether an order that failed to leave has left, the session finds out."""
        order = job.order
        if not isinstance(order, Serve):
            return None
        what = ("schedule" if effect.scheduled else "update") + ("/downgrade" if effect.downgrade else "")
        try:
            peer = self._peer(order.device)
            life = self.patience.sleepy if effect.scheduled else self.patience.begin
            self.counter.withdraw(job.word)
            file = Handout(body=order.image, media="application/octet-stream")
            job.word = self.counter.lay(file, seconds=life, taken=lambda: self._feed(update, words.Fetched()))
            await self.requests.post(what, peer, transaction=f"{_TRANSACTION}{update}", word=job.word)
        except UnknownDevice as error:
            return words.Unsent(str(error))
        except RadioUnavailable as error:
            LOG.info("an order may not have reached zigbee2mqtt", update=update, error=str(error))
            return words.Unsent(str(error)) if job.word is None else None
        LOG.info("ordered of zigbee2mqtt", update=update, device=f"0x{ieee_of(order.device):016x}", what=what)
        return None

    async def _unschedule(self, peer: Peer) -> None:
        try:
            await self.requests.unschedule(peer)
        except RadioUnavailable as error:  # the file is gone all the same: what it would fetch it does not get
            LOG.info("what was scheduled could not be called back", device=peer.name, error=str(error))
