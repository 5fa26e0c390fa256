"""A sensor that looks at the raw tables every half minute, and reports what has changed."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dagster as dg

from gcc_platform.defs.raw import tables
from gcc_platform.defs.raw.checks import severity
from gcc_platform.defs.raw.evaluation import Measured, findings, measure
from gcc_platform.defs.raw.materializations import LastReport, last_reports, numbers
from gcc_platform.defs.resources import BrokerResource, ClickHouseResource
from gcc_platform.raw_checks.finding import Finding

_REPEAT_SECONDS = {True: 900, False: 120}
"""What does not change is reported again after this time, by whether it passes: each report is a stored event."""

_PASSED = "passed"

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
    now = datetime.now(UTC)
    with clickhouse.connect(sensor="raw_tables") as connection:
        measured = measure(connection, broker.url, {key: each.newest_insert for key, each in reports.items()}, now)
    reported = _Reported.from_cursor(context.cursor)
    events = [event for key, report in reports.items() for event in reported.news(key, report, measured, now)]
    return dg.SensorResult(
        asset_events=events,
        cursor=reported.as_cursor(),
        skip_reason=f"This sensor requests no runs. It reported {len(events)} observations and results of checks.",
    )


@dataclass
class _Reported:
    """What was reported last, by `table` and `table check`: the sensor's cursor."""

    known: dict[str, tuple[str, float]] = field(default_factory=dict)
    """The state, and when it was reported in epoch seconds."""

    @classmethod
    def from_cursor(cls, cursor: str | None) -> "_Reported":
        return cls({name: (state, at) for name, (state, at) in json.loads(cursor or "{}").items()})

    def as_cursor(self) -> str:
        return json.dumps(self.known)

    def news(self, key: dg.AssetKey, report: LastReport, measured: Measured, now: datetime) -> Iterator[Event]:
        """What has to be reported of one table now."""
        table = key.path[-1]
        if self._is_news(table, _PASSED, 0.0):
            yield dg.AssetObservation(key, metadata=numbers(key, measured, now))
        for finding in findings(key, measured, now):
            if self._is_news(f"{table} {finding.check}", _state(finding), report.at):
                yield _evaluation(key, finding)

    def _is_news(self, name: str, state: str, materialized_at: float) -> bool:
        """Whether it changed, was reported long ago, or is older than the last materialization.

        Dagster shows a check's result only if it is newer than the last materialization of its asset.
        """
        now = time.time()
        before, at = self.known.get(name, (None, 0.0))
        if state == before and now - at < _REPEAT_SECONDS[state == _PASSED] and at > materialized_at:
            return False
        self.known[name] = (state, now)
        return True


def _state(finding: Finding) -> str:
    """What counts as a change: not the numbers, which change all the time."""
    return _PASSED if finding.passed else severity(finding).value


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
