"""The watch's metrics, as Prometheus reads them."""

from collections import Counter

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gcc_platform.watch import metrics
from gcc_platform.watch.alerts import Alert
from gcc_platform.watch.catalog import KINDS
from tests.gcc_platform.watch.test_page import report_of


def firing(registry: CollectorRegistry) -> Counter[tuple[tuple[str, str], ...]]:
    families = text_string_to_metric_families(generate_latest(registry).decode())
    samples = (sample for family in families for sample in family.samples if sample.name == "gcc_watch_firing")
    return Counter(tuple(sorted(sample.labels.items())) for sample in samples if sample.value == 1)


def test_alerts_that_differ_in_other_labels_only_are_one_series() -> None:
    found = report_of(
        *(Alert.of(KINDS["DaemonDown"], "no heartbeat", about={"daemon": name}) for name in ("scheduler", "sensor")),
        Alert.of(KINDS["IngestHalted"], "unknown_field", about={"type": "post_log"}),
        Alert.of(KINDS["IngestHalted"], "unknown_field", about={"type": "order_log"}),
    )
    counted = firing(metrics.registry(lambda: found, has_alertmanager=True))
    assert set(counted.values()) == {1}
    assert sorted((dict(labels)["alertname"], dict(labels)["type"]) for labels in counted) == [
        ("DaemonDown", ""),
        ("IngestHalted", "order_log"),
        ("IngestHalted", "post_log"),
    ]
