"""The assembly of a hub: which adapter stands behind which port, and what each part is given; nothing runs here."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property, partial
from typing import Any

from otagate import quirks
from otagate.accounts import repository, terms, twins
from otagate.config import IOTAAP, ZWAVE_JS, HubSettings, RadioSettings, SourceSettings
from otagate.engine.bound import BoundFeed
from otagate.engine.bulletin import NAME as ADVISORIES
from otagate.engine.bulletin import Bulletin
from otagate.engine.cases import Cases
from otagate.engine.clouds import CloudFeed
from otagate.engine.conductor import Conductor
from otagate.engine.consultant import Consultant
from otagate.engine.controls import Controls
from otagate.engine.desk import Desk
from otagate.engine.errands import Errands
from otagate.engine.feeds import Feed, Offering
from otagate.engine.fetcher import Fetcher
from otagate.engine.halt import Halt
from otagate.engine.inquiries import Inquiries
from otagate.engine.intake import Intake
from otagate.engine.interrogator import Interrogator
from otagate.engine.journal import Journal
from otagate.engine.ledger import Ledger
from otagate.engine.library import Library
from otagate.engine.metrics import collectors
from otagate.engine.offers import Offers, ServiceFeed
from otagate.engine.ordering import Ordering
from otagate.engine.outlook import Outlook
from otagate.engine.pins import Pins
from otagate.engine.pulse import Pulse
from otagate.engine.quotas import StoredQuotas
from otagate.engine.readings import Readings
from otagate.engine.recalls import Recalls
from otagate.engine.refresher import Refresher
from otagate.engine.registry import RadioStatus, Registry
from otagate.engine.rollout_book import RolloutBook
from otagate.engine.rollouts import Rollouts
from otagate.engine.shelf import Shelf
from otagate.engine.supervise import Backoff, supervise_radio
from otagate.engine.talks import Talks
from otagate.engine.timers import SystemClock, Timers, clock_synced
from otagate.engine.tools import Tools
from otagate.engine.upkeep import Upkeep
from otagate.engine.waits import Waits
from otagate.folders.local_files import LocalFiles
from otagate.folders.watched import WatchedFolder
from otagate.model.clouds import THE_CLOUD, CloudDevice
from otagate.model.ids import DeviceId, RadioName
from otagate.net.cache import DiskImageCache
from otagate.net.http import HttpClient
from otagate.net.interlocks import HttpInterlock
from otagate.ports import Interlock, Radio, Store
from otagate.quirks.advisories import load_advisories, read_file
from otagate.radios.anchors import anchor_for
from otagate.radios.cloud import SENTENCE as CLOUD_SENTENCE
from otagate.radios.cloud import CloudRadio
from otagate.radios.interviews import FIRST_PAUSE
from otagate.radios.zigbee import ZigbeeRadio, ZigbeeSettings
from otagate.sessions.delegated import Patience as CloudPatience
from otagate.sessions.ota_transfer import Patience
from otagate.sessions.zwave_patience import Patience as ZwavePatience
from otagate.sources.delegated import Delegate
from otagate.sources.registry import DELEGATES, REGISTRY, Accounts
from otagate.stores.copies import CopyFolder
from otagate.systemd import watchdog_period

_JOBS = 100
"""Updates that may be under way in clouds at once: each costs a question every few seconds, within what an account may ask."""

READ_ADVISORIES = timedelta(seconds=30)
"""So often an operator's own advisories are looked at."""

_BEAT = 10.0
"""Seconds between two signs of life, where the watchdog wants none more often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How patient the hub is; simulated hardware that lives faster is given less time. In seconds: `listen` is for a coordinator on TCP,
    `interview` is until an interview that failed is held again.
    """

    patience: Patience = field(default_factory=Patience)
    zwave: ZwavePatience = field(default_factory=ZwavePatience)
    zwave_pace: float = 1.0
    cloud: CloudPatience = field(default_factory=CloudPatience)
    waits: Waits = field(default_factory=Waits)
    backoff: Backoff = field(default_factory=Backoff)
    listen: float = 3.0
    interview: float = FIRST_PAUSE

    @classmethod
    def scaled(cls, factor: float) -> Pace:
        """Everything `factor` times faster."""
        return cls(
            patience=Patience().scaled(factor),
            zwave=ZwavePatience().scaled(factor),
            zwave_pace=factor,
            cloud=CloudPatience().scaled(factor),
            waits=Waits().scaled(factor),
            backoff=Backoff(first=1.0 / factor, most=30.0 / factor, healthy=60.0 / factor),
            listen=3.0 / factor,
            interview=FIRST_PAUSE / factor,
        )


class Parts:
    """Every part of a hub, made when it is first asked for with what it needs; nothing runs yet."""

    def __init__(self, settings: HubSettings, store: Store, pace: Pace) -> None:
        self.settings = settings
        self.store = store
        self.pace = pace
        self.clock = SystemClock()
        self.timers = Timers()
        self.errands = Errands()
        self.intake = Intake()
        self.watchdog = watchdog_period()
        self.pulse = Pulse(self.clock, every=_BEAT if self.watchdog is None else min(_BEAT, self.watchdog / 4))
        self.reattach = {name: asyncio.Event() for name in (*(RadioName(each.name) for each in settings.radios), THE_CLOUD)}
        self.policy_of = settings.policy_of
        self.windows = tuple(each.window() for each in settings.windows)
        self.quirk_of = quirks.load()

    # --- what is known ----------------------------------------------------------------------------------------------------------------

    @cached_property
    def journal(self) -> Journal:
        """Facts, written and told."""
        return Journal(self.store, self.clock)

    @cached_property
    def ledger(self) -> Ledger:
        """Updates, moved."""
        return Ledger(self.store, self.journal, self.clock)

    @cached_property
    def registry(self) -> Registry:
        """Devices and radios."""
        registry = Registry(self.store, self.journal, self.clock)
        registry.radios = {RadioName(each.name): _status(each) for each in self.settings.radios}
        if any(each.type in (IOTAAP, *DELEGATES) for each in self.settings.sources):
            told = ("up", CLOUD_SENTENCE)  # no word of the journal: it is no radio to anybody outside
            registry.radios[THE_CLOUD] = RadioStatus(type="cloud", parallel=_JOBS, slow=_JOBS, state="up", sentence=CLOUD_SENTENCE, told=told)
        return registry

    @cached_property
    def cache(self) -> DiskImageCache:
        """The bytes of images."""
        return DiskImageCache(self.settings.image_dir)

    @cached_property
    def library(self) -> Library:
        """Images."""
        library = Library(self.store, self.cache, self.journal, self.clock, max_bytes=self.settings.images.max_bytes)
        library.reserve(each.name for each in self.settings.sources if each.type == IOTAAP)
        return library

    @cached_property
    def cases(self) -> Cases:
        """What is known against releases."""
        most = self.settings.policy.quarantine_after
        return Cases(store=self.store, ledger=self.ledger, library=self.library, advisories=load_advisories(), most=most)

    @cached_property
    def copies(self) -> CopyFolder:
        """Copies of the store for the worst case."""
        return CopyFolder(self.settings.state_dir / "backups", self.clock)

    @cached_property
    def upkeep(self) -> Upkeep:
        """What the hub does for itself."""
        store = self.settings.store
        return Upkeep(
            store=self.store,
            journal=self.journal,
            library=self.library,
            copies=self.copies,
            clock=self.clock,
            keep_facts=store.keep_facts,
            copy_every=store.copy_every,
            keep_copies=0 if store.in_memory else store.keep_copies,
        )

    @cached_property
    def halt(self) -> Halt:
        """Whether everything stands still."""
        return Halt(self.store, self.journal, self.clock)

    @cached_property
    def rollout_book(self) -> RolloutBook:
        """Rollouts, as they stand."""
        return RolloutBook(self.store, self.journal, self.ledger)

    # --- what is done -----------------------------------------------------------------------------------------------------------------

    @cached_property
    def tools(self) -> Tools:
        """What courses work with."""
        return Tools(
            store=self.store,
            ledger=self.ledger,
            registry=self.registry,
            library=self.library,
            clock=self.clock,
            waits=self.pace.waits,
            halt=self.halt,
            rollouts=self.rollout_book,
            fetcher=Fetcher(offers=self.offers, library=self.library, cache=self.cache, cases=self.cases),
            policy_of=self.policy_of,
            outlook=self.outlook,
        )

    @cached_property
    def outlook(self) -> Outlook:
        """What policy sees of the world."""
        return Outlook(
            registry=self.registry,
            halt=self.halt,
            clock=self.clock,
            policy_of=self.policy_of,
            inquiries=Inquiries(clock=self.clock, asked=self._interlocks()),
            windows=self.windows,
            synced=clock_synced,
            twins=twins(self.settings.sources),
        )

    def _interlocks(self) -> Mapping[str, Interlock]:
        return {each.name: HttpInterlock(name=each.name, url=each.url, http=self.http) for each in self.settings.interlocks}

    @cached_property
    def conductor(self) -> Conductor:
        """Who runs."""
        conductor = Conductor(tools=self.tools, radios=self.radios)
        self.intake.connect(conductor)
        return conductor

    @cached_property
    def consultant(self) -> Consultant:
        """What there is for whom."""
        return Consultant(
            library=self.library,
            offers=self.offers,
            registry=self.registry,
            ledger=self.ledger,
            store=self.store,
            clock=self.clock,
            policy_of=self.policy_of,
            quirk_of=self.quirk_of,
            cases=self.cases,
        )

    @cached_property
    def interrogator(self) -> Interrogator:
        """Who runs what."""
        interrogator = Interrogator(
            registry=self.registry,
            consultant=self.consultant,
            radios=self.radios,
            clock=self.clock,
            every=self.settings.schedule.interrogate,
            is_busy=self.conductor.is_busy,
            told=self.conductor.told,
        )
        self.library.watch(interrogator.image_added)
        return interrogator

    @cached_property
    def http(self) -> HttpClient:
        """The way to update services."""
        return HttpClient(
            cache=self.cache,
            quotas=StoredQuotas(self.store),
            clock=self.clock,
            answers=self.settings.state_dir / "answers",
            allow_private=self.settings.http.allow_private,
            anchors=anchor_for,
        )

    @cached_property
    def offers(self) -> Offers:
        """What update services offer."""
        services: list[Offering] = [self._service(each) for each in self.settings.sources if each.type in REGISTRY]
        return Offers([*services, *self.repositories, *self.clouds])

    @cached_property
    def repositories(self) -> Sequence[BoundFeed]:
        """The sources that keep firmware for single devices, and take some for them."""
        return [self._bound(each) for each in self.settings.sources if each.type == IOTAAP]

    @cached_property
    def clouds(self) -> Sequence[CloudFeed]:
        """The sources whose devices their own clouds update."""
        accounts = Accounts(pace=self.pace.waits.pace)
        chosen = [(each, DELEGATES[each.type](terms(each), accounts)) for each in self.settings.sources if each.type in DELEGATES]
        return [
            CloudFeed(delegate=delegate, type=each.type, talks=self.talks, clock=self.clock, tell=self._tell_devices) for each, delegate in chosen
        ]

    def _tell_devices(self, source: str, devices: Sequence[CloudDevice]) -> None:
        if self.cloud is not None:
            self.cloud.told(source, devices)

    @cached_property
    def cloud(self) -> CloudRadio | None:
        """What stands for a radio to devices of clouds; None where no source has such."""
        delegates: list[Delegate] = [*(each.delegate for each in self.clouds), *(each.repository for each in self.repositories)]
        if not delegates:
            return None
        return CloudRadio(delegates=delegates, talks=self.talks, emit=self.intake.emit, clock=self.clock, patience=self.pace.cloud)

    @cached_property
    def talks(self) -> Talks:
        """Conversations with update services."""
        return Talks(self.http)

    def _service(self, each: SourceSettings) -> ServiceFeed:
        talks = self.talks
        if each.path is not None:
            talks = Talks(LocalFiles(folder=each.path.parent, http=self.http, cache=self.cache, clock=self.clock))
        return ServiceFeed(source=REGISTRY[each.type](terms(each)), type=each.type, registry=self.registry, talks=talks, clock=self.clock)

    def _bound(self, each: SourceSettings) -> BoundFeed:
        return BoundFeed(
            repository=repository(each),
            bindings={DeviceId(binding.device): binding.iotaap_device for binding in each.bindings or () if binding.device is not None},
            type=each.type,
            talks=self.talks,
            library=self.library,
            cache=self.cache,
            pins=Pins(self.store, each.name),
            journal=self.journal,
            clock=self.clock,
            tell=self._tell_devices,
        )

    @cached_property
    def refresher(self) -> Refresher:
        """The sources."""
        shelves: list[Shelf] = []
        for each in self.settings.sources:
            if each.type == "directory" and each.path is not None:
                folder = WatchedFolder(name=each.name, path=each.path, clock=self.clock, limit=self.settings.images.max_bytes)
                shelves.append(Shelf(folder=folder, library=self.library, clock=self.clock, others=lambda: shelves))
        feeds: list[Feed] = [*shelves, *self.offers.feeds, *self._bulletins()]
        every = {ADVISORIES: READ_ADVISORIES} | {each.name: each.every for each in self.settings.sources}
        refresher = Refresher(
            feeds=feeds,
            offers=self.offers,
            consultant=self.consultant,
            journal=self.journal,
            clock=self.clock,
            talks=self.talks,
            every=every,
        )
        refresher.watch(self.interrogator.releases_changed)
        return refresher

    def _bulletins(self) -> Sequence[Bulletin]:
        path = self.settings.policy.advisories
        return () if path is None else [Bulletin(read_file=partial(read_file, path), clock=self.clock, changed=self.cases.advise)]

    @cached_property
    def recalls(self) -> Recalls:
        """What ends because of what became known."""
        return Recalls(cases=self.cases, store=self.store, ledger=self.ledger, registry=self.registry, controls=self.controls, journal=self.journal)

    @cached_property
    def controls(self) -> Controls:
        """What operators do to updates."""
        return Controls(tools=self.tools, conductor=self.conductor)

    @cached_property
    def ordering(self) -> Ordering:
        """What operators order."""
        return Ordering(
            store=self.store,
            registry=self.registry,
            consultant=self.consultant,
            ledger=self.ledger,
            readings=self.readings,
            radios=self.radios,
            clock=self.clock,
            windows=self.windows,
        )

    @cached_property
    def rollouts(self) -> Rollouts:
        """Rollouts, steered."""
        return Rollouts(
            book=self.rollout_book,
            ordering=self.ordering,
            ledger=self.ledger,
            registry=self.registry,
            controls=self.controls,
            clock=self.clock,
            pace=self.pace.waits.pace,
        )

    # --- the radios -------------------------------------------------------------------------------------------------------------------

    @cached_property
    def radios(self) -> Mapping[RadioName, Radio]:
        """Every configured radio, and what stands for one to devices of clouds."""
        radios = {RadioName(each.name): self._radio(each) for each in self.settings.radios}
        return radios if self.cloud is None else {**radios, THE_CLOUD: self.cloud}

    def _radio(self, each: RadioSettings) -> Radio:
        if each.type == ZWAVE_JS:
            from otagate.radios.zwave import ZwaveRadio, ZwaveSettings  # with its client library, which a hub of Zigbee radios goes without

            zwave = ZwaveSettings(name=RadioName(each.name), url=each.url or "", region=each.region, pace=self.pace.zwave_pace)
            return ZwaveRadio(zwave, emit=self.intake.emit, clock=self.clock, patience=self.pace.zwave)
        zigbee = ZigbeeSettings(
            name=RadioName(each.name),
            type=each.type,
            path=each.path or "",
            network=each.network,
            baudrate=each.baudrate,
            flow_control=each.flow_control,
            channel=each.channel,
            listen_seconds=self.pace.listen,
            interview_pause=self.pace.interview,
        )
        return ZigbeeRadio(
            zigbee,
            state_dir=self.settings.state_dir,
            emit=self.intake.emit,
            clock=self.clock,
            quirk_of=self.quirk_of,
            patience=self.pace.patience,
        )

    def life_of(self, radio: RadioName) -> Coroutine[Any, Any, None]:
        """What keeps a radio alive."""
        return supervise_radio(
            self.radios[radio],
            emit=self.intake.emit,
            clock=self.clock,
            reattach=self.reattach[radio],
            backoff=self.pace.backoff,
            pulse=self.pulse,
        )

    # --- what is shown ----------------------------------------------------------------------------------------------------------------

    @cached_property
    def readings(self) -> Readings:
        """What may be read."""
        return Readings(
            store=self.store,
            journal=self.journal,
            ledger=self.ledger,
            registry=self.registry,
            consultant=self.consultant,
            conductor=self.conductor,
            halt=self.halt,
            rollouts=self.rollout_book,
            clock=self.clock,
        )

    @cached_property
    def desk(self) -> Desk:
        """What may be asked."""
        return Desk(
            store=self.store,
            journal=self.journal,
            ledger=self.ledger,
            registry=self.registry,
            library=self.library,
            consultant=self.consultant,
            halt=self.halt,
            controls=self.controls,
            rollouts=self.rollouts,
            ordering=self.ordering,
            interrogator=self.interrogator,
            refresher=self.refresher,
            readings=self.readings,
            errands=self.errands,
            radios=self.radios,
            reattach=self.reattach,
            metrics=collectors(self.readings, self.registry, self.conductor, self.intake, self.refresher, journal=self.journal, ledger=self.ledger),
            clock=self.clock,
        )


def _status(radio: RadioSettings) -> RadioStatus:
    """One air for all nodes of a Z-Wave controller: those that are slow get as many slots of their own, and no more."""
    if radio.type == ZWAVE_JS:
        return RadioStatus(type=radio.type, parallel=radio.parallel, slow=radio.parallel)
    return RadioStatus(type=radio.type, parallel=radio.parallel)
