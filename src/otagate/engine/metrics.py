"""What Prometheus reads: gauges made from the views at the moment of the question, and counts of what ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import get_args

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from otagate import __version__
from otagate.engine.conductor import Conductor
from otagate.engine.feeds import Condition
from otagate.engine.intake import Intake
from otagate.engine.journal import Journal
from otagate.engine.ledger import Ledger
from otagate.engine.notifier import Notifier
from otagate.engine.readings import Readings
from otagate.engine.refresher import Refresher
from otagate.engine.registry import Registry
from otagate.model.updates import Update
from otagate.ports import Broker


class _Hub(Collector):
    def __init__(
        self,
        readings: Readings,
        registry: Registry,
        conductor: Conductor,
        intake: Intake,
        refresher: Refresher,
        journal: Journal,
        broker: Broker | None,
        notifiers: Collection[Notifier],
    ) -> None:
        self._readings = readings
        self._registry = registry
        self._conductor = conductor
        self._intake = intake
        self._refresher = refresher
        self._journal = journal
        self._broker = broker
        self._notifiers = notifiers
        self._ended: Counter[tuple[str, str]] = Counter()

    def changed(self, update: Update) -> None:
        """Count what ended; called by the ledger, once for each row that changes."""
        if update.ended:
            self._ended[str(update.state), update.error.code if update.error else ""] += 1

    def collect(self) -> Iterable[Metric]:
        """One family after another."""
        info = GaugeMetricFamily("otagate_build_info", "The running version.", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        yield from self._radios()
        devices = GaugeMetricFamily("otagate_devices", "Known devices.", labels=["radio", "online"])
        for (name, online), count in Counter((device.radio or "", device.online) for device in self._registry.devices()).items():
            devices.add_metric([name, str(online).lower()], count)
        yield devices
        yield from self._updates()
        yield from self._sources()
        yield from self._told()
        yield CounterMetricFamily("otagate_events_dropped", "Radio events that found the queue full since the start.", value=self._intake.dropped)
        yield CounterMetricFamily("otagate_store_refusals", "Transactions that the store refused since the start.", value=self._journal.refusals)

    def _radios(self) -> Iterable[Metric]:
        radios = GaugeMetricFamily("otagate_radio_up", "Whether the radio is up.", labels=["radio", "type"])
        transfers = GaugeMetricFamily("otagate_radio_transfers", "Transfers that run now.", labels=["radio"])
        for radio in self._readings.radios():
            radios.add_metric([radio.name, radio.type], float(radio.state == "up"))
            transfers.add_metric([radio.name], radio.transfers)
        yield radios
        yield transfers

    def _updates(self) -> Iterable[Metric]:
        running = GaugeMetricFamily("otagate_updates_running", "Updates that a task works on, by state.", labels=["state"])
        for state, count in Counter(course.update.state for course in self._conductor.courses()).items():
            running.add_metric([state], count)
        yield running
        waiting = GaugeMetricFamily("otagate_updates_waiting", "Updates that wait, by reason.", labels=["reason"])
        for reason, count in Counter(verdict.reason or "" for verdict in self._conductor.queue.verdicts.values()).items():
            waiting.add_metric([reason], count)
        yield waiting
        finished = CounterMetricFamily("otagate_updates_finished", "Updates that ended since the start.", labels=["state", "code"])
        for (state_name, code), count in self._ended.items():
            finished.add_metric([state_name, code], count)
        yield finished

    def _told(self) -> Iterable[Metric]:
        if self._broker is not None:
            yield GaugeMetricFamily("otagate_mqtt_up", "Whether the line to the MQTT broker is up.", value=float(self._broker.trouble is None))
        arrives = GaugeMetricFamily("otagate_notifier_up", "Whether what was sent last arrived.", labels=["notifier", "type"])
        waiting = GaugeMetricFamily("otagate_notifier_waiting", "Notices that are not told yet.", labels=["notifier", "type"])
        for each in (notifier.view() for notifier in self._notifiers):
            arrives.add_metric([each.name, each.type], float(each.trouble is None))
            waiting.add_metric([each.name, each.type], each.waiting)
        yield from (arrives, waiting)

    def _sources(self) -> Iterable[Metric]:
        words = ("source", "type")
        state = GaugeMetricFamily("otagate_source_state", "1 for the state that the source is in.", labels=[*words, "state"])
        releases = GaugeMetricFamily("otagate_source_releases", "Releases that the source offers.", labels=words)
        skipped = GaugeMetricFamily("otagate_source_skipped", "Entries of the source that are of no use.", labels=words)
        failures = GaugeMetricFamily("otagate_source_failures", "How often in a row the source could not be read.", labels=words)
        last = GaugeMetricFamily("otagate_source_last_success_timestamp_seconds", "When the source was read last.", labels=words)
        due = GaugeMetricFamily("otagate_source_next_refresh_timestamp_seconds", "When the source is due to be read.", labels=words)
        left = GaugeMetricFamily("otagate_source_quota_left", "What is left of a limit.", labels=[*words, "of", "bucket", "seconds"])
        for each in self._refresher.views():
            whose = [each.name, each.type]
            for word in get_args(Condition):
                state.add_metric([*whose, word], float(each.state == word))
            releases.add_metric(whose, each.releases)
            skipped.add_metric(whose, each.left_out)
            failures.add_metric(whose, each.failures)
            if each.last_success is not None:
                last.add_metric(whose, each.last_success.timestamp())
            if each.next_refresh is not None:
                due.add_metric(whose, each.next_refresh.timestamp())
            for quota in each.quotas:
                limit = quota.limit
                left.add_metric([*whose, limit.of, limit.bucket or "", str(int(limit.per.total_seconds()))], quota.amount)
        yield from (state, releases, skipped, failures, last, due, left)


def collectors(
    readings: Readings,
    registry: Registry,
    conductor: Conductor,
    intake: Intake,
    refresher: Refresher,
    *,
    journal: Journal,
    ledger: Ledger,
    broker: Broker | None = None,
    notifiers: Collection[Notifier] = (),
) -> CollectorRegistry:
    """A registry of its own, with everything that the hub tells."""
    hub = _Hub(readings, registry, conductor, intake, refresher, journal, broker, notifiers)
    ledger.watch(hub.changed)
    made = CollectorRegistry()
    made.register(hub)
    return made
