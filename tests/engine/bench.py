"""The engine put together as the daemon does it, over a store in memory, a scripted radio and virtual time; it can be killed at any commit."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from otagate import quirks
from otagate.engine import conductor
from otagate.engine.agenda import Agenda
from otagate.engine.audit import Audit
from otagate.engine.cases import Cases
from otagate.engine.conductor import Conductor
from otagate.engine.consultant import Consultant
from otagate.engine.controls import Controls
from otagate.engine.desk import Desk
from otagate.engine.errands import Errands
from otagate.engine.feeds import Feed
from otagate.engine.fetcher import Fetcher
from otagate.engine.foresight import Foresight
from otagate.engine.halt import Halt, RadioPauses
from otagate.engine.inquiries import Inquiries
from otagate.engine.intake import Intake
from otagate.engine.interrogator import Interrogator
from otagate.engine.journal import Journal
from otagate.engine.keeping import Keeping
from otagate.engine.ledger import Ledger
from otagate.engine.lending import Lending, Told
from otagate.engine.library import Library
from otagate.engine.metrics import collectors
from otagate.engine.offers import Offers, ServiceFeed
from otagate.engine.ordering import Ordering
from otagate.engine.outlook import Outlook
from otagate.engine.pulse import Pulse
from otagate.engine.readings import Readings
from otagate.engine.recalls import Recalls
from otagate.engine.refresher import Refresher
from otagate.engine.registry import RadioStatus, Registry
from otagate.engine.reporter import Reporter
from otagate.engine.rollout_book import RolloutBook
from otagate.engine.rollouts import Rollouts
from otagate.engine.shelf import Shelf
from otagate.engine.supervise import Backoff, supervise_radio
from otagate.engine.talks import Talks
from otagate.engine.tools import Tools
from otagate.engine.views import OrderRequest, UpdateView
from otagate.engine.waits import Waits
from otagate.model.devices import Device
from otagate.model.errors import StoreUnavailable, UnknownImage
from otagate.model.facts import Fact
from otagate.model.ids import DeviceId, RadioName, Sha256, UpdateId
from otagate.model.lifecycle import State
from otagate.model.updates import Update
from otagate.policy.lease import Terms
from otagate.policy.settings import Mode, PolicySettings
from otagate.policy.window import AnyWindow
from otagate.ports import Folder, FolderScan, Handover, Interlock
from otagate.quirks.advisories import load_advisories
from otagate.reports.key import SealKey
from otagate.sources.source import Source
from otagate.stores.memory import MemoryStore
from tests.engine.radio import LAMP, NEW, ZIGBEE0, Lamp, ScriptedRadio
from tests.engine.services import Services
from tests.formats.images import build, element
from tests.virtual_time import VirtualClock

LATER = 6 * 3_600.0
_SHORT = 900.0
DAY = 86_400.0


class MemoryCache:
    """`ports.ImageCache` in memory; `broken` holds images whose bytes can no longer be had, with the error that says so."""

    def __init__(self) -> None:
        self.files: dict[Sha256, bytes] = {}
        self.broken: dict[Sha256, Exception] = {}
        self.added: dict[Sha256, datetime] = {}

    async def add(self, data: bytes | memoryview) -> Sha256:
        sha256 = Sha256(hashlib.sha256(data).hexdigest())
        self.files[sha256] = bytes(data)
        self.added[sha256] = VirtualClock().now()
        return sha256

    def open(self, sha256: Sha256) -> memoryview:
        if sha256 in self.broken:
            raise self.broken[sha256]
        if sha256 not in self.files:
            raise UnknownImage(f"there is no image {sha256}")
        return memoryview(self.files[sha256])

    def path(self, sha256: Sha256) -> Path:
        return Path("/nowhere") / sha256

    async def remove(self, sha256: Sha256) -> None:
        self.files.pop(sha256, None)

    async def strays(self, known: Collection[Sha256], *, before: datetime, most: int) -> list[Sha256]:
        return [each for each in self.files if each not in known and self.added.get(each, before) < before][:most]


class FickleStore:
    """A store whose disk can be `full`, or refuse once: the transaction number `refuse_at`.

    `before_commit` is called when a transaction is about to become durable, `after_commit` when it is, before anybody else goes on.
    """

    def __init__(self, inner: MemoryStore, history: list[tuple[str, object]]) -> None:
        self.inner = inner
        self.history = history
        self.full = False
        self.refuse_at: int | None = None
        self.tried = 0
        self.commits = 0
        self.before_commit: Callable[[Sequence[Fact]], None] = lambda _: None
        self.after_commit: Callable[[Sequence[Fact]], None] = lambda _: None
        self.updates, self.devices, self.catalogue, self.settings = inner.updates, inner.devices, inner.catalogue, inner.settings
        self.receipts, self.rollouts, self.portraits = inner.receipts, inner.rollouts, inner.portraits
        self.facts = _Noting(inner)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        async with self.inner.transaction():
            self.facts.noted.clear()
            yield
            await asyncio.sleep(0)
            self.before_commit(self.facts.noted)
            self.tried += 1
            if self.full or self.tried == self.refuse_at:
                raise StoreUnavailable("no space left on device")
            facts = list(self.facts.noted)
        self.commits += 1
        self.history += [("committed", (fact.subject, fact.kind)) for fact in facts]
        self.after_commit(facts)

    async def close(self) -> None:
        await self.inner.close()


class _Noting:
    """The facts of the transaction that runs."""

    def __init__(self, inner: MemoryStore) -> None:
        self.noted: list[Fact] = []
        self._inner = inner.facts
        self.after, self.before, self.last_number = self._inner.after, self._inner.before, self._inner.last_number
        self.forget, self.chain_start = self._inner.forget, self._inner.chain_start

    async def append(self, fact: Fact) -> Fact:
        stored = await self._inner.append(fact)
        self.noted.append(stored)
        return stored


@dataclass(slots=True)
class MemoryFolder:
    """`ports.Folder` whose files are a dictionary."""

    name: str = "folder"
    type: str = "directory"
    files: dict[str, bytes] = field(default_factory=dict)
    trouble: Exception | None = None
    _known: dict[str, bytes] = field(default_factory=dict)

    async def scan(self) -> FolderScan:
        if self.trouble is not None:
            raise self.trouble
        new = [(name, data) for name, data in self.files.items() if self._known.get(name) != data]
        return FolderScan(files=new, gone=[name for name in self._known if name not in self.files], skipped=[])

    def keep(self) -> None:
        self._known = dict(self.files)


def image_bytes(version: int, *, seed: int = 0, **fields: object) -> bytes:
    return build(element(0, bytes([seed]) * 4_000), file_version=version, **fields)  # type: ignore[arg-type]


@dataclass(slots=True, kw_only=True)
class Bench:
    """What outlives a hub: the disk, the devices, the configuration."""

    lamps: dict[DeviceId, Lamp] = field(default_factory=lambda: {LAMP: Lamp()})
    mode: Mode = "ask"
    retries: int = 3
    full: bool = False
    parallel: int = 2
    every: timedelta = timedelta(hours=6)
    waits: Waits = field(default_factory=Waits)
    folders: Sequence[Folder] = ()
    sources: Sequence[Source] = ()
    services: Services = field(default_factory=Services)
    windows: Sequence[AnyWindow] = ()
    settings: PolicySettings = field(default_factory=lambda: PolicySettings(cooldown=timedelta(0)))
    interlocks: dict[str, Interlock] = field(default_factory=dict)
    synced: bool = True
    keep_good: int = 2
    offline: Mapping[str, str] = field(default_factory=dict)
    twins: dict[DeviceId, set[DeviceId]] = field(default_factory=dict)
    policies: dict[DeviceId, PolicySettings] = field(default_factory=dict)
    stick: Handover | None = None
    terms: Terms = field(default_factory=lambda: Terms(most=6 * 3_600.0))
    history: list[tuple[str, object]] = field(default_factory=list)
    cache: MemoryCache = field(default_factory=MemoryCache)
    disk: MemoryStore = field(default_factory=MemoryStore)

    @property
    def lamp(self) -> Lamp:
        return next(iter(self.lamps.values()))

    @property
    def radios(self) -> list[RadioName]:
        return sorted({each.radio for each in self.lamps.values()}) or [ZIGBEE0]

    def policy_of(self, device: Device) -> PolicySettings:
        return self.policies.get(device.id, replace(self.settings, mode=self.mode, retries=self.retries)).overridden(device.policy)

    @asynccontextmanager
    async def hub(self) -> AsyncIterator[Hub]:
        """One life of a hub; ends cleanly unless it was killed."""
        hub = Hub(self)
        try:
            await hub.registry.load()
            await hub.library.load()
            await hub.cases.load()
            await hub.halt.load()
            await hub.radio_pauses.load()
            await hub.rollout_book.load()
            await hub.conductor.recover()
            hub.start()
            yield hub
        finally:
            await hub.stop()

    async def rows(self) -> list[Update]:
        """Every update on disk, oldest first."""
        return list(await self.disk.updates.page(limit=10_000))[::-1]

    async def facts(self, kind: str | None = None) -> list[Fact]:
        """The journal on disk."""
        return [fact for fact in await self.disk.facts.after(0, limit=100_000) if kind in (None, fact.kind)]


class Hub:
    """One life of the engine."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.clock = clock = VirtualClock()
        self.store = store = FickleStore(bench.disk, bench.history)
        store.full = bench.full
        self.intake = Intake()
        self.relay = Told(self.intake.emit, "zigbee2mqtt")
        emit = self.intake.emit if bench.stick is None else self.relay
        self.radios = {each: ScriptedRadio(bench.lamps, emit, bench.history, name=each) for each in bench.radios}
        self.radio = next(iter(self.radios.values()))
        self.journal = Journal(store, clock)
        self.ledger = Ledger(store, self.journal, clock)
        self.registry = Registry(store, self.journal, clock)
        self.registry.radios = {each: RadioStatus(type="scripted", parallel=bench.parallel) for each in self.radios}
        self.library = Library(store, bench.cache, self.journal, clock, max_bytes=1 << 20)
        self.cases = Cases(store=store, ledger=self.ledger, library=self.library, advisories=load_advisories(), most=2)
        self.inquiries = Inquiries(clock=clock, asked=bench.interlocks)
        self.halt = Halt(store, self.journal, clock)
        self.radio_pauses = RadioPauses(store, self.journal, clock, self.radios)
        self.rollout_book = RolloutBook(store, self.journal, self.ledger)
        bench.services.cache = bench.cache
        talks = Talks(bench.services)
        self.offers = Offers([ServiceFeed(source=each, type="service", registry=self.registry, talks=talks, clock=clock) for each in bench.sources])
        policy_of = bench.policy_of
        fetcher = Fetcher(offers=self.offers, library=self.library, cache=bench.cache, cases=self.cases)
        tools = Tools(
            store=store,
            ledger=self.ledger,
            registry=self.registry,
            library=self.library,
            clock=clock,
            waits=bench.waits,
            halt=self.halt,
            radio_pauses=self.radio_pauses,
            rollouts=self.rollout_book,
            fetcher=fetcher,
            policy_of=policy_of,
            quirk_of=quirks.load(),
            outlook=Outlook(
                registry=self.registry,
                halt=self.halt,
                radio_pauses=self.radio_pauses,
                clock=clock,
                policy_of=policy_of,
                inquiries=self.inquiries,
                windows=bench.windows,
                synced=lambda: bench.synced,
                twins=bench.twins,
                trouble_of=fetcher.trouble_of,
            ),
        )
        self.tools = tools
        radios = self.radios
        self.conductor = Conductor(tools=tools, radios=radios)
        self.intake.connect(self.conductor)
        self.consultant = Consultant(
            library=self.library,
            offers=self.offers,
            registry=self.registry,
            ledger=self.ledger,
            store=store,
            clock=clock,
            policy_of=policy_of,
            quirk_of=quirks.load(),
            cases=self.cases,
        )
        self.interrogator = Interrogator(
            registry=self.registry,
            consultant=self.consultant,
            radios=radios,
            clock=clock,
            every=bench.every,
            is_busy=self.conductor.is_busy,
            told=self.conductor.told,
        )
        self.library.watch(self.interrogator.image_added)
        shelves: list[Shelf] = []
        self.keeping = Keeping(store=store, library=self.library, clock=clock, offers=self.offers, most=bench.keep_good)
        shelves += [Shelf(folder=each, library=self.library, clock=clock, others=lambda: shelves, good=self.keeping.good) for each in bench.folders]
        feeds: list[Feed] = [*shelves, *self.offers.feeds]
        self.refresher = Refresher(
            feeds=feeds, offers=self.offers, consultant=self.consultant, journal=self.journal, clock=clock, talks=talks, offline=bench.offline
        )
        self.refresher.watch(self.interrogator.releases_changed)
        self.readings = Readings(
            store=store,
            journal=self.journal,
            ledger=self.ledger,
            registry=self.registry,
            consultant=self.consultant,
            conductor=self.conductor,
            halt=self.halt,
            radio_pauses=self.radio_pauses,
            rollouts=self.rollout_book,
            clock=clock,
        )
        self.reporter = Reporter(
            store=store,
            audit=Audit(store),
            registry=self.registry,
            consultant=self.consultant,
            cases=self.cases,
            clock=clock,
            key=SealKey(Path("/nowhere")),
        )
        self.errands = Errands()
        controls = Controls(tools=tools, conductor=self.conductor)
        self.recalls = Recalls(cases=self.cases, store=store, ledger=self.ledger, registry=self.registry, controls=controls, journal=self.journal)
        ordering = Ordering(
            store=store,
            registry=self.registry,
            consultant=self.consultant,
            ledger=self.ledger,
            readings=self.readings,
            radios=radios,
            clock=clock,
            windows=bench.windows,
        )
        self.rollouts = Rollouts(
            book=self.rollout_book, ordering=ordering, ledger=self.ledger, registry=self.registry, controls=controls, clock=clock
        )
        self.reattach = {each: asyncio.Event() for each in radios}
        self.desk = Desk(
            store=store,
            journal=self.journal,
            registry=self.registry,
            library=self.library,
            consultant=self.consultant,
            halt=self.halt,
            radio_pauses=self.radio_pauses,
            controls=controls,
            rollouts=self.rollouts,
            ordering=ordering,
            interrogator=self.interrogator,
            refresher=self.refresher,
            readings=self.readings,
            reporter=self.reporter,
            foresight=Foresight(store=store, registry=self.registry, consultant=self.consultant, conductor=self.conductor),
            errands=self.errands,
            notifiers={},
            radios=radios,
            reattach=self.reattach,
            metrics=collectors(self.readings, self.registry, self.conductor, self.intake, self.refresher, journal=self.journal, ledger=self.ledger),
        )
        self.pulse = Pulse(clock, every=60.0)
        self.told: list[Fact] = []
        self.states: dict[str, State] = {}
        self.killed = asyncio.Event()
        self._life: asyncio.Task[None] | None = None

    # --- life -------------------------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._life = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen(self.desk.events()))
            group.create_task(self.intake.run(
                registry=self.registry, conductor=self.conductor, interrogator=self.interrogator, consultant=self.consultant
            ))  # fmt: skip
            group.create_task(self.registry.run())
            group.create_task(self.errands.run())
            group.create_task(self.consultant.run())
            group.create_task(self.interrogator.run())
            group.create_task(self.refresher.run())
            group.create_task(self.conductor.run())
            group.create_task(self.rollouts.run())
            group.create_task(self.recalls.run())
            for name, radio in self.radios.items():
                group.create_task(self._life_of(name, radio))
            group.create_task(self._tick())

    def _life_of(self, name: RadioName, radio: ScriptedRadio) -> Coroutine[Any, Any, None]:
        if self.bench.stick is None:
            return supervise_radio(radio, emit=self.intake.emit, clock=self.clock, reattach=self.reattach[name], backoff=Backoff(), pulse=self.pulse)
        agenda = Agenda(radio=radio, conductor=self.conductor, inquiries=self.inquiries, terms=self.bench.terms)
        return Lending(
            radio=radio,
            stick=self.bench.stick,
            agenda=agenda.read,
            away=agenda.away,
            told=self.relay,
            terms=self.bench.terms,
            clock=self.clock,
            called=self.reattach[name],
            backoff=Backoff(),
            pulse=self.pulse,
        ).run()

    async def _listen(self, facts: AsyncIterator[Fact]) -> None:
        async for fact in facts:
            self.told.append(fact)
            if fact.subject == "update":
                self.states[fact.subject_id] = State(str(fact.data["state"]))

    async def _tick(self) -> None:
        """What the daemon's timers post."""
        for each in (*self.bench.folders, *self.bench.sources):
            self.refresher.post(each.name)
        while True:
            await asyncio.sleep(300)
            self.interrogator.post_due()

    async def stop(self) -> None:
        """The end that systemd asks for; after `kill` nothing of it reaches disk or air."""
        self.conductor.stop_admitting()
        self.journal.close()
        if self._life is None:
            return
        self._life.cancel()
        try:
            await self._life
        except asyncio.CancelledError:
            pass
        finally:
            self._silence_radios()
            self._life = None

    def kill(self) -> None:
        """From now on nothing reaches the disk or the air."""
        self.store.full = True
        self._silence_radios()
        self.killed.set()

    def _silence_radios(self) -> None:
        for radio in self.radios.values():
            radio.dead = True

    def kill_when(self, kind: str) -> None:
        """Die at the very commit of the next fact of this kind."""
        self._when(kind, self.kill)

    def stop_when(self, kind: str) -> None:
        """Be stopped at the very commit of the next fact of this kind."""

        self._when(kind, self.end)

    def end(self) -> None:
        """Be stopped now."""
        self.killed.set()
        if self._life is not None:
            self._life.cancel()

    def _when(self, kind: str, act: Callable[[], None]) -> None:
        def after_commit(facts: Sequence[Fact]) -> None:
            if any(fact.kind == kind for fact in facts) or (kind == "progress" and not facts):  # a sample tells the journal nothing
                self.store.after_commit = lambda _: None
                act()

        self.store.after_commit = after_commit

    # --- what tests ask ---------------------------------------------------------------------------------------------------------------

    async def until(self, true: Callable[[], object], *, within: float = LATER) -> None:
        """Let time pass until something is so. Time is virtual, so to look every second costs nothing and misses nothing."""
        try:
            async with asyncio.timeout(within):
                while not true():
                    if self._life is not None and self._life.done() and not self.killed.is_set():
                        await self._life
                    await asyncio.sleep(1.0)
        except TimeoutError:
            raise AssertionError(f"not so within {within:.0f} s; the journal ends with {[fact.kind for fact in self.told[-8:]]}") from None

    async def pass_time(self, **span: float) -> None:
        """Let the hub live for a while, by its own clock; see `timedelta`. In a long one it looks less often at its queue, but for the end."""
        seconds = timedelta(**span).total_seconds()
        if seconds > _SHORT:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(conductor, "_LOOK_EVERY", 60.0)
                await asyncio.sleep(seconds - _SHORT)
            seconds = _SHORT
        await asyncio.sleep(seconds)

    async def until_killed(self, *, within: float = LATER) -> None:
        await self.until(self.killed.is_set, within=within)

    async def ready(self) -> None:
        """Every device was asked what it runs."""
        await self.until(lambda: len(self.registry.devices()) == len(self.bench.lamps) and all(each.components for each in self.registry.devices()))

    async def add_image(self, version: int, **fields: object) -> Sha256:
        return (await self.desk.add_image(image_bytes(version, **fields), file_name=f"{version}.ota", actor="test")).sha256

    async def order(self, *devices: DeviceId, **wishes: object) -> UpdateView:
        """One update by order of an operator."""
        return (await self._ordered(*devices, **wishes))[0]

    async def orders(self, *devices: DeviceId, **wishes: object) -> list[Update]:
        """Every update that an order of an operator comes to."""
        return [each.update for each in await self._ordered(*devices, **wishes)]

    async def _ordered(self, *devices: DeviceId, **wishes: object) -> Sequence[UpdateView]:
        request = OrderRequest(devices=devices or (self.bench.lamp.id,), **wishes)  # type: ignore[arg-type]
        result = await self.desk.order(request, actor="test")
        assert not result.refused, [str(each.error) for each in result.refused]
        return result.updates

    def state(self, update: UpdateId) -> State:
        """The state as told by the journal, which is what outsiders see."""
        return self.states.get(update, State.PLANNED)

    async def until_state(self, update: UpdateId, *states: State, within: float = LATER) -> Update:
        await self.until(lambda: self.state(update) in states, within=within)
        return await self.store.updates.get(update)

    async def until_ended(self, update: UpdateId, *, within: float = LATER) -> Update:
        await self.until(lambda: self.state(update).final, within=within)
        return await self.store.updates.get(update)

    def waits_for(self, update: UpdateId) -> str | None:
        """The word that says for what an update waits, as of the last look at the queue."""
        verdict = self.conductor.waits_for(update)
        return None if verdict is None else verdict.reason

    def kinds(self, update: UpdateId) -> list[str]:
        """What the journal told of an update."""
        return [fact.kind for fact in self.told if fact.subject_id == update]


def a_bench(**traits: object) -> Bench:
    return Bench(lamps={LAMP: Lamp(**traits)})  # type: ignore[arg-type]


async def an_order(hub: Hub, **wishes: object) -> Update:
    """One update of the lamp, from a stored image."""
    await hub.add_image(NEW)
    await hub.ready()
    return (await hub.order(**wishes)).update


async def the_end(bench: Bench, *, within: float = LATER) -> Update:
    """What becomes of an order."""
    async with bench.hub() as hub:
        return await hub.until_ended((await an_order(hub)).id, within=within)
