"""The composition root: the only module that knows every adapter. It opens them in order, owns every task, and closes in reverse."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog

from otagate import logs, quirks
from otagate.api.auth import TokenFile
from otagate.api.server import Server, serve
from otagate.api.settings import ApiSettings
from otagate.config import HubSettings, RadioSettings
from otagate.engine.conductor import Conductor
from otagate.engine.consultant import Consultant
from otagate.engine.controls import Controls
from otagate.engine.course import Tools
from otagate.engine.desk import Desk
from otagate.engine.errands import Errands
from otagate.engine.halt import Halt
from otagate.engine.intake import Intake
from otagate.engine.interrogator import Interrogator
from otagate.engine.journal import Journal
from otagate.engine.ledger import Ledger
from otagate.engine.library import Library
from otagate.engine.metrics import collectors
from otagate.engine.readings import Readings
from otagate.engine.refresher import Refresher
from otagate.engine.registry import RadioStatus, Registry
from otagate.engine.supervise import Backoff, supervise_radio
from otagate.engine.timers import SystemClock, Timers
from otagate.engine.waits import Waits
from otagate.folders.watched import WatchedFolder
from otagate.model.ids import RadioName
from otagate.net.cache import DiskImageCache
from otagate.ports import Radio, Store
from otagate.radios.zigbee import ZigbeeRadio, ZigbeeSettings
from otagate.sessions.ota_transfer import Patience
from otagate.stores import open_store

LOG = structlog.get_logger("otagate")

_LOOK_FOR_DUE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How patient the hub is; simulated hardware that lives faster is given less time. `listen` is for a coordinator on TCP, in seconds."""

    patience: Patience = field(default_factory=Patience)
    waits: Waits = field(default_factory=Waits)
    backoff: Backoff = field(default_factory=Backoff)
    listen: float = 3.0

    @classmethod
    def scaled(cls, factor: float) -> Pace:
        """Everything `factor` times faster."""
        return cls(
            patience=Patience().scaled(factor),
            waits=Waits().scaled(factor),
            backoff=Backoff(first=1.0 / factor, most=30.0 / factor, healthy=60.0 / factor),
            listen=3.0 / factor,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """A hub that runs: its desk, its server, its store."""

    desk: Desk
    server: Server
    store: Store


class _Tasks:
    """Every task of the hub: one group, and a bell that ends them all."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self._group = group
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        """Run until it ends or the hub does."""
        self._tasks.append(self._group.create_task(work, name=name))

    def end(self) -> None:
        """Cancel all; the group waits for them."""
        for task in self._tasks:
            task.cancel()


def run(settings: HubSettings) -> None:
    """Run the daemon in the foreground until SIGTERM or SIGINT. Raises ConfigError, StoreError."""
    os.umask(0o077)
    logs.set_up(level=settings.logging.level, form=settings.logging.format)
    for warning in settings.warnings:
        LOG.warning(warning)
    asyncio.run(_until_signalled(settings))


async def _until_signalled(settings: HubSettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(settings) as hub:
        notify(f"READY=1\nSTATUS=serving {', '.join(hub.server.addresses)}")
        await stop.wait()
        notify("STOPPING=1")
        hub.server.drain()


@asynccontextmanager
async def running(settings: HubSettings, *, pace: Pace | None = None) -> AsyncIterator[Hub]:
    """A whole hub for as long as the block lasts. Raises ConfigError, StoreError before anything is served."""
    pace = pace or Pace()
    settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with open_store(settings.store.url, settings.state_dir) as store:
        parts = _assemble(settings, store, pace)
        await parts.registry.load()
        await parts.library.load()
        await parts.halt.load()
        await parts.conductor.recover()
        async with asyncio.TaskGroup() as group, AsyncExitStack() as closing:
            tasks = _Tasks(group)
            closing.callback(tasks.end)
            parts.start(tasks, pace)
            await closing.enter_async_context(parts.timers.running())
            closing.callback(parts.journal.close)
            server = await closing.enter_async_context(serve(parts.desk, _api(settings)))
            closing.callback(parts.conductor.stop_admitting)
            LOG.info("hub is running", addresses=server.addresses, radios=list(parts.radios))
            yield Hub(desk=parts.desk, server=server, store=store)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    clock: SystemClock
    timers: Timers
    intake: Intake
    journal: Journal
    registry: Registry
    library: Library
    halt: Halt
    consultant: Consultant
    conductor: Conductor
    interrogator: Interrogator
    refresher: Refresher
    errands: Errands
    desk: Desk
    radios: Mapping[RadioName, Radio]
    reattach: Mapping[RadioName, asyncio.Event]
    refresh_every: Mapping[str, timedelta]

    def start(self, tasks: _Tasks, pace: Pace) -> None:
        """Start every task and every timer."""
        intake = self.intake.run(registry=self.registry, conductor=self.conductor, interrogator=self.interrogator, consultant=self.consultant)
        tasks.start(intake, name="intake")
        tasks.start(self.registry.run(), name="registry")
        tasks.start(self.errands.run(), name="errands")
        tasks.start(self.consultant.run(), name="consultant")
        tasks.start(self.interrogator.run(), name="interrogator")
        tasks.start(self.refresher.run(), name="refresher")
        tasks.start(self.conductor.run(), name="conductor")
        for name, radio in self.radios.items():
            life = supervise_radio(radio, emit=self.intake.emit, clock=self.clock, reattach=self.reattach[name], backoff=pace.backoff)
            tasks.start(life, name=f"radio:{name}")
        tasks.start(_watchdog(), name="watchdog")
        self.timers.every(_LOOK_FOR_DUE, self.interrogator.post_due, name="interrogate")
        for source, every in self.refresh_every.items():
            self.timers.every(every, _post(self.refresher, source), name=f"refresh:{source}")
            self.refresher.post(source)


def _post(refresher: Refresher, source: str) -> Callable[[], None]:
    return lambda: refresher.post(source)


def _assemble(settings: HubSettings, store: Store, pace: Pace) -> _Parts:
    """Make every part and give each what it needs; nothing runs yet."""
    clock, intake = SystemClock(), Intake()
    radios = {each.name: _radio(each, settings, intake, clock, pace) for each in settings.radios}
    named: dict[RadioName, Radio] = {RadioName(name): radio for name, radio in radios.items()}
    journal = Journal(store, clock)
    ledger, registry = Ledger(store, journal, clock), Registry(store, journal, clock)
    registry.radios = {RadioName(each.name): RadioStatus(type=each.type, parallel=each.parallel) for each in settings.radios}
    cache = DiskImageCache(settings.image_dir)
    library = Library(store, cache, journal, clock, max_bytes=settings.images.max_bytes)
    policy_of = settings.policy.for_device
    halt = Halt(store, journal, clock)
    tools = Tools(store=store, ledger=ledger, registry=registry, library=library, clock=clock, waits=pace.waits, halt=halt, policy_of=policy_of)
    conductor = Conductor(tools=tools, radios=named)
    intake.connect(conductor)
    consultant = Consultant(library=library, registry=registry, ledger=ledger, store=store, clock=clock, policy_of=policy_of, quirk_of=quirks.load())
    interrogator = Interrogator(
        registry=registry,
        consultant=consultant,
        radios=named,
        clock=clock,
        every=settings.schedule.interrogate,
        is_busy=conductor.is_busy,
        told=conductor.told,
    )
    folders = [WatchedFolder(name=each.name, path=each.path, clock=clock, limit=settings.images.max_bytes) for each in settings.sources]
    refresher = Refresher(folders=folders, library=library, consultant=consultant, journal=journal, clock=clock)
    readings = Readings(
        store=store, journal=journal, ledger=ledger, registry=registry, consultant=consultant, conductor=conductor, halt=halt, clock=clock
    )
    errands = Errands()
    reattach = {name: asyncio.Event() for name in named}
    desk = Desk(
        store=store,
        journal=journal,
        ledger=ledger,
        registry=registry,
        library=library,
        consultant=consultant,
        halt=halt,
        controls=Controls(tools=tools, conductor=conductor),
        interrogator=interrogator,
        refresher=refresher,
        readings=readings,
        errands=errands,
        radios=named,
        reattach=reattach,
        metrics=collectors(readings, registry, conductor, intake, journal=journal, ledger=ledger),
        clock=clock,
    )
    return _Parts(
        clock=clock,
        timers=Timers(),
        intake=intake,
        journal=journal,
        registry=registry,
        library=library,
        halt=halt,
        consultant=consultant,
        conductor=conductor,
        interrogator=interrogator,
        refresher=refresher,
        errands=errands,
        desk=desk,
        radios=named,
        reattach=reattach,
        refresh_every={each.name: each.refresh for each in settings.sources},
    )


def _radio(each: RadioSettings, settings: HubSettings, intake: Intake, clock: SystemClock, pace: Pace) -> Radio:
    zigbee = ZigbeeSettings(
        name=RadioName(each.name),
        type=each.type,
        path=each.path,
        network=each.network,
        baudrate=each.baudrate,
        flow_control=each.flow_control,
        channel=each.channel,
        listen_seconds=pace.listen,
    )
    return ZigbeeRadio(zigbee, state_dir=settings.state_dir, emit=intake.emit, clock=clock, quirk_of=quirks.load(), patience=pace.patience)


def _api(settings: HubSettings) -> ApiSettings:
    api = settings.api
    return ApiSettings(
        token_file=settings.token_file,
        tokens=tuple(TokenFile(name=each.name, file=each.file, scopes=frozenset(each.scopes)) for each in api.tokens),
        listen=api.listen,
        hosts=api.hosts,
        upload_limit=settings.images.max_bytes,
    )


async def _watchdog() -> None:
    """Tell systemd that the loop turns, at half of the period that it asks for."""
    period = int(os.environ.get("WATCHDOG_USEC", "0")) / 2_000_000
    while period:
        notify("WATCHDOG=1")
        await asyncio.sleep(period)


def notify(message: str) -> None:
    """Send one message to systemd (sd_notify); nothing happens where systemd did not start us."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    target = "\0" + address[1:] if address.startswith("@") else address
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
        line.connect(target)
        line.sendall(message.encode())
