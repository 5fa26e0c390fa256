"""The archive's metrics: name, type and meaning of each."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ingest_service.archive.health import ArchiveHealth
from ingest_service.events.validation import Reason
from ingest_service.observability import process_metrics

_REASONS = dict.fromkeys(map(str, Reason), 0)
"""Series exist before their first event: Prometheus sees no increase in the first value of a series."""


class _HealthCollector(Collector):
    """Reads the counts of health.py when it is scraped."""

    def __init__(self, health: ArchiveHealth) -> None:
        self._health = health

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "gcc_archive_ready", "1 when dead letters are archived", value=float(not self._health.obstacles())
        )
        yield GaugeMetricFamily(
            "gcc_archive_last_file_timestamp_seconds",
            "When a file was last written and recorded; 0 if none was since the start",
            value=self._health.last_file_at or 0.0,
        )
        archived = CounterMetricFamily(
            "gcc_archive_archived", "Dead letters durable in a file and in the table", labels=["type", "reason"]
        )
        failures = CounterMetricFamily("gcc_archive_failures", "Failed attempts to archive", labels=["type"])
        held = GaugeMetricFamily("gcc_archive_held", "Dead letters received and not yet archived", labels=["type"])
        for name, queue in self._health.queues.items():
            for reason, count in {**_REASONS, **queue.archived}.items():
                archived.add_metric([name, reason], count)
            failures.add_metric([name], queue.failures)
            held.add_metric([name], queue.held)
        yield from (archived, failures, held)


def registry(health: ArchiveHealth) -> CollectorRegistry:
    """The archive's metrics and its process's."""
    found = CollectorRegistry()
    found.register(_HealthCollector(health))
    process_metrics.add_to(found, "archive")
    return found
