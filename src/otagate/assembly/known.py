"""What a hub knows: its store, and what is read and written there."""

from __future__ import annotations

import asyncio
from functools import cached_property

from otagate import quirks
from otagate.assembly.pace import Pace
from otagate.config import IOTAAP, ZIGBEE2MQTT, ZWAVE_JS, HubSettings, RadioSettings
from otagate.config.policies import PolicyBook
from otagate.engine.cases import Cases
from otagate.engine.errands import Errands
from otagate.engine.halt import Halt, RadioPauses
from otagate.engine.intake import Intake
from otagate.engine.journal import Journal
from otagate.engine.ledger import Ledger
from otagate.engine.library import Library
from otagate.engine.pulse import Pulse
from otagate.engine.registry import RadioStatus, Registry
from otagate.engine.rollout_book import RolloutBook
from otagate.engine.timers import SystemClock, Timers
from otagate.model.clouds import THE_CLOUD
from otagate.model.ids import RadioName
from otagate.net.cache import DiskImageCache
from otagate.ports import Store
from otagate.quirks.advisories import load_advisories
from otagate.radios.cloud import SENTENCE as CLOUD_SENTENCE
from otagate.sources.registry import DELEGATES
from otagate.stores.copies import CopyFolder
from otagate.systemd import watchdog_period

_JOBS = 100
"""Updates that may be under way in clouds at once: each costs a question every few seconds, within what an account may ask."""

_BEAT = 10.0
"""Seconds between two signs of life, where the watchdog wants none more often."""


class Known:
    """The ground floor of a hub."""

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
        self.policy_of = PolicyBook(settings.policy_of)
        self.windows = tuple(each.window() for each in settings.windows)
        self.quirk_of = quirks.load()

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
    def halt(self) -> Halt:
        """Whether everything stands still."""
        return Halt(self.store, self.journal, self.clock)

    @cached_property
    def radio_pauses(self) -> RadioPauses:
        """Which radios stand still."""
        return RadioPauses(self.store, self.journal, self.clock, [RadioName(each.name) for each in self.settings.radios])

    @cached_property
    def rollout_book(self) -> RolloutBook:
        """Rollouts, as they stand."""
        return RolloutBook(self.store, self.journal, self.ledger)


def _status(radio: RadioSettings) -> RadioStatus:
    """One air for all nodes of a Z-Wave controller, and no queue in zigbee2mqtt: those that are slow get as many slots of their own, and no more."""
    if radio.type in (ZWAVE_JS, ZIGBEE2MQTT):
        return RadioStatus(type=radio.type, parallel=radio.parallel, slow=radio.parallel)
    return RadioStatus(type=radio.type, parallel=radio.parallel)
