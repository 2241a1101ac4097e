"""Every part of a hub."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property, partial

from otagate.accounts import twins
from otagate.assembly.reach import Reach
from otagate.engine.audit import Audit
from otagate.engine.bulletin import NAME as ADVISORIES
from otagate.engine.bulletin import Bulletin
from otagate.engine.conductor import Conductor
from otagate.engine.consultant import Consultant
from otagate.engine.controls import Controls
from otagate.engine.desk import Desk
from otagate.engine.feeds import Feed
from otagate.engine.fetcher import Fetcher
from otagate.engine.foresight import Foresight
from otagate.engine.inquiries import Inquiries
from otagate.engine.interrogator import Interrogator
from otagate.engine.metrics import collectors
from otagate.engine.ordering import Ordering
from otagate.engine.outlook import Outlook
from otagate.engine.readings import Readings
from otagate.engine.recalls import Recalls
from otagate.engine.refresher import Refresher
from otagate.engine.reporter import Reporter
from otagate.engine.rollouts import Rollouts
from otagate.engine.shelf import Shelf
from otagate.engine.timers import clock_synced
from otagate.engine.tools import Tools
from otagate.folders.watched import WatchedFolder
from otagate.homeassistant.discovery import Names
from otagate.homeassistant.farewell import Farewell
from otagate.homeassistant.mirror import Mirror
from otagate.homeassistant.orders import Orders
from otagate.homeassistant.targets import Targets
from otagate.model.devices import Device
from otagate.quirks.advisories import read_file
from otagate.reports.key import SealKey

READ_ADVISORIES = timedelta(seconds=30)
"""So often an operator's own advisories are looked at."""


class Parts(Reach):
    """Every part of a hub, made when it is first asked for with what it needs; nothing runs yet."""

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
            radio_pauses=self.radio_pauses,
            rollouts=self.rollout_book,
            fetcher=self.fetcher,
            policy_of=self.policy_of,
            quirk_of=self.quirk_of,
            outlook=self.outlook,
        )

    @cached_property
    def fetcher(self) -> Fetcher:
        """Who brings images."""
        return Fetcher(offers=self.offers, library=self.library, cache=self.cache, cases=self.cases)

    @cached_property
    def outlook(self) -> Outlook:
        """What policy sees of the world."""
        return Outlook(
            registry=self.registry,
            halt=self.halt,
            radio_pauses=self.radio_pauses,
            clock=self.clock,
            policy_of=self.policy_of,
            inquiries=Inquiries(clock=self.clock, asked=self._interlocks()),
            windows=self.windows,
            synced=clock_synced,
            twins=twins(self.settings.sources),
            trouble_of=self.fetcher.trouble_of,
        )

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
    def refresher(self) -> Refresher:
        """The sources."""
        shelves: list[Shelf] = []
        for each in self.settings.sources:
            if each.type == "directory" and each.path is not None:
                folder = WatchedFolder(name=each.name, path=each.path, clock=self.clock, limit=self.settings.images.max_bytes)
                shelves.append(Shelf(folder=folder, library=self.library, clock=self.clock, others=lambda: shelves, good=self.keeping.good))
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
            offline=self.never_asked,
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

    @cached_property
    def mirror(self) -> Mirror | None:
        """What Home Assistant shows, where there is a broker."""
        mqtt = self.settings.mqtt
        if self.line is None or not mqtt.home_assistant:
            return None

        def automatic(device: Device) -> bool:
            return self.policy_of(device).mode == "automatic"

        mirror = Mirror(
            desk=self.desk,
            broker=self.line,
            clock=self.clock,
            names=self._names_at_broker,
            orders=Orders(
                desk=self.desk,
                base=mqtt.base_topic,
                scopes=frozenset(mqtt.scopes),
                automatic=automatic,
                targets=Targets(store=self.store),
            ),
            known=self.registry.devices,
            automatic=automatic,
        )
        self.line.listen(mirror)
        return mirror

    @cached_property
    def farewell(self) -> Farewell | None:
        """What takes back what Home Assistant was shown, where there is a broker and it is to be shown nothing."""
        if self.line is None or self.settings.mqtt.home_assistant:
            return None
        farewell = Farewell(broker=self.line, names=self._names_at_broker)
        self.line.listen(farewell)
        return farewell

    @property
    def _names_at_broker(self) -> Names:
        mqtt = self.settings.mqtt
        return Names(base=mqtt.base_topic, discovery=mqtt.discovery, page=self.settings.api.public_url)

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
            radio_pauses=self.radio_pauses,
            rollouts=self.rollout_book,
            clock=self.clock,
            broker=self.line,
        )

    @cached_property
    def reporter(self) -> Reporter:
        """What is handed to whoever owns the house."""
        return Reporter(
            store=self.store,
            audit=Audit(self.store),
            registry=self.registry,
            consultant=self.consultant,
            cases=self.cases,
            clock=self.clock,
            key=SealKey(self.settings.state_dir / "report-key.pem"),
        )

    @cached_property
    def desk(self) -> Desk:
        """What may be asked."""
        return Desk(
            store=self.store,
            journal=self.journal,
            registry=self.registry,
            library=self.library,
            consultant=self.consultant,
            halt=self.halt,
            radio_pauses=self.radio_pauses,
            controls=self.controls,
            rollouts=self.rollouts,
            ordering=self.ordering,
            interrogator=self.interrogator,
            refresher=self.refresher,
            readings=self.readings,
            reporter=self.reporter,
            foresight=Foresight(store=self.store, registry=self.registry, consultant=self.consultant, conductor=self.conductor),
            errands=self.errands,
            notifiers=self.notifiers,
            radios=self.radios,
            reattach=self.reattach,
            metrics=collectors(
                self.readings,
                self.registry,
                self.conductor,
                self.intake,
                self.refresher,
                journal=self.journal,
                ledger=self.ledger,
                broker=self.line,
                notifiers=self.notifiers.values(),
            ),
        )
