"""Tells Dagster every minute what the ingest service wrote."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

import dagster as dg

from gcc_platform.defs.raw import reports, tables
from gcc_platform.defs.raw.arrivals import BEGINNING, Arrivals, arrivals
from gcc_platform.resources.clickhouse import ClickHouseResource

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
    seen = _newest_by_table(context.cursor)
    since = min(seen.values()) if len(seen) == len(tables.BY_KEY) else BEGINNING
    names = {tables.table_name(event_type): key for key, event_type in tables.BY_KEY.items()}
    with clickhouse.connect(sensor="raw_arrivals") as connection:
        found = arrivals(connection, names, since)
    by_key = {names[table]: arrived for table, arrived in found.items()}
    moved = reports.materializations(context.instance, by_key, unless_within=_REFRESH_IS_AWAY)
    return dg.SensorResult(
        asset_events=[*reports.observations(by_key), *moved],
        cursor=_cursor(seen, found),
        skip_reason=f"No run is asked for: {len(found)} tables observed, {len(moved)} reported as moved.",
    )


def _newest_by_table(cursor: str | None) -> Mapping[str, datetime]:
    return {table: datetime.fromisoformat(newest) for table, newest in json.loads(cursor or "{}").items()}


def _cursor(seen: Mapping[str, datetime], found: Mapping[str, Arrivals]) -> str:
    """The newest insert of each table, as far as it ever had one."""
    moved = {table: arrived.newest_insert for table, arrived in found.items() if arrived.newest_insert is not None}
    return json.dumps({table: newest.isoformat() for table, newest in {**seen, **moved}.items()})
