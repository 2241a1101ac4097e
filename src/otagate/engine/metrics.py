"""What Prometheus reads: gauges made from the views at the moment of the question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from otagate import __version__
from otagate.engine.conductor import Conductor
from otagate.engine.intake import Intake
from otagate.engine.readings import Readings
from otagate.engine.registry import Registry


class _Hub(Collector):
    def __init__(self, readings: Readings, registry: Registry, conductor: Conductor, intake: Intake) -> None:
        self._readings = readings
        self._registry = registry
        self._conductor = conductor
        self._intake = intake

    def collect(self) -> Iterable[Metric]:
        """One family after another."""
        info = GaugeMetricFamily("otagate_build_info", "The running version.", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        radios = GaugeMetricFamily("otagate_radio_up", "Whether the radio is up.", labels=["radio", "type"])
        transfers = GaugeMetricFamily("otagate_radio_transfers", "Transfers that run now.", labels=["radio"])
        for radio in self._readings.radios():
            radios.add_metric([radio.name, radio.type], float(radio.state == "up"))
            transfers.add_metric([radio.name], radio.transfers)
        yield radios
        yield transfers
        devices = GaugeMetricFamily("otagate_devices", "Known devices.", labels=["radio", "online"])
        for (name, online), count in Counter((device.radio or "", device.online) for device in self._registry.devices()).items():
            devices.add_metric([name, str(online).lower()], count)
        yield devices
        running = GaugeMetricFamily("otagate_updates_running", "Updates that a task works on, by state.", labels=["state"])
        for state, count in Counter(course.update.state for course in self._conductor.courses()).items():
            running.add_metric([state], count)
        yield running
        dropped = GaugeMetricFamily("otagate_events_dropped", "Radio events that found the queue full since the start.")
        dropped.add_metric([], self._intake.dropped)
        yield dropped


def collectors(readings: Readings, registry: Registry, conductor: Conductor, intake: Intake) -> CollectorRegistry:
    """A registry of its own, with everything that the hub tells."""
    made = CollectorRegistry()
    made.register(_Hub(readings, registry, conductor, intake))
    return made
