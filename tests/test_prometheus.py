"""deploy/prometheus: promtool accepts it and its tests pass; the alerts are the catalog's, on metrics that exist."""

import re
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from prometheus_client import CollectorRegistry

from gcc_platform.watch import metrics as watch_metrics
from gcc_platform.watch.alerts import Alert
from gcc_platform.watch.catalog import KINDS
from gcc_platform.watch.http_client import http_session
from gcc_platform.watch.probes import archive, dagster_runs
from gcc_platform.watch.probes.broker import BrokerProbe
from gcc_platform.watch.probes.dagster import DagsterProbe
from gcc_platform.watch.probes.dagster_assets import AssetsProbe
from gcc_platform.watch.probes.ingest import IngestProbe
from gcc_platform.watch.report import Report
from gcc_platform.watch.runbook import anchor
from gcc_platform.watch.seen import Assets, LastRun
from gcc_platform.watch.settings import WatchSettings
from ingest_service.archive import metrics as archive_metrics
from ingest_service.archive.health import ArchiveHealth, QueueHealth
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.observability.health import Health, TypeHealth
from ingest_service.observability.metrics import Metrics

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "deploy" / "prometheus"
CONFIGURATION = FOLDER / "prometheus.yml"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]
]
KEEPS_LABELS = re.compile(r"max by \(([\w, ]+)\) \(gcc_watch_firing\{")
"""A rule whose alerts have the labels of the watch's."""
SELECTOR = re.compile(r"\b(\w+)\{([^}]*)\}")
NO_METRIC = re.compile(r'"[^"]*"|\[\w+\]|\b(?:by|on|ignoring)\s*\([^)]*\)|\b(?:and|or|offset)\b|\b\w+(?= by\b|\()')
"""Strings, ranges, labels of groupings, keywords, functions."""
LABELS = {"severity", "team", "cause", "type", "asset", "check", "queue", "job"}
"""What the watch's alerts of these names may have. `job` is Dagster's."""

NOWHERE = "http://127.0.0.1:1"

every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)


def configuration_with_all_examples() -> str:
    """The file with all examples switched on, as its comments say."""
    return re.sub(r"(?m)^(\s*)#(?=[-\w]| {2,}\S)", r"\1", CONFIGURATION.read_text())


def rule_tests() -> list[dict[str, Any]]:
    """The tests of the rules."""
    found: list[dict[str, Any]] = yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]
    return found


def targets() -> dict[str, str]:
    """The target of each job."""
    jobs = yaml.safe_load(configuration_with_all_examples())["scrape_configs"]
    return {job["job_name"]: job["static_configs"][0]["targets"][0] for job in jobs}


def registries() -> Iterator[CollectorRegistry]:
    """What the services export, with a run of each status that Dagster's last runs may have."""
    yield Metrics(Health(types={"post_log": TypeHealth("post_log", queue_depth=0)})).registry
    yield archive_metrics.registry(ArchiveHealth({"post_log": QueueHealth("post_log")}))
    runs = [LastRun("refresh", status, 1.0, 1.0, "", "", None) for status in ("SUCCESS", "FAILURE", "CANCELED")]
    report = Report(1.0, 1.0, runs=runs, assets=Assets({"HEALTHY": 1}, {"SUCCEEDED": 1}))
    yield watch_metrics.registry(lambda: report, has_alertmanager=True)


def exported() -> dict[str, dict[str, set[str]]]:
    """The values of each label of each metric."""
    found: dict[str, dict[str, set[str]]] = {"up": {"job": set(targets())}}
    for registry in registries():
        for family in registry.collect():
            for sample in family.samples:
                labels = found.setdefault(sample.name, {})
                for name, value in sample.labels.items():
                    labels.setdefault(name, set()).add(value)
    return found


async def alerts_of_the_watch() -> AsyncIterator[Alert]:
    """One of each name, as the probes make them."""
    for name in ("RabbitMQDown", "ClickHouseDown", "PostgresDown", "AlertmanagerDown", "WatchDown"):
        yield Alert.of(KINDS[name], "")
    ingest = IngestProbe(NOWHERE, time.time)
    async with http_session() as session:
        for seen in (
            await ingest.look(session),
            await archive.look(session, NOWHERE),
            await DagsterProbe(NOWHERE, time.time, 0).look(session),
        ):
            yield seen.alerts[0]
    for name in ("IngestWaiting", "IngestRetrying", "IngestHalted", "IngestStuck", "DeadLetters"):
        yield ingest._alert(name, "post_log", "")
    yield next(ingest._blocked({"blocked": "low on memory"}))
    yield BrokerProbe("", "", "", time.time)._alert("QueueGrows", "post_log_events_q", "")
    run = {"runId": "1", "jobName": "refresh", "creationTime": 0.0, "startTime": 0.0, "endTime": 0.0}
    for alert in dagster_runs.alerts([{**run, "status": "FAILURE"}, {**run, "status": "STARTED"}], {}, "", 1e9, 0):
        yield alert
    node: dict[str, Any] = {"freshnessStatusInfo": {"freshnessStatus": "DEGRADED"}, "owners": [{"team": "ingest"}]}
    node |= {"isMaterializable": False, "assetChecksOrError": None}
    key = "raw/post_log_events"
    yield AssetsProbe("").look([{**node, "assetKey": {"path": key.split("/")}}], []).alerts[0]


class Selected(NamedTuple):
    metric: str
    labels: Mapping[str, str]


def selected(expression: str) -> Iterator[Selected]:
    """The metrics in an expression."""
    for metric, labels in SELECTOR.findall(expression):
        yield Selected(metric, dict(re.findall(r'(\w+)="([^"]*)"', labels)))
    for metric in re.findall(r"\b[a-z_]\w*", NO_METRIC.sub("", SELECTOR.sub("", expression))):
        yield Selected(metric, {})


def test_the_metrics_in_an_expression_are_found() -> None:
    expression = (
        'max by (a) (b > 5 and on (c) rate(d{e="f"}[5m]) or label_replace(g offset 5m, "h", "$1", "i", "(.+)"))'
    )
    assert sorted(selected(expression)) == [("b", {}), ("d", {"e": "f"}), ("g", {})]


def test_the_configuration_is_valid_for_prometheus() -> None:
    done = promtool("check", "config", CONFIGURATION)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_configuration_with_all_examples_is_valid_for_prometheus(tmp_path: Path) -> None:
    text = configuration_with_all_examples()
    assert {"clickhouse", "gcc-ingest"} <= targets().keys()
    for example in ("external_labels", "alert_relabel_configs", "basic_auth"):
        assert re.search(rf"(?m)^ +{example}:", text), example
    (tmp_path / "prometheus.yml").write_text(text)
    (tmp_path / "alerts.yml").write_text((FOLDER / "alerts.yml").read_text())
    done = promtool("check", "config", tmp_path / "prometheus.yml")
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{text}"


def test_the_rules_are_valid_for_prometheus() -> None:
    done = promtool("check", "rules", "alerts.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_fire_and_do_not_fire_as_their_tests_say() -> None:
    done = promtool("test", "rules", "alerts_test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_our_services_are_scraped_where_they_listen_by_default() -> None:
    ports = {name: WatchSettings.model_fields[name].default for name in ("ingest_port", "archive_port", "port")}
    assert [targets()[job] for job in ("gcc-ingest", "gcc-archive", "gcc-watch")] == [
        f"127.0.0.1:{port}" for port in ports.values()
    ]


def test_alerts_are_sent_with_their_own_labels_only() -> None:
    """Alertmanager takes an alert with another label for another alert than the watch's."""
    assert "external_labels" not in yaml.safe_load(CONFIGURATION.read_text())["global"]


@every_rule
def test_every_alert_is_tested_to_fire_and_not_to_fire(rule: dict[str, Any]) -> None:
    cases = [case for test in rule_tests() for case in test["alert_rule_test"] if case["alertname"] == rule["alert"]]
    assert {bool(case.get("exp_alerts")) for case in cases} == {True, False}


async def test_an_alert_is_the_watchs_label_by_label() -> None:
    """Otherwise, Alertmanager takes it for another one, and everybody is notified twice."""
    by_the_watch = {alert.labels["alertname"]: alert.labels async for alert in alerts_of_the_watch()}
    by_prometheus = {
        case["alertname"]: {"alertname": case["alertname"], **alert["exp_labels"]}
        for test in rule_tests()
        for case in test["alert_rule_test"]
        for alert in case.get("exp_alerts", ())[:1]
    }
    assert by_prometheus.keys() - by_the_watch.keys() == {"IngestLags", "IngestPaused", "ArchiveFailing", "CheckFailed"}
    for name, labels in by_the_watch.items():
        assert by_prometheus[name] == labels


def test_alerts_have_no_label_of_a_scrape() -> None:
    """The tests state all labels of an alert, and their series have those of a scrape."""
    for test in rule_tests():
        assert all("instance=" in each["series"] for each in test["input_series"])
        for case in test["alert_rule_test"]:
            assert all(alert["exp_labels"].keys() <= LABELS for alert in case.get("exp_alerts", ()))


@every_rule
def test_an_alert_has_the_labels_and_the_advice_of_the_catalog(rule: dict[str, Any]) -> None:
    labels, kind = rule.get("labels", {}), KINDS.get(rule["alert"])
    if kept := KEEPS_LABELS.match(rule["expr"]):
        assert {"severity", "team", "cause"} <= set(kept[1].split(", "))
        assert labels == {}
    else:
        assert labels.keys() >= {"severity", "team", "cause"}
    if kind is None:
        assert labels["severity"] in {"page", "warn"}
        return
    if labels:
        assert (labels["severity"], labels["team"]) == (kind.severity, kind.team)
    assert rule["annotations"]["do"] == kind.do
    assert rule.get("keep_firing_for", "0s") == f"{kind.keep_firing_seconds:.0f}s"


@every_rule
def test_an_alert_of_one_event_type_says_so_where_the_catalogs_does(rule: dict[str, Any]) -> None:
    """Otherwise, the alerts of all types would be one."""
    if "{{ $labels.type }}" in rule["annotations"]["summary"]:
        assert rule["expr"].startswith(("max by (type)", "sum by (type)"))


@every_rule
def test_every_metric_and_label_of_an_alert_is_exported(rule: dict[str, Any]) -> None:
    metrics = exported()
    used = list(selected(rule["expr"]))
    assert used
    for metric, labels in used:
        assert metric in metrics, metric
        for name, value in labels.items():
            assert value in metrics[metric].get(name, ()), f"{metric}{{{name}={value}}}"


@every_rule
def test_every_alert_has_a_runbook_entry_where_its_link_leads(rule: dict[str, Any]) -> None:
    headings = re.findall(r"(?m)^### (.*)$", (ROOT / "docs" / "operations.md").read_text())
    page, _, fragment = rule["annotations"]["runbook"].partition("#")
    assert page == f"http://127.0.0.1:{WatchSettings.model_fields['port'].default}/runbook"
    assert fragment == rule["alert"].lower()
    assert fragment in {anchor(heading) for heading in headings}


def test_the_queue_of_a_type_is_named_as_the_watch_names_it() -> None:
    [template] = [rule["labels"]["queue"] for rule in RULES if "queue" in rule.get("labels", {})]
    for each in EVENT_TYPES.values():
        assert template.replace("{{ $labels.type }}", each.name) == each.queue


def test_the_watchdog_is_the_watchs_alone() -> None:
    """From Prometheus, it would go on while the watch is down."""
    assert "Watchdog" not in {rule["alert"] for rule in RULES}
