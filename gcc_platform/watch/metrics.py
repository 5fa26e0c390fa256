"""The watch's metrics: name, type and meaning of each."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gcc_platform.watch.catalog import KINDS
from gcc_platform.watch.report import Report
from ingest_service.observability import process_metrics


class _ReportCollector(Collector):
    """Reads the last report when it is scraped."""

    def __init__(self, newest: Callable[[], Report | None], *, has_alertmanager: bool) -> None:
        self._newest = newest
        self._has_alertmanager = has_alertmanager

    def collect(self) -> Iterable[Metric]:
        report = self._newest()
        if report is None:
            return
        yield GaugeMetricFamily("gcc_watch_last_look_timestamp_seconds", "When the watch looked last", value=report.at)
        yield GaugeMetricFamily("gcc_watch_look_seconds", "Duration of the last look", value=report.seconds)
        if self._has_alertmanager:
            yield GaugeMetricFamily(
                "gcc_watch_alertmanager_up", "1 while Alertmanager takes alerts", value=float(not report.alertmanager)
            )
        yield _firing(report)
        yield from _dagster(report)


def _firing(report: Report) -> Metric:
    """A series for each alert that fires, and a zero for each name that does not.

    Alerts that differ in other labels only, such as those of two daemons, are one series: Prometheus refuses
    duplicates.
    """
    names = ["alertname", "severity", "team", "cause", "type", "asset", "check", "state"]
    family = GaugeMetricFamily("gcc_watch_firing", "1 for each alert that fires, 0 for names without one", labels=names)
    about = ("type", "asset", "check")
    firing = {
        (line.name, line.severity, line.team, line.cause, *(line.about.get(name, "") for name in about), line.state)
        for line in report.alerts
    }
    for labels in sorted(firing):
        family.add_metric(labels, 1)
    for kind in KINDS.values():
        if kind.name not in {line.name for line in report.alerts}:
            family.add_metric([kind.name, kind.severity.value, kind.team, "", "", "", "", ""], 0)
    return family


def _dagster(report: Report) -> Iterator[Metric]:
    ended = GaugeMetricFamily(
        "gcc_dagster_run_timestamp_seconds", "When the newest run of a job ended", labels=["job", "status"]
    )
    took = GaugeMetricFamily("gcc_dagster_run_seconds", "Duration of the newest run of a job", labels=["job"])
    for run in report.runs:
        ended.add_metric([run.job, run.status], run.ended_at)
        took.add_metric([run.job], run.seconds)
    assets = GaugeMetricFamily("gcc_dagster_assets", "Assets by freshness", labels=["freshness"])
    for status, count in report.assets.freshness.items():
        assets.add_metric([status], count)
    checks = GaugeMetricFamily("gcc_dagster_checks", "Checks by the status of their last evaluation", labels=["status"])
    for status, count in report.assets.checks.items():
        checks.add_metric([status], count)
    yield from (ended, took, assets, checks)


def registry(newest: Callable[[], Report | None], *, has_alertmanager: bool) -> CollectorRegistry:
    """The watch's metrics and its process's."""
    found = CollectorRegistry()
    found.register(_ReportCollector(newest, has_alertmanager=has_alertmanager))
    process_metrics.add_to(found, "watch")
    return found
