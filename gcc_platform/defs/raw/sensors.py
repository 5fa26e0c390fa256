"""Tells Dagster every minute what the ingest service wrote."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from gcc_platform.defs.raw import reports, tables
from gcc_platform.defs.raw.arrivals import arrivals
from gcc_platform.defs.resources import ClickHouseResource

_REFRESH_IS_AWAY = timedelta(minutes=20)
"""The schedule is every 15: after this long nobody but the sensor reports that data moved."""


@dg.sensor(
    name="raw_arrivals",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks ClickHouse every minute how many rows the raw tables have and when the newest came.",
)
def raw_arrivals(context: dg.SensorEvaluationContext, clickhouse: ClickHouseResource) -> dg.SensorResult:
    """Observes every table, and materializes what moved where no refresh has done so."""
    already = reports.told(context.instance, tables.BY_KEY)
    with clickhouse.connect(sensor="raw_arrivals") as connection:
        found = arrivals(connection, {key: last.newest_insert for key, last in already.items()})
    moved = reports.materializations(found, already, told_before=datetime.now(UTC) - _REFRESH_IS_AWAY)
    return dg.SensorResult(
        asset_events=[*reports.observations(found), *moved],
        skip_reason=f"No run is asked for: {len(found)} tables observed, {len(moved)} reported as moved.",
    )
