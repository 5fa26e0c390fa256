"""A sensor that looks at the raw tables every half minute, and reports what has changed."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from gcc_platform.defs.raw import ingest_assets, tables
from gcc_platform.defs.raw.checks import severity
from gcc_platform.defs.raw.evaluation import Measured, findings, measure
from gcc_platform.defs.raw.materializations import LastReport, last_reports, numbers
from gcc_platform.defs.reported import PASSED, Reported
from gcc_platform.defs.resources import BrokerResource, ClickHouseResource
from gcc_platform.raw_checks import queues
from gcc_platform.raw_checks.finding import Finding
from ingest_service.broker.topology import UNROUTABLE_QUEUE

Event = dg.AssetObservation | dg.AssetCheckEvaluation


@dg.sensor(
    name="raw_tables",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Runs the checks of the raw tables every 30 s. Reports what changed, and every 15 minutes everything.",
)
def raw_tables_sensor(
    context: dg.SensorEvaluationContext, clickhouse: ClickHouseResource, broker: BrokerResource
) -> dg.SensorResult:
    """Measure all tables. It requests no runs."""
    reports = last_reports(context.instance, tables.BY_KEY)
    now, reported = datetime.now(UTC), Reported.from_cursor(context.cursor)
    with clickhouse.connect(sensor="raw_tables") as connection:
        measured = measure(connection, broker.url, {key: each.newest_insert for key, each in reports.items()}, now)
        events: list[Event] = list(ingest_assets.observations(reported, connection, measured.queues, now))
    events += (event for key, report in reports.items() for event in _news(reported, key, report, measured, now))
    events += _unroutable(reported, measured)
    return dg.SensorResult(
        asset_events=events,
        cursor=reported.as_cursor(),
        skip_reason=f"This sensor requests no runs. It reported {len(events)} observations and results of checks.",
    )


def _news(
    reported: Reported, key: dg.AssetKey, report: LastReport, measured: Measured, now: datetime
) -> Iterator[Event]:
    """What has to be reported of one table now."""
    table = key.path[-1]
    if reported.is_news(table, PASSED):
        yield dg.AssetObservation(key, metadata=numbers(key, measured, now))
    for finding in findings(key, measured, now):
        if reported.is_news(f"{table} {finding.check}", _state(finding), report.at):
            yield _evaluation(key, finding)


def _unroutable(reported: Reported, measured: Measured) -> Iterator[Event]:
    if measured.queues is not None:
        finding = queues.check_unroutable(measured.queues, UNROUTABLE_QUEUE)
        if reported.is_news(f"unroutable {finding.check}", _state(finding)):
            yield _evaluation(ingest_assets.UNROUTABLE, finding)


def _state(finding: Finding) -> str:
    """What counts as a change: not the numbers, which change all the time."""
    return PASSED if finding.passed else severity(finding).value


def _evaluation(key: dg.AssetKey, finding: Finding) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=key,
        check_name=finding.check,
        passed=finding.passed,
        metadata={name: _metadata(value) for name, value in finding.numbers.items()},
        severity=severity(finding),
        description=finding.description,
        blocking=False,
    )


def _metadata(value: float) -> dg.IntMetadataValue | dg.FloatMetadataValue:
    return dg.IntMetadataValue(value) if isinstance(value, int) else dg.FloatMetadataValue(value)
