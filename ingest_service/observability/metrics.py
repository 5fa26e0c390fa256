"""The service's metrics: name, type and meaning of each."""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ingest_service.clickhouse.errors import KNOWN
from ingest_service.events.validation import Reason
from ingest_service.observability import process_metrics
from ingest_service.observability.health import Health, State

_INSERT_SECONDS_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_DEAD_LETTERS = dict.fromkeys(map(str, Reason), 0)
_RETRIES = dict.fromkeys((f"{known.error_class}/{known.reason}" for known in KNOWN), 0)
"""Series exist before their first event: Prometheus sees no increase in the first value of a series."""
_BATCH_ROWS_BUCKETS = (1, 10, 100, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000)


class _HealthCollector(Collector):
    """Reads the counts of health.py when it is scraped, so that nothing is counted twice."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "gcc_ingest_ready",
            "1 when messages of every type move",
            value=float(not self._health.obstacles()),
        )
        yield GaugeMetricFamily(
            "gcc_ingest_blocked",
            "1 while the broker takes no dead letters: it is low on memory or disk",
            value=float(self._health.blocked() is not None),
        )
        yield GaugeMetricFamily(
            "gcc_ingest_watch_seconds",
            "How long ago gcc-platform watch asked for the state",
            value=self._health.watch.seconds,
        )
        yield from self._by_type()
        yield from self._by_type_and_cause()

    def _by_type(self) -> Iterator[Metric]:
        received = CounterMetricFamily(
            "gcc_ingest_received", "Messages received from the broker, redeliveries included", labels=["type"]
        )
        redelivered = CounterMetricFamily(
            "gcc_ingest_redelivered", "Messages the broker marked as sent before", labels=["type"]
        )
        landed = CounterMetricFamily("gcc_ingest_landed", "Messages durable in ClickHouse", labels=["type"])
        given_back = CounterMetricFamily(
            "gcc_ingest_given_back", "Messages whose channel closed before they were settled", labels=["type"]
        )
        batches = CounterMetricFamily("gcc_ingest_batches", "Batches settled", labels=["type"])
        in_flight = GaugeMetricFamily("gcc_ingest_in_flight", "Messages received and not yet settled", labels=["type"])
        held_bytes = GaugeMetricFamily("gcc_ingest_held_bytes", "Their bodies, in bytes", labels=["type"])
        reading = GaugeMetricFamily(
            "gcc_ingest_reading", "0 while nothing is read because too much is held in memory", labels=["type"]
        )
        lag = GaugeMetricFamily(
            "gcc_ingest_watermark_lag_seconds",
            "Everything received longer ago than this is durable",
            labels=["type"],
        )
        depth = GaugeMetricFamily(
            "gcc_ingest_queue_depth", "Messages in the queue that no consumer holds", labels=["type"]
        )
        now = self._health.clock()
        for name, health in self._health.types.items():
            received.add_metric([name], health.received)
            redelivered.add_metric([name], health.redelivered)
            landed.add_metric([name], health.landed)
            given_back.add_metric([name], health.given_back)
            batches.add_metric([name], health.batches)
            in_flight.add_metric([name], health.in_flight)
            held_bytes.add_metric([name], health.held_bytes)
            reading.add_metric([name], float(health.reading))
            lag.add_metric([name], now - health.watermark(now))
            if health.queue_depth is not None:
                depth.add_metric([name], health.queue_depth)
        yield from (received, redelivered, landed, given_back, batches, in_flight, held_bytes, reading, lag, depth)

    def _by_type_and_cause(self) -> Iterator[Metric]:
        dead_letters = CounterMetricFamily(
            "gcc_ingest_dead_letters", "Messages confirmed in the error queue", labels=["type", "reason"]
        )
        retries = CounterMetricFamily(
            "gcc_ingest_retries", "Failed attempts to settle a batch", labels=["type", "verdict", "reason"]
        )
        state = GaugeMetricFamily("gcc_ingest_state", "1 for the state an event type is in", labels=["type", "state"])
        for name, health in self._health.types.items():
            for reason, count in {**_DEAD_LETTERS, **health.dead_lettered}.items():
                dead_letters.add_metric([name, reason], count)
            for retried, count in {**_RETRIES, **health.retries}.items():
                verdict, _, why = retried.partition("/")
                retries.add_metric([name, verdict, why], count)
            for each in State:
                state.add_metric([name, each], float(health.state is each))
        yield from (dead_letters, retries, state)


class Metrics:
    """The service's metrics and their registry."""

    def __init__(self, health: Health) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_HealthCollector(health))
        process_metrics.add_to(self.registry, "ingest")
        self.insert_seconds = Histogram(
            "gcc_ingest_insert_seconds",
            "Duration of successful inserts",
            ["type"],
            buckets=_INSERT_SECONDS_BUCKETS,
            registry=self.registry,
        )
        self.batch_rows = Histogram(
            "gcc_ingest_batch_rows",
            "Rows of successful inserts",
            ["type"],
            buckets=_BATCH_ROWS_BUCKETS,
            registry=self.registry,
        )
        for name in health.types:
            self.insert_seconds.labels(name)
            self.batch_rows.labels(name)
