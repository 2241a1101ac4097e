"""The Radio of devices that their own clouds update: conversations with the clouds instead of an air.

What stands behind it are update services; it holds no connection, and nothing of it has to be up. One device may be known to several sources, and is
ordered and watched through the one whose offer was taken.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import structlog

from otagate.model.clouds import THE_CLOUD, UNDER_WAY, CloudDevice, Started
from otagate.model.devices import Component, Device
from otagate.model.errors import (
    DeviceUnreachable,
    RadioUnavailable,
    SourceError,
    SourceMisconfigured,
    StoreError,
    UnknownDevice,
)
from otagate.model.ids import ComponentId, DeviceId, RadioName, UpdateId, cloud_id_of
from otagate.model.orders import Delegate, Order, Park, Pause, Resume, Watch, Withdraw
from otagate.ports import (
    Clock,
    Conversations,
    DeviceAsked,
    DeviceFound,
    DeviceSeen,
    DeviceSilent,
    Emit,
    ForeignTransfer,
    RadioChanged,
    Standing,
    TransferProgressed,
)
from otagate.radios.advances import as_event
from otagate.radios.cloud_devices import describe
from otagate.radios.cloud_orders import Call, Departures, end_of, publish, refusal, word_for
from otagate.radios.recent import Recent
from otagate.radios.remote import NetworkElsewhere
from otagate.sessions import delegated_words as words
from otagate.sessions.delegated import Job, Patience, Phase
from otagate.sessions.effects import Advance
from otagate.sources.delegated import Delegate as DelegateSource
from otagate.sources.effects import Conversation
from otagate.sources.tuya_openapi import TuyaRefused

LOG = structlog.get_logger("otagate.radio")

T = TypeVar("T")

SENTENCE = "its sources tell how they fare"

_TICKS = 5
"""Looks at the sessions in the time between two questions about one of them."""


class CloudRadio(NetworkElsewhere):
    """Every device of every configured cloud; implements `ports.Radio`."""

    def __init__(
        self,
        *,
        delegates: Sequence[DelegateSource],
        talks: Conversations,
        standing: Standing,
        emit: Emit,
        clock: Clock,
        patience: Patience | None = None,
    ) -> None:
        super().__init__("devices of a cloud are paired and kept in the cloud's own app")
        self._delegates: Mapping[str, DelegateSource] = {each.name: each for each in delegates}
        self._talks = talks
        self._standing = standing
        self._emit = emit
        self._clock = clock
        self._patience = patience or Patience()
        self._views: dict[DeviceId, dict[str, CloudDevice]] = {}  # by source, the newest last
        self._known: dict[DeviceId, Device] = {}  # as last told
        self._jobs: dict[UpdateId, Job] = {}
        self._orders: dict[UpdateId, Delegate | Watch] = {}
        self._departures = Departures(self._patience.moment, self._patience.gather)
        self._ended = Recent[tuple[DeviceId, ComponentId]](clock, self._patience.recall)
        self._tokens = itertools.count(1)
        self._wake = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def name(self) -> RadioName:
        """No name of a configuration."""
        return THE_CLOUD

    @property
    def pauses(self) -> bool:
        """A cloud knows no pause."""
        return False

    async def run(self) -> None:
        """See `ports.Radio.run`; it goes on for ever, for what is away is a source and not this."""
        self._emit(RadioChanged(radio=self.name, state="up", sentence=SENTENCE))
        try:
            async with asyncio.TaskGroup() as self._tasks:
                while True:
                    for update in list(self._jobs):
                        self._feed(update, words.Tick())
                    self._depart()
                    self._sweep()
                    self._wake.clear()
                    try:
                        async with asyncio.timeout(self._patience.look / _TICKS):
                            await self._wake.wait()
                    except TimeoutError:
                        continue
        finally:
            self._tasks = None
            self._departures = Departures(self._patience.moment, self._patience.gather)
            for job in self._jobs.values():
                job.lost(self._clock.monotonic())

    # --- devices ----------------------------------------------------------------------------------------------------------------------

    def told(self, source: str, devices: Sequence[CloudDevice]) -> None:
        """A source tells of all its devices."""
        for device in devices:
            self._heed(source, device)

    def _heed(self, source: str, device: CloudDevice) -> None:
        described = self._take(source, device)
        if self._known.get(described.id) != described:
            self._known[described.id] = described
            self._emit(DeviceFound(device=described))
        if device.online is False and not device.sleepy:
            self._emit(DeviceSilent(device=described.id))
        else:
            if device.online:
                self._emit(DeviceSeen(device=described.id))
            for channel in device.channels:
                if channel.current_version is not None:
                    component = Component(id=ComponentId(channel.channel), version=channel.current_version)
                    self._emit(DeviceAsked(device=described.id, component=component))
        self._notice_foreign(described.id, device)

    def _take(self, source: str, device: CloudDevice) -> Device:
        """Keep the newest view of a source behind those of the others."""
        device_id = device.id
        views = self._views.setdefault(device_id, {})
        views.pop(source, None)
        views[source] = device
        return describe(device_id, views.values())

    def _notice_foreign(self, device_id: DeviceId, device: CloudDevice) -> None:
        """What is under way and not ours, somebody began in the cloud; what we ended just now may still be told as under way."""
        mine = {self._orders[update].component for update, job in self._jobs.items() if job.busy and self._orders[update].device == device_id}
        for channel in device.channels:
            component = ComponentId(channel.channel)
            if channel.status in UNDER_WAY and component not in mine and (device_id, component) not in self._ended:
                self._emit(ForeignTransfer(device=device_id, component=component, to_version=channel.offered_version))

    async def interrogate(self, device: DeviceId) -> Device:
        """See `ports.Radio.interrogate`: every cloud that knows the device is asked, and one answer is enough."""
        cloud_id, knowing = cloud_id_of(device), self._knowing(device)
        if not knowing:
            raise RadioUnavailable(f"no source has told of {device} since the start of the hub: see `otagate sources`")
        failed: SourceError | StoreError | None = None
        answered: Device | None = None
        for delegate in knowing:
            try:
                answered = self._take(delegate.name, await self._ask(delegate, delegate.look_at(cloud_id)))
            except (SourceError, StoreError) as error:
                failed = error
        if answered is not None:
            return answered
        if isinstance(failed, TuyaRefused) and failed.device:
            raise DeviceUnreachable(str(failed)) from failed
        raise RadioUnavailable(str(failed)) from failed

    def _knowing(self, device: DeviceId) -> list[DelegateSource]:
        return [self._delegates[name] for name in self._views.get(device, {}) if name in self._delegates]

    async def notify(self, device: DeviceId) -> Component:
        """See `ports.Radio.notify`: a cloud is asked, and tells everything."""
        told = await self.interrogate(device)
        if not told.components:
            raise DeviceUnreachable(f"the cloud tells of no firmware of {device}")
        return told.components[0]

    # --- orders -----------------------------------------------------------------------------------------------------------------------

    def command(self, order: Order) -> None:
        """See `ports.Radio.command`."""
        now = self._clock.monotonic()
        job = self._jobs.get(order.update)
        match order:
            case Delegate() | Watch():
                self._open(order)
            case Park() if job is not None:
                job.forget()
                if not job.busy:
                    self._drop(order.update)
            case Withdraw() if job is not None:
                self._drop(order.update)
            case Pause() if job is not None:
                self._perform(order.update, job.pause(now))
            case Resume() if job is not None:
                job.paused = False
            case _ if job is not None:
                LOG.error("an order that no cloud understands", update=order.update, order=type(order).__name__)

    def _open(self, order: Delegate | Watch) -> None:
        """A session that stands is the same session: its cloud may be at it."""
        job = self._jobs.get(order.update)
        if job is None or job.over:
            delegate = order if isinstance(order, Delegate) else None
            now = self._clock.monotonic()
            self._orders[order.update] = order
            self._jobs[order.update] = Job(order.update, tokens=self._tokens, patience=self._patience, now=now, order=delegate)
        self._wake.set()

    def committed(self, token: int) -> None:
        """See `ports.Radio.committed`."""
        for job in self._jobs.values():
            job.committed(token)
        self._sweep()

    async def stop(self, update: UpdateId) -> None:
        """See `ports.Radio.stop`."""
        job = self._jobs.get(update)
        if job is not None:
            job.stop(self._clock.monotonic())

    def _sweep(self) -> None:
        for update in [each for each, job in self._jobs.items() if job.over]:
            self._drop(update)

    def _drop(self, update: UpdateId) -> None:
        order = self._orders.pop(update)
        del self._jobs[update]
        self._ended.add((order.device, order.component))

    # --- what sessions want done ------------------------------------------------------------------------------------------------------

    def _feed(self, update: UpdateId, event: words.Event) -> None:
        job = self._jobs.get(update)
        if job is not None:
            self._perform(update, job.receive(event, self._clock.monotonic()))

    def _perform(self, update: UpdateId, effects: words.Effects) -> None:
        for effect in effects:
            match effect:
                case Advance():
                    self._emit(as_event(effect))
                case words.Progress():
                    self._emit(TransferProgressed(update=update, offset=0, fragments=(effect.percent, 100)))
                case words.Look():
                    self._spawn(update, self._look(self._orders[update]), "look")
                case words.Start():
                    self._make_ready(update, self._orders[update], alone=effect.alone)

    def _spawn(self, update: UpdateId, work: Coroutine[Any, Any, words.Event], what: str) -> None:
        self._begin(self._carry_out(update, self._jobs[update], work), f"cloud:{what}:{update}")

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        if self._tasks is None:
            raise RuntimeError("sessions move only while the radio runs")
        self._tasks.create_task(work, name=name)

    async def _carry_out(self, update: UpdateId, job: Job, work: Coroutine[Any, Any, words.Event]) -> None:
        """What came of it is told to the session that wanted it, if that still stands."""
        event = await work
        if self._jobs.get(update) is job:
            self._feed(update, event)
        self._depart()

    # --- orders to clouds: they leave together where a cloud takes several in one call ------------------------------------------------

    def _make_ready(self, update: UpdateId, order: Delegate | Watch, *, alone: bool) -> None:
        if not isinstance(order, Delegate):
            raise TypeError("what is only watched is not ordered")
        delegate = self._delegates[order.source]
        if order.image is not None:
            self._jobs[update].begins(self._clock.monotonic())
            self._spawn(update, publish(self._ask, delegate, cloud_id_of(order.device), order.image, str(order.to_version)), "publish")
        else:
            self._departures.join(Call(order.source, order.component, update if alone else None), update, self._clock.monotonic())

    def _depart(self) -> None:
        """Have those ordered that have waited for others long enough."""
        if not self._departures.waiting:
            return
        coming: Counter[Call] = Counter()
        for update, job in self._jobs.items():
            order = self._orders[update]
            if job.phase is Phase.LOOKING and isinstance(order, Delegate):
                coming[Call(order.source, order.component)] += 1
        for call in self._departures.due(self._clock.monotonic(), most=self._most_of, coming=coming):
            self._begin(self._order(call), f"cloud:order:{call.source}")

    def _most_of(self, call: Call) -> int:
        return self._delegates[call.source].most_at_once

    async def _order(self, call: Call) -> None:
        """Who is in it is decided when its turn has come: until then each can be stopped."""
        delegate, leaving = self._delegates[call.source], dict[UpdateId, tuple[Job, str]]()

        def conversation() -> Conversation[Mapping[str, Started]]:
            leaving.update(self._begun(call))
            devices = [device for _, device in leaving.values()]
            return (yield from delegate.start(devices, call.component)) if devices else {}

        failed: words.NotOrdered | None = None
        outcome: Mapping[str, Started] = {}
        try:
            outcome = await self._ask(delegate, conversation())
        except (SourceError, StoreError) as error:
            leaving = leaving or self._begun(call)  # the source was not even asked
            failed = refusal(error, together=len(leaving) > 1)
        for update, (job, device) in leaving.items():
            if self._jobs.get(update) is job:
                self._feed(update, failed or words.Ordered(outcome[device]))
        self._depart()

    def _begun(self, call: Call) -> dict[UpdateId, tuple[Job, str]]:
        """Those that are ordered by this call, each of which may be carried out from now on; who was stopped or withdrawn meanwhile stays."""
        now, found = self._clock.monotonic(), dict[UpdateId, tuple[Job, str]]()
        for update in self._departures.take(call, self._most_of(call)):
            job = self._jobs.get(update)
            if job is not None and job.begins(now):
                found[update] = job, cloud_id_of(self._orders[update].device)
        return found

    async def _ask(self, delegate: DelegateSource, conversation: Conversation[T]) -> T:
        """Hold it, unless the source is left alone until an operator acts: to ask it about each of its devices would mend nothing."""
        trouble = self._standing.trouble(delegate.name)
        if trouble is not None:
            conversation.close()
            raise SourceMisconfigured(trouble)
        try:
            return await self._talks.hold(delegate.service, conversation)
        except SourceMisconfigured:
            self._standing.doubt(delegate.name)
            raise

    async def _look(self, order: Delegate | Watch) -> words.Event:
        delegate = self._delegate_of(order)
        if delegate is None:
            return words.Unseen(f"no source tells of {order.device} now", "source-unreachable")
        try:
            device = await self._ask(delegate, delegate.look_at(cloud_id_of(order.device)))
        except TuyaRefused as error:
            return words.Unseen(str(error), "device-unreachable" if error.device else error.code)
        except (SourceError, StoreError, UnknownDevice) as error:
            return words.Unseen(str(error), word_for(error), end_of(error))
        self._take(delegate.name, device)
        there = device.sleepy or device.online is not False
        return words.Seen(channel=device.channel(order.component), there=there, sleepy=device.sleepy)

    def _delegate_of(self, order: Delegate | Watch) -> DelegateSource | None:
        """The source whose offer was taken; for what somebody else began, any that knows the device."""
        if isinstance(order, Delegate):
            return self._delegates.get(order.source)
        return next(iter(self._knowing(order.device)[::-1]), None)
